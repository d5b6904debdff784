"""Every temporal neck x every stock head that works x every kind of backbone: one contract."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS

from mmpose_diffusion.models import TemporalNeck
from mmpose_diffusion.testing import BACKBONES, CODECS, FLIP_INDICES, check_temporal_neck, random_clips, tiny_model

# Options that keep a neck small here; a registered neck without an entry is built with its defaults.
NECK_OPTIONS = {
    'FeatureAlignmentNeck': dict(offset_groups=4, hidden_channels=8),
    'SpatioTemporalRepresentationLearner': dict(width=16, depth=1, num_heads=2),
    'SupportFusionNeck': dict(hidden_channels=16),
}
NO_FUSION = {'KeyFrameNeck'}


def registered_necks():
    classes = MODELS.module_dict.items()
    return sorted(
        name
        for name, cls in classes
        if isinstance(cls, type) and issubclass(cls, TemporalNeck) and cls.__module__.startswith('mmpose_diffusion.')
    )


NECKS = registered_necks()


def build(backbone='resnet', head='heatmap', neck='KeyFrameNeck', seed=0, **test_options):
    torch.manual_seed(seed)
    config = tiny_model(backbone, head, dict(type=neck, **NECK_OPTIONS.get(neck, {})))
    config['test_cfg'].update(test_options)
    model: BaseModel = MODELS.build(config)
    return model


def warm_up(model, head, steps=1):
    """Fill the running statistics of normalisation layers with those of real batches."""
    model.train()
    with torch.no_grad():
        for seed in range(steps):
            model(**model.data_preprocessor(random_clips(head, 2, 3, seed=seed), True), mode='loss')
    return model.eval()


@torch.no_grad()
def raw_output(model, data):
    """Output of the head, one row for each clip, before decoding."""
    output = model(**model.data_preprocessor(data), mode='tensor')
    parts = output if isinstance(output, tuple) else (output,)
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def predicted_keypoints(model, data):
    with torch.no_grad():
        samples = model.test_step(data)
    return torch.cat([torch.as_tensor(sample.pred_instances.keypoints) for sample in samples])


def select(data, rows):
    return {key: [values[row] for row in rows] for key, values in data.items()}


def test_necks_are_found_in_the_registry():
    assert {'KeyFrameNeck', 'SupportFusionNeck'} <= set(NECKS)


every_model = [
    pytest.mark.parametrize('backbone', BACKBONES),
    pytest.mark.parametrize('head', CODECS),
    pytest.mark.parametrize('neck', NECKS),
]


def for_every_model(test):
    for mark in every_model:
        test = mark(test)
    return test


@for_every_model
def test_one_loss_step_gives_every_parameter_a_gradient(backbone, head, neck):
    for num_frames, batch_size in ((1, 1), (1, 2), (3, 2), (5, 1)):
        model = build(backbone, head, neck).train()
        losses = model(**model.data_preprocessor(random_clips(head, batch_size, num_frames), True), mode='loss')
        total, _ = model.parse_losses(losses)
        total.backward()
        learned = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        unused = [name for name, weight in learned.items() if weight.grad is None]
        assert not unused, f'T={num_frames}: no gradient for {unused}'
        if num_frames > 1:
            assert all(weight.grad.isfinite().all() for weight in learned.values())
            silent = [name for name in learned if name.startswith('temporal_neck') and not learned[name].grad.any()]
            assert not silent, f'T={num_frames}: zero gradient for {silent}'


@pytest.mark.parametrize('neck', NECKS)
def test_mixed_precision_step_keeps_loss_and_gradients_finite(neck):
    model = build('resnet', 'heatmap', neck).train()
    model.train_cfg = dict(compute_acc=False)  # MMPose computes it in numpy, which has no bfloat16
    data = model.data_preprocessor(random_clips('heatmap', 2, 3), True)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.requires_grad)


@for_every_model
def test_predicts_one_finite_pose_for_each_clip(backbone, head, neck):
    for flip_test in (False, True):
        model = warm_up(build(backbone, head, neck, flip_test=flip_test), head)
        for num_frames in (1, 3, 5):
            for batch_size in (1, 2):
                keypoints = predicted_keypoints(model, random_clips(head, batch_size, num_frames))
                assert keypoints.shape == (batch_size, len(FLIP_INDICES), 2)
                assert keypoints.isfinite().all()


@for_every_model
def test_checkpoint_saved_and_loaded_gives_equal_output(backbone, head, neck, tmp_path):
    saved, fresh = warm_up(build(backbone, head, neck), head), build(backbone, head, neck, seed=1).eval()
    data = random_clips(head, 2, 3)
    assert not torch.equal(raw_output(fresh, data), raw_output(saved, data))
    torch.save(dict(state_dict=saved.state_dict()), tmp_path / 'model.pth')
    load_checkpoint(fresh, str(tmp_path / 'model.pth'), strict=True)
    assert torch.equal(raw_output(fresh, data), raw_output(saved, data))


@for_every_model
def test_a_clip_does_not_feel_its_neighbours_nor_its_place_in_the_batch(backbone, head, neck):
    model = warm_up(build(backbone, head, neck), head)
    data = random_clips(head, 4, 3)
    together = raw_output(model, data)
    alone = torch.cat([raw_output(model, select(data, [row])) for row in range(4)])
    order = [2, 0, 3, 1]
    scale = together.abs().max()
    torch.testing.assert_close(alone / scale, together / scale, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        raw_output(model, select(data, order)) / scale, together[order] / scale, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize('neck', NECKS)
@pytest.mark.parametrize('head', CODECS)
def test_flip_test_averages_the_clip_and_its_mirror_image(neck, head):
    plain, flipped = (warm_up(build('vit', head, neck, flip_test=flip), head) for flip in (False, True))
    data = random_clips(head, 2, 3)
    assert not torch.equal(predicted_keypoints(flipped, data), predicted_keypoints(plain, data))


@pytest.mark.parametrize('neck', NECKS)
def test_flip_test_gives_the_mirror_image_of_a_clip_the_mirrored_heatmaps(neck):
    model = warm_up(build('vit', 'heatmap', neck, flip_test=True, output_heatmaps=True), 'heatmap')
    data = random_clips('heatmap', 2, 3)
    mirrored = dict(data, inputs=[clip.flip(-1) for clip in data['inputs']])
    heatmaps, of_mirrored = (
        torch.stack([sample.pred_fields.heatmaps for sample in model.test_step(each)]) for each in (data, mirrored)
    )
    torch.testing.assert_close(of_mirrored.flip(-1)[:, list(FLIP_INDICES)], heatmaps)


@pytest.mark.parametrize('neck', NECKS)
def test_neck_keeps_its_promises(neck):
    torch.manual_seed(0)
    check_temporal_neck(MODELS.build(dict(type=neck, in_channels=16, **NECK_OPTIONS.get(neck, {}))))


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('neck', NECKS)
def test_support_frames_matter_to_every_neck_but_the_baseline(neck, backbone):
    model = warm_up(build(backbone, 'heatmap', neck), 'heatmap')
    data, other = random_clips(num_frames=3, seed=0), random_clips(num_frames=3, seed=1)
    for support in (0, 2):
        clips = [clip.clone() for clip in data['inputs']]
        for clip, replacement in zip(clips, other['inputs'], strict=True):
            clip[support] = replacement[support]
        same = torch.equal(raw_output(model, dict(data, inputs=clips)), raw_output(model, data))
        assert same == (neck in NO_FUSION), f'support frame {support}'


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('neck', NECKS)
def test_frames_outside_the_video_carry_no_weight(neck, backbone):
    model = warm_up(build(backbone, 'heatmap', neck), 'heatmap')
    data = random_clips(num_frames=5, is_real=(False, False, True, True, True))
    noise = random_clips(num_frames=5, seed=1)
    clips = [torch.cat((other[:2], clip[2:])) for clip, other in zip(data['inputs'], noise['inputs'], strict=True)]
    torch.testing.assert_close(raw_output(model, dict(data, inputs=clips)), raw_output(model, data))
