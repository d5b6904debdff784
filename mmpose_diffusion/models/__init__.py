"""Parts of video pose estimators, registered in MMPose."""

from .backbones import TimmVisionTransformer
from .data_preprocessors import VideoPoseDataPreprocessor
from .denoisers import BaseDenoiser, BaseHeatmapDenoiser, HeatmapDenoiser, PoseSequenceDenoiser
from .estimators import VideoTopdownPoseEstimator
from .heads import DiffusionHeatmapHead, ResidualSimCCHead
from .hypothesis_aggregators import BestAgreement, HypothesisAggregator, MeanCoordinates, MeanHeatmap, MedianCoordinates
from .losses import AuxiliaryHead, MutualInformationLoss
from .necks import (
    FeatureAlignmentNeck,
    KeyFrameNeck,
    SpatioTemporalRepresentationLearner,
    SupportFusionNeck,
    TemporalNeck,
)

__all__ = [
    'AuxiliaryHead',
    'BaseDenoiser',
    'BaseHeatmapDenoiser',
    'BestAgreement',
    'DiffusionHeatmapHead',
    'FeatureAlignmentNeck',
    'HeatmapDenoiser',
    'HypothesisAggregator',
    'KeyFrameNeck',
    'MeanCoordinates',
    'MeanHeatmap',
    'MedianCoordinates',
    'MutualInformationLoss',
    'PoseSequenceDenoiser',
    'ResidualSimCCHead',
    'SpatioTemporalRepresentationLearner',
    'SupportFusionNeck',
    'TemporalNeck',
    'TimmVisionTransformer',
    'VideoPoseDataPreprocessor',
    'VideoTopdownPoseEstimator',
]
