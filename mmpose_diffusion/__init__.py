"""Poses from video and from generative models, as a plugin for MMPose.

Importing the package registers all its parts into MMPose's registries and lets checkpoints be loaded safely.
"""

from .compatibility import check_environment

check_environment()

from . import codecs, datasets, engine, evaluation, models, visualization  # noqa: E402  after the check
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'codecs', 'datasets', 'engine', 'evaluation', 'models', 'visualization']
