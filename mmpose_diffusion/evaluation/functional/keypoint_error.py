"""How far predicted joints are from the exact ones, with those that are another joint altogether set apart."""

import numpy as np

CLOSE = 0.5
"""So many head sizes away a joint may be to count as found (a hit of PoseTrack AP)."""


def summarize_errors(pixels: np.ndarray, heads: np.ndarray) -> dict[str, float]:
    """Mean and median of all errors, and of the close ones; NaN of no errors.

    A joint that is taken for another one is far off, whatever the resolution of a heatmap or the bins of a classifier.
    What these add shows in the errors of the joints that were found.

    Args:
        pixels: [N] distances in pixels of the network's input.
        heads: [N] the same distances in head sizes.
    """
    is_close = heads <= CLOSE
    return {
        'mean_px': _mean(pixels),
        'median_px': _median(pixels),
        'mean_head': _mean(heads),
        'median_head': _median(heads),
        'close_share': 100 * _mean(is_close.astype(np.float64)),
        'close_mean_px': _mean(pixels[is_close]),
        'close_median_px': _median(pixels[is_close]),
    }


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float('nan')


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float('nan')
