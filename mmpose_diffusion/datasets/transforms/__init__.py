"""Transforms of clips; importing the package registers them."""

from .clip_photometric import ClipPhotometricDistortion
from .load_clip import LoadClip, UnreadableFrameError
from .pack_clip_inputs import PackClipInputs
from .sample_clip import SampleClip

__all__ = ['ClipPhotometricDistortion', 'LoadClip', 'PackClipInputs', 'SampleClip', 'UnreadableFrameError']
