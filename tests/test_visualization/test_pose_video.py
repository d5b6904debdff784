import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmpose_diffusion.visualization import PoseDrawer, read_posetrack_frames, write_animation


@pytest.fixture
def posetrack_file(tmp_path):
    """Two frames of a video; one person, in the second, with only two keypoints."""
    images = [dict(id=i, file_name=f'images/val/000001_mpii_test/{i:06d}.jpg') for i in range(2)]
    keypoints = np.zeros((17, 3))
    keypoints[0], keypoints[5] = (40, 20, 1), (60, 50, 1)
    names = [f'keypoint_{i}' for i in range(17)]
    content = dict(
        images=images,
        annotations=[dict(image_id=1, keypoints=keypoints.ravel().tolist(), scores=[0.9] * 17)],
        categories=[dict(name='person', keypoints=names)],
    )
    for image in images:
        path = tmp_path / image['file_name']
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((80, 100, 3), 128, np.uint8))
    (tmp_path / 'video.json').write_text(json.dumps(content))
    return tmp_path / 'video.json'


def test_frames_come_in_order_with_their_people(posetrack_file):
    frames = read_posetrack_frames(posetrack_file, posetrack_file.parent)
    assert [frame.keypoints.shape for frame in frames] == [(0, 17, 2), (1, 17, 2)]
    np.testing.assert_array_equal(frames[1].keypoints[0, 5], (60, 50))
    assert frames[1].scores[0, [0, 5, 6]].tolist() == [0.9, 0.9, 0]


def test_people_are_drawn_where_they_are_and_nowhere_else(posetrack_file):
    empty, person = read_posetrack_frames(posetrack_file, posetrack_file.parent)
    drawer = PoseDrawer()
    assert (drawer.draw_frame(empty) == 128).all()
    changed = np.argwhere((drawer.draw_frame(person) != 128).any(axis=-1))
    assert np.abs(changed - (20, 40)).max(axis=1).min() <= 1
    assert np.abs(changed - (50, 60)).max(axis=1).min() <= 1
    assert (changed.min(axis=0) >= (14, 34)).all(), 'absent keypoints at (0, 0) must not be drawn'


def test_missing_frame_is_named(posetrack_file):
    frame = read_posetrack_frames(posetrack_file, 'elsewhere')[0]
    with pytest.raises(FileNotFoundError, match=r'elsewhere/.*000000\.jpg'):
        PoseDrawer().draw_frame(frame)


@pytest.mark.parametrize('suffix', ['.gif', '.mp4', '.webm'])
def test_animation_has_all_frames(tmp_path, suffix):
    frames = [np.full((48, 64, 3), value, np.uint8) for value in (0, 60, 120, 180, 240)]
    path = write_animation(iter(frames), tmp_path / 'new_folder' / f'video{suffix}', 10)
    if suffix == '.gif':
        assert Image.open(path).n_frames == 5
        return
    capture = cv2.VideoCapture(str(path))
    read = [frame for ok, frame in iter(capture.read, (False, None)) if ok]
    assert len(read) == 5
    assert abs(read[3].mean() - 180) < 8


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no frames'):
        write_animation([], tmp_path / 'video.gif')
    with pytest.raises(ValueError, match=r'video\.txt'):
        write_animation([np.zeros((8, 8, 3), np.uint8)], tmp_path / 'video.txt')
