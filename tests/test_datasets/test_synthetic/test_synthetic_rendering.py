from dataclasses import replace

import numpy as np
import pytest

from mmpose_diffusion.datasets.synthetic import Occlusion, generate_video
from mmpose_diffusion.datasets.synthetic.anatomy import Outfit, person_surfaces
from mmpose_diffusion.datasets.synthetic.appearance import build_person, random_look
from mmpose_diffusion.datasets.synthetic.backdrop import paint_backdrop
from mmpose_diffusion.datasets.synthetic.camera import CameraPath, look_at
from mmpose_diffusion.datasets.synthetic.difficulty import get_difficulty
from mmpose_diffusion.datasets.synthetic.labels import person_label
from mmpose_diffusion.datasets.synthetic.mesh import PART, join, loft
from mmpose_diffusion.datasets.synthetic.props import box
from mmpose_diffusion.datasets.synthetic.rendering import SceneRenderer
from mmpose_diffusion.datasets.synthetic.scene import Scene, _random_light, make_performer
from mmpose_diffusion.datasets.synthetic.skeleton import BONE, POSETRACK_KEYPOINTS, keypoint_places
from mmpose_diffusion.datasets.synthetic.video import _describe_people
from mmpose_diffusion.datasets.synthetic.visibility import keypoint_occlusion

FACING_CAMERA, TURNED_AWAY = -np.pi / 2, np.pi / 2
BACKDROP = paint_backdrop(get_difficulty('easy'), 2.0, -6.0, np.random.default_rng(0))
FAR_ENDS = {'elbow': 'upper_arm', 'wrist': 'forearm', 'knee': 'thigh', 'ankle': 'shin'}
BODY = [POSETRACK_KEYPOINTS.index(f'{side}_{joint}') for side in ('left', 'right')
        for joint in ('shoulder', 'hip', 'knee', 'ankle')]  # fmt: skip


def stage(places, props=(), action='Waving'):
    """People at [(position, yaw)] before a fixed camera six metres in front of the origin: renderer and picture."""
    generator = np.random.default_rng(7)
    times = np.zeros(1)
    people = [make_performer(action, times, np.array(place), yaw, generator) for place, yaw in places]
    positions = np.array([[0.0, -6.0, 1.2]])
    camera = CameraPath(look_at(positions, np.array([[0, 0, 0.9]]), np.zeros(1)), positions, 320.0, (240, 180))
    scene = Scene(times, people, [], list(props), _random_light(generator), camera)
    drawn = SceneRenderer(scene, paint_backdrop(get_difficulty('easy'), 2.0, -6.0, generator)).draw(0)
    return scene, drawn


def seen(scene, drawn, person=0):
    keypoints, depth = scene.camera.project(scene.people[person].pose.keypoints)
    return keypoints[0], keypoint_occlusion(person, keypoints[0], depth[0], drawn.labels)


def mask_points(drawn, person, part):
    rows, columns = np.nonzero(drawn.labels == person_label(person, PART[part]))
    return np.stack([columns, rows], axis=-1) / 2 - 0.25


def coded_joint(person, name, bone=None):
    """A person who is only a white sphere of 4 cm around one keypoint, fixed to `bone`, or to the keypoint's own."""
    own, offset = keypoint_places(person.body)[POSETRACK_KEYPOINTS.index(name)]
    place = person.body.bone_origins()[own] + offset
    angles = np.linspace(-np.pi / 2, np.pi / 2, 7)
    rings = [(0.04 * np.sin(angle), 0.0, 0.04 * np.cos(angle), 0.04 * np.cos(angle), 0.0) for angle in angles]
    fixed = own if bone is None else BONE[bone]
    sphere = loft('joint', rings, 12, (fixed, fixed), 'torso', place, steps=1)
    mesh = join([sphere], [np.full((len(sphere.faces), 3), 255.0)], person.body.bone_origins())
    return replace(person, mesh=mesh)


def centroids(scene, person):
    """Where a person is in the picture, by the colours and by the labels that were drawn."""
    flat = replace(scene.light, ambient=2.0, diffuse=0.0)
    empty = replace(person.mesh, faces=person.mesh.faces[:0], colours=person.mesh.colours[:0],
                    parts=person.mesh.parts[:0], nearness=person.mesh.nearness[:0])  # fmt: skip
    with_joint, without = (
        SceneRenderer(replace(scene, light=flat, people=[replace(person, mesh=mesh)]), BACKDROP).draw(0)
        for mesh in (person.mesh, empty)
    )
    share = np.abs(with_joint.picture.astype(float) - without.picture).sum(axis=-1)
    rows, columns = np.indices(share.shape)
    by_colour = np.array([(share * columns).sum(), (share * rows).sum()]) / share.sum()
    rows, columns = np.nonzero(with_joint.labels == person_label(0, PART['torso']))
    return by_colour, np.array([columns.mean(), rows.mean()]) / 2 - 0.25


@pytest.mark.parametrize(('action', 'yaw'), [('Waving', FACING_CAMERA), ('Kicking', -2.3), ('Running', 0.4)])
def test_colour_coded_joints_are_drawn_where_the_keypoints_are(action, yaw):
    scene, drawn = stage([((0.0, 0.0), yaw)], action=action)
    person = scene.people[0]
    keypoints, _ = seen(scene, drawn)
    # The far end of a bone is drawn at the joint as well, not only the near end of the next one.
    carriers = [(name, None) for name in POSETRACK_KEYPOINTS] + [
        (f'{side}_{joint}', f'{side}_{bone}') for side in ('left', 'right') for joint, bone in FAR_ENDS.items()
    ]  # fmt: skip
    for name, bone in carriers:
        expected = keypoints[POSETRACK_KEYPOINTS.index(name)]
        for found in centroids(scene, coded_joint(person, name, bone)):
            assert np.linalg.norm(found - expected) < 0.5, (name, bone)


@pytest.mark.parametrize(('action', 'yaw'), [('Waving', FACING_CAMERA), ('Kicking', -2.3), ('Running', 0.4)])
def test_limbs_are_drawn_around_their_joints(action, yaw):
    scene, drawn = stage([((0.0, 0.0), yaw)], action=action)
    keypoints, _ = seen(scene, drawn)
    surfaces = person_surfaces(scene.people[0].body, Outfit())
    starts = np.cumsum([0] + [len(surface.vertices) for surface in surfaces])
    origins = scene.people[0].body.bone_origins()
    limbs = {'arm': (('elbow', 'forearm'), ('wrist', 'hand')), 'leg': (('knee', 'shin'), ('ankle', 'foot'))}
    for surface, start in zip(surfaces, starts, strict=False):
        side, _, limb = surface.name.partition('_')
        for joint, bone in limbs.get(limb, ()):
            height = origins[BONE[f'{side}_{bone}'], 2]
            ring = start + np.flatnonzero(np.abs(surface.vertices[:, 2] - height) < 1e-6)
            assert len(ring) >= 10, 'the limb has a ring at its joint'
            middle = drawn.vertices[0][ring].mean(axis=0)
            expected = keypoints[POSETRACK_KEYPOINTS.index(f'{side}_{joint}')]
            assert np.linalg.norm(middle - expected) < 0.5, (side, joint)


@pytest.mark.parametrize('yaw', [FACING_CAMERA, -2.3, -0.9], ids=['front', 'left', 'right'])
def test_drawn_parts_reach_from_joint_to_joint(yaw):
    scene, drawn = stage([((0.0, 0.0), yaw)])
    keypoints, reasons = seen(scene, drawn)
    checked = 0
    limbs = {'upper_arm': ('shoulder', 'elbow'), 'forearm': ('elbow', 'wrist'), 'thigh': ('hip', 'knee'),
             'shin': ('knee', 'ankle')}  # fmt: skip
    for side in ('left', 'right'):
        for part, joints in limbs.items():
            index = [POSETRACK_KEYPOINTS.index(f'{side}_{joint}') for joint in joints]
            start, end = keypoints[index]
            length = np.linalg.norm(end - start)
            if (reasons[index] != Occlusion.VISIBLE).any() or length < 8:
                continue
            points = mask_points(drawn, 0, f'{side}_{part}')
            along = (points - start) @ (end - start) / length
            across = (points - start) @ np.array([[start[1] - end[1]], [end[0] - start[0]]]) / length
            # The far end of the limb is where the joint is: half way through the joint's ring.
            far_end = np.percentile(along, 98)
            assert far_end == pytest.approx(length, abs=0.13 * length + 1.5), (side, part)
            if part in ('forearm', 'shin'):
                assert np.percentile(along, 2) == pytest.approx(0, abs=0.1 * length + 1), (side, part)
            assert abs(np.median(across)) < 2.5, (side, part)
            checked += 1
    assert checked >= 4


def test_head_keypoints_are_on_the_drawn_head():
    scene, drawn = stage([((0.0, 0.0), FACING_CAMERA)])
    keypoints, reasons = seen(scene, drawn)
    head = np.concatenate([mask_points(drawn, 0, part) for part in ('head', 'face')])
    assert reasons[0] == Occlusion.VISIBLE
    assert np.linalg.norm(head - keypoints[0], axis=-1).min() < 1
    assert head[:, 1].min() == pytest.approx(keypoints[2, 1], abs=1.5), 'head_top is the top of the drawn head'
    low, high = head.min(axis=0), head.max(axis=0)
    assert (keypoints[0] > low).all()
    assert (keypoints[0] < high).all()


def test_person_in_front_hides_the_one_behind():
    scene, drawn = stage([((0.0, 1.5), FACING_CAMERA), ((0.05, -0.5), FACING_CAMERA)])
    _, behind = seen(scene, drawn, 0)
    _, front = seen(scene, drawn, 1)
    assert (front[BODY] == Occlusion.VISIBLE).all()
    assert (behind[BODY] == Occlusion.OTHER_PERSON).sum() >= 5
    _, alone = seen(*stage([((0.0, 1.5), FACING_CAMERA)]))
    assert (alone[BODY] == Occlusion.VISIBLE).all()


def test_objects_hide_only_what_is_behind_them():
    wall = box(np.array([0.0, -1.5, 0.0]), np.array([3.0, 0.1, 0.7]), 0.0, np.array([90, 90, 90]))
    behind_all = box(np.array([0.0, 1.5, 0.0]), np.array([3.0, 0.1, 0.7]), 0.0, np.array([90, 90, 90]))
    low = [POSETRACK_KEYPOINTS.index(name) for name in ('left_ankle', 'right_ankle', 'left_knee', 'right_knee')]
    high = [POSETRACK_KEYPOINTS.index(name) for name in ('left_shoulder', 'right_shoulder', 'nose')]
    _, hidden = seen(*stage([((0.0, 0.0), FACING_CAMERA)], [wall]))
    assert (hidden[low] == Occlusion.OBJECT).all()
    assert (hidden[high] == Occlusion.VISIBLE).all()
    _, free = seen(*stage([((0.0, 0.0), FACING_CAMERA)], [behind_all]))
    assert (free[low] == Occlusion.VISIBLE).all()


def test_own_head_hides_the_nose_from_behind():
    assert seen(*stage([((0.0, 0.0), TURNED_AWAY)]))[1][0] == Occlusion.OWN_BODY
    assert seen(*stage([((0.0, 0.0), FACING_CAMERA)]))[1][0] == Occlusion.VISIBLE


def test_far_shoulder_and_hip_are_behind_the_trunk_in_profile():
    _, reasons = seen(*stage([((0.0, 0.0), 0.0)], action='SittingDown'))  # its left side is away from the camera
    for joint in ('shoulder', 'hip'):
        assert reasons[POSETRACK_KEYPOINTS.index(f'left_{joint}')] == Occlusion.OWN_BODY
        assert reasons[POSETRACK_KEYPOINTS.index(f'right_{joint}')] != Occlusion.OTHER_PERSON


def test_keypoints_out_of_the_picture_are_outside():
    _, reasons = seen(*stage([((9.0, 0.0), FACING_CAMERA)]))
    assert (reasons == Occlusion.OUTSIDE).all()


def test_boxes_are_tight_around_what_was_drawn():
    video = generate_video(3, 'easy', frames=3, people=1, size=(320, 240), actions=('Boxing',), keep_labels=True)
    person = video.people[0]
    for frame, labels in enumerate(video.labels):
        rows, columns = np.nonzero(labels // 16 == 1)
        drawn = np.array([columns.min(), rows.min(), columns.max(), rows.max()]) / 2 - 0.25
        assert np.abs(drawn - person.boxes[frame]).max() <= 1.0
        head = np.isin(labels, [person_label(0, PART[name]) for name in ('head', 'face')])
        top = np.nonzero(head)[0].min() / 2 - 0.25
        assert abs(top - person.head_boxes[frame][1]) <= 1.0, 'the top of the head is not hidden by anything'


@pytest.mark.parametrize('yaw', [FACING_CAMERA, 0.0, TURNED_AWAY], ids=['front', 'profile', 'back'])
def test_head_boxes_do_not_depend_on_the_hair_style(yaw):
    scene, drawn = stage([((0.0, 0.0), yaw)])
    person, ratios = scene.people[0], []
    keypoints, _ = seen(scene, drawn)
    length = np.linalg.norm(keypoints[POSETRACK_KEYPOINTS.index('head_top')] - keypoints[1])
    for hair in ('bald', 'short', 'long', 'cap'):
        look = random_look(np.random.default_rng(0))
        mesh = build_person(person.body, replace(look, outfit=replace(look.outfit, hair=hair)))
        dressed = replace(scene, people=[replace(person, mesh=mesh)])
        moment = SceneRenderer(dressed, BACKDROP).draw(0)
        box = _describe_people(dressed, [moment], np.array([0]), get_difficulty('easy'))[0].head_boxes[0]
        ratios.append(np.linalg.norm(box[2:] - box[:2]) / length)
    assert np.ptp(ratios) < 1e-6, 'diagonal of the head box in head lengths'
    assert 1.1 < ratios[0] < 1.5


@pytest.mark.parametrize('difficulty', ['easy', 'medium', 'hard'])
def test_video_has_the_promised_shapes(difficulty):
    video = generate_video(1, difficulty, frames=2, people=2, size=(96, 64))
    assert [frame.shape for frame in video.frames] == [(64, 96, 3)] * 2
    assert video.frames[0].dtype == np.uint8
    assert [person.track_id for person in video.people] == [0, 1]
    for person in video.people:
        assert person.keypoints.shape == (2, 17, 2)
        assert person.keypoints_3d.shape == (2, 17, 3)
        assert person.occlusion.shape == person.motion.shape == (2, 17)
        projected, _ = video.camera.project(person.keypoints_3d)
        np.testing.assert_allclose(projected, person.keypoints, atol=1e-6)


def test_same_seed_gives_the_same_video_and_another_seed_another():
    first, again, other = (generate_video(seed, 'medium', 1, 2, (96, 64)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.frames[0], again.frames[0])
    assert (first.frames[0] != other.frames[0]).mean() > 0.5


@pytest.mark.parametrize(('arguments', 'message'), [
    ({'difficulty': 'extreme'}, 'easy, medium, hard'),
    ({'frames': 0}, 'frames must be at least 1'),
    ({'people': 13}, 'between 1 and 12'),
    ({'size': (8, 8)}, 'at least 32'),
    ({'actions': ('Flying',)}, 'Flying'),
])  # fmt: skip
def test_bad_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_video(0, **arguments)
