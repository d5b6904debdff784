"""Imports point one way: diffusion <- models; models know no data, evaluation or engine; data and evaluation no models.

None knows projects, tools, tests.
"""

import ast
from pathlib import Path

import pytest

import mmpose_diffusion

PACKAGE = Path(mmpose_diffusion.__file__).parent
OUTSIDE = ('projects', 'tools', 'tests')

EVERYTHING_OF_OURS = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == '.py'}

# What the modules of a subpackage must not import. Whatever is not named here is only held to the rules for all.
FORBIDDEN = {
    'diffusion': tuple(sorted(EVERYTHING_OF_OURS - {'diffusion'})),
    'models': ('datasets', 'engine', 'evaluation', 'apis', 'visualization'),
    'datasets': ('models', 'apis', 'diffusion'),
    'evaluation': ('models', 'apis'),
    'codecs': ('models', 'apis'),
}
FORBIDDEN_FOR_ALL = ('testing',)


def imported_modules(source: str, module: str, is_package: bool) -> set[str]:
    """Absolute names of all modules, and of the names taken from them, that a source file imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                parts = module.split('.') if is_package else module.split('.')[:-1]
                base = '.'.join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            found.update({base, *(f'{base}.{alias.name}' for alias in node.names)})
    return found


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """Imports of a module of the package that point the wrong way."""
    subpackage = module.split('.')[1] if '.' in module else ''
    wrong = FORBIDDEN.get(subpackage, ()) + FORBIDDEN_FOR_ALL
    prefixes = [f'mmpose_diffusion.{name}' for name in wrong] + list(OUTSIDE)
    return sorted(
        name
        for name in imported_modules(source, module, is_package)
        if any(name == prefix or name.startswith(f'{prefix}.') for prefix in prefixes)
    )


def package_modules():
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
        is_package = parts[-1] == '__init__'
        yield pytest.param(path, '.'.join(parts[:-1] if is_package else parts), is_package, id='.'.join(parts))


@pytest.mark.parametrize(('path', 'module', 'is_package'), package_modules())
def test_imports_point_one_way(path, module, is_package):
    assert violations(path.read_text(), module, is_package) == []


@pytest.mark.parametrize(
    ('source', 'module', 'expected'),
    [
        ('from ..models import necks', 'mmpose_diffusion.datasets.clips', ['mmpose_diffusion.models']),
        (
            'import mmpose_diffusion.apis.inference',
            'mmpose_diffusion.models.heads',
            ['mmpose_diffusion.apis.inference'],
        ),
        ('from ..datasets import clips', 'mmpose_diffusion.models.necks', ['mmpose_diffusion.datasets']),
        ('from ..engine import launch', 'mmpose_diffusion.models.necks', ['mmpose_diffusion.engine']),
        ('from ..models import necks', 'mmpose_diffusion.evaluation.metrics', ['mmpose_diffusion.models']),
        ('from ..version import __version__', 'mmpose_diffusion.diffusion.solvers', ['mmpose_diffusion.version']),
        ('from .. import structures', 'mmpose_diffusion.diffusion.sampling', ['mmpose_diffusion.structures']),
        ('def later():\n    import projects.mine', 'mmpose_diffusion.apis.inference', ['projects.mine']),
        ('from .testing import random_clips', 'mmpose_diffusion.structures', ['mmpose_diffusion.testing']),
        ('from ..structures import FrameWindow\nimport torch', 'mmpose_diffusion.models.necks', []),
        ('from .schedules import Schedule', 'mmpose_diffusion.diffusion.solvers', []),
        ('from mmpose.models import heads', 'mmpose_diffusion.datasets.clips', []),
    ],
)
def test_a_wrong_import_is_seen(source, module, expected):
    found = violations(source, module)
    assert (found != []) == (expected != [])
    assert set(expected) <= set(found)
