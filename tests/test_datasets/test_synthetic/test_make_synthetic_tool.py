import runpy
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

TOOL = Path(__file__).parents[3] / 'tools/dataset_tools/make_synthetic.py'


@pytest.fixture
def make_synthetic(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['make_synthetic.py', *map(str, arguments)])
        runpy.run_path(str(TOOL), run_name='__main__')

    return run


SMALL = ('--videos', 1, '--frames', 2, '--people', 1, '--size', '96x64', '--motion-subjects', 1, '--motion-frames', 3)


def test_tool_writes_both_layouts_and_a_sheet_and_reports_its_speed(make_synthetic, tmp_path, capsys):
    make_synthetic(tmp_path, *SMALL, '--difficulty', 'easy', '--contact-sheet', tmp_path / 'sheet.jpg')
    assert (tmp_path / 'annotations/train/000001_mpii_train.json').is_file()
    assert len(list((tmp_path / 'images/train/000001_mpii_train').iterdir())) == 2
    assert list(np.load(tmp_path / 'videopose3d_train.npz', allow_pickle=True)['positions_3d'].item()) == ['S1']
    assert (tmp_path / 'sheet.jpg').is_file()
    output = capsys.readouterr()
    assert 'frames/s' in output.out
    assert '1/1' in output.err, 'a progress bar'


def test_without_videos_only_motions_are_written_and_reported(make_synthetic, tmp_path, capsys):
    make_synthetic(tmp_path, *SMALL, '--videos', 0)
    output = capsys.readouterr()
    assert output.out.startswith('Motions:')
    assert 'video' not in output.err


def test_tool_finds_the_package_of_its_own_checkout(make_synthetic, monkeypatch):
    root = TOOL.parents[2]
    monkeypatch.setattr(sys, 'path', [entry for entry in sys.path if Path(entry).resolve() != root])
    monkeypatch.chdir(Path(sys.prefix))
    assert PathFinder.find_spec('mmpose_diffusion', sys.path) is None
    with pytest.raises(SystemExit, match='^0$'):
        make_synthetic('--help')
    found = PathFinder.find_spec('mmpose_diffusion', sys.path)
    assert found is not None
    assert Path(found.origin) == root / 'mmpose_diffusion/__init__.py'


def test_slow_npz_step_shows_a_bar(make_synthetic, monkeypatch, tmp_path, capsys):
    original = tqdm.__init__

    def at_once(self, *arguments, **options):
        original(self, *arguments, **{**options, 'delay': 0, 'mininterval': 0})

    monkeypatch.setattr(tqdm, '__init__', at_once)
    make_synthetic(tmp_path, *SMALL, '--difficulty', 'easy')
    errors = capsys.readouterr().err
    assert '15/15' in errors
    assert 'S1 Walking 1' in errors


@pytest.mark.parametrize(('arguments', 'message'), [
    (('--size', 'large'), 'WIDTHxHEIGHT'),
    (('--people', '0'), 'people must be between 1 and 12'),
    (('--frames', '0'), 'frames must be at least 1'),
    (('--workers', '0'), 'workers must be at least 1'),
    (('--difficulty', 'extreme'), 'easy'),
    (('--motion-frames', '0'), 'subjects and frames must be at least 1'),
])  # fmt: skip
def test_bad_arguments_are_explained_and_nothing_is_drawn(make_synthetic, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        make_synthetic(tmp_path / 'out', *SMALL, *arguments)
    assert message in str(stop.value) + capsys.readouterr().err
    assert not (tmp_path / 'out' / 'annotations').exists()
    assert not (tmp_path / 'out' / 'images').exists()
