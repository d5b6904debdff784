import pytest
import torch
from mmpose.registry import MODELS

from mmpose_diffusion.models.denoisers.condition_pyramid import ConditionPyramid
from mmpose_diffusion.models.denoisers.lookup_interaction import ConvolutionInteraction, TokenInteraction, lookup

TINY = dict(feature_channels=16, lookup_channels=8, mix_channels=8, token_width=16, step_width=8)
ARMS = [
    pytest.param({}, id='lookup'),
    pytest.param(dict(fusion='direct'), id='direct'),
    pytest.param(dict(scales=(1,)), id='single_scale_fine'),
    pytest.param(dict(scales=(4,)), id='single_scale_coarse'),
    pytest.param(dict(attention_scales=()), id='convolution_only'),
    pytest.param(dict(upsample_factor=1), id='hrnet'),
    pytest.param(dict(upsample_factor=8, scales=(4, 1)), id='resnet'),
]


def build(**options):
    torch.manual_seed(0)
    denoiser = MODELS.build(dict(type='HeatmapDenoiser', in_channels=6, out_channels=5, **TINY) | options)
    for parameter in (denoiser.modulation.weight, denoiser.output[-1].weight):
        torch.nn.init.normal_(parameter, std=0.3)  # as if it had been trained
    return denoiser.eval()


def inputs(denoiser, batch_size=2, hypotheses=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    factor = denoiser.upsample_factor
    features = torch.randn(batch_size, 6, 16 // factor, 8 // factor, generator=generator)
    noisy = torch.randn(batch_size * hypotheses, 5, 16, 8, generator=generator)
    step = torch.randint(1000, (len(noisy),), generator=generator)
    return features, noisy, step


@pytest.mark.parametrize('options', ARMS)
def test_every_arm_answers_in_shape_and_trains_every_parameter(options):
    denoiser = build(**options).train()
    features, noisy, step = inputs(denoiser)
    assert denoiser.heatmap_size(tuple(features.shape[-2:])) == (16, 8)
    guess = denoiser(noisy, step, denoiser.prepare(features))
    assert guess.shape == noisy.shape
    guess.square().sum().backward()
    assert not [name for name, weight in denoiser.named_parameters() if weight.grad is None or not weight.grad.any()]


@pytest.mark.parametrize('options', ARMS)
def test_hypotheses_together_get_the_answers_they_get_alone(options):
    denoiser = build(**options)
    features, noisy, step = inputs(denoiser, hypotheses=3)
    with torch.no_grad():
        together = denoiser(noisy, step, denoiser.prepare(features))
        for index in range(6):
            row = slice(index, index + 1)
            alone = denoiser(noisy[row], step[row], denoiser.prepare(features[index // 3 :][:1]))
            torch.testing.assert_close(alone, together[row], atol=5e-4, rtol=1e-3)


@pytest.mark.parametrize('options', ARMS)
def test_answer_depends_on_features_noise_and_step(options):
    denoiser = build(**options)
    features, noisy, step = inputs(denoiser)
    other_features, other_noisy, other_step = inputs(denoiser, seed=1)
    answer = denoiser(noisy, step, denoiser.prepare(features))
    for changed in [(other_noisy, step, features), (noisy, other_step, features), (noisy, step, other_features)]:
        assert not torch.allclose(denoiser(*changed[:2], denoiser.prepare(changed[2])), answer, atol=1e-6)


@pytest.mark.parametrize('fusion', ['lookup', 'direct'])
def test_prepared_convolution_equals_the_convolution_of_the_concatenation(fusion):
    torch.manual_seed(0)
    interaction = ConvolutionInteraction(5, 6, 8, 8, fusion, dict(type='GN', num_groups=4)).eval()
    features, noisy = torch.randn(2, 6, 8, 4), torch.randn(4, 5, 8, 4)
    refined = interaction.refine(noisy)
    repeated = features.repeat_interleave(2, dim=0)
    local = refined.amax(1, keepdim=True).sigmoid() * interaction.narrow(repeated) if fusion == 'lookup' else refined
    joint = torch.nn.functional.conv2d(
        torch.cat([local, repeated], 1),
        torch.cat([interaction.mix_local.weight, interaction.mix_global.weight], 1),
        interaction.mix_global.bias,
        padding=1,
    )
    actual = interaction(noisy, interaction.prepare(features))
    torch.testing.assert_close(actual, interaction.mix(joint), atol=1e-5, rtol=1e-4)


def test_lookup_points_with_the_strongest_channel_into_the_features_of_its_own_clip():
    features = torch.ones(2, 3, 1, 2) * torch.tensor([1.0, 10.0])[:, None, None, None]
    refined = torch.full((4, 5, 1, 2), -50.0)
    refined[:, 3, 0, 1] = 50.0
    picked = lookup(refined, features)
    assert picked.shape == (4, 3, 1, 2)
    torch.testing.assert_close(picked[:, :, 0, 0], torch.zeros(4, 3))
    torch.testing.assert_close(picked[:, 0, 0, 1], torch.tensor([1.0, 1, 10, 10]))


def test_tokens_know_where_they_are():
    torch.manual_seed(0)
    interaction = TokenInteraction(5, 6, 8, width=16)
    uniform = interaction(torch.ones(1, 5, 4, 3), interaction.prepare(torch.ones(1, 6, 4, 3)))
    assert uniform.std(dim=(2, 3)).min() > 1e-3


@pytest.mark.parametrize(('factor', 'scales'), [(4, (4, 2, 1)), (1, (4, 2, 1)), (8, (2,)), (2, (8, 1)), (4, (1,))])
def test_pyramid_brings_any_backbone_to_the_wanted_sizes_without_idle_layers(factor, scales):
    pyramid = ConditionPyramid(6, 8, factor, scales, None)
    maps = pyramid(torch.randn(1, 6, 32 // factor, 16 // factor))
    assert [tuple(each.shape) for each in maps] == [(1, 8, 32 // scale, 16 // scale) for scale in scales]
    sum(each.sum() for each in maps).backward()
    assert all(weight.grad is not None for weight in pyramid.parameters())


def test_the_way_up_sees_what_the_narrow_map_cannot_hold():
    pyramid = ConditionPyramid(6, 2, 4, (4, 2, 1), None)
    features = torch.randn(1, 6, 4, 4)
    with torch.no_grad():
        pyramid.entry.conv.weight.zero_()
        narrow, *finer = pyramid(features)
        assert not (narrow - narrow[..., :1, :1]).any()
        assert all(each.std() > 0 for each in finer)


def test_untrained_network_answers_with_empty_heatmaps():
    denoiser = MODELS.build(dict(type='HeatmapDenoiser', in_channels=6, out_channels=5, **TINY))
    denoiser.init_weights()  # as the runner does
    features, noisy, step = inputs(denoiser)
    answer = denoiser(noisy, step, denoiser.prepare(features))
    torch.testing.assert_close(answer, -torch.ones_like(noisy), atol=0.1, rtol=0)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(fusion='concat'), 'fusion must be one of lookup, direct'),
        (dict(scales=(1, 2)), 'descending powers of two'),
        (dict(scales=(3, 1)), 'descending powers of two'),
        (dict(scales=()), 'descending powers of two'),
        (dict(upsample_factor=3), 'upsample_factor must be a power of two'),
        (dict(attention_scales=(3,)), 'attention_scales must be powers of two'),
        (dict(num_mix_layers=-1), 'num_mix_layers -1'),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_heatmaps_that_cannot_be_halved_are_refused():
    denoiser = build(upsample_factor=1)
    with pytest.raises(ValueError, match=r'heatmaps of \(18, 9\) \(h, w\) cannot be halved down to 1/4'):
        denoiser.prepare(torch.zeros(1, 6, 18, 9))


def test_checkpoint_of_another_number_of_keypoints_is_refused():
    other = MODELS.build(dict(type='HeatmapDenoiser', in_channels=6, out_channels=7, **TINY))
    with pytest.raises(ValueError, match='output.2.weight of the checkpoint is for 7 keypoints, this model has 5'):
        build().load_state_dict(other.state_dict(), strict=False)
