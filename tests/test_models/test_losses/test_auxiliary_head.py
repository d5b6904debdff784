import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.structures import ClipFeatures, FrameWindow

CLIPS, FRAMES, CHANNELS, KEYPOINTS, SIZE = 2, 3, 4, 5, (6, 4)


def auxiliary_head(**options):
    head = dict(
        type='HeatmapHead',
        in_channels=CHANNELS,
        out_channels=KEYPOINTS,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
    )
    return MODELS.build(dict(type='AuxiliaryHead', head=head, **options))


def random_features():
    frames = torch.randn(CLIPS, FRAMES, CHANNELS, *SIZE, requires_grad=True)
    fused = torch.randn(CLIPS, CHANNELS, *SIZE, requires_grad=True)
    return ClipFeatures(frames=frames, window=FrameWindow.consecutive(CLIPS, FRAMES), aligned=None, fused=fused)


def random_samples(**changes):
    samples = []
    for _ in range(CLIPS):
        clip_heatmaps = torch.rand(FRAMES * KEYPOINTS, *SIZE)
        weights = torch.ones(1, FRAMES, KEYPOINTS)
        fields = dict(heatmaps=clip_heatmaps[KEYPOINTS : 2 * KEYPOINTS], clip_heatmaps=clip_heatmaps)
        labels = dict(keypoint_weights=weights[:, 1], clip_keypoint_weights=weights)
        samples.append(
            PoseDataSample(
                gt_fields=PixelData(**{k: v for k, v in fields.items() if k not in changes.get('without', ())}),
                gt_instance_labels=InstanceData(**labels),
            )
        )
    return samples


@pytest.mark.parametrize('reads', ['fused', 'key'])
def test_it_is_the_loss_of_the_stock_head_under_another_name(reads):
    loss, features, samples = auxiliary_head(reads=reads, weight=0.5), random_features(), random_samples()
    expected = loss.head.loss((getattr(features, reads),), samples)['loss_kpt']
    terms = loss(features, samples)
    assert list(terms) == ['auxiliary_loss_kpt']
    torch.testing.assert_close(terms['auxiliary_loss_kpt'], 0.5 * expected)


def test_reading_frames_is_the_mean_of_the_losses_of_the_single_frames():
    loss, features, samples = auxiliary_head(reads='frames'), random_features(), random_samples()
    terms = loss(features, samples)
    single = []
    for frame in range(FRAMES):
        frame_samples = [
            PoseDataSample(
                gt_fields=PixelData(heatmaps=sample.gt_fields.clip_heatmaps.unflatten(0, (FRAMES, -1))[frame]),
                gt_instance_labels=InstanceData(
                    keypoint_weights=sample.gt_instance_labels.clip_keypoint_weights[:, frame]
                ),
            )
            for sample in samples
        ]
        single.append(loss.head.loss((features.frames[:, frame],), frame_samples)['loss_kpt'])
    torch.testing.assert_close(terms['auxiliary_loss_kpt'], torch.stack(single).mean())


def test_a_frame_without_weight_teaches_nothing():
    loss, features, samples = auxiliary_head(reads='frames'), random_features(), random_samples()
    for sample in samples:
        sample.gt_instance_labels.clip_keypoint_weights[:, 2] = 0
    loss(features, samples)['auxiliary_loss_kpt'].backward()
    moved = features.frames.grad.abs().flatten(2).sum(dim=2) > 0  # [B, T]
    assert moved.tolist() == [[True, True, False]] * CLIPS


def test_the_gradient_reaches_the_map_it_reads_and_no_other():
    loss, features = auxiliary_head(reads='fused'), random_features()
    loss(features, random_samples())['auxiliary_loss_kpt'].backward()
    assert features.fused.grad.abs().sum() > 0
    assert features.frames.grad is None


def test_an_unknown_map_and_missing_targets_are_refused():
    with pytest.raises(ValueError, match='fused, key, frames'):
        auxiliary_head(reads='heatmaps')
    with pytest.raises(ValueError, match='GenerateClipTarget in place of GenerateTarget'):
        auxiliary_head(reads='frames')(random_features(), random_samples(without=['clip_heatmaps']))
