from .diffusion_heatmap_head import DiffusionHeatmapHead
from .residual_simcc_head import ResidualSimCCHead

__all__ = ['DiffusionHeatmapHead', 'ResidualSimCCHead']
