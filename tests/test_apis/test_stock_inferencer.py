"""MMPose's own inferencer on our configs: each frame is a clip of its own, and it says so once."""

import cv2
import numpy as np
import pytest
from mmpose.apis import MMPoseInferencer

from .conftest import people_of


@pytest.fixture
def stock(config, weights, tmp_path):
    config.dump(str(tmp_path / 'config.py'))
    return MMPoseInferencer(
        pose2d=str(tmp_path / 'config.py'), pose2d_weights=weights, device='cpu', det_model='whole_image'
    )


def test_image_array_and_video(stock, inferencer, frames, video_file, tmp_path, monkeypatch):
    log = []
    monkeypatch.setattr(
        'mmpose_diffusion.datasets.transforms.sample_clip.print_log', lambda line, **_: log.append(line)
    )
    path = str(tmp_path / 'frame.png')
    cv2.imwrite(path, frames[0])
    from_file, from_array = (people_of(stock(inputs)) for inputs in (path, frames[0]))
    assert from_file == from_array
    assert np.shape(from_file[0][0]['keypoints']) == (17, 2)
    results = list(stock(video_file, out_dir=str(tmp_path / 'out')))
    assert len(results) == len(frames)
    assert (tmp_path / 'out/visualizations/walk.mp4').stat().st_size
    assert len(log) == 1
    assert 'each is its own clip' in log[0]

    inferencer.det_model = 'whole_image'
    ours = people_of(inferencer(path))
    np.testing.assert_allclose(ours[0][0]['keypoints'], from_file[0][0]['keypoints'], atol=1e-4)
    assert {'keypoints', 'keypoint_scores', 'bbox', 'bbox_score'} == set(ours[0][0]) == set(from_file[0][0])
    assert ours[0][0]['bbox'] == from_file[0][0]['bbox']
