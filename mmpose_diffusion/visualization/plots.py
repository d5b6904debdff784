"""Curves of training and evaluation, as SVG."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

GREY = '#99a'
COLORS = ('#2563a8', '#d9662b', '#3a8f4d', '#8a4fb0', '#b03a4b', '#2c9c9c', '#7a6a3a', '#555')
Curve = tuple[Sequence[float], Sequence[float]]  # x, y


def plot(draw: Callable[[Axes], None], width: float = 7.2, height: float = 3.6) -> bytes:
    """A figure of that many inches in the style of all figures, as SVG; `draw` fills its axes."""
    drawing = Figure(figsize=(width, height), layout='constrained')  # no window, no global state
    axes = drawing.add_subplot()
    axes.set_prop_cycle(color=COLORS)
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(alpha=0.25)
    draw(axes)
    buffer = io.BytesIO()
    drawing.savefig(buffer, format='svg', metadata={'Date': None})
    return buffer.getvalue()


def plot_training(losses: Mapping[str, Curve], scores: Mapping[str, Curve]) -> bytes:
    """Losses over iterations on the left axis (logarithmic), scores of validations on the right one."""

    def draw(axes: Axes) -> None:
        for name, (steps, values) in losses.items():
            axes.plot(steps, values, label=name, linewidth=1.5)
        axes.set(xlabel='iteration', ylabel='loss', yscale='log')
        handles, labels = axes.get_legend_handles_labels()
        if scores:
            right = axes.twinx()
            right.spines['top'].set_visible(False)
            right.set(ylabel='score, %', ylim=(0, 100))
            for name, (steps, values) in scores.items():
                handles += right.plot(steps, values, 'o--', color='#333', markersize=5, label=name)
                labels.append(name)
        axes.legend(handles, labels, frameon=False, fontsize=9)

    return plot(draw)


def plot_errors(errors: Mapping[str, np.ndarray], unit: str, hit: float | None = None, limit: float = 2.0) -> bytes:
    """Share of the joints of each group that are no farther off than x; `hit` marks what counts as found."""

    def draw(axes: Axes) -> None:
        at = np.linspace(0, limit, 201)
        for name, values in errors.items():
            if len(values):
                axes.plot(at, [100 * float((values <= x).mean()) for x in at], label=name, linewidth=1.8)
        if hit is not None:
            axes.axvline(hit, color=GREY, linestyle=':', linewidth=1.5)
            axes.text(hit, 2, ' a hit', color='#667', fontsize=9)
        axes.set(xlabel=f'distance, {unit}', ylabel='joints at most so far off, %', xlim=(0, limit), ylim=(0, 100))
        axes.legend(frameon=False, fontsize=9, loc='lower right', ncols=2)

    return plot(draw)


def plot_calibration(levels: Sequence[float], coverages: Mapping[str, Sequence[float]]) -> bytes:
    """Share of the joints inside ellipses against the share that the ellipses promise, with the ideal diagonal."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=GREY, linestyle='--', linewidth=1.2, label='right')
        for name, shares in coverages.items():
            axes.plot(100 * np.asarray(levels), 100 * np.asarray(shares), 'o-', markersize=4, label=name, linewidth=1.8)
        axes.set(xlabel='an ellipse of so many %', ylabel='holds so many % of the joints', xlim=(0, 100), ylim=(0, 100))
        axes.set_aspect('equal')
        axes.legend(frameon=False, fontsize=9, loc='upper left')

    return plot(draw, width=4.6, height=4.4)


def plot_scores(curves: Mapping[str, Sequence[tuple[float, Sequence[float]]]], xlabel: str, ylabel: str) -> bytes:
    """Means of a score over x, with bars of a standard deviation to both sides; curves name -> (x, values) by point."""

    def draw(axes: Axes) -> None:
        places = sorted({x for points in curves.values() for x, _ in points})
        for name, points in curves.items():
            spreads = [np.std(values, ddof=1) if len(values) > 1 else 0.0 for _, values in points]
            means = [np.mean(values) for _, values in points]
            axes.errorbar([x for x, _ in points], means, spreads, fmt='o-', markersize=5, capsize=3, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel, xscale='log', xticks=places, xticklabels=places)
        axes.minorticks_off()
        if curves:
            axes.legend(frameon=False, fontsize=9)

    return plot(draw)
