"""Video data: which frames make a clip, data sets of clips, transforms, samplers. Importing it registers them."""

from . import samplers, transforms
from .human36m_sequence import Human36mSequenceDataset
from .mpi_inf_3dhp_sequence import MPIINF3DHPSequenceDataset
from .pose_sequence_dataset import PoseSequenceDataset
from .posetrack_detection import PoseTrackDetectionDataset
from .posetrack_video import PoseTrackVideoDataset
from .sub_jhmdb_video import SubJHMDBVideoDataset
from .video_pose_dataset import VideoPoseDataset

__all__ = [
    'Human36mSequenceDataset',
    'MPIINF3DHPSequenceDataset',
    'PoseSequenceDataset',
    'PoseTrackDetectionDataset',
    'PoseTrackVideoDataset',
    'SubJHMDBVideoDataset',
    'VideoPoseDataset',
    'samplers',
    'transforms',
]
