from . import functional
from .metrics import KeypointError, PoseTrackAP, PoseTrackSubsetAP, TemporalConsistency, UncertaintyCalibration

__all__ = [
    'KeypointError',
    'PoseTrackAP',
    'PoseTrackSubsetAP',
    'TemporalConsistency',
    'UncertaintyCalibration',
    'functional',
]
