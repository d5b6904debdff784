"""Parts of pose estimators, registered in MMPose."""

from . import backbones

__all__ = ['backbones']
