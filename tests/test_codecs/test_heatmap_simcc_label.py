import numpy as np
import pytest
from mmpose.registry import KEYPOINT_CODECS, TRANSFORMS

from mmpose_diffusion.codecs.heatmap_simcc_label import fuse_keypoints

INPUT_SIZE, HEATMAP_SIZE = (96, 128), (24, 32)
MSRA = dict(type='MSRAHeatmap', input_size=INPUT_SIZE, heatmap_size=HEATMAP_SIZE, sigma=1.5)
UDP = dict(MSRA, type='UDPHeatmap')
SIMCC = dict(sigma=4.0, simcc_split_ratio=2.0)
STANDARD = dict(smoothing_type='standard', label_smooth_weight=0.1)


def build(heatmap=MSRA, **simcc):
    return KEYPOINT_CODECS.build(dict(type='HeatmapSimCCLabel', heatmap=heatmap, simcc=SIMCC | simcc))


def random_keypoints(low=0, high=INPUT_SIZE, seed=0):
    return np.random.default_rng(seed).uniform(low, high, (1, 17, 2)).astype(np.float32)


@pytest.mark.parametrize('heatmap', [MSRA, UDP], ids=['msra', 'udp'])
@pytest.mark.parametrize('simcc', [{}, STANDARD, dict(use_dark=True, normalize=False)], ids=['plain', 'hard', 'dark'])
def test_encodes_and_decodes_as_the_codecs_of_mmpose_do(heatmap, simcc):
    codec, keypoints = build(heatmap, **simcc), random_keypoints()
    maps = KEYPOINT_CODECS.build(heatmap)
    bins = KEYPOINT_CODECS.build(dict(type='SimCCLabel', input_size=INPUT_SIZE, **SIMCC | simcc))
    encoded, visible = codec.encode(keypoints), np.ones((1, 17), np.float32)
    for expected in (maps.encode(keypoints, visible), bins.encode(keypoints, visible)):
        for name in set(expected) - {'keypoint_weights'}:
            np.testing.assert_array_equal(encoded[name], expected[name])
    rng = np.random.default_rng(1)
    heatmaps, x, y = (rng.uniform(size=shape) for shape in ((17, 32, 24), (17, 192), (17, 256)))
    heatmaps, x, y = (values.astype(np.float32) for values in (heatmaps, x, y))
    for by, expected in (
        ('heatmap', maps.decode(heatmaps.copy())),
        ('simcc', bins.decode(x[None].copy(), y[None].copy())),
    ):
        for values, wanted in zip(codec.decode(heatmaps, x, y, by=by), expected, strict=True):
            np.testing.assert_array_equal(values, wanted)


def test_weights_are_those_of_the_stricter_codec():
    # 19 pixels outside: the heatmap's Gaussian (3 sigma = 18 pixels) is gone, that of 12 bins = 6 pixels long before.
    outside = np.array([[[50, 60], [-4, 60], [-10, 60], [-30, 60], [50, 200]]], np.float32)
    codec = build()
    labels = codec.encode(outside, np.array([[1, 1, 1, 1, 1]], np.float32))
    assert labels['keypoint_weights'].tolist() == [[1, 1, 0, 0, 0]]
    assert codec.heatmap.encode(outside, np.ones((1, 5)))['keypoint_weights'].tolist() == [[1, 1, 1, 0, 0]]
    hidden = codec.encode(outside, np.array([[0.5, 0, 1, 1, 1]], np.float32))
    assert hidden['keypoint_weights'].tolist() == [[0.5, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ('codec', 'expected', 'far_from_the_border'),
    [
        (MSRA, 2.09, 1.59),
        (dict(MSRA, unbiased=True), 0.12, 0.00),
        (UDP, 1.60, 0.73),
        *(
            (dict(type='SimCCLabel', input_size=INPUT_SIZE, simcc_split_ratio=float(k), sigma=2.0 * k), error, error)
            for k, error in ((1, 0.40), (2, 0.19), (3, 0.13))
        ),
    ],
    ids=['msra', 'unbiased', 'udp', 'k=1', 'k=2', 'k=3'],
)
def test_what_a_perfect_answer_still_gets_wrong(codec, expected, far_from_the_border):
    """The table at the top of docs/simcc_pose.md."""
    codec = KEYPOINT_CODECS.build(codec)
    errors, is_far = [], []
    for seed in range(60):
        keypoints = random_keypoints(8, np.array(INPUT_SIZE) - 8, seed)
        encoded = codec.encode(keypoints, np.ones((1, 17), np.float32))
        labels = [encoded[name] for name in ('heatmaps', 'keypoint_x_labels', 'keypoint_y_labels') if name in encoded]
        decoded, _ = codec.decode(*(label.copy() for label in labels))
        errors.append(np.linalg.norm(decoded - keypoints, axis=-1)[0])
        is_far.append(((keypoints > 20) & (keypoints < np.array(INPUT_SIZE) - 20)).all(axis=-1)[0])
    errors, is_far = np.array(errors), np.array(is_far)
    assert errors.mean() == pytest.approx(expected, abs=0.06)
    assert errors[is_far].mean() == pytest.approx(far_from_the_border, abs=0.06)


@pytest.mark.parametrize('split_factor', [1, 2, 3])
def test_labels_are_read_back_within_half_a_bin(split_factor):
    codec = build(simcc_split_ratio=split_factor, sigma=2.0 * split_factor, normalize=False)
    keypoints = random_keypoints(4, np.array(INPUT_SIZE) - 4)
    encoded = codec.encode(keypoints)
    assert encoded['keypoint_x_labels'].shape == (1, 17, 96 * split_factor)
    x, y = encoded['keypoint_x_labels'][0], encoded['keypoint_y_labels'][0]
    decoded, scores = codec.decode(encoded['heatmaps'], x, y, by='simcc')
    assert np.abs(decoded - keypoints).max() <= 0.5 / split_factor + 1e-5
    np.testing.assert_allclose(scores, 1)
    decoded, scores = codec.decode(encoded['heatmaps'], x, y, by='fusion')
    np.testing.assert_allclose(scores, 1, atol=1e-6)
    by_heatmap, _ = codec.decode(encoded['heatmaps'], x, y, by='heatmap')
    by_simcc, _ = codec.decode(encoded['heatmaps'], x, y, by='simcc')
    np.testing.assert_allclose(decoded, (by_heatmap + by_simcc) / 2, rtol=1e-5)


def test_fusion_lies_between_the_branches_and_moves_with_confidence():
    keypoints = np.stack([np.zeros((1, 3, 2)), np.full((1, 3, 2), 8.0)])
    fused, scores = fuse_keypoints(keypoints, np.array([[[0.3, 0.9, 0.5]], [[0.9, 0.3, 0.5]]]))
    np.testing.assert_allclose(fused[0, :, 0], [6, 2, 4])
    np.testing.assert_allclose(scores, [[0.75, 0.75, 0.5]])


def test_fusion_is_one_branch_where_the_other_has_no_confidence():
    rng = np.random.default_rng(0)
    keypoints, scores = rng.uniform(size=(2, 1, 4, 2)), rng.uniform(0.1, 1, (2, 1, 4))
    for silent in (0, 1):
        for nothing in (0.0, -0.3):  # raw heatmaps may be negative everywhere
            heard = scores.copy()
            heard[silent] = nothing
            fused, confidence = fuse_keypoints(keypoints, heard)
            np.testing.assert_allclose(fused, keypoints[1 - silent], rtol=1e-12)
            np.testing.assert_allclose(confidence, scores[1 - silent])
    fused, confidence = fuse_keypoints(keypoints, np.zeros((2, 1, 4)))
    np.testing.assert_allclose(fused, keypoints.mean(axis=0))
    assert not confidence.any()


def test_a_peak_higher_than_perfect_is_not_more_than_certain():
    keypoints = np.array([[[[0.0, 0.0]]], [[[4.0, 8.0]]]])
    fused, confidence = fuse_keypoints(keypoints, np.array([[[5.0]], [[1.0]]]))
    np.testing.assert_allclose(fused, [[[2, 4]]])
    assert confidence == 1


def test_one_encoder_gives_a_sample_that_can_be_packed():
    results = dict(
        keypoints=random_keypoints(), keypoints_visible=np.ones((1, 17), np.float32), img=np.zeros((128, 96, 3), 'u1')
    )
    config = dict(type='HeatmapSimCCLabel', heatmap=MSRA, simcc=SIMCC)
    for transform in (dict(type='GenerateTarget', encoder=config), dict(type='PackPoseInputs')):
        results = TRANSFORMS.build(transform)(results)
    sample = results['data_samples']
    assert sample.gt_fields.heatmaps.shape == (17, 32, 24)
    assert sample.gt_instance_labels.keypoint_x_labels.shape == (1, 17, 192)
    assert sample.gt_instance_labels.keypoint_y_labels.shape == (1, 17, 256)
    assert sample.gt_instance_labels.keypoint_weights.shape == (1, 17)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(simcc_split_ratio=0.5), 'simcc_split_ratio .* must be at least 1, got 0.5'),
        (dict(simcc_split_ratio=0), 'simcc_split_ratio must be a number above 0, got 0'),
        (dict(simcc_split_ratio='2'), "simcc_split_ratio must be a number above 0, got '2'"),
        (dict(sigma=0), 'sigma must be a number above 0, got 0'),
        (dict(sigma=(4.0, -4.0)), r'sigma must be a number above 0, got \(4.0, -4.0\)'),
        (dict(simcc_split_ratio=1.5), 'simcc_split_ratio=1.5 puts .* choose a whole number'),
        (dict(input_size=(192, 256)), r'simcc has input_size=\(192, 256\), heatmap has input_size=\(96, 128\)'),
        (dict(heatmap=dict(UDP, heatmap_type='combined')), 'heatmap must be one Gaussian map for each keypoint'),
        (dict(heatmap=dict(type='SimCCLabel', input_size=INPUT_SIZE)), 'heatmap must be one Gaussian map'),
        (dict(decode_visibility=True), 'leave out decode_visibility'),
    ],
)
def test_impossible_codecs_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_unknown_decoding_is_refused():
    with pytest.raises(ValueError, match="heatmap, simcc, fusion, got 'both'"):
        build().decode(np.zeros((17, 32, 24)), np.zeros((17, 192)), np.zeros((17, 256)), by='both')
