"""Codecs that MMPose does not have."""

from .heatmap_simcc_label import DECODINGS, HeatmapSimCCLabel

__all__ = ['DECODINGS', 'HeatmapSimCCLabel']
