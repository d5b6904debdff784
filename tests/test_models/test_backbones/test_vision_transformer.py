import copy

import pytest
import torch
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS
from mmpretrain.models import VisionTransformer as ReferenceVisionTransformer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmpose_diffusion.models.backbones import TimmVisionTransformer

TINY = dict(embed_dims=48, num_layers=3, num_heads=3, feedforward_channels=100)
ONE_BASE_LAYER = dict(embed_dims=768, num_layers=1, num_heads=12, feedforward_channels=3072)


def vitpose_reference(arch, img_size):
    """The backbone of MMPose's ViTPose configs, with weights that make every part of it matter."""
    reference = ReferenceVisionTransformer(
        arch=arch,
        img_size=img_size,
        patch_size=16,
        qkv_bias=True,
        with_cls_token=False,
        out_type='featmap',
        patch_cfg=dict(padding=2),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in reference.parameters():
            weight.normal_(0, 0.1, generator=generator)
    reference.eval()
    return reference


def features(backbone, images):
    with torch.no_grad():
        return backbone(images)[-1]


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ('arch', 'img_size'),
    [(TINY, (256, 192)), (TINY, (384, 288)), (ONE_BASE_LAYER, (256, 192)), (ONE_BASE_LAYER, (384, 288))],
    ids=['tiny-256x192', 'tiny-384x288', 'base-256x192', 'base-384x288'],
)
def test_features_are_exactly_those_of_the_vitpose_backbone_of_mmpose(arch, img_size):
    reference = vitpose_reference(arch, img_size)
    backbone = TimmVisionTransformer(arch, img_size).eval()
    assert len(backbone.state_dict()) == len(reference.state_dict())
    backbone.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(2, 3, *img_size, generator=torch.Generator().manual_seed(1))
    assert torch.equal(features(backbone, images), features(reference, images))


def test_gradients_agree_with_the_vitpose_backbone_of_mmpose(images):
    reference = vitpose_reference(TINY, (64, 48))
    backbone = TimmVisionTransformer(TINY, (64, 48)).eval()
    backbone.load_state_dict(reference.state_dict())
    for model in (reference, backbone):
        model(images)[-1].square().sum().backward()
    torch.testing.assert_close(backbone.pos_embed.grad, reference.pos_embed.grad)
    torch.testing.assert_close(backbone.blocks[0].attn.qkv.weight.grad, reference.layers[0].attn.qkv.weight.grad)


def test_returns_one_contiguous_map_and_states_its_channels(images):
    backbone = MODELS.build(dict(type='TimmVisionTransformer', arch=TINY, img_size=(64, 48)))
    maps = backbone(images)
    assert isinstance(maps, tuple)
    assert len(maps) == 1
    assert maps[0].shape == (2, backbone.out_channels, 4, 3)
    assert maps[0].is_contiguous()


@pytest.mark.parametrize(('name', 'width', 'depth'), [('s', 384, 12), ('base', 768, 12), ('l', 1024, 24)])
def test_named_sizes_are_those_of_vitpose(name, width, depth):
    with torch.device('meta'):
        backbone = TimmVisionTransformer(name)
    assert (backbone.out_channels, len(backbone.blocks)) == (width, depth)
    assert backbone.blocks[0].mlp.fc1.out_features == 4 * width


@pytest.mark.parametrize('feedforward_channels', [1, 47, 49, 191])
def test_feedforward_width_is_taken_exactly(feedforward_channels):
    backbone = TimmVisionTransformer(dict(TINY, embed_dims=48, feedforward_channels=feedforward_channels), (64, 48))
    assert backbone.blocks[0].mlp.fc1.out_features == feedforward_channels


def test_base_size_costs_what_its_arithmetic_says():
    with torch.device('meta'):
        backbone, images = TimmVisionTransformer('b').eval(), torch.empty(5, 3, 256, 192)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(images)
    tokens, width, layers = 16 * 12, 768, 12
    patches = tokens * width * 3 * 16 * 16
    matrices = tokens * (4 * width**2 + 2 * width * 4 * width)  # qkv and proj, fc1 and fc2
    attention = 2 * tokens**2 * width
    per_image = 2 * (patches + layers * (matrices + attention))  # 34.2e9
    assert counter.get_total_flops() == 5 * per_image


def test_attention_is_fused():
    backbone = TimmVisionTransformer(TINY, (64, 48))
    assert all(block.attn.fused_attn for block in backbone.blocks)


def test_train_and_eval_can_be_chained(images):
    backbone = TimmVisionTransformer(TINY, (64, 48))
    assert backbone.eval() is backbone
    assert backbone.train() is backbone


def test_sample_does_not_depend_on_its_neighbours_in_the_batch(images):
    backbone = TimmVisionTransformer(TINY, (64, 48)).eval()
    expected = features(backbone, images)[0]
    with_other_neighbour = torch.stack([images[0], 100 * torch.randn_like(images[1])])
    assert torch.equal(features(backbone, with_other_neighbour)[0], expected)
    torch.testing.assert_close(features(backbone, images.flip(0))[1], expected)
    torch.testing.assert_close(features(backbone, images[:1])[0], expected)


def test_recomputing_layers_in_the_backward_pass_changes_no_gradient(images):
    plain = TimmVisionTransformer(TINY, (64, 48))
    recomputing = TimmVisionTransformer(TINY, (64, 48), with_cp=True)
    recomputing.load_state_dict(plain.state_dict())
    for backbone in (plain, recomputing):
        backbone.train()(images)[-1].square().sum().backward()
    for (name, weight), other in zip(plain.named_parameters(), recomputing.parameters(), strict=True):
        assert weight.grad is not None, name
        torch.testing.assert_close(weight.grad, other.grad)


def test_layers_are_dropped_in_training_only(images):
    torch.manual_seed(0)
    backbone = TimmVisionTransformer(TINY, (64, 48), drop_path_rate=0.9)
    assert not torch.equal(features(backbone.train(), images), features(backbone, images))
    assert torch.equal(features(backbone.eval(), images), features(backbone, images))


@pytest.mark.parametrize(
    ('settings', 'complaint'),
    [
        (dict(arch='xl'), "one of .*'b'.* got 'xl'"),
        (dict(arch=dict(embed_dims=48)), "exactly the keys .*'num_heads'"),
        (dict(arch=dict(TINY, num_heads=5)), 'embed_dims=48 .* num_heads=5'),
        (dict(img_size=(250, 192)), r'multiples of patch_size=16, got \(250, 192\)'),
        (dict(img_size=256), r'\(height, width\).* got 256'),
        (dict(patch_padding=8), 'patch_padding .* got 8'),
    ],
)
def test_impossible_settings_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        TimmVisionTransformer(**{'arch': TINY, **settings})


def test_images_of_another_size_are_refused(images):
    backbone = TimmVisionTransformer(TINY, (48, 64))
    with pytest.raises(ValueError, match=r'built for images of \(48, 64\).* got \(64, 48\)'):
        backbone(images)


# Loading through mmengine ---------------------------------------------------------------------------------------------


def pose_estimator(backbone):
    head = dict(
        type='HeatmapHead',
        in_channels=TINY['embed_dims'],
        out_channels=17,
        deconv_out_channels=(8, 8),
        deconv_kernel_sizes=(4, 4),
        decoder=dict(type='UDPHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=2),
    )
    return MODELS.build(dict(type='TopdownPoseEstimator', backbone=backbone, head=head))


TINY_BACKBONE = dict(type='TimmVisionTransformer', arch=TINY, img_size=(64, 48))


@pytest.mark.parametrize('prefix', [None, 'backbone.'])
def test_init_cfg_takes_the_backbone_out_of_an_mmpose_checkpoint(prefix, images, tmp_path):
    reference = vitpose_reference(TINY, (64, 48))
    weights = {f'backbone.{name}': weight for name, weight in reference.state_dict().items()}
    weights['head.final_layer.weight'] = torch.zeros(17, 8, 1, 1)
    torch.save(dict(state_dict=weights, meta={}), tmp_path / 'vitpose.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'vitpose.pth'))
    if prefix:
        init_cfg['prefix'] = prefix
    backbone = MODELS.build(dict(TINY_BACKBONE, init_cfg=init_cfg)).eval()
    backbone.init_weights()
    assert torch.equal(features(backbone, images), features(reference, images))


def test_init_cfg_reads_a_mae_checkpoint(images, tmp_path):
    source = TimmVisionTransformer(TINY, (64, 48)).eval()
    weights = dict(source.state_dict(), cls_token=torch.zeros(1, 1, 48), mask_token=torch.zeros(1, 1, 8))
    weights['pos_embed'] = torch.cat([torch.zeros(1, 1, 48), weights['pos_embed']], dim=1)
    torch.save(dict(model=weights), tmp_path / 'mae.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'mae.pth'))
    backbone = MODELS.build(dict(TINY_BACKBONE, init_cfg=init_cfg)).eval()
    backbone.init_weights()
    assert torch.equal(features(backbone, images), features(source, images))


def test_whole_checkpoint_of_the_original_vitpose_loads_into_an_estimator(tmp_path):
    source = pose_estimator(TINY_BACKBONE)
    weights = {}
    for name, weight in source.state_dict().items():
        name = name.replace('backbone.norm', 'backbone.last_norm').replace('head.', 'keypoint_head.', 1)
        weights[name] = weight
    weights['backbone.pos_embed'] = torch.cat([torch.zeros(1, 1, 48), weights['backbone.pos_embed']], dim=1)
    torch.save(dict(state_dict=weights), tmp_path / 'original.pth')
    estimator = pose_estimator(TINY_BACKBONE)
    load_checkpoint(estimator, str(tmp_path / 'original.pth'), strict=True)
    for name, weight in source.state_dict().items():
        assert torch.equal(estimator.state_dict()[name], weight), name


def test_own_weights_survive_saving_and_loading(images):
    source = TimmVisionTransformer(TINY, (64, 48)).eval()
    backbone = copy.deepcopy(TimmVisionTransformer(TINY, (64, 48))).eval()
    backbone.load_state_dict(source.state_dict())
    assert torch.equal(features(backbone, images), features(source, images))


def test_refusal_names_the_place_in_the_model():
    estimator = nn.ModuleDict(dict(backbone=TimmVisionTransformer(TINY, (64, 48)), head=nn.Linear(2, 2)))
    weights = estimator.state_dict()
    del weights['backbone.blocks.1.mlp.fc1.bias']
    with pytest.raises(ValueError, match=r'cannot load backbone\..*1 missing: blocks\.1\.mlp\.fc1\.bias'):
        estimator.load_state_dict(weights, strict=False)


def test_weights_of_other_parts_alone_leave_the_backbone_as_it_is():
    estimator = nn.ModuleDict(dict(backbone=TimmVisionTransformer(TINY, (64, 48)), head=nn.Linear(2, 2)))
    before = copy.deepcopy(estimator.backbone.state_dict())
    result = estimator.load_state_dict(estimator.head.state_dict(prefix='head.'), strict=False)
    assert len(result.missing_keys) == len(before)
    assert all(torch.equal(weight, before[name]) for name, weight in estimator.backbone.state_dict().items())
