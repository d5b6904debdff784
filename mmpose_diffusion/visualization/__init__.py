"""Poses drawn on frames, for people to look at."""

from .pose_video import FramePoses, PoseDrawer, read_posetrack_frames, write_animation

__all__ = ['FramePoses', 'PoseDrawer', 'read_posetrack_frames', 'write_animation']
