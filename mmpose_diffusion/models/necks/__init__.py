from .feature_alignment_neck import FeatureAlignmentNeck
from .key_frame_neck import KeyFrameNeck
from .spatio_temporal_representation import SpatioTemporalRepresentationLearner
from .support_fusion_neck import SupportFusionNeck
from .temporal_neck import TemporalNeck

__all__ = [
    'FeatureAlignmentNeck',
    'KeyFrameNeck',
    'SpatioTemporalRepresentationLearner',
    'SupportFusionNeck',
    'TemporalNeck',
]
