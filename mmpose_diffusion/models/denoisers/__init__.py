from .base_denoiser import BaseDenoiser, BaseHeatmapDenoiser, BasePoseDenoiser
from .heatmap_denoiser import HeatmapDenoiser
from .pose_sequence_denoiser import PoseCondition, PoseSequenceDenoiser
from .prompted_pose_denoiser import PromptedPoseDenoiser

__all__ = [
    'BaseDenoiser',
    'BaseHeatmapDenoiser',
    'BasePoseDenoiser',
    'HeatmapDenoiser',
    'PoseCondition',
    'PoseSequenceDenoiser',
    'PromptedPoseDenoiser',
]
