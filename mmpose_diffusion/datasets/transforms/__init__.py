"""Transforms of clips; importing the package registers them."""

from .clip_photometric import ClipPhotometricDistortion
from .generate_clip_target import GenerateClipTarget
from .load_clip import LoadClip, UnreadableFrameError
from .pack_clip_inputs import PackClipInputs
from .pack_pose_sequence import PackPoseSequence
from .sample_clip import SampleClip

__all__ = [
    'ClipPhotometricDistortion',
    'GenerateClipTarget',
    'LoadClip',
    'PackClipInputs',
    'PackPoseSequence',
    'SampleClip',
    'UnreadableFrameError',
]
