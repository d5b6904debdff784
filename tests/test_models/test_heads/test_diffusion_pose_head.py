import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.diffusion import HypothesisNoise, SignalRange
from mmpose_diffusion.models.denoisers.base_denoiser import BasePoseDenoiser
from mmpose_diffusion.models.heads.pose_sequence_outputs import mirror_poses

FRAMES, JOINTS = 5, 4
FLIP_INDICES = (0, 2, 1, 3)
SIZES = dict(num_frames=FRAMES, num_joints=JOINTS, width=8, depth=2, num_heads=2)
SOLVERS = ['DDIMScheduler', 'DDPMScheduler', 'DPMSolverMultistepScheduler', 'UniPCMultistepScheduler', 'LCMScheduler']


def true_poses(keypoints_2d):
    """A world in which the depth follows from the picture, and from its mirror image alike."""
    x, y = keypoints_2d.unbind(-1)
    return torch.stack([x, y, x.square() - y], dim=-1)


@MODELS.register_module(force=True)
class KnowingDenoiser(BasePoseDenoiser):
    """Knows the answer, and what it was told about actions."""

    def prepare(self, keypoints_2d, actions):
        self.actions = actions
        return true_poses(keypoints_2d)

    def with_keypoints(self, condition, keypoints_2d):
        return true_poses(keypoints_2d)

    def forward(self, noisy, step, condition):
        return condition.repeat_interleave(len(noisy) // len(condition), dim=0)


def build(kind='diffusion', **options):
    torch.manual_seed(0)
    if kind == 'knowing':
        return MODELS.build(dict(type='DiffusionPoseHead', denoiser=dict(type='KnowingDenoiser')) | options).eval()
    if kind == 'regression':
        head = MODELS.build(dict(type='PoseRegressionHead', trunk=SIZES) | options)
    else:
        head = MODELS.build(
            dict(type='DiffusionPoseHead', denoiser=dict(type='PoseSequenceDenoiser', **SIZES)) | options
        )
    for weight in head.parameters():  # as if it had been trained
        torch.nn.init.normal_(weight, std=0.4)
    return head.eval()


def clips(count=2, seed=0):
    keypoints = torch.rand(count, FRAMES, JOINTS, 2, generator=torch.Generator().manual_seed(seed)) - 0.5
    keypoints[:, :, 0] = 0  # the root
    return keypoints


def samples(keypoints_2d, first=0, **metainfo):
    made = []
    for index, target in enumerate(true_poses(keypoints_2d)):
        known = dict(id=first + index, action=f'action {index}', flip_indices=FLIP_INDICES, root_index=0) | metainfo
        made.append(PoseDataSample(metainfo=known))
        made[-1].gt_instance_labels = InstanceData(lifting_target=target)
    return made


def poses_of(predictions):
    return torch.stack([torch.from_numpy(prediction.keypoints) for prediction in predictions])


def test_the_schedule_is_that_of_the_released_code():
    schedule, process = build().process.schedule, build().process
    known = {0: 0.99995871578, 99: 0.97209273711, 199: 0.89870592060, 499: 0.49384359044, 899: 0.024091724140}
    known[999] = 2.4287669070e-9
    for step, value in known.items():
        assert schedule.alphas_cumprod[step].item() == pytest.approx(value, rel=2e-5)
    assert schedule.eta == 1
    assert schedule.prediction_type == 'sample'
    assert process.signal == SignalRange(-1.0, 1.0, scale=1.0, clamp=1.1, spread=None)
    assert build(signal=dict(spread=0.3)).process.signal == process.signal._replace(spread=0.3)
    assert process.steps(3) == [999, 665, 332]
    assert process.steps(10) == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]
    # DDIM from one step to another: x <- sqrt(abar') x0 + c eps + sigma noise
    for start, end, sigma, kept in (
        (999, 499, 0.71144670, 3.550e-5),
        (999, 899, 0.98788065, 3.0986e-4),
        (199, 99, 0.14421876, 0.08431021),
    ):
        now, after = (schedule.alphas_cumprod[step].item() for step in (start, end))
        own_sigma = ((1 - now / after) * (1 - after) / (1 - now)) ** 0.5
        assert own_sigma == pytest.approx(sigma, rel=1e-5)
        assert (1 - after - own_sigma**2) ** 0.5 == pytest.approx(kept, rel=1e-3)


@pytest.mark.parametrize('solver', SOLVERS)
def test_who_knows_the_answer_gives_it(solver):
    head, keypoints_2d = build('knowing', scheduler=dict(type=solver)), clips()
    for options in (dict(), dict(num_steps=3, num_hypotheses=2), dict(num_steps=2, flip_test=True)):
        predictions = head.predict(keypoints_2d, samples(keypoints_2d), options)
        torch.testing.assert_close(poses_of(predictions), true_poses(keypoints_2d))
    assert head.denoiser.actions == ['action 0', 'action 1']


def test_predictions_have_frames_as_instances():
    keypoints_2d = clips(3)
    options = dict(num_hypotheses=4, output_hypotheses=True)
    prediction = build().predict(keypoints_2d, samples(keypoints_2d), options)[2]
    assert len(prediction) == FRAMES
    assert prediction.keypoints.shape == (FRAMES, JOINTS, 3)
    assert (prediction.keypoint_scores == 1).all()
    assert prediction.keypoint_scores.shape == (FRAMES, JOINTS)
    hypotheses = torch.from_numpy(prediction.keypoint_hypotheses)
    assert hypotheses.shape == (FRAMES, JOINTS, 4, 3)
    torch.testing.assert_close(hypotheses.mean(dim=2), torch.from_numpy(prediction.keypoints))
    assert hypotheses[:, 1:].std(dim=2).min() > 0


@pytest.mark.parametrize('kind', ['diffusion', 'regression'])
@pytest.mark.parametrize('root', [0, 3])
def test_the_root_is_at_the_origin_and_nothing_else_is(kind, root):
    keypoints_2d, options = clips(), dict(num_hypotheses=2) if kind == 'diffusion' else {}
    poses = poses_of(build(kind).predict(keypoints_2d, samples(keypoints_2d, root_index=root), options))
    assert (poses.abs().sum(dim=(0, 1, 3)) == 0).nonzero().flatten().tolist() == [root]


def test_loss_is_the_mean_distance_of_the_joints():
    keypoints_2d = clips()
    head, truth = build('knowing'), true_poses(keypoints_2d)
    assert head.loss(keypoints_2d, samples(keypoints_2d))['loss_pose'].item() == pytest.approx(0, abs=1e-6)
    head.denoiser.prepare = lambda keypoints_2d, actions: truth + torch.tensor([3.0, 4.0, 12.0])
    assert head.loss(keypoints_2d, samples(keypoints_2d))['loss_pose'].item() == pytest.approx(13)
    head.denoiser.prepare = lambda keypoints_2d, actions: torch.zeros_like(truth)
    by_hand = (truth[..., 0] ** 2 + truth[..., 1] ** 2 + truth[..., 2] ** 2).sqrt().sum() / truth[..., 0].numel()
    assert head.loss(keypoints_2d, samples(keypoints_2d))['loss_pose'].item() == pytest.approx(by_hand.item())
    regression = build('regression')
    distances = [
        (one - other).norm()
        for one, other in zip(regression(keypoints_2d).flatten(0, 2), truth.flatten(0, 2), strict=True)
    ]
    loss = regression.loss(keypoints_2d, samples(keypoints_2d))['loss_pose']
    assert loss.item() == pytest.approx((sum(distances) / len(distances)).item(), rel=1e-5)


def test_networks_that_predict_noise_train_on_it():
    head, keypoints_2d, seen = build(scheduler=dict(prediction_type='epsilon')), clips(), []
    head.process.draw = lambda data, draw=head.process.draw: seen.append(draw(data)) or seen[-1]
    head.denoiser.forward = lambda noisy, step, condition: torch.zeros_like(noisy)
    loss = head.loss(keypoints_2d, samples(keypoints_2d))['loss_pose']
    assert loss.item() == pytest.approx(seen[0].noise.norm(dim=-1).mean().item())


@pytest.mark.parametrize('kind', ['diffusion', 'regression'])
def test_every_parameter_is_trained(kind):
    keypoints_2d, head = clips(), build(kind).train()
    head.loss(keypoints_2d, samples(keypoints_2d))['loss_pose'].backward()
    assert not [name for name, weight in head.named_parameters() if weight.grad is None or not weight.grad.any()]


def test_mirroring_is_its_own_inverse_and_exchanges_sides():
    poses = torch.arange(24.0).reshape(2, JOINTS, 3)
    mirrored = mirror_poses(poses, FLIP_INDICES)
    assert mirrored[0, 1].tolist() == [-6, 7, 8]
    assert torch.equal(mirror_poses(mirrored, FLIP_INDICES), poses)


class MirroredNoise(HypothesisNoise):
    def draw(self, shape, device='cpu'):
        return mirror_poses(super().draw(shape, device), FLIP_INDICES)


def test_flip_test_gives_mirrored_clips_the_mirrored_poses():
    # One noise serves both views, so the mirror image of the noise must be handed in to compare.
    head, keypoints_2d = build(), clips()
    mirrored = mirror_poses(keypoints_2d, FLIP_INDICES)
    one, other, plain = (
        head.sample_poses(view, [None] * 2, noise.from_seeds([0, 1], 3), 3, flip_indices).hypotheses
        for view, noise, flip_indices in (
            (keypoints_2d, HypothesisNoise, FLIP_INDICES),
            (mirrored, MirroredNoise, FLIP_INDICES),
            (keypoints_2d, HypothesisNoise, None),
        )
    )
    torch.testing.assert_close(mirror_poses(other, FLIP_INDICES), one)
    assert (one - plain).abs().max() > 0.01
    regression = build('regression')
    one, other = (
        poses_of(regression.predict(view, samples(view), dict(flip_test=True))) for view in (keypoints_2d, mirrored)
    )
    torch.testing.assert_close(mirror_poses(other, FLIP_INDICES), one)


def test_answer_depends_neither_on_the_neighbours_nor_on_the_passes():
    head, keypoints_2d = build(), clips(4)
    data_samples, options = samples(keypoints_2d), dict(num_steps=3, num_hypotheses=5, flip_test=True)
    together = poses_of(head.predict(keypoints_2d, data_samples, options))
    for index, hypotheses_per_pass in ((0, None), (2, 1), (3, 2)):
        alone = head.predict(
            keypoints_2d[[index]], [data_samples[index]], dict(options, hypotheses_per_pass=hypotheses_per_pass)
        )
        torch.testing.assert_close(poses_of(alone)[0], together[index], atol=1e-5, rtol=1e-4)
    order = [2, 0, 3, 1]
    shuffled = head.predict(
        keypoints_2d[order], [data_samples[index] for index in order], dict(options, hypotheses_per_pass=3)
    )
    torch.testing.assert_close(poses_of(shuffled), together[order], atol=1e-5, rtol=1e-4)


def test_seeds_repeat_answers_and_tell_clips_apart():
    head, keypoints_2d = build(), clips(1).expand(2, -1, -1, -1)  # the same poses in two chunks
    first, again, other, *unseeded = (
        poses_of(head.predict(keypoints_2d, samples(keypoints_2d), dict(seed=seed))) for seed in (0, 0, 1, None, None)
    )
    assert torch.equal(first, again)
    different = torch.cat([first, other, *unseeded])
    assert len({pose.sum().item() for pose in different}) == 8


def test_one_forward_pass_needs_no_data_samples():
    for kind in ('diffusion', 'regression'):
        assert build(kind)(clips(3)).shape == (3, FRAMES, JOINTS, 3)


@pytest.mark.parametrize('amp', ['bfloat16', 'float16'])
@pytest.mark.parametrize('kind', ['diffusion', 'regression'])
def test_mixed_precision_gives_almost_the_same_answer(kind, amp):
    head, keypoints_2d = build(kind), clips()
    plain, mixed = (
        poses_of(head.predict(keypoints_2d, samples(keypoints_2d), dict(amp=value))) for value in (None, amp)
    )
    assert mixed.dtype == torch.float32
    assert 0 < (mixed - plain).abs().mean() < 0.05 * plain.abs().mean()


@pytest.mark.parametrize('kind', ['diffusion', 'regression'])
def test_poses_that_are_none_are_refused_by_name(kind):
    head, keypoints_2d = build(kind), clips()
    data_samples = samples(keypoints_2d, sequence='S9 Walking')
    broken = keypoints_2d.clone()
    broken[1, 2, 3] = torch.nan
    for call in (head.loss, head.predict):
        with pytest.raises(ValueError, match=r'the 2D poses of sample 1 \(sequence S9 Walking.*hold NaN'):
            call(broken, data_samples)
    data_samples[0].gt_instance_labels.lifting_target[0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match='the 3D poses of sample 0'):
        head.loss(keypoints_2d, data_samples)
    short = samples(keypoints_2d[:, :, :3])
    with pytest.raises(ValueError, match=r'2D poses \[2, 5, 4, 2\].*got \[2, 5, 3, 3\]'):
        head.loss(keypoints_2d, short)
    with pytest.raises(ValueError, match=r'got \[2, 4, 4, 2\]: cut the data into chunks of num_frames=5, or build'):
        head.predict(clips()[:, :4], data_samples)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(seed=1.5), 'test_cfg.seed must be an integer or None'),
        (dict(num_hypotheses=0), 'test_cfg.num_hypotheses must be an integer of at least 1'),
        (dict(hypotheses_per_pass=0), 'test_cfg.hypotheses_per_pass must be an integer of at least 1'),
        (dict(amp='half'), 'test_cfg.amp must be one of'),
        (dict(num_steps=0), 'num_steps must be an integer from 1 to 1000'),
        (dict(num_hypothesis=20), 'test_cfg has no option num_hypothesis; did you mean num_hypotheses?'),
        (dict(output_heatmaps=True), 'test_cfg has no option output_heatmaps'),
    ],
)
def test_impossible_options_are_refused_when_the_model_is_built(options, message):
    head = dict(type='DiffusionPoseHead', denoiser=dict(type='PoseSequenceDenoiser', **SIZES))
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='DiffusionPoseLifter', head=head, test_cfg=options))


def test_regression_refuses_options_of_sampling():
    with pytest.raises(ValueError, match='test_cfg has no option num_steps; did you mean flip_test or amp'):
        build('regression').predict(clips(), samples(clips()), dict(flip_test=True, num_steps=5))


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(TypeError, match='HeatmapDenoiser must be a BasePoseDenoiser'):
        build(denoiser=dict(type='HeatmapDenoiser', in_channels=8, out_channels=4))
    with pytest.raises(ValueError, match='MeanHeatmap merges heatmaps, poses are coordinates'):
        build(aggregator=dict(type='MeanHeatmap'))
    with pytest.raises(TypeError, match='PoseSequenceDenoiser must be a PoseSequenceNetwork'):
        build('regression', trunk=dict(type='PoseSequenceDenoiser', **SIZES))
