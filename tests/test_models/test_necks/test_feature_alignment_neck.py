import pytest
import torch
from mmengine.logging import MMLogger

from mmpose_diffusion.models import FeatureAlignmentNeck, SupportFusionNeck
from mmpose_diffusion.models.necks.feature_alignment_neck import mean_over_real
from mmpose_diffusion.structures import FrameWindow
from mmpose_diffusion.testing import check_temporal_neck

ARMS = {
    'both': {},
    'translation': dict(transformation='translation'),
    'global_only': dict(num_calibration_layers=0),
    'local_only': dict(transformation=None),
    'merged_first': dict(merge='before_calibration'),
    'none': dict(transformation=None, num_calibration_layers=0),
}


def build(**options):
    torch.manual_seed(0)
    return FeatureAlignmentNeck(**(dict(in_channels=8, offset_groups=2, hidden_channels=8) | options))


def maps(num_frames=5, size=(6, 5), seed=0):
    return torch.randn(2, num_frames, 8, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('options', ARMS.values(), ids=ARMS)
def test_promises_of_a_temporal_neck_hold_for_every_arm(options):
    check_temporal_neck(build(**options))


@pytest.mark.parametrize('size', [(1, 1), (2, 1), (3, 7)])
def test_maps_may_be_as_small_as_one_cell(size):
    check_temporal_neck(build(hidden_channels=16), size)


@pytest.mark.parametrize('arm', ['both', 'translation', 'global_only', 'local_only', 'none'])
def test_alignment_starts_close_to_the_identity(arm):
    features = build(**ARMS[arm])(maps(), FrameWindow.consecutive(2, 5))
    distance = (features.aligned - features.supports).norm() / features.supports.norm()
    assert distance < 0.05  # of white noise, whose neighbouring cells have nothing in common
    assert (distance == 0) == (arm == 'none')


def test_supports_merged_first_share_the_calibrated_mean_of_the_real_ones():
    frames, window = maps(), FrameWindow.consecutive(2, 5)
    window = window._replace(is_real=torch.tensor([[True] * 5, [True, False, True, False, True]]))
    features = build(merge='before_calibration', transformation=None, num_calibration_layers=0)(frames, window)
    expected = torch.stack((frames[0, [0, 1, 3, 4]].mean(0), frames[1, [0, 4]].mean(0)))
    torch.testing.assert_close(features.aligned, expected[:, None].expand(-1, 4, -1, -1, -1))


def test_mean_without_a_real_frame_is_zero():
    mean = mean_over_real(torch.ones(2, 3, 4, 1, 1), torch.zeros(2, 3, dtype=torch.bool))
    assert torch.equal(mean, torch.zeros(2, 4, 1, 1))


@pytest.mark.parametrize('options', ARMS.values(), ids=ARMS)
@pytest.mark.parametrize('num_frames', [1, 5])
def test_clip_without_real_supports_gives_exactly_the_key_frame(num_frames, options):
    window = FrameWindow.consecutive(2, num_frames)
    features = build(**options)(maps(num_frames), window._replace(is_real=window.offsets == 0))
    assert torch.equal(features.fused, features.key)
    assert features.aligned.shape == features.supports.shape
    assert features.aligned.isfinite().all()


def parts_that_steer(neck):
    stages = [neck.global_transformation, *(neck.local_calibration.layers if neck.local_calibration else ())]
    return [stage for stage in stages if stage is not None]


def key_gradient_of_aligned(neck, frames, window):
    frames = frames.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(neck.align(frames, window).square().sum(), frames)
    return gradient[:, window.key_index], gradient[:, window.support_positions]


@pytest.mark.parametrize('arm', ['both', 'translation', 'global_only', 'local_only', 'merged_first'])
def test_key_frame_steers_but_its_content_is_in_no_aligned_map(arm, monkeypatch):
    neck, window = build(**ARMS[arm]), FrameWindow.consecutive(2, 5)
    of_key, of_supports = key_gradient_of_aligned(neck, maps(), window)
    assert of_key.any()
    assert of_supports.any()
    for part in parts_that_steer(neck):

        def constant(supports, keys, predict=part.predict):
            prediction = predict(supports, keys)
            return prediction.detach() if isinstance(prediction, torch.Tensor) else [p.detach() for p in prediction]

        monkeypatch.setattr(part, 'predict', constant)
    of_key, of_supports = key_gradient_of_aligned(neck, maps(), window)
    assert not of_key.any()
    assert of_supports.any()


def test_each_support_is_aligned_on_its_own():
    neck, window, frames = build(), FrameWindow.consecutive(2, 5), maps()
    changed = frames.clone()
    changed[:, 4] = maps(seed=1)[:, 4]
    before, after = neck.align(frames, window), neck.align(changed, window)
    torch.testing.assert_close(after[:, :3], before[:, :3])
    assert not torch.allclose(after[:, 3], before[:, 3])


def test_without_both_stages_the_support_fusion_neck_is_left():
    neck, window = build(**ARMS['none']), FrameWindow.consecutive(2, 5)
    baseline = SupportFusionNeck(8, 8, dilations=(1,))
    baseline.load_state_dict({name.removeprefix('aggregation.'): value for name, value in neck.state_dict().items()})
    assert torch.equal(neck(maps(), window).fused, baseline(maps(), window).fused)


@pytest.mark.parametrize('arm', ['both', 'translation', 'global_only', 'local_only', 'merged_first'])
def test_what_is_fused_is_the_key_frame_and_the_aligned_supports(arm):
    neck, window, frames = build(**ARMS[arm]), FrameWindow.consecutive(2, 5), maps()
    torch.nn.init.normal_(neck.aggregation.expand.weight)  # as if it had been trained
    features = neck(frames, window)
    aligned = frames.clone()
    aligned[:, window.support_positions] = features.aligned
    assert torch.equal(features.fused, neck.fuse(aligned, window))
    assert (features.fused - neck.fuse(frames, window)).abs().max() > 1e-4


def test_input_is_left_as_it_was():
    frames = maps()
    features = build()(frames, FrameWindow.consecutive(2, 5))
    assert torch.equal(frames, maps())
    assert features.frames is frames


def test_clip_of_one_frame_is_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'log', lambda level, message: said.append(message))
    neck = build()
    for _ in range(2):
        neck(maps(1), FrameWindow.consecutive(2, 1))
        neck(maps(3), FrameWindow.consecutive(2, 3))
    assert said == ['FeatureAlignmentNeck: clips of one frame have nothing to align']


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_moves_the_same_way(dtype):
    neck, window = build().eval(), FrameWindow.consecutive(2, 5)
    expected = neck(maps(), window).aligned
    aligned = neck.to(dtype)(maps().to(dtype), window).aligned
    assert aligned.dtype == dtype
    assert (aligned - expected).norm() < 0.03 * expected.norm()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(offset_groups=3), '8 channels do not divide into offset_groups=3: choose a divisor of 8'),
        (dict(offset_groups=0), 'offset_groups must be a whole number of at least 1, got 0'),
        (dict(offset_groups=2.0), 'offset_groups must be a whole number of at least 1, got 2.0'),
        (dict(offset_groups=True), 'offset_groups must be a whole number of at least 1, got True'),
        (dict(num_calibration_layers=-1), 'num_calibration_layers must be a whole number, of which 0 .* got -1'),
        (dict(num_calibration_layers=1.5), 'num_calibration_layers must be a whole number, of which 0 .* got 1.5'),
        (dict(num_calibration_layers=None), 'num_calibration_layers must be a whole number, of which 0 .* got None'),
        (dict(num_calibration_layers=True), 'num_calibration_layers must be a whole number, of which 0 .* got True'),
        (dict(dilation=0), 'dilation must be a whole number of at least 1, got 0'),
        (dict(transformation='none'), "transformation must be one of affine, translation, or None, .* got 'none'"),
        (dict(merge='later'), "merge must be 'before_calibration' or 'after_calibration', got 'later'"),
        (dict(hidden_channels=12), 'hidden_channels must be a positive multiple of 8, got 12'),
        (dict(hidden_channels='32'), "hidden_channels must be a positive multiple of 8, got '32'"),
        (dict(hidden_channels=0), 'must be a positive multiple of 8, got 0'),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
