import re

import pytest
import torch
from mmpretrain.models import VisionTransformer as ReferenceVisionTransformer

from mmpose_diffusion.models.backbones import TimmVisionTransformer
from mmpose_diffusion.models.backbones.checkpoint_keys import (
    find_head,
    infer_grid,
    positions_of_patches,
    resample_positions,
)

WIDTH, LAYERS = 48, 2
ARCH = dict(embed_dims=WIDTH, num_layers=LAYERS, num_heads=3, feedforward_channels=96)
IMG_SIZE, PATCHES = (64, 48), 12


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def reference():
    """MMPose's ViTPose backbone with random weights."""
    model = ReferenceVisionTransformer(
        ARCH, IMG_SIZE, 16, out_type='featmap', with_cls_token=False, patch_cfg=dict(padding=2)
    )
    for seed, weight in enumerate(model.parameters()):
        weight.data = 0.1 * random(*weight.shape, seed=seed)
    model.eval()
    return model


# MMPose's names -> names of other projects, one pair of patterns per line of a published model's state dict.
ORIGINAL_NAMES = {
    r'^patch_embed\.projection\.': 'patch_embed.proj.',
    r'^layers\.(\d+)\.ln1\.': r'blocks.\1.norm1.',
    r'^layers\.(\d+)\.ln2\.': r'blocks.\1.norm2.',
    r'^layers\.(\d+)\.attn\.': r'blocks.\1.attn.',
    r'^layers\.(\d+)\.ffn\.layers\.0\.0\.': r'blocks.\1.mlp.fc1.',
    r'^layers\.(\d+)\.ffn\.layers\.1\.': r'blocks.\1.mlp.fc2.',
    r'^ln1\.': 'last_norm.',
}
MAE_NAMES = {**ORIGINAL_NAMES, r'^ln1\.': 'norm.'}
HUGGING_FACE_NAMES = {
    r'^pos_embed$': 'embeddings.position_embeddings',
    r'^patch_embed\.projection\.': 'embeddings.patch_embeddings.projection.',
    r'^layers\.(\d+)\.ln1\.': r'encoder.layer.\1.layernorm_before.',
    r'^layers\.(\d+)\.ln2\.': r'encoder.layer.\1.layernorm_after.',
    r'^layers\.(\d+)\.attn\.proj\.': r'encoder.layer.\1.attention.output.dense.',
    r'^layers\.(\d+)\.ffn\.layers\.0\.0\.': r'encoder.layer.\1.mlp.fc1.',
    r'^layers\.(\d+)\.ffn\.layers\.1\.': r'encoder.layer.\1.mlp.fc2.',
    r'^ln1\.': 'layernorm.',
}


def renamed(weights, names):
    result = {}
    for name, weight in weights.items():
        for pattern, replacement in names.items():
            name, changed = re.subn(pattern, replacement, name)
            if changed:
                break
        result[name] = weight
    return result


def add_a_first_position(reference):
    """Entries [1, N + 1, C] as ViTPose stores them; the reference gets the sums that ViTPose computes from them."""
    first, others = random(1, 1, WIDTH, seed=100), random(1, PATCHES, WIDTH, seed=101)
    reference.pos_embed.data = others + first
    return torch.cat([first, others], dim=1)


def original_weights(reference):
    positions = add_a_first_position(reference)
    return dict(renamed(reference.state_dict(), ORIGINAL_NAMES), pos_embed=positions)


def original_weights_with_class_token(reference):
    """Some published ViTPose checkpoints keep an unused class token."""
    return dict(original_weights(reference), cls_token=random(1, 1, WIDTH))


def hugging_face_weights(reference):
    positions = add_a_first_position(reference)
    weights = renamed(reference.state_dict(), HUGGING_FACE_NAMES)
    weights['embeddings.position_embeddings'] = positions
    for layer in range(LAYERS):
        for kind in ('weight', 'bias'):
            joined = weights.pop(f'layers.{layer}.attn.qkv.{kind}')
            for part, weight in zip(('query', 'key', 'value'), joined.split(WIDTH), strict=True):
                weights[f'encoder.layer.{layer}.attention.attention.{part}.{kind}'] = weight
    return weights


def mae_weights(reference):
    weights = renamed(reference.state_dict(), MAE_NAMES)
    weights['pos_embed'] = torch.cat([random(1, 1, WIDTH, seed=100), weights['pos_embed']], dim=1)
    unused = {'cls_token': (1, 1, WIDTH), 'mask_token': (1, 1, 8), 'decoder_pred.bias': (8,)}
    unused['decoder_blocks.0.norm1.weight'] = (8,)
    return weights | {name: random(*shape) for name, shape in unused.items()}


def mmpose_weights(reference):
    return reference.state_dict()


def mmpretrain_weights_with_class_token(reference):
    weights = dict(reference.state_dict(), cls_token=random(1, 1, WIDTH))
    weights['pos_embed'] = torch.cat([random(1, 1, WIDTH, seed=100), weights['pos_embed']], dim=1)
    return weights


def mmpretrain_weights_with_a_first_position_only(reference):
    weights = mmpretrain_weights_with_class_token(reference)
    del weights['cls_token']
    return weights


DIALECTS = [
    mmpose_weights,
    mmpretrain_weights_with_class_token,
    mmpretrain_weights_with_a_first_position_only,
    original_weights,
    original_weights_with_class_token,
    mae_weights,
    hugging_face_weights,
]


@pytest.mark.parametrize('place', ['', 'backbone.'], ids=['bare', 'in-estimator'])
@pytest.mark.parametrize('dialect', DIALECTS, ids=lambda dialect: dialect.__name__)
def test_weights_of_every_dialect_give_the_features_of_the_reference(dialect, place, reference):
    weights = {place + name: weight for name, weight in dialect(reference).items()}
    backbone = TimmVisionTransformer(ARCH, IMG_SIZE).eval()
    backbone.load_state_dict(weights, strict=True)
    images = random(2, 3, *IMG_SIZE)
    with torch.no_grad():
        assert torch.equal(backbone(images)[-1], reference(images)[-1])


def test_loading_does_not_change_the_given_weights(reference):
    weights = hugging_face_weights(reference)
    before = {name: weight.clone() for name, weight in weights.items()}
    TimmVisionTransformer(ARCH, IMG_SIZE).load_state_dict(weights)
    assert weights.keys() == before.keys()
    assert all(torch.equal(weight, before[name]) for name, weight in weights.items())


# Position embeddings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('tokens', 'target', 'grid'),
    [
        (192, (16, 12), (16, 12)),
        (192, (24, 18), (16, 12)),
        (432, (16, 12), (24, 18)),
        (196, (16, 12), (14, 14)),
        (192, (12, 16), (12, 16)),
        (192, (16, 16), (16, 12)),
        (256, (16, 12), (16, 16)),
        (193, (16, 12), None),
        (197, (16, 12), None),
        (0, (16, 12), None),
    ],
)
def test_source_grid_is_inferred_from_the_number_of_positions(tokens, target, grid):
    assert infer_grid(tokens, target) == grid


def positions_by(function, height, width):
    """Position embeddings [1, h*w, 1] whose only channel is a function of the relative row and column."""
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    return function(rows[:, None], columns[None, :]).reshape(1, -1, 1)


@pytest.mark.parametrize('source', [(16, 12), (14, 14)], ids=['vitpose', 'mae'])
@pytest.mark.parametrize('target', [(24, 18), (16, 12)], ids=['384x288', '256x192'])
def test_resampled_positions_stay_where_they_were(source, target):
    def plane(row, column):
        return 3 * row - 2 * column

    resampled = resample_positions(positions_by(plane, *source), target).reshape(target)
    expected = positions_by(plane, *target).reshape(target)
    inner = (slice(3, -3), slice(3, -3))  # cubic interpolation bends a plane at the border
    torch.testing.assert_close(resampled[inner], expected[inner], atol=5e-3, rtol=0)


def test_positions_of_the_same_grid_are_kept_bit_for_bit():
    positions = random(1, 192, 4)
    assert torch.equal(resample_positions(positions, (16, 12)), positions)


def test_first_position_is_added_only_where_the_network_does_so():
    positions = random(1, 193, 4)
    plain = positions_of_patches(positions, (16, 12), adds_first_position=False, has_class_token=True)
    added = positions_of_patches(positions, (16, 12), adds_first_position=True, has_class_token=False)
    assert torch.equal(plain, positions[:, 1:])
    assert torch.equal(added, positions[:, 1:] + positions[:, :1])


def test_checkpoint_for_small_images_serves_larger_ones():
    source = TimmVisionTransformer(ARCH, (256, 192))
    backbone = TimmVisionTransformer(ARCH, (384, 288))
    backbone.load_state_dict(source.state_dict())
    assert backbone.pos_embed.shape == (1, 24 * 18, WIDTH)
    assert torch.equal(backbone.pos_embed, resample_positions(source.pos_embed, (24, 18)))
    assert torch.equal(backbone.norm.weight, source.norm.weight)


def test_square_positions_of_mae_serve_upright_images():
    square = TimmVisionTransformer(ARCH, (224, 224))
    weights = dict(square.state_dict(), cls_token=torch.zeros(1, 1, WIDTH))
    weights['pos_embed'] = torch.cat([random(1, 1, WIDTH), weights['pos_embed']], dim=1)
    backbone = TimmVisionTransformer(ARCH, (256, 192))
    backbone.load_state_dict({'model': weights}, strict=True)
    assert torch.equal(backbone.pos_embed, resample_positions(square.pos_embed, (16, 12)))


# Refusals -------------------------------------------------------------------------------------------------------------


def without(weights, name):
    return {key: weight for key, weight in weights.items() if key != name}


@pytest.mark.parametrize(
    ('spoil', 'complaint'),
    [
        (lambda weights: without(weights, 'blocks.1.attn.qkv.weight'), r'1 missing: blocks\.1\.attn\.qkv\.weight'),
        (lambda weights: without(weights, 'pos_embed'), '1 missing: pos_embed'),
        (lambda weights: {**weights, 'blocks.0.ls1.gamma': random(WIDTH)}, r'1 unknown: blocks\.0\.ls1\.gamma'),
        (
            lambda weights: {**weights, 'blocks.0.mlp.fc1.bias': random(7)},
            r'1 of another shape: blocks\.0\.mlp\.fc1\.bias \(7,\) instead of \(96,\)',
        ),
        (lambda weights: {**weights, 'pos_embed': random(1, 14, WIDTH)}, '14 positions form no grid'),
        (lambda weights: {**weights, 'blocks.0.mlp.experts.0.weight': random(4, 4)}, r'ViTPose\+ .*mixture of experts'),
        (lambda weights: {'conv1.weight': random(4, 4)}, r'no vision transformer .* 1 weights conv1\.weight'),
    ],
    ids=['missing', 'no positions', 'unknown', 'shape', 'positions', 'experts', 'resnet'],
)
def test_weights_that_do_not_fit_are_refused_even_when_not_strict(spoil, complaint):
    backbone = TimmVisionTransformer(ARCH, IMG_SIZE)
    before = backbone.pos_embed.clone()
    with pytest.raises(ValueError, match=complaint):
        backbone.load_state_dict(spoil(dict(TimmVisionTransformer(ARCH, IMG_SIZE).state_dict())), strict=False)
    assert torch.equal(backbone.pos_embed, before)


@pytest.mark.parametrize(
    ('change', 'found'), [(dict(num_layers=3), '3 layers of width 48'), (dict(embed_dims=24), '2 layers of width 24')]
)
def test_network_of_another_size_is_refused_in_one_sentence(change, found):
    source = TimmVisionTransformer({**ARCH, **change}, IMG_SIZE)
    with pytest.raises(ValueError, match=f'{found}, the backbone 2 of width 48: set arch'):
        TimmVisionTransformer(ARCH, IMG_SIZE).load_state_dict(source.state_dict())


def test_queries_without_keys_are_refused(reference):
    weights = without(hugging_face_weights(reference), 'encoder.layer.1.attention.attention.key.bias')
    with pytest.raises(ValueError, match=r'attn\.query\.bias comes without .*attn\.key\.bias'):
        TimmVisionTransformer(ARCH, IMG_SIZE).load_state_dict(weights)


def test_head_of_hugging_face_gets_the_names_of_mmpose():
    names = ['deconv1.weight', 'batchnorm1.running_mean', 'deconv2.weight', 'batchnorm2.bias', 'conv.weight']
    head = find_head({'backbone.pos_embed': random(1), **{f'head.{name}': random(1) for name in names}})
    assert list(head) == [
        'head.deconv_layers.0.weight',
        'head.deconv_layers.1.running_mean',
        'head.deconv_layers.3.weight',
        'head.deconv_layers.4.bias',
        'head.final_layer.weight',
    ]
