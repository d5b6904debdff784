from . import functional
from .metrics import (
    KeypointError,
    MultiHypothesisMPJPE,
    PoseTrackAP,
    PoseTrackSubsetAP,
    TemporalConsistency,
    UncertaintyCalibration,
)

__all__ = [
    'KeypointError',
    'MultiHypothesisMPJPE',
    'PoseTrackAP',
    'PoseTrackSubsetAP',
    'TemporalConsistency',
    'UncertaintyCalibration',
    'functional',
]
