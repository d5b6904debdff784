"""Poses drawn on frames, for people to look at."""

from .close_up import CloseUp, close_up
from .denoising import choose_rows, denoising_strip
from .ellipses import Ellipse, draw_ellipses, ellipse_of
from .person_pictures import PersonPainter
from .picture_hook import PersonPictureHook
from .pose_video import FramePoses, PoseDrawer, read_posetrack_frames, write_animation
from .sequence_pictures import SequencePainter

__all__ = [
    'CloseUp',
    'Ellipse',
    'FramePoses',
    'PersonPainter',
    'PersonPictureHook',
    'PoseDrawer',
    'SequencePainter',
    'choose_rows',
    'close_up',
    'denoising_strip',
    'draw_ellipses',
    'ellipse_of',
    'read_posetrack_frames',
    'write_animation',
]
