"""Poses of people in images and videos, for people and programs."""

from .tracking import PoseTracker
from .video_pose_inferencer import VideoPoseInferencer

__all__ = ['PoseTracker', 'VideoPoseInferencer']
