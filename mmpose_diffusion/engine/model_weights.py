"""Weights for a model outside a Runner."""

from __future__ import annotations

from mmengine.runner import CheckpointLoader
from torch import nn


def load_weights(model: nn.Module, filename: str, allow_unexpected: bool = False) -> dict:
    """Fill a model from a checkpoint; refuse one that leaves a weight at random, where MMEngine would only log it.

    Args:
        model: is changed in place.
        filename: checkpoint file, or whatever MMEngine can load one from.
        allow_unexpected: let the checkpoint have weights that the model does not (files of other packages do).

    Returns:
        What the checkpoint says about itself (`meta`).
    """
    checkpoint = CheckpointLoader.load_checkpoint(filename, map_location='cpu')
    weights, own = checkpoint.get('state_dict', checkpoint), model.state_dict()
    problems = {
        'it lacks': [name for name in own if name not in weights],
        'other sizes': [
            f'{name} ({list(weights[name].shape)} instead of {list(own[name].shape)})'
            for name in own
            if name in weights and weights[name].shape != own[name].shape
        ],
        'unknown': [] if allow_unexpected else [name for name in weights if name not in own],
    }
    if any(problems.values()):
        listed = '; '.join(
            f'{problem}: {", ".join(names[:3])}{f" and {len(names) - 3} more" if len(names) > 3 else ""}'
            for problem, names in problems.items()
            if names
        )
        raise ValueError(f'{filename} is no checkpoint of this {type(model).__name__}: {listed}')
    model.load_state_dict({name: weights[name] for name in own})
    return checkpoint.get('meta', {})
