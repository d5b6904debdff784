from .base_denoiser import BaseDenoiser, BaseHeatmapDenoiser
from .heatmap_denoiser import HeatmapDenoiser

__all__ = ['BaseDenoiser', 'BaseHeatmapDenoiser', 'HeatmapDenoiser']
