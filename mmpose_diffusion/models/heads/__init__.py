from .diffusion_heatmap_head import DiffusionHeatmapHead
from .diffusion_pose_head import DiffusionPoseHead
from .pose_regression_head import PoseRegressionHead
from .residual_simcc_head import ResidualSimCCHead

__all__ = ['DiffusionHeatmapHead', 'DiffusionPoseHead', 'PoseRegressionHead', 'ResidualSimCCHead']
