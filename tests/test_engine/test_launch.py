import pytest

from mmpose_diffusion.engine import find_config
from mmpose_diffusion.engine.launch import config_folder


def test_config_is_found_by_path_and_by_bare_name(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('x = 1')
    assert find_config(str(path)) == path
    ours = next(path for path in config_folder().glob('*/**/*.py') if '_base_' not in path.parts)
    assert find_config(ours.stem).samefile(ours)
    assert find_config(ours.name).samefile(ours)


def test_unknown_config_is_named_with_the_closest_ones():
    ours = next(path for path in config_folder().glob('*/**/*.py') if '_base_' not in path.parts)
    with pytest.raises(FileNotFoundError, match=f'no config {ours.stem}x.*{ours.stem}'):
        find_config(ours.stem + 'x')


def test_base_configs_are_not_offered_by_name():
    with pytest.raises(FileNotFoundError):
        find_config('default_runtime')


def test_config_names_are_unique_in_the_package():
    names = [path.name for path in config_folder().rglob('*.py')]
    assert sorted(names) == sorted(set(names))
