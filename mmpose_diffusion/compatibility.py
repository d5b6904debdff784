"""Says in one sentence what is wrong with an installation, before something deep inside it says it in fifty lines."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

BUILD = 'pip install --no-cache-dir --no-build-isolation --force-reinstall --no-deps --no-binary mmcv,xtcocotools'
# name -> (oldest, first that is too new or None, the way out)
REQUIREMENTS = {
    'torch': ('2.1', '2.15', "mmcv 2.1.0 does not compile with newer ones: pip install 'torch>=2.1,<2.12'"),
    'torchvision': ('0.16', None, 'install the torchvision that belongs to your torch'),
    'numpy': ('1.21', '2.4', "MMPose cannot draw with newer ones: pip install 'numpy<2.4'"),
    'mmengine': ('0.10', '1.0', 'pip install mmengine==0.10.7'),
    'mmcv': ('2.0.1', '2.2', f'mmdet 3 refuses mmcv 2.2: {BUILD} mmcv==2.1.0'),
    'mmdet': ('3.0', '3.4', 'pip install mmdet==3.3.0'),
    'mmpose': ('1.3', '2.0', 'pip install --no-deps mmpose==1.3.2'),
    'xtcocotools': ('1.12', None, f'{BUILD} xtcocotools==1.14.3'),
    'json_tricks': ('3.0', None, 'pip install json_tricks'),
    'munkres': ('1.0', None, 'pip install munkres'),
    'timm': ('1.0', None, "pip install 'timm>=1.0'"),
    'diffusers': ('0.30', None, "pip install 'diffusers>=0.30'"),
}


def installed_version(name: str) -> str | None:
    """Version of an installed distribution, None if there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def find_problems() -> list[str]:
    """What cannot work in this environment, one sentence each; empty if nothing is known to be wrong."""
    problems = []
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        problems.append(f'Python {sys.version_info[0]}.{sys.version_info[1]} is running, 3.10 to 3.12 is needed')
    for name, (oldest, too_new, remedy) in REQUIREMENTS.items():
        found = installed_version(name)
        wanted = f'>= {oldest}' + (f' and < {too_new}' if too_new else '')
        if found is None:
            problems.append(f'{name} is not installed, {wanted} is needed ({remedy})')
        elif Version(found) < Version(oldest) or (too_new and Version(found) >= Version(too_new)):
            problems.append(f'{name} {found} is installed, {wanted} is needed ({remedy})')
    torch, diffusers = installed_version('torch'), installed_version('diffusers')
    if torch and diffusers and Version(torch) < Version('2.6') and Version(diffusers) >= Version('0.36'):
        problems.append(
            f'diffusers {diffusers} cannot be imported with torch {torch}, which needs diffusers < 0.36 '
            "(pip install diffusers==0.35.2 'huggingface_hub<1')"
        )
    if importlib.util.find_spec('pkg_resources') is None:
        setuptools = installed_version('setuptools') or 'no setuptools'
        problems.append(
            f"setuptools {setuptools} has no pkg_resources, which mmengine needs (pip install 'setuptools>=77,<81')"
        )
    return problems or find_binary_problems()


def find_binary_problems() -> list[str]:
    """Compiled parts that are missing or were built for another torch or numpy."""
    problems = []
    for module, package in (('mmcv._ext', 'mmcv==2.1.0'), ('xtcocotools._mask', 'xtcocotools==1.14.3')):
        try:
            importlib.import_module(module)
        except (ImportError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            problems.append(
                f'{module} does not fit this torch and numpy, or was not compiled ({reason}): {BUILD} {package}'
            )
    return problems


def check_environment() -> None:
    """Raise one ImportError that names everything that is wrong and the way out."""
    problems = find_problems()
    if problems:
        raise ImportError(
            'mmpose_diffusion cannot work here: '
            + '; '.join(problems)
            + '. docs/installation.md has the tested versions.'
        )
