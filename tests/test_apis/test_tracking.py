"""Ids of people who walk, cross, vanish and come back, in any order."""

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_diffusion.apis.tracking import PoseTracker

SIGMAS = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/posetrack18.py'))['sigmas']
# A figure of 40 x 100 pixels around its center.
FIGURE = np.random.default_rng(0).uniform((-18, -48), (18, 48), (len(SIGMAS), 2))


def people_at(centers, noise=0.0, rng=None, figure=FIGURE):
    """Boxes, keypoints and scores of people whose centers are [N, 2]."""
    centers = np.asarray(centers, dtype=float).reshape(-1, 2)
    keypoints = centers[:, None] + figure
    boxes = np.hstack([centers - (20, 50), centers + (20, 50)])
    if noise:
        keypoints, boxes = (values + rng.normal(0, noise, values.shape) for values in (keypoints, boxes))
    return boxes, keypoints, np.ones(keypoints.shape[:2])


def track(paths, present=None, noise=0.0, seed=0, **settings):
    """Ids [frames, people] of people on paths [frames, people, 2], shown in another order in each frame.

    Where `present` [frames, people] is false, the person is not shown and the id is -1.
    """
    paths = np.asarray(paths, dtype=float)
    present = np.ones(paths.shape[:2], bool) if present is None else present
    rng, tracker = np.random.default_rng(seed), PoseTracker(SIGMAS, **settings)
    ids = np.full(paths.shape[:2], -1)
    for frame, centers in enumerate(paths):
        order = rng.permutation(np.flatnonzero(present[frame]))
        ids[frame, order] = tracker.update(*people_at(centers[order], noise, rng))
    return ids


def straight(starts, velocities, num_frames):
    """Paths [frames, people, 2]."""
    time = np.arange(num_frames)[:, None, None]
    return np.asarray(starts, dtype=float) + time * np.asarray(velocities, dtype=float)


def test_two_people_who_cross_keep_their_ids():
    """Seventeen frames are enough to walk through each other and on; in the eighth they stand on one spot."""
    for seed in range(5):
        ids = track(straight([(0, 0), (112, 4)], [(7, 0), (-7, 0)], 17), noise=1.0, seed=seed)
        assert (ids == ids[0]).all()
        assert sorted(ids[0]) == [0, 1]


@pytest.mark.parametrize(('frames_away', 'is_same'), [(3, True), (15, True), (16, False)])
def test_who_vanishes_comes_back_as_the_same_until_forgotten(frames_away, is_same):
    present = np.ones((25, 2), bool)
    present[5 : 5 + frames_away, 0] = False
    ids = track(straight([(0, 0), (300, 0)], [(6, 1), (0, 0)], 25), present)
    assert (ids[:, 1] == ids[0, 1]).all()
    assert (ids[:5, 0] == ids[0, 0]).all()
    assert (ids[5 : 5 + frames_away, 0] == -1).all()
    assert (ids[5 + frames_away :, 0] == (ids[0, 0] if is_same else 2)).all()


def test_somebody_else_gets_a_new_id():
    ids = track([[(0, 0), (0, 0)], [(0, 0), (500, 0)]], np.array([[True, False], [True, True]]))
    assert ids.tolist() == [[0, -1], [0, 1]]


def test_who_only_brushes_a_known_person_is_somebody_else():
    tracker = PoseTracker(SIGMAS)
    assert [tracker.update(*people_at([center])).tolist() for center in ((0, 0), (34, 0))] == [[0], [1]]


def test_thirty_people_in_any_order_keep_their_ids():
    """They trample about on a grid on which each overlaps the neighbours by half."""
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(6) * 25, np.arange(5) * 60), axis=-1).reshape(30, 2)
    ids = track(grid + rng.normal(0, 2, (20, 30, 2)).cumsum(axis=0) * 0.5, noise=1.0)
    assert sorted(ids[0]) == list(range(30))
    assert (ids == ids[0]).all()


def test_frames_without_people_count_as_absence():
    tracker = PoseTracker(SIGMAS, max_missing_frames=2)
    nobody = (np.zeros((0, 4)), np.zeros((0, len(SIGMAS), 2)), np.zeros((0, len(SIGMAS))))
    assert tracker.update(*nobody).shape == (0,)
    assert tracker.update(*people_at([(0, 0)])).tolist() == [0]
    assert [tracker.update(*nobody).tolist() for _ in range(2)] == [[], []]
    assert tracker.update(*people_at([(0, 0)])).tolist() == [0]
    assert [tracker.update([], [], []).tolist() for _ in range(3)] == [[], [], []]
    assert tracker.update(*people_at([(0, 0)])).tolist() == [1]


def test_poses_decide_between_people_in_one_box():
    """Two people share a box and differ in pose only; their order changes."""
    mirrored = FIGURE * (-1, 1)
    boxes = np.tile(people_at([(0, 0)])[0], (2, 1))
    tracker = PoseTracker(SIGMAS)
    scores = np.ones((2, len(SIGMAS)))
    first = tracker.update(boxes, np.stack([FIGURE, mirrored]), scores)
    assert tracker.update(boxes, np.stack([mirrored, FIGURE]), scores).tolist() == first[::-1].tolist()


def test_boxes_decide_where_no_keypoint_is_sure():
    boxes, keypoints, scores = people_at([(0, 0), (60, 0)])
    tracker = PoseTracker(SIGMAS)
    tracker.update(boxes, keypoints, scores * 0.1)
    assert tracker.update(boxes[::-1], keypoints, scores * 0.1).tolist() == [1, 0]


def test_similarity_is_one_for_oneself_and_falls_with_distance():
    tracker = PoseTracker(SIGMAS)
    people = tracker._checked_people(*people_at([(0, 0), (5, 0), (20, 0), (500, 0)]))
    similarities = tracker.similarities(people[:1], people)[0]
    assert similarities[0] == pytest.approx(1)
    assert (np.diff(similarities) < 0).all()
    assert similarities[-1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda boxes, keypoints, scores: (boxes, keypoints[:, :5], scores[:, :5]), r'keypoints of 2 people.*\[2, 17'),
        (lambda boxes, keypoints, scores: (boxes, keypoints, scores[:1]), r'scores.*\[2, 17\], got \[1, 17\]'),
        (lambda boxes, keypoints, scores: (boxes * np.nan, keypoints, scores), 'boxes hold NaN'),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        PoseTracker(SIGMAS).update(*change(*people_at([(0, 0), (100, 0)])))
