from .key_frame_neck import KeyFrameNeck
from .support_fusion_neck import SupportFusionNeck
from .temporal_neck import TemporalNeck

__all__ = ['KeyFrameNeck', 'SupportFusionNeck', 'TemporalNeck']
