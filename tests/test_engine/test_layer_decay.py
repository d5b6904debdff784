import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpose.engine.optim_wrappers.layer_decay_optim_wrapper import LayerDecayOptimWrapperConstructor
from mmpretrain.models import VisionTransformer as ReferenceVisionTransformer
from torch import nn

from mmpose_diffusion.engine.layer_decay import VisionTransformerLayerDecay
from mmpose_diffusion.models.backbones import TimmVisionTransformer
from mmpose_diffusion.models.backbones.checkpoint_keys import DIALECTS, rename

ARCH = dict(embed_dims=24, num_layers=4, num_heads=2, feedforward_channels=48)
OPTIMIZER = dict(type='AdamW', lr=5e-4, weight_decay=0.1)


def estimator(backbone):
    return nn.ModuleDict(dict(backbone=backbone, neck=nn.Conv2d(24, 24, 1), head=nn.Linear(24, 17)))


def timm_estimator():
    return estimator(TimmVisionTransformer(ARCH, img_size=(64, 48)))


def settings_by_name(model, optimizer):
    """Parameter name -> (learning rate, weight decay)."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }


def decayed(model, rate=0.75):
    constructor = VisionTransformerLayerDecay(dict(optimizer=OPTIMIZER), dict(layer_decay_rate=rate))
    return settings_by_name(model, constructor(model).optimizer)


def test_every_parameter_gets_what_vitpose_training_in_mmpose_gives_it():
    reference = estimator(
        ReferenceVisionTransformer(ARCH, (64, 48), out_type='featmap', with_cls_token=False, patch_cfg=dict(padding=2))
    )
    constructor = LayerDecayOptimWrapperConstructor(
        dict(optimizer=OPTIMIZER), dict(num_layers=4, layer_decay_rate=0.75)
    )
    expected = settings_by_name(reference, constructor(reference).optimizer)
    in_mmpose = {name.removeprefix('backbone.'): settings for name, settings in expected.items()}
    renames = next(dialect.renames for dialect in DIALECTS if dialect.name.startswith('MMPose'))
    expected = rename(in_mmpose, renames)

    model = timm_estimator()
    found = {name.removeprefix('backbone.'): settings for name, settings in decayed(model).items()}
    assert found.keys() == expected.keys()
    assert len(found) == len(list(model.parameters()))
    for name, settings in found.items():
        assert settings == pytest.approx(expected[name]), name


@pytest.mark.parametrize(
    ('name', 'steps_down'),
    [
        ('head.weight', 0),
        ('neck.weight', 0),
        ('backbone.norm.weight', 0),
        ('backbone.blocks.3.mlp.fc2.weight', 1),
        ('backbone.blocks.0.attn.qkv.weight', 4),
        ('backbone.patch_embed.proj.weight', 5),
        ('backbone.pos_embed', 5),
    ],
)
def test_learning_rate_falls_from_head_to_image(name, steps_down):
    assert decayed(timm_estimator(), rate=0.5)[name][0] == pytest.approx(5e-4 * 0.5**steps_down)


def test_biases_norms_and_positions_are_not_pulled_to_zero():
    for name, (_, weight_decay) in decayed(timm_estimator()).items():
        free = name.endswith('bias') or 'norm' in name or 'pos_embed' in name
        assert weight_decay == (0.0 if free else 0.1), name


def test_frozen_parameters_are_left_out():
    model = timm_estimator()
    model['backbone'].patch_embed.requires_grad_(False)
    assert not any('patch_embed' in name for name in decayed(model))


def test_is_built_by_name_from_an_optim_wrapper_config():
    config = dict(
        type='OptimWrapper',
        optimizer=dict(OPTIMIZER),
        constructor='VisionTransformerLayerDecay',
        paramwise_cfg=dict(layer_decay_rate=0.75),
    )
    model = timm_estimator()
    with DefaultScope.overwrite_default_scope('mmpose'):
        wrapper = build_optim_wrapper(model, config)
    assert settings_by_name(model, wrapper.optimizer) == decayed(model)


@pytest.mark.parametrize(
    ('paramwise', 'complaint'),
    [
        (None, 'layer_decay_rate=.* got {}'),
        (dict(layer_decay_rate=0.75, num_layers=12), "read from the model.* 'num_layers': 12"),
        (dict(layer_decay_rate=1.5), r'in \(0, 1\], got 1.5'),
    ],
)
def test_settings_that_mean_nothing_are_refused(paramwise, complaint):
    with pytest.raises(ValueError, match=complaint):
        VisionTransformerLayerDecay(dict(optimizer=OPTIMIZER), paramwise)


def test_other_backbones_are_refused():
    with pytest.raises(ValueError, match='needs a vision transformer .* got Conv2d'):
        decayed(estimator(nn.Conv2d(3, 24, 1)))
