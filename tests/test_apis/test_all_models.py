"""Every 2D video model of the package goes through the inferencer, by the name of its config."""

import json

import numpy as np
import pytest

from mmpose_diffusion.apis import VideoPoseInferencer
from mmpose_diffusion.engine import load_config

from .conftest import ROOT, people_of, save_random_weights

NAMES = sorted(path.stem for path in (ROOT / 'configs/body_2d_video').glob('*/*_tiny_synthetic.py'))
BOXES = [[[20, 20, 90, 150], [100, 10, 180, 150]]] * 5  # they stand still, so that streaming changes nothing


def test_all_families_are_here():
    families = ('key_frame', 'support_fusion', 'fami_pose', 'simcc_pose', 'diffpose')
    assert all(any(name.startswith(family) for name in NAMES) for family in families)


@pytest.mark.parametrize('name', NAMES)
def test_poses_of_two_people_whatever_the_batch_size_streamed_or_not(name, frames, tmp_path):
    weights = save_random_weights(load_config(name), tmp_path / 'random.pth')
    inferencer = VideoPoseInferencer(name, weights, device='cpu')
    options = dict(images_are_video=True, bboxes=BOXES)
    alone = people_of(inferencer(frames[:5], pred_out_dir=tmp_path, **options))
    (path,) = tmp_path.glob('*.json')
    assert [len(entry['instances']) for entry in json.loads(path.read_text())] == [2] * 5
    keypoints = np.array([[person['keypoints'] for person in people] for people in alone])
    assert keypoints.shape == (5, 2, 17, 2)
    assert len(np.unique(keypoints.reshape(10, -1), axis=0)) == 10  # the answer depends on frame and person
    for more in (dict(batch_size=7), dict(batch_size=4, stream=True)):
        others = people_of(inferencer(frames[:5], **options, **more))
        found = np.array([[person['keypoints'] for person in people] for people in others])
        np.testing.assert_allclose(found, keypoints, atol=1e-3)
