import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run(monkeypatch, capsys):
    def run_tool(name, *arguments):
        monkeypatch.syspath_prepend((TOOLS / name).parent)  # as python does for a script
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        runpy.run_path(str(TOOLS / name), run_name='__main__')
        return capsys.readouterr().out

    level = MMLogger.get_current_instance().level
    yield run_tool
    MMLogger.get_current_instance().setLevel(level)


def old_layout(frame_numbers):
    points = [{'id': [joint], 'x': [10 + joint], 'y': [20 + joint]} for joint in range(15)]
    head = {'x1': [1], 'y1': [2], 'x2': [3], 'y2': [4]}
    person = {'track_id': [3], 'annopoints': [{'point': points}], **head}
    frames = [
        {'image': [{'name': f'images/a/{number:08d}.jpg'}], 'annorect': [person], 'ignore_regions': []}
        for number in frame_numbers
    ]
    return {'annolist': frames}


def test_posetrack17_is_converted_and_merged_with_sizes(tmp_path, run):
    source, converted, merged = tmp_path / 'annotations/val', tmp_path / 'annotations18/val', tmp_path / 'val.json'
    source.mkdir(parents=True)
    (source / '00342_mpii_relpath.json').write_text(json.dumps(old_layout((1, 2, 3))))
    (tmp_path / 'images/a').mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'images/a/00000001.jpg'), np.zeros((48, 64, 3), np.uint8))
    output = run('dataset_tools/convert_posetrack17.py', source, converted, '--images', tmp_path)
    assert '1 videos, 3 frames, 3 people' in output
    content = json.loads((converted / '00342_mpii_relpath.json').read_text())
    assert [image['id'] for image in content['images']] == [10003420001, 10003420002, 10003420003]
    assert {(image['height'], image['width']) for image in content['images']} == {(48, 64)}
    assert '1 videos, 3 frames, 3 people' in run('dataset_tools/merge_posetrack.py', converted, merged)
    content = json.loads(merged.read_text())
    assert [image['id'] for image in content['images']] == [10003420001, 10003420002, 10003420003]
    assert {image['video'] for image in content['images']} == {'00342_mpii_relpath'}


@pytest.mark.parametrize('name', ['convert_posetrack17.py', 'merge_posetrack.py'])
def test_folder_without_annotations_ends_with_a_sentence(tmp_path, run, name):
    with pytest.raises(SystemExit, match='there are no json files in'):
        run(f'dataset_tools/{name}', tmp_path, tmp_path / 'out')


def test_originals_are_not_overwritten(tmp_path, run):
    (tmp_path / '1_mpii.json').write_text(json.dumps(old_layout((1,))))
    with pytest.raises(SystemExit, match='would be overwritten'):
        run('dataset_tools/convert_posetrack17.py', tmp_path, tmp_path)
    with pytest.raises(SystemExit, match='one more video'):
        run('dataset_tools/merge_posetrack.py', tmp_path, tmp_path / 'all.json')


def test_benchmark_counts_one_decode_per_frame_with_the_cache(run):
    size = ('--frame-size', 64, 48, '--input-size', 24, 32)
    output = run('analysis_tools/benchmark_clip_loading.py', '--workers', 0, '--videos', 1, '--frames', 8, *size)
    with_cache, without_cache = (line.split() for line in output.splitlines()[-2:])
    assert (with_cache[0], with_cache[1], with_cache[3]) == ('0', '128', '1.00')
    assert without_cache[1] == '0'
    assert float(without_cache[3]) == 3 * (5 * 8 - 6) / 8
