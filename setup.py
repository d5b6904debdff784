"""Installs mmpose_diffusion, with its configs and tools where `mim` looks for them.

mmcv, mmdet and mmpose stay out of the requirements, as in the OpenMMLab packages: their own requirements cannot be
resolved by pip today (docs/installation.md). `import mmpose_diffusion` checks what is there.
"""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED_WITH_MIM = ('configs', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Puts configs and tools into `mmpose_diffusion/.mim`: copies in a wheel, links in an editable install."""

    def run(self) -> None:
        super().run()
        editable = getattr(self, 'editable_mode', False)
        target = (ROOT if editable else Path(self.build_lib)) / 'mmpose_diffusion' / '.mim'
        if target.is_symlink():  # as older installations left it
            target.unlink()
        elif target.exists():
            shutil.rmtree(target)
        target.mkdir(parents=True)
        for name in SHIPPED_WITH_MIM:
            if editable:
                (target / name).symlink_to(os.path.relpath(ROOT / name, target))
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy2(ROOT / name, target / name)


def read_version() -> str:
    """The version as written in the package, without importing it."""
    return re.search(r"__version__ = '(.+)'", (ROOT / 'mmpose_diffusion' / 'version.py').read_text()).group(1)


setup(
    name='mmpose_diffusion',
    version=read_version(),
    description='Poses from video and from generative models: a plugin for MMPose',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['mmpose_diffusion', 'mmpose_diffusion.*']),
    install_requires=[
        'torch>=2.1,<2.12',
        'torchvision',
        'numpy<2.4',  # MMPose cannot draw with newer ones
        'scipy',
        'timm>=1.0',
        'safetensors',
        'diffusers>=0.30',
        'tqdm',
        'packaging',
        'setuptools<81',  # mmengine imports pkg_resources
    ],
    extras_require={'mim': ['mmengine>=0.10', 'mmcv>=2.0.1,<2.2', 'mmdet>=3.0,<3.4', 'mmpose>=1.3']},
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)
