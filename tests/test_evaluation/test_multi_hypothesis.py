import numpy as np
import pytest
from scipy.optimize import least_squares

from mmpose_diffusion.evaluation.functional.camera_projection import project
from mmpose_diffusion.evaluation.functional.multi_hypothesis import (
    estimate_root,
    hypothesis_frame_errors,
    multi_hypothesis_errors,
)

CAMERA = np.array([2.29, 2.287, 0.025, 0.0289, -0.207, 0.2477, -0.0031, -0.00098, -0.00142])
B, H, T, J = 3, 4, 5, 17


def make_case(num_hypotheses=H, seed=0, spread=0.05):
    """Hypotheses about people a few metres before three cameras, in metres; the 2D input is exact."""
    random = np.random.default_rng(seed)
    target = random.normal(0, 0.3, (B, T, J, 3))
    target[:, :, 0] = 0
    hypotheses = target[:, None] + random.normal(0, spread, (B, num_hypotheses, T, J, 3))
    hypotheses[:, :, :, 0] = 0
    root = np.stack([*random.uniform(-0.5, 0.5, (2, B, T)), random.uniform(4, 6, (B, T))], axis=-1)[:, :, None]
    camera = CAMERA * random.uniform(0.9, 1.1, (B, 9))
    keypoints_2d = project(target + root, camera[:, None, None])
    valid = random.random((B, T)) < 0.7
    valid[:, 0] = True
    return {
        'hypotheses': hypotheses, 'target': target, 'keypoints_2d': keypoints_2d, 'camera': camera, 'root': root,
        'valid': valid,
    }  # fmt: skip


def errors_by_loops(hypotheses, target, keypoints_2d, camera, root, valid):
    """A second implementation: one loop for each word of the definitions."""
    frames = [(b, t) for b in range(len(target)) for t in range(target.shape[1]) if valid[b, t]]
    numbers = range(hypotheses.shape[1])

    def distance(b, h, t, j):
        return float(np.sqrt(sum((hypotheses[b, h, t, j] - target[b, t, j]) ** 2)))

    def on_screen(b, h, t, j, place):
        seen = project(hypotheses[b, h, t, j] + place, camera[b])
        return float(np.hypot(*(seen - keypoints_2d[b, t, j])))

    def mean_of(choose):
        return np.mean([[distance(b, choose(b, t, j), t, j) for j in range(J)] for b, t in frames])

    of_clip = {
        b: min(numbers, key=lambda h, b=b: sum(distance(b, h, t, j) for c, t in frames if c == b for j in range(J)))
        for b in range(len(target))
    }
    of_batch = min(numbers, key=lambda h: sum(distance(b, h, t, j) for b, t in frames for j in range(J)))
    estimated = {
        (b, h, t): estimate_root(hypotheses[b, h, t : t + 1], keypoints_2d[b, t : t + 1], camera[b])[0, 0]
        for b, t in frames
        for h in numbers
    }
    means = [np.linalg.norm(hypotheses[b, :, t].mean(0) - target[b, t], axis=1).mean() for b, t in frames]
    return {
        'p_agg': np.mean(means),
        'p_best_oracle': mean_of(lambda b, t, j: of_clip[b]),
        'p_best_oracle_batch': mean_of(lambda b, t, j: of_batch),
        'j_best_oracle': mean_of(lambda b, t, j: min(numbers, key=lambda h: distance(b, h, t, j))),
        'j_agg': mean_of(lambda b, t, j: min(numbers, key=lambda h: on_screen(b, h, t, j, root[b, t, 0]))),
        'j_agg_estimated_root': mean_of(
            lambda b, t, j: min(numbers, key=lambda h: on_screen(b, h, t, j, estimated[b, h, t]))
        ),
    }


@pytest.mark.parametrize('seed', [0, 1])
def test_scores_are_those_of_a_second_implementation(seed):
    case = make_case(seed=seed)
    errors = multi_hypothesis_errors(**case)
    expected = errors_by_loops(**case)
    assert errors.keys() == expected.keys()
    for name, value in expected.items():
        assert type(errors[name]) is float
        np.testing.assert_allclose(errors[name], value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize('seed', range(5))
def test_the_oracles_stand_in_order(seed):
    errors = multi_hypothesis_errors(**make_case(seed=seed))
    assert errors['j_best_oracle'] < errors['p_best_oracle'] <= errors['p_best_oracle_batch']
    assert errors['j_best_oracle'] < errors['j_agg']
    assert errors['j_best_oracle'] < errors['j_agg_estimated_root']


def test_a_single_hypothesis_leaves_nothing_to_choose():
    errors = multi_hypothesis_errors(**make_case(num_hypotheses=1))
    assert len(errors) == 6
    np.testing.assert_allclose(list(errors.values()), errors['p_agg'])


def test_one_clip_in_a_batch_makes_the_two_oracles_of_poses_equal():
    case = {name: value[:1] for name, value in make_case().items()}
    errors = multi_hypothesis_errors(**case)
    assert errors['p_best_oracle'] == errors['p_best_oracle_batch']


def test_errors_have_the_unit_of_the_poses():
    case = make_case()
    metres = multi_hypothesis_errors(**case)
    lengths = {name: 1000 * case[name] for name in ('hypotheses', 'target', 'root')}
    millimetres = multi_hypothesis_errors(**{**case, **lengths})
    for name, value in metres.items():
        np.testing.assert_allclose(millimetres[name], 1000 * value, err_msg=name)


def test_order_of_the_hypotheses_does_not_matter():
    case = make_case()
    shuffled = {**case, 'hypotheses': case['hypotheses'][:, ::-1]}
    first, second = multi_hypothesis_errors(**case), multi_hypothesis_errors(**shuffled)
    np.testing.assert_allclose(list(first.values()), [second[name] for name in first])


def test_frames_that_are_not_valid_change_nothing():
    case = make_case()
    changed = {name: value.copy() for name, value in case.items()}
    hidden = ~case['valid']
    changed['hypotheses'].transpose(0, 2, 1, 3, 4)[hidden] = np.nan
    changed['target'][hidden] = 77
    changed['keypoints_2d'][hidden] = 0.5
    assert multi_hypothesis_errors(**changed) == multi_hypothesis_errors(**case)


def test_without_cameras_nothing_is_said_about_projections():
    case = make_case()
    plain = {'p_agg', 'p_best_oracle', 'p_best_oracle_batch', 'j_best_oracle'}
    assert multi_hypothesis_errors(case['hypotheses'], case['target']).keys() == plain
    assert multi_hypothesis_errors(**{**case, 'camera': None}).keys() == plain
    assert multi_hypothesis_errors(**{**case, 'keypoints_2d': None}).keys() == plain
    assert multi_hypothesis_errors(**{**case, 'root': None}).keys() == plain | {'j_agg_estimated_root'}


def test_the_2d_input_picks_the_joints_that_explain_it():
    case = make_case(spread=0.1)
    # One hypothesis is right where the others are off: each joint of it lies on its ray.
    case['hypotheses'][:, 2] = case['target']
    errors = multi_hypothesis_errors(**case)
    assert errors['j_agg'] < 1e-12 < errors['p_agg']


def test_the_mean_of_hypotheses_that_scatter_evenly_is_right():
    case = make_case(num_hypotheses=2)
    offset = case['hypotheses'][:, 0] - case['target']
    case['hypotheses'] = np.stack([case['target'] + offset, case['target'] - offset], axis=1)
    errors = multi_hypothesis_errors(**case)
    assert errors['p_agg'] < 1e-12 < errors['p_best_oracle']


def test_the_root_of_an_exact_pose_is_found():
    case = make_case()
    estimated = estimate_root(case['target'], case['keypoints_2d'], case['camera'])
    np.testing.assert_allclose(estimated, case['root'], atol=1e-8)


def test_the_estimated_root_knows_the_scale_of_the_pose_only():
    case = make_case()
    doubled = estimate_root(2 * case['target'], case['keypoints_2d'], case['camera'])
    np.testing.assert_allclose(doubled, 2 * case['root'], atol=1e-7)


def test_refinement_lowers_the_error_on_the_screen():
    case = make_case(spread=0.05)
    poses, keypoints_2d, camera = case['hypotheses'][:, 0], case['keypoints_2d'], case['camera']
    camera_of_frames = camera[:, None, None]

    def squared_error(root):
        return ((project(poses + root, camera_of_frames) - keypoints_2d) ** 2).sum(axis=(2, 3))

    plain = squared_error(estimate_root(poses, keypoints_2d, camera, refinements=0))
    refined = squared_error(estimate_root(poses, keypoints_2d, camera))
    assert refined.mean() < plain.mean()
    for b in range(B):
        best = least_squares(
            lambda root, b=b: (project(poses[b, 0] + root, camera[b]) - keypoints_2d[b, 0]).ravel(), [0, 0, 5]
        )
        assert 2 * best.cost * 0.999 < refined[b, 0] < 2 * best.cost * 1.06


def test_poses_that_explain_nothing_have_a_root_before_the_camera():
    case = make_case()
    for poses in (np.zeros_like(case['target']), -case['target'], np.full_like(case['target'], 3.0)):
        root = estimate_root(poses, case['keypoints_2d'], case['camera'])
        assert np.isfinite(root).all()
        assert ((poses + root)[..., 2] > 0).all()
    one_place = estimate_root(case['target'], np.zeros_like(case['keypoints_2d']), case['camera'])
    assert np.isfinite(one_place).all()


def test_float32_is_computed_in_float64():
    case = make_case()
    single = {name: value.astype(np.float32) for name, value in case.items() if name != 'valid'}
    errors = multi_hypothesis_errors(**single, valid=case['valid'])
    double = {name: value.astype(np.float64) for name, value in single.items()}
    assert errors == multi_hypothesis_errors(**double, valid=case['valid'])


def test_frame_errors_average_to_the_scores():
    case = make_case()
    frames = hypothesis_frame_errors(**case)
    for name, value in multi_hypothesis_errors(**case).items():
        assert frames[name].shape == (B, T)
        np.testing.assert_allclose(frames[name][case['valid']].mean(), value)


@pytest.mark.parametrize('name', ['hypotheses', 'target', 'keypoints_2d', 'root'])
def test_frames_that_do_not_count_may_hold_anything_and_the_others_must_be_finite(name):
    case = make_case()
    expected = multi_hypothesis_errors(**case)
    spoilt = case[name].copy()
    frames = spoilt.swapaxes(1, 2) if name == 'hypotheses' else spoilt  # [B, T, ...], a view
    frames[~case['valid']] = np.nan
    assert multi_hypothesis_errors(**{**case, name: spoilt}) == expected
    frames[1, 0, ..., 0] = np.inf
    with pytest.raises(ValueError, match=f'{name} of clip 1, frame 0, which is valid, holds NaN or infinity'):
        multi_hypothesis_errors(**{**case, name: spoilt})


def test_cameras_of_clips_that_count_must_be_finite():
    case = make_case()
    case['camera'][2, 4] = np.nan
    with pytest.raises(ValueError, match='camera of clip 2, frame 0'):
        multi_hypothesis_errors(**case)
    case['valid'][2] = False
    assert np.isfinite(list(multi_hypothesis_errors(**case).values())).all()


def test_the_mean_may_be_better_than_the_best_choice():
    target = make_case()['target']
    errors = multi_hypothesis_errors(np.stack([target - 0.1, target + 0.1], axis=1), target)
    assert errors['p_agg'] < 1e-12 < errors['j_best_oracle']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'target': np.zeros((B, T, J, 2))}, r'expected hypotheses \[B, H, T, J, 3\]'),
        ({'hypotheses': np.zeros((B, T, J, 3))}, r'expected hypotheses \[B, H, T, J, 3\]'),
        ({'camera': np.zeros(9)}, r'expected camera \(3, 9\), got \(9,\)'),
        ({'root': np.zeros((B, T, 3))}, r'expected root \(3, 5, 1, 3\)'),
        ({'keypoints_2d': np.zeros((B, T, J, 3))}, 'expected keypoints_2d'),
        ({'valid': np.zeros((B, T), bool)}, 'no frame is valid'),
        ({'keypoints_2d': np.full((B, T, J, 2), 500.0)}, 'with a median of 500, look like pixels'),
        ({'camera': np.full((B, 9), 500.0)}, 'with a centre around 500, looks like one in pixels'),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        multi_hypothesis_errors(**{**make_case(), **change})
