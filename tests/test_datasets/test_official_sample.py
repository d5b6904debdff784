"""Real annotations of PoseTrack18, where somebody has put two frames of it beside the repository."""

from pathlib import Path

import numpy as np
import pytest
from mmpose.registry import DATASETS

from mmpose_diffusion.datasets.posetrack17_conversion import official_image_id
from mmpose_diffusion.datasets.posetrack_files import read_annotations
from mmpose_diffusion.datasets.video_pose_dataset import box_around_keypoints

SAMPLE = Path(__file__).resolve().parents[2].parent / 'shared/data/posetrack18_sample'
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason='no sample of PoseTrack18 beside the repository')


def test_real_annotations_become_clips():
    dataset = DATASETS.build(
        {
            'type': 'PoseTrackVideoDataset',
            'data_root': str(SAMPLE),
            'ann_file': 'annotations/val',
            'pipeline': [{'type': 'SampleClip', 'offsets': (-1, 0, 1)}, {'type': 'LoadClip', 'strict': True}],
        }
    )
    assert [(info['video'], info['track_id']) for info in map(dataset.get_data_info, range(3))] == [
        ('003418_mpii_test', 0),
        ('009473_mpii_test', 0),
        ('009473_mpii_test', 1),
    ]
    results = dataset[0]
    assert results['ori_shape'] == (1080, 1920)
    assert results['num_keypoints'] == 11
    assert results['frame_is_real'] == (False, True, False)  # 149 frames announced, one there
    assert len(results['ignore_regions']) == 9


def test_boxes_and_ids_of_posetrack18_follow_the_rules_we_convert_with():
    for video in read_annotations(str(SAMPLE / 'annotations/val')):
        for image in video.images:
            assert image['id'] == official_image_id(int(video.name[:6]), 0)
        for annotation in video.annotations:
            triplets = np.reshape(annotation['keypoints'], (17, 3))
            np.testing.assert_allclose(annotation['bbox'], box_around_keypoints(triplets[triplets[:, 2] > 0, :2]))
