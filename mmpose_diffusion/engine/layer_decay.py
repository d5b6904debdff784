"""Layer-wise decay of the learning rate, as ViTPose is trained: the nearer to the image, the slower a layer learns.

MMPose's `LayerDecayOptimWrapperConstructor` knows the parameter names of mmpretrain only: the layers of the backbone
built from timm (`backbone.blocks.N`) would all keep the full learning rate. Its rule is kept, names and depth are read
from the model.
"""

import re

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor
from mmpose.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

EMBEDDING = re.compile(r'backbone\.(pos_embed|cls_token|mask_token|patch_embed\.)')
LAYER = re.compile(r'backbone\.(?:blocks|layers)\.(\d+)\.')  # timm's and mmpretrain's names


def learning_rate_scale(name: str, num_layers: int, decay_rate: float) -> float:
    """Factor on the learning rate of a parameter: 1 for head and last norm, one `decay_rate` more for each layer below.

    >>> [learning_rate_scale(f'backbone.{name}', 12, 0.5) for name in ('norm.bias', 'blocks.11.norm1.bias')]
    [1.0, 0.5]
    >>> learning_rate_scale('backbone.pos_embed', 12, 0.5) == 0.5**13
    True
    """
    if EMBEDDING.match(name):
        return decay_rate ** (num_layers + 1)
    layer = LAYER.match(name)
    return decay_rate ** (num_layers - int(layer[1])) if layer else 1.0


def count_layers(model: nn.Module) -> int:
    """Number of transformer layers of the backbone, read off the parameter names."""
    layers = {int(match[1]) for match in (LAYER.match(name) for name, _ in model.named_parameters()) if match}
    if not layers:
        raise ValueError(
            'layer-wise learning-rate decay needs a vision transformer as backbone (parameters backbone.blocks.N or '
            f'backbone.layers.N), got {type(getattr(model, "backbone", model)).__name__}'
        )
    return max(layers) + 1


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class VisionTransformerLayerDecay(DefaultOptimWrapperConstructor):
    """Optimizer whose learning rate falls by `layer_decay_rate` from each transformer layer to the one below.

    Biases, norms and position embeddings get no weight decay. Config: `optim_wrapper = dict(optimizer=...,
    constructor='VisionTransformerLayerDecay', paramwise_cfg=dict(layer_decay_rate=0.75))`.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        unknown = sorted(set(self.paramwise_cfg) - {'layer_decay_rate'})
        rate = self.paramwise_cfg.get('layer_decay_rate')
        if unknown or rate is None:
            raise ValueError(
                'paramwise_cfg must be dict(layer_decay_rate=...) and nothing else (the number of layers is read from '
                f'the model), got {self.paramwise_cfg}'
            )
        if not 0 < rate <= 1:
            raise ValueError(f'layer_decay_rate must lie in (0, 1], got {rate}')
        if self.base_lr is None:
            raise ValueError(f'the optimizer must state its learning rate lr, got {self.optimizer_cfg}')
        self.layer_decay_rate = rate

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: object) -> None:
        """Group the trainable parameters of `module` by learning rate and weight decay, and append them to `params`."""
        num_layers = count_layers(module)
        groups: dict[tuple[float, float | None], dict] = {}
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            scale = learning_rate_scale(name, num_layers, self.layer_decay_rate)
            decays = parameter.ndim > 1 and not name.endswith('.bias') and 'pos_embed' not in name
            weight_decay = self.base_wd if decays else 0.0
            group = groups.setdefault((scale, weight_decay), dict(params=[], lr=scale * self.base_lr, lr_scale=scale))
            group['params'].append(parameter)
            if weight_decay is not None:
                group['weight_decay'] = weight_decay
        params.extend(groups.values())
        MMLogger.get_current_instance().info(
            f'learning rate of {num_layers} transformer layers: {self.base_lr:g} at the top, '
            f'{min(group["lr"] for group in groups.values()):g} at the bottom, in {len(groups)} parameter groups'
        )
