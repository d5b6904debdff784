"""Pictures of lifted clips: what stands where, and what is left out."""

import mmpose.datasets  # noqa: F401  the skeletons
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from mmpose_diffusion.visualization.pose3d_picture import SkeletonPainter
from mmpose_diffusion.visualization.sequence_pictures import SequencePainter
from mmpose_diffusion.visualization.tile_layout import GAP, LABEL, MARGIN, TITLE

FRAMES, SIZE = 9, 96


@pytest.fixture(scope='module')
def metainfo():
    return parse_pose_metainfo(Config(dict(info=dict(from_file='configs/_base_/datasets/h36m.py'))).info)


def lifted(hypotheses=0, unknown_frames=()):
    random = np.random.default_rng(0)
    truth, guess = random.normal(scale=0.4, size=(2, FRAMES, 17, 3))
    annotated = np.ones(FRAMES, bool)
    annotated[list(unknown_frames)] = False
    truth[~annotated] = np.nan
    sample = PoseDataSample(metainfo=dict(action='Walking', frame_ids=np.arange(20, 20 + FRAMES)))
    sample.gt_instances = InstanceData(lifting_target=truth, frame_annotated=annotated)
    sample.pred_instances = InstanceData(keypoints=guess)
    if hypotheses:
        sample.pred_instances.keypoint_hypotheses = random.normal(scale=0.4, size=(FRAMES, 17, hypotheses, 3))
    return sample


def tiles_of(picture):
    """The picture's tiles [rows, columns, SIZE, SIZE, 3]."""
    left, top, step = MARGIN + LABEL, MARGIN + TITLE, SIZE + GAP
    rows, columns = ((picture.shape[0] - top) // step, (picture.shape[1] - left) // step)
    cut = [[picture[top + r * step :, left + c * step :][:SIZE, :SIZE] for c in range(columns)] for r in range(rows)]
    return np.array(cut)


def test_truth_answer_and_hypotheses_stand_below_each_other_frame_by_frame(metainfo):
    sample = lifted(hypotheses=5)
    tiles = tiles_of(SequencePainter(metainfo, moments=3, hypotheses=2, size=SIZE).draw(sample))
    people = sample.pred_instances
    rows = [
        sample.gt_instances.lifting_target,
        people.keypoints,
        people.keypoint_hypotheses[:, :, 0],
        people.keypoint_hypotheses[:, :, 1],
    ]
    painter = SkeletonPainter(metainfo)
    drawn = [[painter.panel(row[frame][None], [''], SIZE)[..., ::-1] for frame in (0, 4, 8)] for row in rows]
    np.testing.assert_array_equal(tiles, drawn)


def test_frames_without_a_trusted_annotation_show_none_and_one_answer_has_no_hypotheses(metainfo):
    tiles = tiles_of(SequencePainter(metainfo, moments=3, size=SIZE).draw(lifted(unknown_frames=[4])))
    assert tiles.shape[:2] == (2, 3)
    assert [bool((tile == 255).all()) for tile in tiles[0]] == [False, True, False]
    assert not (tiles[1] == 255).all(axis=(1, 2, 3)).any()


def test_short_clips_show_each_frame_once(metainfo):
    sample = lifted()
    assert tiles_of(SequencePainter(metainfo, moments=50, size=SIZE).draw(sample)).shape[1] == FRAMES
