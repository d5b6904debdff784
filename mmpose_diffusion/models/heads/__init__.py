from .diffusion_heatmap_head import DiffusionHeatmapHead

__all__ = ['DiffusionHeatmapHead']
