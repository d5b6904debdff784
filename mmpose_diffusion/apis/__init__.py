"""Poses of people in images and videos, for people and programs."""

from .tracking import PoseTracker

__all__ = ['PoseTracker']
