"""tools/analysis_tools/evaluate_posetrack.py as users run it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools' / 'evaluate_posetrack.py'


def run(*arguments):
    return subprocess.run([sys.executable, COMMAND, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def folders(tmp_path, official):
    annotated, predicted = official.worked_example()
    return official.write(tmp_path / 'truth', annotated), official.write(tmp_path / 'guess', predicted)


def test_prints_the_table_and_writes_strict_json_in_full_precision(folders, tmp_path):
    done = run(*folders, '--json', tmp_path / 'new' / 'result.json')
    assert (done.returncode, done.stderr) == (0, '')
    assert '1 videos, 2 frames, 1 of them with annotated people' in done.stdout
    assert 'AP             16.7      0.0      0.0      0.0      0.0     25.0      nan      7.1' in done.stdout

    def refuse(constant):
        raise ValueError(f'{constant} is not json')

    content = json.loads((tmp_path / 'new' / 'result.json').read_text(), parse_constant=refuse)
    assert len(content['ap']) == len(content['precision']) == len(content['recall']) == 16
    assert content['ap']['nose'] == 50
    assert content['ap']['left_ankle'] is None
    assert content['recall']['left_ankle'] is None
    assert content['precision']['left_ankle'] == 0
    assert content['ap']['total'] == 7.142857142857143
    assert list(content['columns']['ap'].values()) == [16.666666666666668, 0, 0, 0, 0, 25, None, 7.142857142857143]


def test_needs_neither_torch_nor_mmpose(folders):
    """Numpy and the standard library are enough, which makes it start at once."""
    code = (
        'import runpy, sys\n'
        'class Refuse:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        '        if name.split(".")[0] in ("torch", "mmpose", "mmengine", "mmcv", "mmpose_diffusion", "scipy"):\n'
        '            raise ImportError(name)\n'
        'sys.meta_path.insert(0, Refuse())\n'
        f'sys.argv = ["evaluate_posetrack.py", {str(folders[0])!r}, {str(folders[1])!r}]\n'
        f'runpy.run_path({str(COMMAND)!r}, run_name="__main__")\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'Mean' in done.stdout


def test_bad_file_ends_with_one_line_naming_it(folders):
    (folders[1] / '000001_mpii_test.json').write_text('{"images": [')
    done = run(*folders)
    assert done.returncode == 1
    assert done.stderr.startswith(f'error: {folders[1]}/000001_mpii_test.json is not a complete json file')
    assert len(done.stderr.splitlines()) == 1


def test_missing_file_ends_with_one_line_naming_it(folders):
    (folders[1] / '000001_mpii_test.json').unlink()
    done = run(*folders)
    assert done.returncode == 1
    assert 'lacks 1 of 1 prediction files: 000001_mpii_test.json' in done.stderr


def test_missing_scores_are_counted(folders):
    path = folders[1] / '000001_mpii_test.json'
    content = json.loads(path.read_text())
    for person in content['annotations'][:2]:
        del person['scores']
    path.write_text(json.dumps(content))
    done = run(*folders)
    assert done.returncode == 0
    assert done.stderr == 'warning: 6 predicted joints have no score and count as -9999.0\n'
