"""Image backbones that MMPose does not ship."""

from .vision_transformer import TimmVisionTransformer

__all__ = ['TimmVisionTransformer']
