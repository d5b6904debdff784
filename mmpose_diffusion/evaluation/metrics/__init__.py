from .keypoint_error import KeypointError
from .posetrack_ap import PoseTrackAP
from .posetrack_subset_ap import PoseTrackSubsetAP
from .temporal_consistency import TemporalConsistency
from .uncertainty_calibration import UncertaintyCalibration

__all__ = ['KeypointError', 'PoseTrackAP', 'PoseTrackSubsetAP', 'TemporalConsistency', 'UncertaintyCalibration']
