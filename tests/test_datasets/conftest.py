import json

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

KEYPOINT_NAMES = [
    'nose', 'head_bottom', 'head_top', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow',
    'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
    'right_ankle',
]  # fmt: skip
WIDTH, HEIGHT = 96, 64


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


def person(image_id, track_id, left=20, top=10, width=30, height=40, **changes):
    """An annotation whose keypoints lie in its box; ears are absent, as in PoseTrack."""
    generator = np.random.default_rng(track_id)
    xy = generator.uniform(0.1, 0.9, (17, 2)) * (width, height) + (left, top)
    triplets = np.concatenate([xy, np.ones((17, 1))], axis=1)
    triplets[3:5] = 0
    annotation = {
        'id': image_id * 100 + track_id,
        'image_id': image_id,
        'category_id': 1,
        'track_id': track_id,
        'bbox': [left, top, width, height],
        'bbox_head': [left + 5, top, 10, 10],
        'keypoints': triplets.flatten().tolist(),
        'scores': [],
    }
    annotation.update(changes)
    return {key: value for key, value in annotation.items() if value is not None}


def video_content(number=1, num_frames=6, labelled=(1, 2, 3), people=2, split='val', listed=None):
    """Content of an official annotation file; frames outside `labelled` have no people."""
    folder = f'images/{split}/{number:06d}_mpii_test'
    images, annotations = [], []
    for frame in range(num_frames) if listed is None else listed:
        image_id = 10**10 + number * 10**4 + frame
        images.append(
            {
                'id': image_id,
                'frame_id': image_id,
                'vid_id': f'{number:06d}',
                'file_name': f'{folder}/{frame:06d}.jpg',
                'nframes': num_frames,
                'is_labeled': frame in labelled,
                'width': WIDTH,
                'height': HEIGHT,
                'ignore_regions_x': [[0, 5, 5]] if frame == 1 else [],
                'ignore_regions_y': [[0, 0, 5]] if frame == 1 else [],
            }
        )
        if frame in labelled:
            annotations.extend(person(image_id, track, left=10 + 20 * track) for track in range(people))
    category = {'id': 1, 'name': 'person', 'supercategory': 'person', 'keypoints': list(KEYPOINT_NAMES)}
    return {'images': images, 'annotations': annotations, 'categories': [category]}


def write_frames(root, content):
    """Write an image for each frame; all pixels of frame f have the value 10 * f + 10."""
    for image in content['images']:
        path = root / image['file_name']
        path.parent.mkdir(parents=True, exist_ok=True)
        number = int(path.stem)
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), (10 * number + 10) % 256, dtype=np.uint8))


class World:
    """A tiny data set in the official layout."""

    def __init__(self, root):
        self.root = root
        self.folder = root / 'annotations' / 'val'
        self.folder.mkdir(parents=True)

    def write(self, content, name='000001_mpii_test', images=True):
        (self.folder / f'{name}.json').write_text(json.dumps(content))
        if images:
            write_frames(self.root, content)
        return self

    def load(self, ann_file='annotations/val', **arguments):
        from mmpose.registry import DATASETS

        return DATASETS.build(
            {'type': 'PoseTrackVideoDataset', 'data_root': str(self.root), 'ann_file': ann_file, **arguments}
        )


@pytest.fixture
def make_person():
    return person


@pytest.fixture
def make_video():
    return video_content


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def two_videos(world):
    return world.write(video_content(1), '000001_mpii_test').write(
        video_content(2, num_frames=4, labelled=(0, 3)), '000002_mpii_test'
    )
