"""Parts of video pose estimators, registered in MMPose."""

from .backbones import TimmVisionTransformer
from .data_preprocessors import VideoPoseDataPreprocessor
from .estimators import VideoTopdownPoseEstimator
from .necks import KeyFrameNeck, SupportFusionNeck, TemporalNeck

__all__ = [
    'KeyFrameNeck',
    'SupportFusionNeck',
    'TemporalNeck',
    'TimmVisionTransformer',
    'VideoPoseDataPreprocessor',
    'VideoTopdownPoseEstimator',
]
