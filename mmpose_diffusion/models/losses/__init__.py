"""Losses beside the head's own, for `aux_losses` of the estimator."""

from .auxiliary_head import AuxiliaryHead
from .mutual_information_loss import MutualInformationLoss

__all__ = ['AuxiliaryHead', 'MutualInformationLoss']
