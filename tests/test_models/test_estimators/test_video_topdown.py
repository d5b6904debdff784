import math

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.optim import OptimWrapper
from mmpose.registry import MODELS
from torch import nn

from mmpose_diffusion.models import TemporalNeck
from mmpose_diffusion.structures import ClipFeatures, FrameWindow
from mmpose_diffusion.testing import BACKBONES, CODECS, random_clips, tiny_head, tiny_model


class MeanColourBackbone(nn.Module):
    """Map of one cell and channel: the mean of each image, so that a frame can be told by its grey value."""

    def forward(self, images):
        return (images.mean(dim=(1, 2, 3))[:, None, None, None],)


class RememberingNeck(TemporalNeck):
    """Keep what arrives, pass the key frame on."""

    def fuse(self, frames, window):
        self.seen = frames, window
        return frames[:, window.key_index]


class ReadingLoss(BaseModule):
    """Auxiliary loss that learns to match the fused map to the key frame's."""

    def __init__(self, channels, name='loss_match', init_cfg=None):
        super().__init__(init_cfg)
        self.name = name
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, features, batch_data_samples):
        assert len(batch_data_samples) == len(features.key)
        return {self.name: (self.project(features.fused) - features.key).square().mean()}


class ConstantLoss(nn.Module):
    """Auxiliary loss of one given value."""

    def __init__(self, terms):
        super().__init__()
        self.terms = terms

    def forward(self, features, batch_data_samples):
        if not isinstance(self.terms, dict):
            return self.terms
        return {name: features.fused.sum() * 0 + value for name, value in self.terms.items()}


def build(config=None, **changes):
    torch.manual_seed(0)
    return MODELS.build(dict(config or tiny_model(), **changes))


def stock_model(backbone, head):
    """The image model that MMPose builds from the same backbone and head."""
    config = tiny_model(backbone, head)
    config.update(type='TopdownPoseEstimator', data_preprocessor=None)
    del config['temporal_neck']
    return build(config)


def loss_of(model, data=None):
    return model(**model.data_preprocessor(data or random_clips(), True), mode='loss')


def neck_channels(backbone):
    return BACKBONES[backbone][1]


@pytest.mark.parametrize('head', CODECS)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_one_frame_without_fusion_is_exactly_the_image_model(backbone, head):
    image_model, video_model = stock_model(backbone, head), build(tiny_model(backbone, head))
    missing, unexpected = video_model.load_state_dict(image_model.state_dict(), strict=False)
    assert missing == []
    assert unexpected == []
    clips = torch.randn(2, 1, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            video_model.eval()(clips, None), image_model.eval()(clips[:, 0], None), rtol=0, atol=0
        )


def test_image_checkpoint_fills_all_of_a_video_model_but_its_temporal_neck():
    video_model = build(tiny_model(temporal_neck=dict(type='SupportFusionNeck')))
    missing, unexpected = video_model.load_state_dict(stock_model('resnet', 'heatmap').state_dict(), strict=False)
    assert unexpected == []
    assert missing
    assert all(name.startswith('temporal_neck.') for name in missing)


def test_support_frames_do_not_change_the_image_model_without_fusion():
    image_model, video_model = stock_model('vit', 'heatmap'), build(tiny_model('vit'))
    video_model.load_state_dict(image_model.state_dict())
    clips = torch.randn(2, 5, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(video_model.eval()(clips, None), image_model.eval()(clips[:, 2], None))


@pytest.mark.parametrize('gradient_frames', ['all', 'key'])
@pytest.mark.parametrize(('num_frames', 'key_index'), [(1, 0), (2, 0), (2, 1), (3, 1), (5, 0), (5, 3), (5, 4)])
def test_every_frame_keeps_its_clip_and_its_place_in_time(num_frames, key_index, gradient_frames):
    model = build(
        backbone=dict(type=MeanColourBackbone),
        temporal_neck=dict(type=RememberingNeck, in_channels=1, out_channels=1),
        head=tiny_head('heatmap', 1, 4),
        gradient_frames=gradient_frames,
    )
    marks = torch.arange(4)[:, None] * 10 + torch.arange(num_frames)  # [B, T], clip 3's second frame is 31
    data = random_clips(batch_size=4, num_frames=num_frames)
    offsets = [position - key_index for position in range(num_frames)]
    for sample in data['data_samples']:
        sample.set_metainfo(dict(frame_offsets=offsets, clip_key_index=key_index))
    model(marks[:, :, None, None, None].expand(-1, -1, 3, 8, 8).float(), data['data_samples'], mode='loss')
    frames, window = model.temporal_neck.seen
    assert frames.flatten(1).tolist() == marks.tolist()
    assert window.offsets[0].tolist() == offsets
    assert window.offsets[0, window.key_index] == 0


def test_window_of_the_samples_reaches_the_neck():
    model = build(temporal_neck=dict(type=RememberingNeck, in_channels=64, out_channels=64))
    loss_of(model, random_clips(num_frames=3, is_real=(False, True, True)))
    assert model.temporal_neck.seen[1].is_real.tolist() == [[False, True, True]] * 2


def test_tensor_mode_works_without_data_samples():
    model = build().eval()
    assert model(torch.zeros(2, 3, 3, 96, 64)).shape == (2, 5, 24, 16)
    assert model([torch.zeros(3, 3, 96, 64)]).shape == (1, 5, 24, 16)


def test_predictions_are_in_image_pixels_and_in_batch_order():
    model = build().eval()
    data = random_clips(batch_size=3)
    boxes = [sample.metainfo['input_center'].copy() for sample in data['data_samples']]
    for shift, sample in enumerate(data['data_samples']):
        sample.set_metainfo(dict(input_center=boxes[shift] + 1000 * shift))
    with torch.no_grad():
        predictions = model.test_step(data)
    assert [sample.id for sample in predictions] == [0, 1, 2]
    for shift, sample in enumerate(predictions):
        assert ((sample.pred_instances.keypoints[..., 0] / 1000).round() == shift).all()


def test_maps_kept_for_each_frame_of_a_video_give_the_same_as_whole_clips():
    model = build(tiny_model('vit', temporal_neck=dict(type='SupportFusionNeck'))).eval()
    video = torch.randn(4, 3, 96, 64)
    clips = torch.stack([video[[0, 1, 2]], video[[1, 2, 3]]])
    with torch.no_grad():
        maps = model.extract_frame_maps(video)  # four frames, not six
        kept = model.fuse_frame_maps(torch.stack([maps[:3], maps[1:]]), FrameWindow.consecutive(2, 3))
        whole = model.extract_feat(clips)
    torch.testing.assert_close(kept.fused, whole.fused)
    torch.testing.assert_close(kept.frames, whole.frames)


def test_feature_pyramid_of_several_maps_works_with_a_chosen_one():
    backbone = dict(BACKBONES['resnet'][0], out_indices=(0, 1, 2, 3))
    pyramid = dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=8, num_outs=4)
    parts = dict(backbone=backbone, neck=pyramid, head=tiny_head('heatmap', 8, 4))
    model = build(feature_index=0, **parts)
    assert loss_of(model)['loss_kpt'] > 0
    with pytest.raises(ValueError, match='neck FPN gives 4 maps .* feature_index'):
        loss_of(build(**parts))
    with pytest.raises(ValueError, match='feature_index=4, but neck FPN gives 4 maps'):
        loss_of(build(feature_index=4, **parts))


def test_per_frame_neck_merges_the_maps_of_a_backbone():
    backbone = dict(BACKBONES['resnet'][0], out_indices=(0, 1))
    merge = dict(type='FeatureMapProcessor', concat=True)
    model = build(backbone=backbone, neck=merge, head=tiny_head('heatmap', 24, 4))
    assert loss_of(model)['loss_kpt'] > 0
    with pytest.raises(ValueError, match='backbone ResNet gives 2 maps .* out_indices'):
        loss_of(build(backbone=backbone, head=tiny_head('heatmap', 24, 4)))


def test_channels_of_backbone_and_temporal_neck_are_compared_in_the_first_forward_pass():
    model = build(head=tiny_head('heatmap', 48, 32))
    with pytest.raises(ValueError, match='backbone ResNet gives maps of 64 channels, temporal neck KeyFrameNeck .* 48'):
        loss_of(model)


@pytest.mark.parametrize('shape', [(2, 3, 96, 64), (2, 3, 1, 96, 64), (0, 3, 3, 96, 64)])
def test_inputs_that_are_no_clips_are_refused(shape):
    with pytest.raises(ValueError, match=r'takes clips \[B, T, 3, H, W\], got'):
        build().eval()(torch.zeros(shape))


def test_frame_count_must_be_that_of_the_samples():
    data = random_clips(num_frames=3)
    with pytest.raises(ValueError, match='names 3 frame offsets .* the images have 5 frames'):
        build()(torch.zeros(2, 5, 3, 96, 64), data['data_samples'], mode='loss')


def gradients_of(model, loss):
    """Gradient of a loss by all weights of the model."""
    return torch.autograd.grad(loss, [weight for weight in model.parameters() if weight.requires_grad])


@pytest.mark.parametrize('num_frames', [1, 2, 3, 5])
def test_gradient_of_the_key_frame_alone_is_that_of_neighbours_cut_off_behind_the_backbone(num_frames):
    model = build(tiny_model('vit', temporal_neck=dict(type='SupportFusionNeck')), gradient_frames='key')
    data = model.data_preprocessor(random_clips(batch_size=3, num_frames=num_frames), True)
    loss = model(**data, mode='loss')['loss_kpt']

    window = FrameWindow.from_data_samples(data['data_samples'])
    maps = model.extract_frame_maps(data['inputs'].flatten(0, 1)).unflatten(0, (3, num_frames))
    maps = torch.stack(
        [maps[:, frame] if frame == window.key_index else maps[:, frame].detach() for frame in range(num_frames)], 1
    )
    expected = model.head.loss(model.fuse_frame_maps(maps, window), data['data_samples'])['loss_kpt']

    torch.testing.assert_close(loss, expected)
    for found, wanted in zip(gradients_of(model, loss), gradients_of(model, expected), strict=True):
        assert (found - wanted).norm() <= 1e-3 * wanted.norm()


def test_key_frame_goes_first_because_mixed_precision_may_keep_weights_cast_without_gradient(monkeypatch):
    model, passes = build(gradient_frames='key'), []
    extract = model.extract_frame_maps

    def record(images):
        passes.append((len(images), torch.is_grad_enabled()))
        return extract(images)

    monkeypatch.setattr(model, 'extract_frame_maps', record)
    loss_of(model, random_clips(batch_size=2, num_frames=4))
    assert passes == [(2, True), (6, False)]


def test_all_frames_teach_the_backbone_unless_told_otherwise():
    config, data = tiny_model('vit', temporal_neck=dict(type='SupportFusionNeck')), random_clips()
    losses, slopes = {}, {}
    for frames in ('key', 'all'):
        model = build(config, **({} if frames == 'all' else dict(gradient_frames=frames)))
        batch = model.data_preprocessor(data, True)
        images = batch['inputs'].requires_grad_()
        losses[frames] = model(**batch, mode='loss')['loss_kpt']
        slopes[frames] = torch.autograd.grad(losses[frames], images)[0].abs().flatten(2).sum(-1)  # [B, T]
    torch.testing.assert_close(losses['key'], losses['all'])
    torch.testing.assert_close(slopes['key'][:, 1], slopes['all'][:, 1])
    assert (slopes['key'][:, [0, 2]] == 0).all()
    assert (slopes['all'] > 0).all()


def test_frames_that_teach_matter_in_training_only():
    config, clips = tiny_model(temporal_neck=dict(type='SupportFusionNeck')), torch.randn(2, 3, 3, 96, 64)
    clips.requires_grad_()
    every, key = (build(config, gradient_frames=frames).eval()(clips) for frames in ('all', 'key'))
    torch.testing.assert_close(key, every, rtol=0, atol=0)
    slopes = (torch.autograd.grad(answer.sum(), clips)[0] for answer in (key, every))
    torch.testing.assert_close(*slopes, rtol=0, atol=0)


def test_gradient_of_the_key_frame_leaves_nothing_to_do_for_clips_that_are_images():
    models = [build(gradient_frames=frames) for frames in ('key', 'all')]
    losses = [loss_of(model, random_clips(num_frames=1)) for model in models]
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*(dict(model.named_buffers()) for model in models))  # of batch normalisation


def test_frames_with_gradient_are_all_or_the_key_frame():
    with pytest.raises(ValueError, match="gradient_frames is 'all' or 'key', got 'none'"):
        build(gradient_frames='none')


def test_a_loss_on_frames_that_teach_nothing_is_refused():
    aux = [dict(type='AuxiliaryHead', reads='frames', head=tiny_head('heatmap', 64, 32))]
    build(aux_losses=aux)
    with pytest.raises(
        ValueError, match="AuxiliaryHead with reads='frames' .* set gradient_frames='all', or reads='key'"
    ):
        build(aux_losses=aux, gradient_frames='key')


def test_auxiliary_losses_are_added_under_their_own_names_and_are_trained():
    config = tiny_model(temporal_neck=dict(type='SupportFusionNeck'))
    aux = [dict(type=ReadingLoss, channels=64), dict(type=ReadingLoss, channels=64, name='loss_other')]
    model = build(config, aux_losses=aux)
    losses = loss_of(model)
    assert set(losses) == {'loss_kpt', 'acc_pose', 'loss_match', 'loss_other'}
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(total, losses['loss_kpt'] + losses['loss_match'] + losses['loss_other'])
    total.backward()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)
    assert 'aux_losses.1.project.weight' in model.state_dict()


def test_auxiliary_losses_are_initialised_as_configured():
    init = dict(type='Constant', layer='Conv2d', val=0.5)
    model = build(aux_losses=[dict(type=ReadingLoss, channels=64, init_cfg=init)])
    model.init_weights()
    assert (model.aux_losses[0].project.weight == 0.5).all()


def test_auxiliary_losses_are_silent_outside_training():
    model = build(aux_losses=[dict(type=ConstantLoss, terms=dict(loss_never=math.nan))]).eval()
    with torch.no_grad():
        assert len(model.test_step(random_clips())) == 2


@pytest.mark.parametrize(
    ('terms', 'error', 'message'),
    [
        (dict(loss_kpt=1.0), ValueError, r"ConstantLoss returns \['loss_kpt'\], names that another loss"),
        (dict(mi=1.0), TypeError, r'ConstantLoss must return .* named .*loss'),
        (3.0, TypeError, 'ConstantLoss must return a dict .* got float'),
    ],
)
def test_auxiliary_losses_that_would_be_lost_are_refused(terms, error, message):
    model = build(aux_losses=[dict(type=ConstantLoss, terms=terms)])
    with pytest.raises(error, match=message):
        loss_of(model)


@pytest.mark.parametrize('value', [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_training_before_the_weights_and_is_named(value):
    model = build(aux_losses=[dict(type=ConstantLoss, terms=dict(loss_bad=value, loss_good=1.0))])
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(FloatingPointError, match=r'^loss term loss_bad is not finite.*loss_good'):
        model.train_step(random_clips(), optimizer)
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_loss_terms_that_overflow_only_in_sum_are_reported_as_such():
    largest = torch.finfo(torch.float32).max
    with pytest.raises(FloatingPointError, match='sum of the loss terms is not finite'):
        build().parse_losses(dict(loss_a=torch.tensor(largest), loss_b=torch.tensor(largest)))


def test_a_measure_that_is_not_finite_does_not_stop_training():
    total, _ = build().parse_losses(dict(loss_a=torch.tensor(1.0), acc_pose=torch.tensor(math.nan)))
    assert total == 1


class BareTensorNeck(TemporalNeck):
    def fuse(self, frames, window):
        return frames[:, window.key_index]

    def forward(self, frames, window):
        return self.fuse(frames, window)


class PlainTupleNeck(BareTensorNeck):
    def forward(self, frames, window):
        return frames, window, self.fuse(frames, window)


class AllFramesNeck(BareTensorNeck):
    def forward(self, frames, window):
        return ClipFeatures(frames, window, None, frames.flatten(0, 1))


class WrongWidthNeck(BareTensorNeck):
    def forward(self, frames, window):
        return ClipFeatures(frames, window, None, self.fuse(frames, window)[:, :5])


@pytest.mark.parametrize(
    ('neck', 'error', 'message'),
    [
        (BareTensorNeck, TypeError, 'BareTensorNeck must return ClipFeatures.*, got Tensor.*last SAMPLE'),
        (PlainTupleNeck, TypeError, 'PlainTupleNeck must return ClipFeatures.*, got tuple'),
        (AllFramesNeck, ValueError, r'AllFramesNeck must fuse 2 clips into a map \[2, 64, h, w\].*got \[6, 64, 3, 2\]'),
        (WrongWidthNeck, ValueError, r'WrongWidthNeck .*\(out_channels=64\), got \[2, 5, 3, 2\]'),
    ],
)
def test_neck_that_returns_something_else_is_refused_at_once(neck, error, message):
    model = build(temporal_neck=dict(type=neck, in_channels=64, out_channels=64))
    with pytest.raises(error, match=message):
        loss_of(model)
