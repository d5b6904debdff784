import pytest
import torch
from mmpose.models import heads as mmpose_heads
from mmpose.models.heads import RegressionHead
from mmpose.registry import MODELS
from torch import nn

from mmpose_diffusion.models.estimators.part_checks import check_head
from mmpose_diffusion.testing import CODECS, random_clips, tiny_head, tiny_model

WORKING = {'HeatmapHead', 'ViPNASHead', 'SimCCHead', 'RTMCCHead', 'IntegralRegressionHead', 'DSNTHead'}
WRAPPING = {'BaseHead', 'VisPredictHead'}  # the abstract base, and the one that wraps another head


def stock_heads():
    return {name: getattr(mmpose_heads, name) for name in mmpose_heads.__all__}


class OwnRegressionHead(RegressionHead):
    """Somebody's head, who knows what it needs."""


def instance(cls):
    """An object of that class, as far as a check of its type is concerned."""
    return nn.Module.__new__(cls)


def build(**changes):
    return MODELS.build(dict(tiny_model(), **changes))


@pytest.mark.parametrize('name', sorted(set(stock_heads()) - WORKING - WRAPPING))
def test_stock_heads_that_want_other_features_are_refused(name):
    with pytest.raises(ValueError, match=f'^{name} cannot sit on a temporal neck.*Heads that work: HeatmapHead, '):
        check_head(instance(stock_heads()[name]))


@pytest.mark.parametrize('name', sorted(WORKING))
def test_stock_heads_that_read_one_map_are_accepted(name):
    check_head(instance(stock_heads()[name]))


@pytest.mark.parametrize(
    ('bins', 'read_as', 'message'),
    [
        (
            dict(simcc_split_ratio=0.5),
            dict(simcc_split_ratio=0.5),
            r'^SimCCHead: simcc_split_ratio .bins per pixel. must be at least 1, got 0.5',
        ),
        (
            dict(simcc_split_ratio=3.0),
            dict(simcc_split_ratio=2.0),
            '^SimCCHead has simcc_split_ratio=3.0, its decoder has 2.0.*make them.*equal',
        ),
        (
            dict(),
            dict(input_size=(96, 128)),
            r'^SimCCHead has bins for an input of .*\(w, h\), its decoder for \(96, 128\): make them.*equal',
        ),
    ],
)
def test_classifiers_whose_bins_are_not_those_of_the_codec_are_refused(bins, read_as, message):
    head = tiny_head('simcc', 64, 32)
    head |= dict(bins, decoder={**CODECS['simcc'], **read_as})
    with pytest.raises(ValueError, match=message):
        build(head=head)


def test_heads_of_other_packages_are_trusted():
    check_head(instance(OwnRegressionHead))


def test_visibility_head_is_judged_by_the_head_it_wraps():
    good = build(head=dict(type='VisPredictHead', pose_cfg=tiny_head('heatmap', 64, 32)))
    losses = good(**good.data_preprocessor(random_clips(), True), mode='loss')
    assert {'loss_vis', 'loss_kpt'} <= set(losses)
    regression = dict(type='RegressionHead', in_channels=64, num_joints=5)
    with pytest.raises(ValueError, match='^RegressionHead cannot sit'):
        build(head=dict(type='VisPredictHead', pose_cfg=regression))


@pytest.mark.parametrize(
    ('head', 'reason'),
    [
        (dict(type='RegressionHead', in_channels=64, num_joints=5), 'reads pooled features'),
        (dict(type='RLEHead', in_channels=64, num_joints=5), 'reads pooled features'),
        (dict(type='CPMHead', in_channels=64, out_channels=5, num_stages=1), 'several stages'),
    ],
)
def test_unfit_head_is_refused_when_the_model_is_built(head, reason):
    with pytest.raises(ValueError, match=f'{reason}.*Heads that work'):
        build(head=head)


@pytest.mark.parametrize('head', ['DSNTHead', 'ViPNASHead'])
def test_subclasses_of_working_heads_work(head):
    if head == 'ViPNASHead':
        kind, config = 'heatmap', dict(tiny_head('heatmap', 64, 32), deconv_num_groups=(1, 1, 1))
    else:
        loss = dict(type='MultipleLossWrapper', losses=[dict(type='SmoothL1Loss'), dict(type='JSDiscretLoss')])
        kind, config = 'integral', dict(tiny_head('integral', 64, 32), loss=loss)
    model = build(head=dict(config, type=head))
    losses = model(**model.data_preprocessor(random_clips(kind), True), mode='loss')
    assert losses['loss_kpt'].isfinite()


@pytest.mark.parametrize('head', CODECS)
def test_channels_of_temporal_neck_and_head_are_compared_when_the_model_is_built(head):
    neck = dict(type='SupportFusionNeck', in_channels=48)
    name = tiny_head(head, 64, 32)['type']
    with pytest.raises(ValueError, match=f'SupportFusionNeck has out_channels=48, head {name} has in_channels=64'):
        build(temporal_neck=neck, head=tiny_head(head, 64, 32))


def test_channels_of_per_frame_neck_and_temporal_neck_are_compared_when_the_model_is_built():
    pyramid = dict(type='FPN', in_channels=[64], out_channels=16, num_outs=1)
    with pytest.raises(ValueError, match='neck FPN has out_channels=16, temporal neck KeyFrameNeck has in_channels=64'):
        build(neck=pyramid)


def test_temporal_neck_in_the_place_of_the_per_frame_neck_is_refused():
    with pytest.raises(TypeError, match="write temporal_neck=dict.type='KeyFrameNeck'"):
        build(neck=dict(type='KeyFrameNeck', in_channels=64))


@pytest.mark.parametrize(
    'neck',
    [dict(type='FPN', in_channels=[64], out_channels=64, num_outs=1), dict(type='FeatureMapProcessor')],
)
def test_per_frame_neck_in_the_place_of_the_temporal_neck_is_refused(neck):
    with pytest.raises(TypeError, match=f'temporal neck {neck["type"]} must state in_channels .* belongs under `neck`'):
        build(temporal_neck=neck)


def test_pooled_features_are_refused():
    model = build(neck=dict(type='GlobalAveragePooling'))
    with pytest.raises(ValueError, match=r'neck GlobalAveragePooling must give a map \[N, C, h, w\].*got \[2, 64\]'):
        model(torch.zeros(1, 2, 3, 96, 64))
