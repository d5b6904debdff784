import numpy as np
import pytest

from mmpose_diffusion.datasets.synthetic import ACTIONS
from mmpose_diffusion.datasets.synthetic.actions import perform
from mmpose_diffusion.datasets.synthetic.appearance import build_person, random_look
from mmpose_diffusion.datasets.synthetic.kinematics import smooth_envelope
from mmpose_diffusion.datasets.synthetic.mesh import PART
from mmpose_diffusion.datasets.synthetic.rotations import keyed, rotate
from mmpose_diffusion.datasets.synthetic.skeleton import BONE, JOINT_LIMITS, POSETRACK_KEYPOINTS, random_body
from mmpose_diffusion.datasets.synthetic.style import random_style

TIMES = np.arange(150) / 30
SIDES = ('left', 'right')


def performance(action, seed=0):
    generator = np.random.default_rng(seed)
    body, style = random_body(generator), random_style(generator)
    return perform(action, TIMES, body, style, np.array([0.5, -0.3]), 0.7), body


def keypoint(pose, name):
    return pose.keypoints[:, POSETRACK_KEYPOINTS.index(name)]


def bend(first, middle, last):
    """Degrees by which three joints depart from a straight line."""
    before, after = middle - first, last - middle
    cosine = (before * after).sum(-1) / np.linalg.norm(before, axis=-1) / np.linalg.norm(after, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize('action', ACTIONS)
def test_joints_stay_within_their_limits(action):
    for seed in range(3):
        pose, _ = performance(action, seed)
        for side in SIDES:
            shoulder, elbow, wrist = (keypoint(pose, f'{side}_{name}') for name in ('shoulder', 'elbow', 'wrist'))
            hip, knee, ankle = (keypoint(pose, f'{side}_{name}') for name in ('hip', 'knee', 'ankle'))
            assert bend(shoulder, elbow, wrist).max() <= JOINT_LIMITS['elbow'][1] + 0.1
            assert bend(hip, knee, ankle).max() <= JOINT_LIMITS['knee'][1] + 0.1
            # A knee bends one way only: in front of the line from hip to ankle, as the pelvis and the foot see it.
            ahead = pose.rotations[:, BONE[f'{side}_shin'], :, 0]
            assert ((knee - 0.5 * (hip + ankle)) * ahead).sum(-1).min() > -0.02
            thigh_in_pelvis = rotate(pose.rotations[:, 0].transpose(0, 2, 1), knee - hip)
            flexion = np.degrees(np.arctan2(thigh_in_pelvis[:, 0], -thigh_in_pelvis[:, 2]))
            assert flexion.min() >= JOINT_LIMITS['hip'][0]
            assert flexion.max() <= JOINT_LIMITS['hip'][1]
        relative = pose.rotations[:, 0].transpose(0, 2, 1) @ pose.rotations[:, BONE['chest']]
        pitch = np.degrees(np.arctan2(relative[:, 0, 2], relative[:, 2, 2]))
        assert JOINT_LIMITS['spine_pitch'][0] <= pitch.min()
        assert pitch.max() <= JOINT_LIMITS['spine_pitch'][1]


@pytest.mark.parametrize('action', ACTIONS)
def test_bones_keep_their_length(action):
    pose, body = performance(action, 1)
    pairs = [(f'{side}_{a}', f'{side}_{b}') for side in SIDES for a, b in (
        ('shoulder', 'elbow'), ('elbow', 'wrist'), ('hip', 'knee'), ('knee', 'ankle'))]  # fmt: skip
    pairs += [('left_hip', 'right_hip'), ('head_bottom', 'nose'), ('head_bottom', 'head_top')]
    for first, second in pairs:
        lengths = np.linalg.norm(keypoint(pose, first) - keypoint(pose, second), axis=-1)
        assert np.ptp(lengths) < 1e-6, (first, second)
    assert np.linalg.norm(keypoint(pose, 'left_hip')[0] - keypoint(pose, 'left_knee')[0]) == pytest.approx(body.thigh)


@pytest.mark.parametrize('action', ACTIONS)
def test_planted_feet_neither_slide_nor_sink(action):
    for seed in range(3):
        pose, body = performance(action, seed)
        assert pose.contact.any(axis=0).all(), 'both feet touch the ground now and then'
        for side, name in enumerate(SIDES):
            foot = BONE[f'{name}_foot']
            ball = pose.origins[:, foot] + rotate(pose.rotations[:, foot], body.ball_offset)
            planted = pose.contact[1:, side] & pose.contact[:-1, side]
            step = np.linalg.norm(ball[1:] - ball[:-1], axis=-1)[planted]
            assert step.max() < 1e-3, 'metres between two frames while the foot is planted'
            assert np.abs(ball[pose.contact[:, side], 2]).max() < 1e-3
            assert ball[:, 2].min() > -0.01


def test_walkers_have_a_foot_on_the_ground_and_runners_fly():
    walker, _ = performance('Walking')
    runner, _ = performance('Running')
    assert walker.contact.any(axis=1).all()
    assert not runner.contact.any(axis=1).all()
    for pose in (walker, runner):
        way = np.linalg.norm(pose.origins[-1, 0, :2] - pose.origins[0, 0, :2])
        assert way > 1.0, 'a traveller gets somewhere'


def test_soles_of_a_standing_figure_are_on_the_ground():
    generator = np.random.default_rng(3)
    body, style = random_body(generator), random_style(generator)
    mesh = build_person(body, random_look(generator))
    pose = perform('Waving', TIMES[:2], body, style, np.zeros(2), 0.0)
    vertices = mesh.pose(pose.rotations, pose.origins)
    in_feet = np.unique(mesh.faces[np.isin(mesh.parts, (PART['left_foot'], PART['right_foot']))])
    assert np.abs(vertices[:, in_feet, 2].min(axis=1)).max() < 0.005
    in_head = np.unique(mesh.faces[mesh.parts == PART['head']])
    assert vertices[:, in_head, 2].max() == pytest.approx(keypoint(pose, 'head_top')[:, 2].max(), abs=0.03)


@pytest.mark.parametrize('action', ACTIONS)
def test_nose_is_in_front_of_the_head_and_left_is_left(action):
    pose, _ = performance(action)
    head = pose.rotations[:, BONE['head']]
    middle = 0.5 * (keypoint(pose, 'head_bottom') + keypoint(pose, 'head_top'))
    assert ((keypoint(pose, 'nose') - middle) * head[..., 0]).sum(-1).min() > 0.08
    across = keypoint(pose, 'left_shoulder') - keypoint(pose, 'right_shoulder')
    assert (across * pose.rotations[:, BONE['chest'], :, 1]).sum(-1).min() > 0.25


def test_actions_differ_in_motion():
    motions = {}
    for action in ACTIONS:
        pose, _ = performance(action, 5)
        local = rotate(pose.rotations[:, :1].transpose(0, 1, 3, 2), pose.keypoints - pose.origins[:, :1])
        travel = np.linalg.norm(np.diff(pose.origins[:, 0], axis=0), axis=-1).mean(keepdims=True)
        motions[action] = np.concatenate([local.mean(0).ravel(), local.std(0).ravel(), 10 * travel])
    names = list(motions)
    assert len(names) >= 8
    for index, first in enumerate(names):
        for second in names[:index]:
            assert np.abs(motions[first] - motions[second]).max() > 0.1, (first, second)


def test_people_differ_in_build():
    bodies = [random_body(np.random.default_rng(seed)) for seed in range(30)]
    assert np.ptp([body.height for body in bodies]) > 0.2
    assert np.ptp([body.leg / body.height for body in bodies]) > 0.01
    assert np.ptp([body.girth for body in bodies]) > 0.2


def test_motion_is_smooth():
    for action in ACTIONS:
        pose, _ = performance(action, 2)
        speed = np.linalg.norm(np.diff(pose.keypoints, axis=0), axis=-1) * 30
        assert speed.max() < 12, f'{action}: metres per second'


def test_unknown_action_is_named():
    with pytest.raises(ValueError, match="Unknown action 'Flying'.*Walking"):
        performance('Flying')


def test_keyed_curve_passes_through_its_keys_and_repeats():
    keys = [(0.0, 1.0), (0.25, 3.0), (0.6, -1.0)]
    for shift in (0, 1, -2):
        np.testing.assert_allclose(keyed(np.array([0.0, 0.25, 0.6]) + shift, keys), [1, 3, -1], atol=1e-9)


def test_smooth_envelope_is_nowhere_below():
    values = np.abs(np.random.default_rng(0).normal(size=80))
    envelope = smooth_envelope(values, 5)
    assert envelope.shape == values.shape
    assert (envelope >= values - 1e-12).all()
