import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_wheel_ships_configs_and_tools_where_mim_looks(tmp_path):
    source = tmp_path / 'source'
    tracked = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split('\0')):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    # A link that an older build left where the copies go is replaced; what it leads to stays.
    (source / 'build/lib/mmpose_diffusion').mkdir(parents=True)
    (source / 'build/lib/mmpose_diffusion/.mim').symlink_to(source / 'configs')
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', tmp_path, source]
    subprocess.run(command, check=True, capture_output=True)
    assert (source / 'configs').is_dir()
    names = set(zipfile.ZipFile(next(tmp_path.glob('mmpose_diffusion-*.whl'))).namelist())

    tracked_names = tracked.split('\0')
    for name in tracked_names:
        if name.startswith(('configs/', 'tools/')) and name.endswith(('.py', '.yml', '.sh')):
            assert f'mmpose_diffusion/.mim/{name}' in names
        if name.startswith('mmpose_diffusion/'):
            assert name in names
    assert 'mmpose_diffusion/.mim/model-index.yml' in names
    assert not [name for name in names if name.startswith(('tests/', 'projects/'))]


def test_every_config_of_the_model_index_exists():
    import yaml

    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import']
    for metafile in index['Import']:
        for model in yaml.safe_load((ROOT / metafile).read_text())['Models']:
            assert (ROOT / model['Config']).is_file(), model['Config']


def test_mim_finds_the_editable_package():
    """What `PYTHONPATH=$PWD mim train mmpose_diffusion ...` relies on."""
    code = 'from mim.utils import get_installed_path; print(get_installed_path("mmpose_diffusion"))'
    command = [sys.executable, '-W', 'ignore', '-c', code]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    assert folder == ROOT / 'mmpose_diffusion'
    assert (folder / '.mim/tools/train.py').is_file()
    assert (folder / '.mim/configs').is_dir()
