import numpy as np
import pytest

from mmpose_diffusion.datasets.synthetic import ACTIONS
from mmpose_diffusion.datasets.synthetic.camera import look_at
from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings
from mmpose_diffusion.datasets.synthetic.detector_noise import JITTER, DetectionError, noisy_detections
from mmpose_diffusion.datasets.synthetic.videopose3d import (
    H36M_KEPT,
    H36M_LEFT,
    H36M_RIGHT,
    make_motions,
    quaternion,
    quaternion_matrix,
    subject_names,
    write_motions,
)

PARENTS = [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15]


@pytest.fixture(scope='module')
def motions():
    return make_motions(0, 'train', subjects=2, frames=60)


def test_shapes_follow_videopose3d(motions):
    assert list(motions['positions_3d']) == ['S1', 'S5']
    for subject, actions in motions['positions_3d'].items():
        assert set(actions) == {*ACTIONS, 'Walking 1'}
        for action, joints in actions.items():
            assert joints.shape == (60, 32, 3)
            assert joints.dtype == np.float32
            assert [view.shape for view in motions['positions_2d'][subject][action]] == [(60, 17, 2)] * 4
            assert [view.shape for view in motions['positions_2d_detected'][subject][action]] == [(60, 17, 2)] * 4
    assert motions['metadata']['num_joints'] == 17
    assert motions['metadata']['keypoints_symmetry'] == [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]


def test_camera_and_3d_poses_give_the_2d_poses_by_the_published_formula(motions):
    joints = motions['positions_3d']['S5']['Dancing'][:, H36M_KEPT].astype(np.float64)
    for camera, exact in zip(motions['cameras']['S5'], motions['positions_2d']['S5']['Dancing'], strict=True):
        seen = (joints - camera['translation']) @ quaternion_matrix(camera['orientation'])
        f, c, k, p = np.split(camera['intrinsic'], [2, 4, 7])
        u = np.clip(seen[..., :2] / seen[..., 2:], -1, 1)
        r2 = (u**2).sum(-1, keepdims=True)
        g = 1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3 + (p * u).sum(-1, keepdims=True)
        normalised = f * (u * g + p * r2) + c
        width, height = camera['res_w'], camera['res_h']
        expected = exact / width * 2 - [1, height / width]
        np.testing.assert_allclose(normalised, expected, atol=2e-5)
        assert (exact > 0).all()
        assert (exact < [width, height]).all()


def test_joints_stand_in_the_human36m_order(motions):
    joints = motions['positions_3d']['S1']['Waving'][0, H36M_KEPT]
    lengths = [np.linalg.norm(joints[k] - joints[parent]) for k, parent in enumerate(PARENTS) if parent >= 0]
    assert 0.04 < min(lengths)
    assert max(lengths) < 0.6
    up = joints[:, 2]
    assert up[10] > up[9] > up[8] > up[7] > up[0] > up[2] > up[3]
    assert up[0] > up[5] > up[6]
    # Left of the body: across from the right hip to the left hip.
    across = joints[4] - joints[1]
    assert (joints[11] - joints[14]) @ across > 0
    np.testing.assert_allclose(np.linalg.norm(joints[2] - joints[1]), np.linalg.norm(joints[5] - joints[4]), rtol=1e-4)


def test_detections_have_jitter_swaps_and_losses():
    generator = np.random.default_rng(0)
    exact = np.tile(generator.uniform(200, 600, (1, 17, 2)), (4000, 1, 1))
    detected, errors = noisy_detections(exact, H36M_LEFT, H36M_RIGHT, generator)
    size = np.linalg.norm(np.ptp(exact[0], axis=0))
    clean = errors == DetectionError.NONE
    jitter = (detected - exact)[clean]
    assert 0.5 * JITTER * size < jitter.std() < 2 * JITTER * size
    assert abs(jitter.mean()) < 0.2 * JITTER * size
    for kind, low, high in ((DetectionError.SWAPPED, 0.003, 0.05), (DetectionError.LOST, 0.003, 0.05)):
        assert low < ((errors & kind) > 0).mean() < high
    only_swapped = errors == DetectionError.SWAPPED
    for left, right in zip(H36M_LEFT, H36M_RIGHT, strict=True):
        for here, there in ((left, right), (right, left)):
            rows = only_swapped[:, here]
            assert rows.any()
            assert np.linalg.norm(detected[rows, here] - exact[rows, there], axis=-1).max() < 12 * JITTER * size
    lost = (errors & DetectionError.LOST) > 0
    assert np.linalg.norm((detected - exact)[lost], axis=-1).mean() > 5 * JITTER * size
    assert np.isfinite(detected).all()


def test_jitter_is_steady_over_a_few_frames():
    exact = np.full((2000, 17, 2), 300.0) + np.arange(17)[:, None] * 10
    detected, errors = noisy_detections(exact, H36M_LEFT, H36M_RIGHT, np.random.default_rng(1))
    noise = np.where(errors[..., None] == 0, detected - exact, 0)
    neighbours = (noise[1:] * noise[:-1]).mean() / (noise**2).mean()
    assert 0.2 < neighbours < 0.9


def test_files_are_read_back_and_repeat_byte_for_byte(tmp_path):
    settings = WorldSettings(seed=3, split='val', motion_subjects=1, motion_frames=5)
    paths = write_motions(tmp_path, settings)
    again = write_motions(tmp_path / 'again', settings)
    assert [path.name for path in paths] == ['videopose3d_val.npz', 'videopose3d_val_detected.npz']
    for first, second in zip(paths, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
    everything = np.load(paths[0], allow_pickle=True)
    positions = everything['positions_3d'].item()
    assert list(positions) == ['S9']
    assert positions['S9']['SittingDown'].shape == (5, 32, 3)
    detected = np.load(paths[1], allow_pickle=True)
    assert detected['metadata'].item()['num_joints'] == 17
    np.testing.assert_array_equal(
        detected['positions_2d'].item()['S9']['Boxing'][2],
        everything['positions_2d_detected'].item()['S9']['Boxing'][2],
    )


def test_every_take_and_file_is_reported(tmp_path):
    settings = WorldSettings(split='val', motion_subjects=2, motion_frames=2)
    reports = []
    write_motions(tmp_path, settings, lambda *report: reports.append(report))
    assert [done for _, done, _ in reports] == list(range(len(reports)))
    assert {total for _, _, total in reports} == {reports[-1][1]} == {2 * 13 + 2}
    assert [what for what, _, _ in reports[-4:]] == [
        'S11 Walking 1', 'videopose3d_val.npz', 'videopose3d_val_detected.npz', 'done']  # fmt: skip


def test_people_of_train_and_val_are_different():
    assert subject_names('train', 7) == ['S1', 'S5', 'S6', 'S7', 'S8', 'S12', 'S14']
    assert subject_names('val', 3) == ['S9', 'S11', 'S13']
    assert not set(subject_names('train', 40)) & set(subject_names('val', 40))


def test_quaternion_and_matrix_are_inverse():
    for seed in range(20):
        generator = np.random.default_rng(seed)
        rotation = look_at(generator.normal(size=(1, 3)), generator.normal(size=(1, 3)), generator.normal(size=1))[0]
        np.testing.assert_allclose(quaternion_matrix(quaternion(rotation)), rotation, atol=1e-12)
    np.testing.assert_allclose(quaternion(np.diag([1.0, -1.0, -1.0])), [0, 1, 0, 0], atol=1e-12)
