"""Boxes from the caller, from files and from a real detector."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpose_diffusion.apis import VideoPoseInferencer, person_boxes
from mmpose_diffusion.apis.frame_sources import Frame
from mmpose_diffusion.apis.person_boxes import BoxFile, DetectedBoxes, GivenBoxes, PersonBoxes, WholeImage, find_people

from .conftest import people_of

IMAGE = np.zeros((40, 60, 3), np.uint8)
FRAMES = [Frame(index, IMAGE, f'some/where/{index:06d}.jpg') for index in range(3)]


def test_whole_image_is_one_person():
    assert [people.boxes.tolist() for people in WholeImage()(FRAMES)] == [[[0, 0, 60, 40]]] * 3


def test_given_boxes_go_to_their_frames():
    given = GivenBoxes([[[1, 2, 3, 4]], [], np.array([[1, 2, 30, 4, 0.5], [5, 6, 7, 8, 0.25]])])
    people = given(FRAMES[1:]) + given(FRAMES[:1])
    assert [found.boxes.tolist() for found in people] == [[], [[1, 2, 30, 4], [5, 6, 7, 8]], [[1, 2, 3, 4]]]
    assert people[1].scores.tolist() == [0.5, 0.25]
    with pytest.raises(ValueError, match='2 frames, and there is a frame 2'):
        GivenBoxes([[], []])(FRAMES)


@pytest.mark.parametrize(
    ('boxes', 'message'),
    [([[1, 2, 3]], r'\[1, 3\]'), ([[5, 2, 3, 4]], 'empty'), ([[1, 2, np.nan, 4]], 'NaN'), ([1, 2, 3, 4], r'\[4\]')],
)
def test_impossible_boxes_are_refused_with_their_frame(boxes, message):
    with pytest.raises(ValueError, match=rf'bboxes\[1\].*{message}'):
        GivenBoxes([[], boxes, []])
    with pytest.raises(ValueError, match='2 entries for 3 frames'):
        GivenBoxes([[], []], num_frames=3)


def write(path, entries):
    path.write_text(json.dumps(entries))
    return str(path)


def test_box_file_names_frames_by_number_or_by_file(tmp_path):
    box = dict(bbox=[10, 20, 5, 6], score=0.9)
    entries = [
        dict(box, frame_id=0),
        dict(box, image_name='some/where/000001.jpg', track_id=7),
        dict(box, image_name='some/other/000001.jpg', track_id=8),
        dict(box, image_id=2, score=0.1),
        dict(box, image_id=2, category_id=3),
    ]
    people = BoxFile(write(tmp_path / 'boxes.json', entries), min_score=0.3)(FRAMES)
    assert [found.boxes.tolist() for found in people] == [[[10, 20, 15, 26]], [[10, 20, 15, 26]], []]
    assert [found.track_ids for found in people] == [None, None, None]  # not all have one


def test_absolute_names_fit_relative_inputs(tmp_path):
    name = str(Path(FRAMES[1].path).absolute())
    (people,) = BoxFile(write(tmp_path / 'boxes.json', [dict(image_name=name, bbox=[10, 20, 5, 6])]), 0.3)(FRAMES[1:2])
    assert people.boxes.tolist() == [[10, 20, 15, 26]]


@pytest.mark.parametrize('key', [dict(image_name='else/where.jpg'), dict(image_id=7)])
def test_a_box_file_of_other_frames_is_noticed(inferencer, frames, tmp_path, monkeypatch, key):
    path, said = tmp_path / 'boxes.json', []
    monkeypatch.setattr(person_boxes, 'print_log', lambda message, **_: said.append(message))
    for entry, is_noticed in ((key, True), (dict(frame_id=0), False)):
        inferencer.det_model = write(path, [dict(entry, bbox=[10, 20, 50, 60])])
        said.clear()
        results = people_of(inferencer(frames[:2], images_are_video=True))
        assert [len(people) for people in results] == [0 if is_noticed else 1, 0]
        assert [f'no frame is named in {path}' in message for message in said] == [True] * is_noticed


def test_track_ids_of_a_file_are_kept_if_all_boxes_have_one(tmp_path):
    boxes = [dict(frame_id=frame, bbox=[10, 20, 5, 6], track_id=frame + 4) for frame in range(2)]
    people = BoxFile(write(tmp_path / 'boxes.json', boxes), 0.3)(FRAMES)
    assert [found.track_ids for found in people] == [[4], [5], []]
    del boxes[0]['track_id']
    people = BoxFile(write(tmp_path / 'boxes.json', boxes), 0.3)(FRAMES)
    assert [found.track_ids for found in people] == [None] * 3


@pytest.mark.parametrize(
    ('entries', 'message'),
    [
        (dict(boxes=[]), 'must be a list'),
        ([dict(bbox=[1, 2, 3, 4])], 'box 0 needs an image_name'),
        ([dict(frame_id=0, bbox=[1, 2, 3])], 'box 0: bbox'),
        ([dict(frame_id=0, bbox=[1, 2, 3, 4], score=None)], 'box 0: score'),
        ([dict(frame_id=0, bbox=[1, 2, 3, 4], track_id=True)], 'box 0: track_id must be a whole number.*True'),
        ([dict(frame_id=0, bbox=[1, 2, 3, 4], track_id=1.5)], 'box 0: track_id must be a whole number.*1.5'),
    ],
)
def test_broken_box_files_are_refused(tmp_path, entries, message):
    with pytest.raises(ValueError, match=message):
        BoxFile(write(tmp_path / 'boxes.json', entries), 0.3)


def test_where_a_frame_cannot_be_read_people_stay_where_they_were():
    frames = [FRAMES[0], Frame(1, None, 'x'), Frame(2, np.zeros((20, 30, 3), np.uint8), 'y')]
    boxes = [people.boxes.tolist() for people in find_people(frames, WholeImage(), None)]
    assert boxes == [[[0, 0, 60, 40]], [[0, 0, 60, 40]], [[0, 0, 30, 20]]]
    before = PersonBoxes.from_array([[1, 2, 3, 4]], 'before')
    assert find_people(frames[1:2], WholeImage(), before)[0].boxes.tolist() == [[1, 2, 3, 4]]
    assert find_people(frames[1:2], WholeImage(), None)[0].boxes.tolist() == []
    assert find_people(frames[1:2], GivenBoxes([[], [[1, 2, 3, 4]]]), None)[0].boxes.tolist() == [[1, 2, 3, 4]]


def test_a_real_detector_looks_at_several_frames_at_once(config, weights, frames, tmp_path):
    torch.manual_seed(0)
    inferencer = VideoPoseInferencer(config, weights, device='cpu', det_model='rtmdet_tiny_synthetic')
    head = inferencer.detector.model.bbox_head
    head.test_cfg.score_thr = 0  # of random weights any answer will do, if only its boxes have an area
    for regression in head.rtm_reg:
        torch.nn.init.constant_(regression.bias, 2.0)
    counts = []
    inferencer.detector.model.register_forward_pre_hook(lambda *_: counts.append(1))
    eager = DetectedBoxes(inferencer.detector, [0], min_score=-1, nms_threshold=0.5)
    found = eager([Frame(index, image, '') for index, image in enumerate(frames[:3])])
    assert (len(found), len(counts)) == (3, 1)
    assert all(people.boxes.shape[1] == 4 and len(people.boxes) == len(people.scores) > 0 for people in found)
    assert all((people.boxes[:, 2:] > people.boxes[:, :2]).all() for people in found)
    nobody = DetectedBoxes(inferencer.detector, [5], min_score=-1)([Frame(0, frames[0], '')])
    assert nobody[0].boxes.shape == (0, 4)
    results = list(inferencer(frames[:4], images_are_video=True, bbox_thr=2))
    assert [result['predictions'] for result in results] == [[[]]] * 4
