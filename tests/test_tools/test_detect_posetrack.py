"""From a split and a detector to a box file that the data set reads."""

import importlib.util
import json
import sys

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS as DETECTORS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS

from mmpose_diffusion.datasets.posetrack_files import read_annotations
from mmpose_diffusion.engine import load_config, load_weights

from .conftest import ROOT

CONFIG = 'rtmdet_tiny_synthetic'


def save_detector(path, person_score, num_classes=1, classes=('person',)):
    """A checkpoint of a detector that sees a person of this score in each cell, three strides wide each way."""
    config = load_config(CONFIG)
    config.model.bbox_head.num_classes = num_classes
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        model = DETECTORS.build(config.model)
    for layers, bias in (
        (model.bbox_head.rtm_cls, np.log(person_score / (1 - person_score))),
        (model.bbox_head.rtm_reg, 3.0),  # strides from the centre to each side
    ):
        for layer in layers:
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.constant_(layer.bias, bias)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=classes))), path)
    return path


@pytest.fixture(scope='module')
def eager_detector(tmp_path_factory):
    return save_detector(tmp_path_factory.mktemp('eager') / 'detector.pth', person_score=0.5)


@pytest.fixture
def detect(monkeypatch, tmp_path):
    """Run the tool on annotations and images; return what it wrote."""
    spec = importlib.util.spec_from_file_location('detect_tool', ROOT / 'tools/dataset_tools/detect_posetrack.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def run(annotations, images, weights, out=tmp_path / 'boxes.json', config=CONFIG):
        words = [annotations, images, config, weights, '--out', out, '--batch-size', 3, '--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', ['detect_posetrack.py', *map(str, words)])
        tool.main()
        return json.loads(out.read_text())

    return run


def evaluated_people(world, bbox_file):
    """The data set that tools/test.py would evaluate on these boxes."""
    config = load_config('key_frame_tiny_synthetic').test_dataloader.dataset
    config.update(data_root=f'{world}/', bbox_file=str(bbox_file))
    return DATASETS.build(config)


def test_boxes_of_all_labelled_frames_are_what_the_data_set_reads(detect, world, eager_detector, tmp_path):
    boxes = detect(world / 'annotations/val', world, eager_detector)
    frames = [image for video in read_annotations(str(world / 'annotations/val')) for image in video.images]
    assert {box['image_id'] for box in boxes} == {image['id'] for image in frames}
    names = {image['id']: image['file_name'] for image in frames}
    assert all(box['image_name'] == names[box['image_id']] for box in boxes)
    assert {box['category_id'] for box in boxes} == {1}
    assert [box['score'] for box in boxes] == pytest.approx([0.5] * len(boxes))
    people = evaluated_people(world, tmp_path / 'boxes.json')
    assert len(people) == len(boxes)
    left, top, width, height = boxes[0]['bbox']
    first = next(person for person in map(people.get_data_info, range(len(people))) if person['id'] == 0)
    np.testing.assert_allclose(first['bbox'][0], [left, top, left + width, top + height], rtol=1e-6)


def test_boxes_lie_in_pixels_of_the_image(detect, world, eager_detector):
    """The detector sees a smaller picture; boxes that reach its borders reach those of the large one."""
    boxes = np.array([box['bbox'] for box in detect(world / 'annotations/val', world, eager_detector)])
    width = cv2.imread(str(next((world / 'images').rglob('*.jpg')))).shape[1]
    assert boxes[:, :2].min(axis=0).tolist() == [0, 0]
    assert (boxes[:, 0] + boxes[:, 2]).max() == pytest.approx(width)


def test_nobody_found_is_an_empty_file_and_said_by_the_data_set(detect, world, tmp_path):
    weights = save_detector(tmp_path / 'blind.pth', person_score=0.01)
    assert detect(world / 'annotations/val', world, weights) == []
    with pytest.raises(ValueError, match='boxes.json is an empty list: the detector found nobody'):
        evaluated_people(world, tmp_path / 'boxes.json')


def test_broken_images_have_no_boxes_and_are_named(detect, world, eager_detector, tmp_path, capsys):
    root = tmp_path / 'world'
    content = json.loads(next((world / 'annotations/val').glob('*.json')).read_text())
    names = [image['file_name'] for image in content['images']]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((world / name).read_bytes())
    (root / names[1]).write_bytes((root / names[1]).read_bytes()[:500])
    annotations = root / 'annotations'
    annotations.mkdir()
    (annotations / 'video.json').write_text(json.dumps(content))
    boxes = detect(annotations, root, eager_detector)
    assert {box['image_name'] for box in boxes} == set(names) - {names[1]}
    assert f'1 images could not be read and have no boxes, the first is {root / names[1]}' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(num_classes=3, classes=('person', 'dog', 'cat')),
            r'no checkpoint of this RTMDet: other sizes: .*rtm_cls',
        ),
        (dict(classes=('dog',)), 'detects no class person, but dog'),
    ],
)
def test_a_detector_of_something_else_is_refused(detect, world, tmp_path, change, message):
    weights = save_detector(tmp_path / 'other.pth', 0.5, **change)
    with pytest.raises(SystemExit, match=message):
        detect(world / 'annotations/val', world, weights)


@pytest.mark.parametrize(
    ('images', 'weights', 'message'),
    [
        ('annotations', None, '8 of 8 images are missing, the first is .*000000.jpg.* is .*annotations the folder'),
        ('.', 'nothing.pth', 'There is no checkpoint .*nothing.pth'),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(
    detect, world, eager_detector, tmp_path, images, weights, message
):
    with pytest.raises(SystemExit, match=message):
        detect(world / 'annotations/val', world / images, tmp_path / weights if weights else eager_detector)
    assert not (tmp_path / 'boxes.json').exists()


def test_an_unwritable_result_is_reported_before_the_work(detect, world, tmp_path):
    with pytest.raises(SystemExit, match='cannot be written'):
        detect(world / 'annotations/val', world, tmp_path / 'nothing.pth', out=tmp_path)


def test_weights_fill_the_model_or_are_refused(tmp_path):
    model, path = torch.nn.Linear(2, 3), tmp_path / 'weights.pth'
    weight, bias = torch.ones(3, 2), torch.zeros(3)
    torch.save(dict(state_dict=dict(weight=weight, bias=bias), meta=dict(epoch=1)), path)
    assert load_weights(model, str(path)) == dict(epoch=1)
    assert torch.equal(model.weight, weight)
    torch.save(dict(weight=weight, bias=bias, more=bias), path)
    assert load_weights(model, str(path), allow_unexpected=True) == {}
    for content, message in (
        (dict(weight=weight, bias=bias, more=bias), 'unknown: more'),
        (dict(weight=weight), 'it lacks: bias'),
        (dict(weight=weight[:2], bias=bias), r'other sizes: weight \(\[2, 2\] instead of \[3, 2\]\)'),
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=f'weights.pth is no checkpoint of this Linear: {message}'):
            load_weights(model, str(path))


def test_config_of_another_package_works_by_path(detect, world, eager_detector, tmp_path):
    """A detector's config needs no part of this package, as with those of MMDetection."""
    config = Config(dict(load_config(CONFIG)))
    config.pop('custom_imports')
    config.test_dataloader.dataset = dict(type='CocoDataset', pipeline=config.test_dataloader.dataset.pipeline)
    config.test_dataloader.dataset.metainfo = dict(classes=('person',))
    config.dump(tmp_path / 'detector.py')
    assert detect(world / 'annotations/val', world, eager_detector, config=tmp_path / 'detector.py')
