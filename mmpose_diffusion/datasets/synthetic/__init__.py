"""A procedural world: articulated people doing named actions, filmed and annotated exactly.

``generate_video`` makes one video in memory; ``tools/dataset_tools/make_synthetic.py`` writes whole data sets in the
official layouts of PoseTrack18 and VideoPose3D. Needs numpy and OpenCV only.
"""

from .actions import ACTIONS
from .difficulty import DIFFICULTIES, Difficulty
from .video import SyntheticPerson, SyntheticVideo, generate_video, video_generator
from .visibility import Occlusion

__all__ = [
    'ACTIONS', 'DIFFICULTIES', 'Difficulty', 'Occlusion', 'SyntheticPerson', 'SyntheticVideo', 'generate_video',
    'video_generator',
]  # fmt: skip
