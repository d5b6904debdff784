from .posetrack_ap import PoseTrackAP
from .temporal_consistency import TemporalConsistency

__all__ = ['PoseTrackAP', 'TemporalConsistency']
