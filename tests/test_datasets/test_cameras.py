import json
import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from mmpose_diffusion.datasets.cameras import Camera, camera_from_entry, entries_from_mmpose, read_camera_file
from mmpose_diffusion.datasets.human36m_metadata import read_metadata_cameras
from mmpose_diffusion.datasets.synthetic.camera import look_at
from mmpose_diffusion.datasets.synthetic.videopose3d import make_cameras, project_to_pixels
from mmpose_diffusion.evaluation.functional.camera_projection import denormalise_points, project

TOOL = Path(__file__).resolve().parents[2] / 'tools/dataset_tools/make_human36m_cameras.py'
NAMES = ('54138969', '55011271', '58860488', '60457274')


@pytest.fixture
def entries():
    return make_cameras(np.random.default_rng(0))


def seen_by(camera, points):
    return denormalise_points(project(camera.world_to_camera(points), camera.intrinsic), camera.image_size)


def assert_same(first: Camera, second: Camera):
    assert first.image_size == second.image_size
    for name in ('rotation', 'position', 'intrinsic'):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=1e-12, err_msg=name)


def as_mmpose(entry):
    """A camera as MMPose keeps it: columns, OpenCV's order of the tangential coefficients."""
    camera = camera_from_entry(entry, 'test')
    return {
        'R': camera.rotation, 'T': camera.position[:, None], 'c': np.array(entry['center'])[:, None],
        'f': np.array(entry['focal_length'])[:, None], 'k': np.array(entry['radial_distortion'])[:, None],
        'p': np.array(entry['tangential_distortion'])[::-1, None], 'w': entry['res_w'], 'h': entry['res_h'],
    }  # fmt: skip


def test_a_camera_sees_what_the_synthetic_world_sees(entries):
    points = np.random.default_rng(1).uniform(-1, 1, (20, 17, 3)) + [0, 0, 1]
    for entry in entries:
        camera = camera_from_entry(entry, 'test')
        np.testing.assert_allclose(camera.intrinsic, entry['intrinsic'], rtol=1e-12)
        np.testing.assert_allclose(seen_by(camera, points), project_to_pixels(points, entry), atol=1e-9)


def test_places_in_millimetres_are_taken_as_such(entries):
    metres = camera_from_entry(entries[0], 'test')
    assert_same(camera_from_entry({**entries[0], 'translation': 1000 * entries[0]['translation']}, 'test'), metres)


def test_mmpose_cameras_are_the_same_cameras(entries, tmp_path):
    path = tmp_path / 'cameras.pkl'
    cameras = {('S9', name): as_mmpose(entry) for name, entry in zip(NAMES, entries, strict=True)}
    path.write_bytes(pickle.dumps(dict(reversed(cameras.items()))))
    read = read_camera_file(str(path))
    assert [camera.name for camera in read['S9']] == list(NAMES)
    for camera, entry in zip(read['S9'], entries, strict=True):
        assert_same(camera, camera_from_entry(entry, 'test'))


def metadata(angles, places, intrinsic):
    """A metadata.xml with the cameras of 11 subjects."""
    extrinsic = np.concatenate([angles, 1000 * places], axis=-1)  # [4, 11, 6]
    numbers = ' '.join(map(repr, np.concatenate([extrinsic.ravel(), intrinsic.ravel()]).tolist()))
    listed = ''.join(f'<item>{name}</item>' for name in NAMES)
    return f'<m><dbcameras><index2id>{listed}</index2id></dbcameras><w0>[{numbers}]</w0></m>'


def axis_rotation(axis, angle):
    """Matrices of the form that Human3.6M's preprocessing in MMPose writes out."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array({
        'x': [[1, 0, 0], [0, c, s], [0, -s, c]],
        'y': [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        'z': [[c, s, 0], [-s, c, 0], [0, 0, 1]],
    }[axis])  # fmt: skip


def test_metadata_give_the_cameras_that_mmpose_makes_of_them(tmp_path):
    random = np.random.default_rng(0)
    angles, places = random.uniform(-3, 3, (4, 11, 3)), random.uniform(-5, 5, (4, 11, 3))
    intrinsic = random.uniform(0.1, 1, (4, 9)) * [1145, 1144, 512, 515, -0.2, 0.2, -0.003, -0.001, -0.002]
    path = tmp_path / 'metadata.xml'
    path.write_text(metadata(angles, places, intrinsic))
    read = read_metadata_cameras(str(path))
    assert list(read) == [f'S{number}' for number in range(1, 12)]
    sizes = [(1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002)]
    for index, name in enumerate(NAMES):
        for subject in range(11):
            a, b, c = angles[index, subject]
            rotation = (axis_rotation('x', -a) @ axis_rotation('y', b) @ axis_rotation('z', -c)).T
            f, centre, k, p = np.split(intrinsic[index], [2, 4, 7])
            width, height = sizes[index]
            parameters = {
                'R': rotation, 'T': places[index, subject], 'f': f, 'c': centre, 'k': k, 'p': p, 'w': width, 'h': height
            }  # fmt: skip
            expected = entries_from_mmpose({('S', name): parameters}, 'test')['S'][0]
            entry = read[f'S{subject + 1}'][index]
            assert entry['id'] == name
            assert_same(camera_from_entry(entry, 'test'), camera_from_entry(expected, 'test'))


def run_tool(monkeypatch, source, target):
    monkeypatch.setattr(sys, 'argv', [TOOL.name, str(source), str(target)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_the_tool_writes_what_the_reader_reads(tmp_path, monkeypatch, entries, capsys):
    source, target = tmp_path / 'cameras.pkl', tmp_path / 'new' / 'cameras.json'
    source.write_bytes(
        pickle.dumps({('S1', name): as_mmpose(entry) for name, entry in zip(NAMES, entries, strict=True)})
    )
    run_tool(monkeypatch, source, target)
    assert 'Cameras of S1 (4)' in capsys.readouterr().out
    for camera, entry in zip(read_camera_file(str(target))['S1'], entries, strict=True):
        assert_same(camera, camera_from_entry(entry, 'test'))
    with pytest.raises(SystemExit, match='there is no file'):
        run_tool(monkeypatch, tmp_path / 'metadata.xml', target)
    (tmp_path / 'metadata.xml').write_text('<m><w0>[1 2 3]</w0></m>')
    with pytest.raises(SystemExit, match=r'is not the metadata\.xml of Human3\.6M: it names 0 cameras .* and has 3'):
        run_tool(monkeypatch, tmp_path / 'metadata.xml', target)


def test_bad_camera_files_are_named(tmp_path, entries):
    with pytest.raises(FileNotFoundError, match='make_human36m_cameras'):
        read_camera_file(str(tmp_path / 'cameras.json'))
    path = tmp_path / 'cameras.json'
    path.write_text('{"S1": [')
    with pytest.raises(ValueError, match=r'cameras\.json is not a readable json file'):
        read_camera_file(str(path))
    path.write_text(json.dumps({'S1': [{'res_w': 1000, 'res_h': 1000}]}))
    with pytest.raises(ValueError, match='S1, camera 0: a camera without orientation, translation'):
        read_camera_file(str(path))
    path.write_text(json.dumps({'S1': 3}))
    with pytest.raises(ValueError, match='S1: expected a list of cameras, got 3'):
        read_camera_file(str(path))
    for change, message in (
        ({'orientation': [1, 0, 0]}, 'orientation must be 4 finite numbers'),
        ({'orientation': [0, 0, 0, 0]}, 'orientation no zero'),
        ({'res_w': 'wide'}, 'res_w must be 1 finite numbers, got wide'),
    ):
        with pytest.raises(ValueError, match=f'test: .*{message}'):
            camera_from_entry({**entries[0], **change}, 'test')
    with pytest.raises(ValueError, match='expected a dictionary with .* keys, got 3'):
        camera_from_entry(3, 'test')
    path = tmp_path / 'cameras.pkl'
    parameters = dict.fromkeys('RTcfkpwh', 1)
    for content, message in (
        ([1], 'dictionary of cameras, got list'),
        ({'S1': {}}, "this one has 'S1'"),
        ({('S1', '5'): parameters}, 'S1, 5: its parameters are no camera'),
    ):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=rf'cameras\.pkl.*{message}'):
            read_camera_file(str(path))


def test_look_at_and_quaternions_agree(entries):
    # The world's cameras look at the middle of the room: it is straight ahead.
    camera = camera_from_entry(entries[0], 'test')
    ahead = camera.world_to_camera(np.array([0.0, 0.0, 0.95]))
    assert ahead[2] > 4
    assert np.abs(ahead[:2]).max() < 0.35
    straight = look_at(camera.position[None], np.array([[0.0, 0.0, 0.95]]), np.zeros(1))[0]
    assert np.trace(straight @ camera.rotation) > 2.9
