"""The command: from a video file to a video with skeletons."""

import importlib.util
import json
import sys

import cv2
import pytest

from .conftest import ROOT


@pytest.fixture
def run(monkeypatch, capsys):
    """Run tools/infer_video.py in this process; returns what it has printed."""
    spec = importlib.util.spec_from_file_location('infer_video_tool', ROOT / 'tools/infer_video.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*words):
        monkeypatch.setattr(sys, 'argv', ['infer_video.py', *map(str, words)])
        module.main()
        return capsys.readouterr()

    return run


def test_video_and_folder_with_the_options_of_a_diffusion_model(
    run, diffusion_config, diffusion_weights, video_file, frames_folder, boxes, tmp_path
):
    diffusion_config.dump(str(tmp_path / 'config.py'))
    entries = [
        dict(frame_id=index, bbox=[*box[:2].tolist(), *(box[2:] - box[:2]).tolist()], score=0.9)
        for index, people in enumerate(boxes)
        for box in people
    ]
    (tmp_path / 'boxes.json').write_text(json.dumps(entries))
    model = ['--config', tmp_path / 'config.py', '--weights', diffusion_weights, '--device', 'cpu']
    sampling = ['--steps', 1, '--hypotheses', 2, '--seed', 3, '--show-uncertainty']
    for inputs, name, way in ((video_file, 'walk', []), (frames_folder, frames_folder.name, ['--stream'])):
        out = ['--out-dir', tmp_path / name, '--posetrack-json', '--det-model', tmp_path / 'boxes.json']
        printed = run(inputs, *model, *out, *sampling, *way)
        num_people = sum(map(len, boxes))
        assert f'{num_people} poses in {len(boxes)} frames' in printed.out
        assert 'frames/s' in printed.err
        capture = cv2.VideoCapture(str(tmp_path / name / f'visualizations/{name}.mp4'))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == len(boxes)
        written = json.loads((tmp_path / name / f'predictions/{name}.json').read_text())
        assert [len(entry['instances']) for entry in written] == list(map(len, boxes))
        assert 'keypoint_covariances' in written[0]['instances'][0]


def test_ctrl_c_ends_in_good_order(run, config, weights, video_file, tmp_path, monkeypatch, capsys):
    config.dump(str(tmp_path / 'config.py'))
    seen = []

    def interrupt(self, frame, *arguments):
        seen.append(frame)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return add(self, frame, *arguments)

    from mmpose_diffusion.apis.result_files import ResultFiles

    add = ResultFiles.add
    monkeypatch.setattr(ResultFiles, 'add', interrupt)
    model = ['--config', tmp_path / 'config.py', '--weights', weights, '--device', 'cpu']
    with pytest.raises(SystemExit, match='130'):
        run(video_file, *model, '--out-dir', tmp_path, '--det-model', 'whole_image')
    assert f'interrupted; the results until there are in {tmp_path}' in capsys.readouterr().out
    assert len(json.loads((tmp_path / 'predictions/walk.json').read_text())) == 3
    assert cv2.VideoCapture(str(tmp_path / 'visualizations/walk.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 3
