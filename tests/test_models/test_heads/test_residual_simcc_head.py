import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmpose.models.heads import HeatmapHead, SimCCHead
from mmpose.registry import KEYPOINT_CODECS, MODELS

from mmpose_diffusion.models.estimators.part_checks import check_head
from mmpose_diffusion.testing import CODECS, FLIP_INDICES, HEATMAP_SIZE, INPUT_SIZE, random_clips, tiny_model

K = len(FLIP_INDICES)
WIDTH, HEIGHT = INPUT_SIZE
FEATURE_SIZE = (12, 8)  # (h, w), one deconvolution below the heatmaps
DECONVOLUTION = dict(deconv_out_channels=(8,), deconv_kernel_sizes=(4,))
SHARP = dict(type='KLDiscretLoss', use_target_weight=True, beta=10.0, label_softmax=True)


def codec(split_factor=2, **simcc):
    options = dict(sigma=2.0 * split_factor, simcc_split_ratio=split_factor) | simcc
    return dict(type='HeatmapSimCCLabel', heatmap=CODECS['heatmap'], simcc=options)


def build(split_factor=2, **options):
    torch.manual_seed(0)
    config = dict(type='ResidualSimCCHead', in_channels=8, out_channels=K, decoder=codec(split_factor))
    head = MODELS.build(config | DECONVOLUTION | options)
    head.init_weights()
    for layer in (head.final_layer, head.residual_layer, head.classifiers.mlp_head_x, head.classifiers.mlp_head_y):
        torch.nn.init.normal_(layer.weight, std=0.3)  # as if it had been trained
    return head.eval()


def features(batch_size=2, seed=0):
    return torch.randn(batch_size, 8, *FEATURE_SIZE, generator=torch.Generator().manual_seed(seed))


def samples(batch_size=2, decoder=None):
    """Labelled samples of random keypoints, with the labels of `decoder`."""
    encoder = KEYPOINT_CODECS.build(decoder or codec())
    data_samples = random_clips('heatmap', batch_size)['data_samples']
    for sample in data_samples:
        sample.gt_fields = PixelData()
        encoded = encoder.encode(sample.gt_instances.keypoints, sample.gt_instances.keypoints_visible)
        sample.gt_fields.heatmaps = torch.from_numpy(encoded['heatmaps'])
        for name in ('keypoint_x_labels', 'keypoint_y_labels', 'keypoint_weights'):
            sample.gt_instance_labels.set_field(torch.from_numpy(encoded[name]), name)
    return data_samples


def keypoints_of(predictions):
    return np.concatenate([prediction.keypoints for prediction in predictions])


def scores_of(predictions):
    return np.concatenate([prediction.keypoint_scores for prediction in predictions])


def answer(head, heatmaps, x, y):
    """Let the head answer this, whatever the features."""
    head.forward = lambda feats: (heatmaps, x, y)


def perfect_answer(head, data_samples):
    """Heatmaps and logits that could not be better."""
    labels, loss = [sample.gt_instance_labels for sample in data_samples], head.classifiers.loss_module
    x, y = (torch.cat([label[f'keypoint_{axis}_labels'] for label in labels]) for axis in 'xy')
    if loss.label_softmax:
        logits = [values * loss.label_beta / loss.beta for values in (x, y)]
    else:
        logits = [values.clamp(min=1e-30).log() / loss.beta for values in (x, y)]
    return torch.stack([sample.gt_fields.heatmaps for sample in data_samples]), *logits


def test_is_accepted_by_the_checks_of_the_estimator():
    check_head(build())


def test_heatmap_branch_has_the_names_of_mmpose_and_loads_its_checkpoints():
    head, stock = build(), HeatmapHead(8, K, **DECONVOLUTION)
    missing, unexpected = head.load_state_dict(stock.state_dict(), strict=False)
    assert not unexpected
    assert {name.split('.')[0] for name in missing} == {'residual_layer', 'classifiers'}
    torch.testing.assert_close(head((features(),))[0], stock.eval()((features(),)))


def test_without_the_residual_the_classifiers_read_the_heatmaps():
    head = build()
    torch.nn.init.zeros_(head.residual_layer.weight)
    torch.nn.init.zeros_(head.residual_layer.bias)
    heatmaps, x, y = head((features(),))
    assert heatmaps.shape == (2, K, *HEATMAP_SIZE[::-1])
    assert (x.shape, y.shape) == ((2, K, 2 * WIDTH), (2, K, 2 * HEIGHT))
    stock = SimCCHead(K, K, INPUT_SIZE, HEATMAP_SIZE, deconv_out_channels=None, final_layer=None)
    stock.load_state_dict(head.classifiers.state_dict())
    for mine, theirs in zip((x, y), stock((heatmaps,)), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize('split_factor', [1, 2, 3])
@pytest.mark.parametrize('simcc_loss', [None, SHARP], ids=['plain', 'sharp'])
def test_heatmap_loss_and_accuracies_are_those_of_mmpose(split_factor, simcc_loss):
    head, data_samples = build(split_factor, simcc_loss=simcc_loss), samples(3, codec(split_factor))
    data_samples[0].gt_instance_labels.keypoint_weights[0, 1] = 0
    losses = head.loss((features(3),), data_samples)
    heatmaps, x, y = head((features(3),))
    stock = HeatmapHead(8, K, **DECONVOLUTION)
    stock.forward = lambda feats: heatmaps
    expected = stock.loss((features(3),), data_samples)
    torch.testing.assert_close(losses['loss_heatmap'], expected['loss_kpt'])
    assert losses['acc_pose'] == expected['acc_pose']
    stock = SimCCHead(8, K, INPUT_SIZE, FEATURE_SIZE[::-1], split_factor, loss=simcc_loss or dict(type='KLDiscretLoss'))
    stock.forward = lambda feats: (x, y)
    expected = stock.loss((features(3),), data_samples)
    assert losses['acc_simcc'] == expected['acc_pose']
    assert set(head.loss((features(3),), data_samples, dict(compute_acc=False))) == {'loss_heatmap', 'loss_simcc'}


@pytest.mark.parametrize('simcc_loss', [None, SHARP], ids=['plain', 'sharp'])
def test_classification_loss_is_in_nats_per_person_and_does_not_depend_on_the_batch(simcc_loss):
    head, data_samples = build(simcc_loss=simcc_loss), samples(3)
    data_samples[0].gt_instance_labels.keypoint_weights[0, 1] = 0
    _, *logits = head((features(3),))
    expected, sharp = 0, head.classifiers.loss_module
    for axis, values in zip('xy', logits, strict=True):
        for person, sample in enumerate(data_samples):
            labels = sample.gt_instance_labels[f'keypoint_{axis}_labels'][0]
            labels = (sharp.label_beta * labels).softmax(-1) if sharp.label_softmax else labels
            told = (sharp.beta * values[person]).log_softmax(-1)
            nats = torch.where(labels > 0, labels * (labels.clamp(min=1e-45).log() - told), 0).sum(-1)
            expected += (nats * sample.gt_instance_labels.keypoint_weights[0]).sum() / (3 * K)
    torch.testing.assert_close(head.loss((features(3),), data_samples)['loss_simcc'], expected)
    twice = head.loss((features(3).repeat(2, 1, 1, 1),), [*data_samples, *data_samples])
    torch.testing.assert_close(twice['loss_simcc'], expected)


def test_classification_loss_of_one_distribution_does_not_depend_on_the_split_factor():
    values = []
    for split_factor in (1, 2, 3):  # the label's width in pixels is the same
        head, data_samples = build(split_factor), samples(2, codec(split_factor))
        heatmaps, *_ = perfect_answer(head, data_samples)
        pixels = [torch.arange(0, side, 1 / split_factor) for side in INPUT_SIZE]
        answer(head, heatmaps, *((-((place - place.mean()) ** 2) / 200).expand(2, K, -1) for place in pixels))
        values.append(head.loss(None, data_samples)['loss_simcc'].item())
    assert values == pytest.approx([values[0]] * 3, rel=0.03)


@pytest.mark.parametrize('branch', ['heatmap', 'simcc'])
def test_gradients_of_each_loss_reach_its_branch_and_the_shared_layers(branch):
    head = build().train()
    head.loss((features(),), samples())[f'loss_{branch}'].backward()
    trained = {name.rsplit('.', 1)[0] for name, weight in head.named_parameters() if weight.grad is not None}
    shared = {'deconv_layers.0', 'deconv_layers.1', 'final_layer'}  # the heatmaps are part of the representation
    own = {'residual_layer', 'classifiers.mlp_head_x', 'classifiers.mlp_head_y'} if branch == 'simcc' else set()
    assert trained == shared | own
    assert all(weight.grad.any() for weight in head.parameters() if weight.grad is not None)


@pytest.mark.parametrize('split_factor', [1, 2, 3])
@pytest.mark.parametrize('simcc_loss', [None, SHARP], ids=['plain', 'sharp'])
def test_perfect_answer_has_the_least_loss_full_confidence_and_the_right_place(split_factor, simcc_loss):
    decoder = codec(split_factor, normalize=simcc_loss is None)
    head, data_samples = build(decoder=decoder, simcc_loss=simcc_loss), samples(2, decoder)
    outputs = [output.requires_grad_() for output in perfect_answer(head, data_samples)]
    answer(head, *outputs)
    losses = head.loss(None, data_samples)
    assert losses['loss_heatmap'].item() == 0
    # A Gaussian that the border cuts does not sum to 1, which no softmax can be: its gradient is that little, not 0.
    sum(losses[name] for name in ('loss_heatmap', 'loss_simcc')).backward()
    assert all(output.grad.abs().max() < 1e-4 for output in outputs)
    truth = np.concatenate([sample.gt_instances.keypoints for sample in data_samples])
    predictions = head.predict(None, data_samples, dict(decode='simcc'))
    assert np.abs(keypoints_of(predictions) - truth).max() <= 0.5 / split_factor + 1e-4
    for decode in ('simcc', 'heatmap', 'fusion'):
        np.testing.assert_allclose(
            scores_of(head.predict(None, data_samples, dict(decode=decode))), 1, atol=0.15 if decode != 'heatmap' else 0
        )
    on_a_bin = np.round(truth * split_factor) / split_factor
    np.testing.assert_allclose(keypoints_of(predictions), on_a_bin, atol=1e-4)


@pytest.mark.parametrize('simcc', [{}, dict(use_dark=True)], ids=['plain', 'dark'])
@pytest.mark.parametrize('kind', ['MSRAHeatmap', 'UDPHeatmap'])
def test_each_branch_is_decoded_as_mmpose_does(kind, simcc):
    decoder = dict(codec(**simcc), heatmap=dict(CODECS['heatmap'], type=kind))
    head, data_samples = build(decoder=decoder), samples()
    heatmaps, x, y = head((features(),))
    maps = HeatmapHead(8, K, **DECONVOLUTION, decoder=decoder['heatmap'])
    bins = SimCCHead(
        8, K, INPUT_SIZE, FEATURE_SIZE[::-1], decoder=dict(type='SimCCLabel', input_size=INPUT_SIZE, **codec()['simcc'])
    )
    by_heatmap = head.predict((features(),), data_samples, dict(decode='heatmap'))
    expected = maps.decode(heatmaps.detach())
    np.testing.assert_array_equal(keypoints_of(by_heatmap), keypoints_of(expected))
    np.testing.assert_array_equal(scores_of(by_heatmap), scores_of(expected))
    by_simcc = head.predict((features(),), data_samples, dict(decode='simcc'))
    if not simcc:  # the place of the highest logit is that of the highest probability
        np.testing.assert_array_equal(keypoints_of(by_simcc), keypoints_of(bins.decode((x.detach(), y.detach()))))
    fused = keypoints_of(head.predict((features(),), data_samples))
    both = np.stack([keypoints_of(by_heatmap), keypoints_of(by_simcc)])
    assert np.all((fused >= both.min(axis=0) - 1e-4) & (fused <= both.max(axis=0) + 1e-4))
    weights = np.stack([scores_of(by_heatmap), scores_of(by_simcc)]).clip(0, 1)[..., None]
    np.testing.assert_allclose(fused, (weights * both).sum(axis=0) / weights.sum(axis=0), rtol=1e-4)


def test_confidence_falls_with_the_spread_and_does_not_depend_on_the_scale_of_the_logits():
    head, data_samples = build(), samples()
    heatmaps, x, y = perfect_answer(head, data_samples)
    scores = []
    for blur in (1, 4, 16):  # variance of the Gaussian
        answer(head, heatmaps / blur, x / blur + 7, y / blur - 3)
        scores.append(scores_of(head.predict(None, data_samples, dict(decode='simcc'))).mean())
    assert scores[0] == pytest.approx(1, abs=0.02)
    assert scores[1] == pytest.approx(0.5, abs=0.05)  # the peak of a Gaussian falls with its width
    assert scores[2] == pytest.approx(0.25, abs=0.08)


def test_fusion_is_the_other_branch_where_one_knows_nothing():
    head, data_samples = build(), samples()
    heatmaps, x, y = perfect_answer(head, data_samples)
    answer(head, -heatmaps - 0.1, x, y)
    fused = head.predict(None, data_samples)
    np.testing.assert_array_equal(
        keypoints_of(fused), keypoints_of(head.predict(None, data_samples, dict(decode='simcc')))
    )
    assert scores_of(fused).min() > 0.8


def seen(keypoints, decoder):
    """What a network that sees these keypoints [1, K, 2] answers: a perfect heatmap, and logits on some scale."""
    encoded = KEYPOINT_CODECS.build(decoder).encode(keypoints)
    x, y = (torch.from_numpy(encoded[f'keypoint_{axis}_labels']).clamp(min=1e-30).log() for axis in 'xy')
    return torch.from_numpy(encoded['heatmaps'])[None], x + 2, y - 1


def mirror(keypoints):
    """Keypoints [1, K, 2] of the mirror image."""
    return np.stack([WIDTH - 1 - keypoints[..., 0], keypoints[..., 1]], axis=-1)[:, list(FLIP_INDICES)]


@pytest.mark.parametrize('decode', ['heatmap', 'simcc', 'fusion'])
@pytest.mark.parametrize('split_factor', [1, 2, 3])
def test_flip_test_of_the_mirror_image_gives_the_mirrored_pose(decode, split_factor):
    decoder = dict(codec(split_factor), heatmap=dict(CODECS['heatmap'], type='UDPHeatmap', sigma=2))
    head, data_samples, options = build(decoder=decoder), samples(1), dict(flip_test=True, decode=decode)
    rng = np.random.default_rng(0)
    pose = rng.integers((20, 20), (WIDTH - 20, HEIGHT - 20), (1, K, 2)).astype(np.float32)
    differs = pose + rng.integers(-2, 3, pose.shape)  # what is seen in the mirrored view, seen from the front
    views = dict(same=seen(mirror(pose), decoder), plain=seen(pose, decoder), mirrored=seen(mirror(differs), decoder))
    head.forward = views.get

    predictions = head.predict(['plain', 'same'], data_samples, options)
    tolerance = dict(simcc=1e-4, heatmap=1, fusion=0.6)[decode]  # UDP reads its own heatmaps up to a pixel too far
    assert np.abs(keypoints_of(predictions) - pose).max() < tolerance
    np.testing.assert_allclose(scores_of(predictions), 1, atol=0.15)

    one = keypoints_of(head.predict(['plain', 'mirrored'], data_samples, options))
    other = keypoints_of(head.predict(['mirrored', 'plain'], data_samples, options))
    np.testing.assert_allclose(mirror(other), one, atol=1 / split_factor if decode == 'simcc' else 1)
    assert np.abs(one - (pose + differs) / 2).max() < 1


@pytest.mark.parametrize('decode', ['heatmap', 'simcc', 'fusion'])
def test_views_that_contradict_each_other_lower_the_score_and_invent_no_place(decode):
    head, data_samples, options = build(), samples(1), dict(flip_test=True, decode=decode)
    pose = np.full((1, K, 2), 20, dtype=np.float32)
    elsewhere = pose + np.float32([20, 0])
    views = dict(plain=seen(pose, codec()), mirrored=seen(mirror(elsewhere), codec()))
    head.forward = views.get
    predictions = head.predict(['plain', 'mirrored'], data_samples, options)
    distance = np.minimum(*(np.abs(keypoints_of(predictions) - place).max(axis=-1) for place in (pose, elsewhere)))
    assert distance.max() < 3
    assert scores_of(predictions).max() < 0.8  # of the two axes only y is agreed upon


def test_flip_test_wants_both_views():
    with pytest.raises(TypeError, match='flip_test wants a list'):
        build().predict((features(),), samples(), dict(flip_test=True))


@pytest.mark.parametrize('flip_test', [False, True])
@pytest.mark.parametrize('decode', ['heatmap', 'simcc', 'fusion'])
def test_answer_does_not_depend_on_the_neighbours_in_the_batch(decode, flip_test):
    head, data_samples, feats = build(), samples(4), [features(4, seed) for seed in (0, 1)]
    options = dict(decode=decode, flip_test=flip_test)

    def predict(rows):
        views = [(view[rows],) for view in feats]
        return head.predict(views if flip_test else views[0], [data_samples[row] for row in rows], options)

    together, order = predict([0, 1, 2, 3]), [2, 0, 3, 1]
    shuffled = predict(order)
    for place, row in enumerate(order):
        for other in (predict([row])[0], shuffled[place]):
            np.testing.assert_allclose(other.keypoints, together[row].keypoints, atol=1e-3)
            np.testing.assert_allclose(other.keypoint_scores, together[row].keypoint_scores, atol=1e-5)


def test_heatmaps_and_bins_are_handed_out_on_request():
    head, data_samples = build(), samples()
    predictions, fields = head.predict((features(),), data_samples, dict(output_heatmaps=True))
    torch.testing.assert_close(torch.stack([field.heatmaps for field in fields]), head((features(),))[0])
    assert predictions[0].keypoint_x_labels.shape == (1, K, 2 * WIDTH)
    assert predictions[0].keypoint_y_labels.shape == (1, K, 2 * HEIGHT)
    sums = np.stack([prediction.keypoint_x_labels.sum(-1) for prediction in predictions]) * head.perfect_peaks[0]
    np.testing.assert_allclose(sums, 1, rtol=1e-4)


def complete_model(estimator, **test_cfg):
    """A whole model for the data of `samples`."""
    torch.manual_seed(0)
    config = tiny_model('resnet')
    config['head'] = dict(
        type='ResidualSimCCHead',
        in_channels=64,
        out_channels=K,
        decoder=codec(),
        deconv_out_channels=(8, 8, 8),
        deconv_kernel_sizes=(4, 4, 4),
    )
    config['test_cfg'] = test_cfg
    if estimator == 'TopdownPoseEstimator':
        del config['temporal_neck']
        config |= dict(type=estimator, data_preprocessor=dict(type='mmpose.PoseDataPreprocessor'))
    else:
        config['temporal_neck'] = dict(type='SupportFusionNeck', in_channels=64, hidden_channels=16)
    return MODELS.build(config)


@pytest.mark.parametrize('estimator', ['VideoTopdownPoseEstimator', 'TopdownPoseEstimator'])
@pytest.mark.parametrize('flip_test', [False, True])
def test_trains_and_predicts_on_clips_and_on_single_images(estimator, flip_test):
    model = complete_model(estimator, flip_test=flip_test, output_heatmaps=True, output_keypoint_indices=[4, 1])
    data = dict(random_clips(), data_samples=samples())
    if estimator == 'TopdownPoseEstimator':
        data['inputs'] = [clip[1].float() / 255 for clip in data['inputs']]
    model.train()
    total, _ = model.parse_losses(model(**model.data_preprocessor(data, True), mode='loss'))
    total.backward()
    assert not [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    results = model.eval().test_step(data)
    assert np.isfinite(keypoints_of([result.pred_instances for result in results])).all()
    assert results[0].pred_instances.keypoints.shape == (1, 2, 2)
    assert len(results[0].pred_fields.heatmaps) == 2
    assert results[0].pred_instances.keypoint_x_labels.shape == (1, 2, 2 * WIDTH)


def test_mixed_precision_keeps_losses_and_answers_in_full_precision():
    head = build().train()
    with torch.autocast('cpu', torch.bfloat16):
        losses = head.loss((features(),), samples())
        sum(losses[name] for name in ('loss_heatmap', 'loss_simcc')).backward()
        _, fields = head.eval().predict((features(),), samples(), dict(output_heatmaps=True))
    assert losses['loss_simcc'].dtype == fields[0].heatmaps.dtype == torch.float32
    assert all(weight.grad.isfinite().all() for weight in head.parameters())


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(decoder=codec(0.5)), ValueError, 'must be at least 1, got 0.5'),
        (dict(decoder=CODECS['heatmap']), TypeError, "wants decoder=dict.type='HeatmapSimCCLabel'.*MSRAHeatmap"),
        (dict(decoder=None), TypeError, "wants decoder=dict.type='HeatmapSimCCLabel'.*None"),
        (dict(simcc_loss=dict(type='KeypointMSELoss')), TypeError, 'simcc_loss must be a KLDiscretLoss'),
    ],
)
def test_impossible_heads_are_refused_when_built(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)


def test_features_that_do_not_fit_the_heatmaps_are_refused_with_both_sizes():
    message = r'feature map of \(12, 8\) gives heatmaps of \(12, 8\).*heatmap_size=\(16, 24\)'
    with pytest.raises(ValueError, match=message):
        build(deconv_out_channels=None, deconv_kernel_sizes=None)((features(),))
    with pytest.raises(ValueError, match=r'feature map of \(8, 12\)'):  # as many cells, lying
        build()((features().transpose(2, 3),))


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        (dict(decode='both'), "test_cfg.decode must be one of heatmap, simcc, fusion, got 'both'"),
        (dict(flip_mode='vector'), "test_cfg.flip_mode must be one of heatmap, got 'vector'"),
        (dict(decod='simcc'), 'test_cfg has no option decod; did you mean decode?'),
    ],
)
def test_impossible_test_options_are_refused_when_built_and_when_predicting(test_cfg, message):
    with pytest.raises(ValueError, match=message):
        complete_model('VideoTopdownPoseEstimator', **test_cfg)
    with pytest.raises(ValueError, match=message):
        build().predict((features(),), samples(), test_cfg)


@pytest.mark.parametrize(
    ('decoder', 'message'),
    [
        (codec(3), r'x labels of the data are \[5, 192\], the head makes \[5, 128\].*simcc_split_ratio=2'),
        (
            dict(codec(), heatmap=dict(CODECS['heatmap'], heatmap_size=(8, 12))),
            r'heatmaps of the data are \[5, 12, 8\], the head makes \[5, 24, 16\]',
        ),
    ],
)
def test_labels_of_another_codec_are_refused(decoder, message):
    with pytest.raises(ValueError, match=message):
        build().loss((features(),), samples(2, decoder))


@pytest.mark.parametrize(('kind', 'missing'), [('heatmap', 'SimCC labels'), ('simcc', 'heatmaps')])
def test_labels_of_one_branch_only_are_refused_with_the_sample(kind, missing):
    with pytest.raises(ValueError, match=rf'sample 0 \(video 000000_mpii_test.* has no {missing}: give GenerateTarget'):
        build().loss((features(),), random_clips(kind)['data_samples'])
