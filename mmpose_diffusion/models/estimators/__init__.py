from .diffusion_pose_lifter import DiffusionPoseLifter
from .video_topdown import VideoTopdownPoseEstimator

__all__ = ['DiffusionPoseLifter', 'VideoTopdownPoseEstimator']
