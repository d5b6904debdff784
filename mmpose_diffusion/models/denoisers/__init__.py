from .base_denoiser import BaseDenoiser, BaseHeatmapDenoiser
from .heatmap_denoiser import HeatmapDenoiser
from .pose_sequence_denoiser import PoseCondition, PoseSequenceDenoiser

__all__ = ['BaseDenoiser', 'BaseHeatmapDenoiser', 'HeatmapDenoiser', 'PoseCondition', 'PoseSequenceDenoiser']
