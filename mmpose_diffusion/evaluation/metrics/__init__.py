from .keypoint_error import KeypointError
from .multi_hypothesis_mpjpe import MultiHypothesisMPJPE
from .posetrack_ap import PoseTrackAP
from .posetrack_subset_ap import PoseTrackSubsetAP
from .temporal_consistency import TemporalConsistency
from .uncertainty_calibration import UncertaintyCalibration

__all__ = [
    'KeypointError',
    'MultiHypothesisMPJPE',
    'PoseTrackAP',
    'PoseTrackSubsetAP',
    'TemporalConsistency',
    'UncertaintyCalibration',
]
