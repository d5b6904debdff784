"""Small official PoseTrack files, written by hand."""

import json

import pytest

KEYPOINT_NAMES = (
    'nose head_bottom head_top left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist '
    'right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle'
).split()


class OfficialFiles:
    """Builds the content of official files; joints are given by name as (x, y) or (x, y, score)."""

    keypoint_names = KEYPOINT_NAMES
    joint_names = [name for name in KEYPOINT_NAMES if 'ear' not in name]

    def person(self, frame, joints, track_id=0, names=None, **extra):
        keypoints, scores = [], []
        for name in names or KEYPOINT_NAMES:
            x, y, *score = joints.get(name, (0, 0))
            keypoints += [x, y, 1 if name in joints else 0]
            scores.append(score[0] if score else 0.0)
        person = {'image_id': 100 + frame, 'track_id': track_id, 'keypoints': keypoints, 'scores': scores, 'id': 7}
        return {**person, **extra}

    def full_body(self, x, y, score=0.5):
        """All 15 joints, ten pixels apart."""
        return {name: (x + 10.0 * (i % 5), y + 10.0 * (i // 5), score) for i, name in enumerate(self.joint_names)}

    def images(self, count, video='000001_mpii_test'):
        return [{'id': 100 + i, 'file_name': f'images/val/{video}/{i:06d}.jpg'} for i in range(count)]

    def content(self, num_frames, people, names=None, video='000001_mpii_test'):
        category = {'id': 1, 'name': 'person', 'keypoints': list(names or KEYPOINT_NAMES)}
        return {'images': self.images(num_frames, video), 'annotations': people, 'categories': [category]}

    def worked_example(self):
        """Annotations and predictions of one video; the figures of its AP are known by hand."""
        joints = {'nose': (200, 100), 'right_knee': (200, 300), 'left_knee': (260, 300)}
        first = {'nose': (215, 100, 0.9), 'right_knee': (230, 300, 0.8), 'left_ankle': (260, 380, 0.7)}
        second = {'nose': (200, 100, 0.3), 'right_knee': (200, 300, 0.2), 'left_knee': (275.1, 300, 0.1)}
        annotated = self.content(2, [self.person(0, joints, bbox_head=[180, 80, 40, 30])])
        predicted = self.content(
            2,
            [
                self.person(0, first, track_id=0),
                self.person(0, second, track_id=1),
                self.person(1, {'nose': (5, 5, 0.99)}),
            ],
        )
        return annotated, predicted

    def write(self, folder, content, name='000001_mpii_test.json'):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return folder


@pytest.fixture(scope='session')
def official():
    return OfficialFiles()
