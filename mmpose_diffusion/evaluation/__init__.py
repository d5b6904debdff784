from . import functional
from .metrics import PoseTrackAP, TemporalConsistency

__all__ = ['PoseTrackAP', 'TemporalConsistency', 'functional']
