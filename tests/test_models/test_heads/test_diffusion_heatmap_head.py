import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from mmpose_diffusion.diffusion import HypothesisNoise
from mmpose_diffusion.models import BaseHeatmapDenoiser
from mmpose_diffusion.models.heads.hypothesis_outputs import sample_covariance
from mmpose_diffusion.models.heads.sampling_options import SamplingOptions, noise_for, sample_identity
from mmpose_diffusion.testing import CODECS, FLIP_INDICES, HEATMAP_SIZE, INPUT_SIZE, random_clips, tiny_model

K = len(FLIP_INDICES)
FEATURE_SIZE = (6, 4)  # (h, w) of maps at 1/16 of the image
TINY = dict(feature_channels=16, lookup_channels=8, mix_channels=8, token_width=16, step_width=8)
DENOISER = dict(type='HeatmapDenoiser', **TINY)
SOLVERS = ['DDIMScheduler', 'DDPMScheduler', 'DPMSolverMultistepScheduler', 'UniPCMultistepScheduler', 'LCMScheduler']


@MODELS.register_module(force=True)
class PeakDenoiser(BaseHeatmapDenoiser):
    """Knows the answer: the features are, cell by cell, the peaks to draw; a little noise comes through."""

    leak = 0.0

    def heatmap_size(self, feature_size):
        return tuple(4 * side for side in feature_size)

    def prepare(self, features):
        self.prepared = getattr(self, 'prepared', 0) + 1
        return torch.nn.functional.interpolate(features[:, :K], scale_factor=4) * 2 - 1

    def forward(self, noisy, step, condition):
        hypotheses = len(noisy) // len(condition)
        clean = condition[:, None].expand(-1, hypotheses, -1, -1, -1).flatten(0, 1)
        return clean + self.leak * noisy


def build(**options):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='DiffusionHeatmapHead', in_channels=8, out_channels=K, decoder=CODECS['heatmap'], denoiser=DENOISER)
        | options
    )
    if head.denoiser.__class__.__name__ == 'HeatmapDenoiser':  # as if it had been trained
        torch.nn.init.normal_(head.denoiser.output[-1].weight, std=0.5)
        torch.nn.init.normal_(head.denoiser.modulation.weight, std=0.5)
    return head.eval()


def features(batch_size=2, seed=0):
    return torch.randn(batch_size, 8, *FEATURE_SIZE, generator=torch.Generator().manual_seed(seed))


def samples(batch_size=2, first=0):
    return random_clips('heatmap', batch_size + first)['data_samples'][first:]


def keypoints_of(predictions):
    return np.concatenate([prediction.keypoints for prediction in predictions])


def test_loss_trains_every_parameter_and_reports_accuracy():
    head = build().train()
    losses = head.loss((features(),), samples())
    assert set(losses) == {'loss_kpt', 'acc_pose'}
    losses['loss_kpt'].backward()
    assert not [name for name, weight in head.named_parameters() if weight.grad is None or not weight.grad.any()]


@pytest.mark.parametrize('draws_per_clip', [1, 3])
def test_loss_of_the_perfect_answer_is_zero_and_of_an_empty_one_is_the_heatmap_error(draws_per_clip):
    head = build(denoiser=dict(type='PeakDenoiser'), draws_per_clip=draws_per_clip)
    data_samples = samples()
    heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in data_samples])
    head.denoiser.prepare = lambda _: heatmaps * 2 - 1
    assert head.loss((features(),), data_samples)['loss_kpt'].item() == pytest.approx(0, abs=1e-10)
    head.denoiser.prepare = lambda _: -torch.ones_like(heatmaps)
    assert head.loss((features(),), data_samples)['loss_kpt'].item() == pytest.approx(heatmaps.square().mean().item())


def test_unlabelled_keypoints_do_not_count_in_the_loss():
    head, data_samples = build(denoiser=dict(type='PeakDenoiser')), samples()
    for sample in data_samples:
        sample.gt_instance_labels.keypoint_weights[:, 2] = 0
    heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in data_samples]) * 2 - 1
    heatmaps[:, 2] = 1
    head.denoiser.prepare = lambda _: heatmaps
    assert head.loss((features(),), data_samples)['loss_kpt'].item() == pytest.approx(0, abs=1e-10)


def test_several_draws_share_one_preparation():
    head = build(denoiser=dict(type='PeakDenoiser'), draws_per_clip=3)
    seen, forward = [], head.denoiser.forward
    head.denoiser.forward = lambda noisy, step, condition: seen.append(step) or forward(noisy, step, condition)
    head.loss((features(),), samples())
    assert head.denoiser.prepared == 1
    assert len(seen) == 1
    assert seen[0].shape == (6,)


@pytest.mark.parametrize('prediction_type', ['epsilon', 'v_prediction'])
def test_networks_that_predict_noise_or_v_train_on_it(prediction_type):
    head = build(scheduler=dict(prediction_type=prediction_type), denoiser=dict(DENOISER, output_bias=0.0)).train()
    torch.nn.init.zeros_(head.denoiser.output[-1].weight)
    # an answer of zero misses unit noise by about 1 (v of an almost constant signal of +-1 as well)
    assert head.loss((features(),), samples())['loss_kpt'].item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize('codec', [CODECS['heatmap'], dict(CODECS['heatmap'], type='UDPHeatmap')])
@pytest.mark.parametrize('solver', SOLVERS)
def test_decodes_the_cell_the_denoiser_points_at(solver, codec):
    head = build(denoiser=dict(type='PeakDenoiser'), scheduler=dict(type=solver), decoder=codec)
    peaks = torch.zeros(2, 8, *FEATURE_SIZE)
    peaks[0, :, 1, 2] = peaks[1, :, 4, 0] = 1
    for num_steps in (1, 3):
        found = keypoints_of(head.predict((peaks,), samples(), dict(num_steps=num_steps, num_hypotheses=2)))
        assert np.abs(found[0] - (40, 24)).max() <= 16
        assert np.abs(found[1] - (8, 72)).max() <= 16


def test_steps_hypotheses_and_seed_change_per_call_without_retraining():
    head, feats, data_samples = build(), (features(),), samples()
    heatmaps = {}
    for steps in (1, 3, [900, 100]):
        for hypotheses in (1, 4):
            for seed in (0, 1):
                options = dict(num_steps=steps, num_hypotheses=hypotheses, seed=seed, output_heatmaps=True)
                predictions, fields = head.predict(feats, data_samples, options)
                again = head.predict(feats, data_samples, options)[1]
                assert len(predictions) == 2
                assert predictions[0].keypoints.shape == (1, K, 2)
                heatmaps[str(steps), hypotheses, seed] = fields[0].heatmaps
                torch.testing.assert_close(fields[0].heatmaps, again[0].heatmaps)
    values = list(heatmaps.values())
    assert all(not torch.allclose(values[i], values[j]) for i in range(len(values)) for j in range(i))


def test_seed_none_gives_another_answer_each_time():
    head, feats, data_samples = build(), (features(),), samples()
    first, second = (head.predict(feats, data_samples, dict(seed=None, output_heatmaps=True))[1] for _ in range(2))
    assert not torch.allclose(first[0].heatmaps, second[0].heatmaps)


@pytest.mark.parametrize('solver', ['DDIMScheduler', 'DDPMScheduler'])
def test_answer_does_not_depend_on_the_neighbours_in_the_batch(solver):
    head, feats, data_samples = build(scheduler=dict(type=solver)), features(4), samples(4)
    options = dict(num_steps=3, num_hypotheses=2, output_heatmaps=True)
    together = head.predict((feats,), data_samples, options)[1]
    order = [2, 0, 3, 1]
    shuffled = head.predict((feats[order],), [data_samples[index] for index in order], options)[1]
    for place, index in enumerate(order):
        alone = head.predict((feats[index : index + 1],), [data_samples[index]], options)[1]
        torch.testing.assert_close(alone[0].heatmaps, together[index].heatmaps, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(shuffled[place].heatmaps, together[index].heatmaps, atol=1e-5, rtol=1e-4)


def test_noise_comes_from_the_sample_and_the_seed_bit_by_bit():
    options = SamplingOptions(num_hypotheses=2, seed=3)
    together = noise_for(samples(4), options).draw((K, 3, 2)).unflatten(0, (4, 2))
    for index, sample in enumerate(samples(4)):
        assert torch.equal(noise_for([sample], options).draw((K, 3, 2)), together[index])
    other = noise_for(samples(4), options._replace(seed=4)).draw((K, 3, 2)).unflatten(0, (4, 2))
    assert len({values.sum().item() for values in torch.cat([together, other]).flatten(0, 1)}) == 16


def test_identity_without_annotation_is_the_crop():
    crop = dict(img_path='a.jpg', input_center=np.array([1.0, 2.0]), input_scale=np.array([3.0, 4.0]))
    assert sample_identity(crop) == sample_identity(dict(crop, unrelated=1))
    for changed in (dict(crop, img_path='b.jpg'), dict(crop, input_center=np.array([1.0, 5.0])), dict(crop, id=1)):
        assert sample_identity(changed) != sample_identity(crop)
    assert sample_identity(dict(id=1, img_id=2)) != sample_identity(dict(id=1, img_id=3))
    assert repr(sample_identity(dict(id=np.int64(1), img_id=np.int64(2)))) == repr(
        sample_identity(dict(id=1, img_id=2))
    )


def test_flip_test_gives_the_mirror_image_the_mirrored_heatmaps():
    # One noise serves both views, so the mirror image of the noise must be handed in to compare.
    head, plain, mirrored = build(scheduler=dict(type='DDPMScheduler')), features(seed=0), features(seed=1)

    class MirroredNoise(HypothesisNoise):
        def draw(self, shape, device='cpu'):
            return super().draw(shape, device).flip(-1)[:, list(FLIP_INDICES)]

    options = dict(num_steps=1, flip_indices=FLIP_INDICES)
    one = head.sample_heatmaps([plain, mirrored], HypothesisNoise.from_seeds([0, 1], 3), **options).hypotheses
    other = head.sample_heatmaps([mirrored, plain], MirroredNoise.from_seeds([0, 1], 3), **options).hypotheses
    torch.testing.assert_close(other.flip(-1)[:, :, list(FLIP_INDICES)], one)


def test_shift_heatmap_moves_the_mirrored_heatmaps_by_one_cell():
    # As from a codec whose heatmaps lie one cell off in the mirror image; the mirrored view alone has a peak.
    head, peak = build(denoiser=dict(type='PeakDenoiser')), torch.zeros(1, 8, *FEATURE_SIZE)
    peak[:, :, 2, 1] = 1
    views, noise = [torch.zeros_like(peak), peak], HypothesisNoise.from_seeds([0])
    plain, shifted = (
        head.sample_heatmaps(views, noise, flip_indices=FLIP_INDICES, shift_heatmap=shift).hypotheses
        for shift in (False, True)
    )
    assert plain.max() > 0
    torch.testing.assert_close(shifted[..., 1:], plain[..., :-1])
    assert not torch.equal(shifted, plain)


def test_flip_test_looks_at_both_views_in_every_step_and_prepares_each_once():
    head, calls = build(denoiser=dict(type='PeakDenoiser')), []
    forward = head.denoiser.forward
    head.denoiser.forward = lambda noisy, step, condition: calls.append(condition) or forward(noisy, step, condition)
    feats = [(features(seed=0),), (features(seed=1),)]
    head.predict(feats, samples(), dict(num_steps=3, num_hypotheses=2, flip_test=True))
    assert head.denoiser.prepared == 2
    assert len(calls) == 6
    assert torch.equal(calls[0], calls[4])
    assert not torch.equal(calls[0], calls[1])
    with pytest.raises(TypeError, match='flip_test wants a list'):
        head.predict(feats[0], samples(), dict(flip_test=True))


def test_features_are_prepared_once_for_all_steps_and_hypotheses():
    head = build(denoiser=dict(type='PeakDenoiser'))
    head.predict((features(),), samples(), dict(num_steps=5, num_hypotheses=4))
    assert head.denoiser.prepared == 1


def test_hypotheses_and_covariances_are_in_pixels_of_the_image():
    head, data_samples = build(denoiser=dict(type='PeakDenoiser')), samples()
    head.denoiser.leak = 0.8
    options = dict(num_hypotheses=6, output_hypotheses=True)
    before = head.predict((features(),), data_samples, options)[0]
    assert before.keypoint_hypotheses.shape == (1, K, 6, 2)
    assert before.keypoint_covariances.shape == (1, K, 2, 2)
    for sample in data_samples:  # the same crop, found twice as large and elsewhere
        sample.set_metainfo(dict(input_scale=np.array(INPUT_SIZE) * 2.0, input_center=np.array([100.0, 300.0])))
    after = head.predict((features(),), data_samples, options)[0]
    expected = (before.keypoint_hypotheses - np.array(INPUT_SIZE) / 2) * 2 + (100, 300)
    np.testing.assert_allclose(after.keypoint_hypotheses, expected, rtol=1e-5)
    np.testing.assert_allclose(after.keypoint_covariances, before.keypoint_covariances * 4, rtol=1e-4)
    for keypoint in range(K):
        expected = np.cov(before.keypoint_hypotheses[0, keypoint].T)
        np.testing.assert_allclose(before.keypoint_covariances[0, keypoint], expected, rtol=1e-4, atol=1e-4)


def test_covariance_is_that_of_numpy():
    hypotheses = np.random.default_rng(0).normal(size=(3, 7, 2))
    expected = [np.cov(each.T) for each in hypotheses]
    np.testing.assert_allclose(sample_covariance(hypotheses), expected)


@pytest.mark.parametrize('aggregator', ['MeanHeatmap', 'MeanCoordinates', 'MedianCoordinates', 'BestAgreement'])
def test_every_aggregator_gives_one_pose(aggregator):
    head = build(aggregator=dict(type=aggregator))
    options = dict(num_hypotheses=5, output_hypotheses=True, output_heatmaps=True)
    predictions, fields = head.predict((features(),), samples(), options)
    assert keypoints_of(predictions).shape == (2, K, 2)
    assert predictions[0].keypoint_scores.shape == (1, K)
    assert fields[0].heatmaps.shape == (K, *HEATMAP_SIZE[::-1])
    if aggregator == 'MedianCoordinates':
        head_center = predictions[0].keypoint_hypotheses[0]  # image and input pixels are the same in this crop
        np.testing.assert_allclose(predictions[0].keypoints[0], np.median(head_center, axis=1), atol=1e-3)


def test_estimates_of_all_steps_are_handed_out_on_request():
    _, fields = build().predict((features(),), samples(), dict(num_steps=3, num_hypotheses=2, output_estimates=True))
    estimates = fields[0].heatmap_estimates.unflatten(0, (3, K))
    torch.testing.assert_close(estimates[-1], fields[0].heatmaps)
    assert not torch.allclose(estimates[0], estimates[1])


def video_model(**test_cfg):
    config = tiny_model(
        'vit',
        temporal_neck=dict(
            type='SpatioTemporalRepresentationLearner',
            width=16,
            depth=1,
            num_heads=2,
            feature_size=(4, 6),
            out_channels=8,
        ),
    )
    config['head'] = dict(
        type='DiffusionHeatmapHead', in_channels=8, out_channels=K, decoder=CODECS['heatmap'], denoiser=DENOISER
    )
    config['test_cfg'] = test_cfg
    torch.manual_seed(0)
    return MODELS.build(config)


def test_trains_and_predicts_on_clips():
    model = video_model(flip_test=True, num_steps=2, num_hypotheses=3, output_hypotheses=True)
    data = model.data_preprocessor(random_clips(), True)
    model.train()
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    assert not [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    results = model.eval().test_step(random_clips())
    assert [result.pred_instances.keypoint_hypotheses.shape for result in results] == [(1, K, 3, 2)] * 2
    assert model(model.data_preprocessor(random_clips())['inputs'], mode='tensor').shape == (2, K, *HEATMAP_SIZE[::-1])


def test_chosen_keypoints_are_chosen_in_the_hypotheses_as_well():
    model = video_model(num_hypotheses=3, output_hypotheses=True, output_heatmaps=True, output_keypoint_indices=[4, 1])
    whole = video_model(num_hypotheses=3, output_hypotheses=True).eval().test_step(random_clips())[0].pred_instances
    chosen = model.eval().test_step(random_clips())[0]
    assert len(chosen.pred_fields.heatmaps) == 2
    for name in ('keypoints', 'keypoint_hypotheses', 'keypoint_covariances'):
        np.testing.assert_allclose(chosen.pred_instances[name], whole[name][:, [4, 1]], rtol=1e-5)


@pytest.mark.parametrize('flip_test', [False, True])
def test_works_on_single_images_in_the_stock_estimator(flip_test):
    torch.manual_seed(0)
    config = tiny_model('resnet')
    model = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(type='mmpose.PoseDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3),
            backbone=config['backbone'],
            head=dict(
                type='DiffusionHeatmapHead',
                in_channels=64,
                out_channels=K,
                decoder=CODECS['heatmap'],
                denoiser=dict(DENOISER, upsample_factor=8),
            ),
            test_cfg=dict(flip_test=flip_test, num_steps=2, num_hypotheses=2),
        )
    )
    data = random_clips(num_frames=1)
    data['inputs'] = [clip[0] for clip in data['inputs']]
    model.train()
    total, _ = model.parse_losses(model(**model.data_preprocessor(data, True), mode='loss'))
    total.backward()
    results = model.eval().test_step(data)
    assert np.isfinite(keypoints_of([result.pred_instances for result in results])).all()


def test_nan_in_features_or_targets_names_the_sample():
    head, bad = build(), features()
    bad[1, 0, 2, 2] = float('nan')
    with pytest.raises(ValueError, match=r'feature map of sample 1 \(video 000001_mpii_test.*NaN'):
        head.predict((bad,), samples())
    with pytest.raises(ValueError, match='feature map of sample 1'):
        head.loss((bad,), samples())
    everywhere = torch.full_like(bad, float('nan'))  # what a batch normalisation makes of it
    with pytest.raises(ValueError, match='feature map of every sample of a batch, of which sample 0 .* is the first,'):
        head.loss((everywhere,), samples())
    data_samples = samples()
    data_samples[0].gt_fields.heatmaps[2, 1, 1] = float('inf')
    with pytest.raises(ValueError, match='target heatmaps of sample 0'):
        head.loss((features(),), data_samples)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_steps=0), 'num_steps must be an integer from 1 to 1000'),
        (dict(num_steps=1001), 'num_steps must be an integer from 1 to 1000'),
        (dict(num_steps=[3, 5]), 'strictly descending'),
        (dict(num_hypotheses=0), 'num_hypotheses must be an integer of at least 1'),
        (dict(output_hypotheses=True), 'set test_cfg.num_hypotheses to 2 or more'),
        (dict(seed='a'), 'seed must be an integer or None'),
        (dict(flip_test=True, flip_mode='udp_combined'), 'flip_mode must be heatmap'),
    ],
)
def test_impossible_sampling_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build().predict([(features(),)] * 2 if 'flip_test' in options else (features(),), samples(), options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_steps=0), 'num_steps must be an integer from 1 to 1000'),
        (dict(num_steps=[3, 5]), 'strictly descending'),
        (dict(num_hypotheses=1.5), 'num_hypotheses must be an integer of at least 1'),
        (dict(seed='a'), 'seed must be an integer or None'),
        (dict(num_step=4), 'test_cfg has no option num_step; did you mean num_steps?'),
    ],
)
def test_video_models_refuse_impossible_sampling_options_when_built(options, message):
    with pytest.raises(ValueError, match=message):
        video_model(**options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(draws_per_clip=0), 'draws_per_clip must be an integer of at least 1'),
        (dict(draws_per_clip=1.5), 'draws_per_clip must be an integer of at least 1'),
        (dict(out_channels=0), 'out_channels must be an integer of at least 1'),
        (dict(denoiser=dict(DENOISER, step_width=7)), 'step_width'),
        (dict(scheduler=dict(type='Magic')), 'unknown scheduler type'),
        (dict(signal=dict(scale=-1)), 'scale must be positive'),
        (dict(signal=dict(high=2.0)), 'signal takes scale and clamp, not high'),
        (dict(decoder=dict(CODECS['heatmap'], type='UDPHeatmap', heatmap_type='combined')), "heatmap_type='gaussian'"),
        (dict(decoder=CODECS['simcc']), 'diffuses Gaussian heatmaps'),
        (
            dict(decoder=dict(type='SPR', input_size=(64, 96), heatmap_size=(16, 24), sigma=2)),
            'diffuses Gaussian heatmaps',
        ),
    ],
)
def test_impossible_heads_are_refused_when_built(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_an_aggregator_of_something_else_is_refused():
    with pytest.raises(TypeError, match='KeypointMSELoss does not merge hypotheses'):
        build(aggregator=dict(type='KeypointMSELoss'))


def test_a_denoiser_of_something_else_is_refused():
    with pytest.raises(TypeError, match='SpatioTemporalRepresentationLearner must be a BaseHeatmapDenoiser'):
        build(denoiser=dict(type='SpatioTemporalRepresentationLearner'))


def test_heatmap_size_that_does_not_match_the_features_is_refused_with_both_sizes():
    message = r'feature map of \(6, 4\) gives heatmaps of \(12, 8\).*heatmap_size=\(16, 24\)'
    with pytest.raises(ValueError, match=message):
        build(denoiser=dict(DENOISER, upsample_factor=2)).predict((features(),), samples())
    head = build(decoder=None)
    sample = PoseDataSample()
    sample.gt_fields = PixelData(heatmaps=torch.zeros(K, 12, 8))
    sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, K))
    with pytest.raises(ValueError, match=r'target heatmaps are \[5, 12, 8\].*the head makes \[5, 24, 16\]'):
        head.loss((features(1),), [sample])
    with pytest.raises(ValueError, match='in_channels=8'):
        head.loss((features(1)[:, :5],), [sample])


def test_mixed_precision_keeps_loss_heatmaps_and_signal_in_full_precision():
    head = build().train()
    with torch.autocast('cpu', torch.bfloat16):
        losses = head.loss((features(),), samples())
        losses['loss_kpt'].backward()
        _, fields = head.eval().predict((features(),), samples(), dict(num_steps=2, output_heatmaps=True))
    assert losses['loss_kpt'].dtype == fields[0].heatmaps.dtype == torch.float32
    assert all(weight.grad.isfinite().all() for weight in head.parameters())
    _, exact = head.predict((features(),), samples(), dict(num_steps=2, output_heatmaps=True))
    assert (fields[0].heatmaps - exact[0].heatmaps).abs().mean() < 0.05
