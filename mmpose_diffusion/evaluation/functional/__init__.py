# Needs numpy only and imports relatively, so that tools can load this folder without torch and MMPose.
from .json_values import MISSING_SCORE
from .multi_hypothesis import multi_hypothesis_errors
from .posetrack_ap import (
    COLUMNS,
    JOINT_NAMES,
    TOTAL,
    People,
    PoseTrackResult,
    VideoPeople,
    average_precision,
    evaluate_posetrack_ap,
    format_posetrack_table,
    posetrack_columns,
    posetrack_result_as_dict,
)
from .posetrack_files import (
    list_posetrack_files,
    load_json,
    parse_posetrack_video,
    read_posetrack_file,
    read_posetrack_folders,
)
from .temporal import acceleration_errors, jitter_values

__all__ = [
    'COLUMNS',
    'JOINT_NAMES',
    'MISSING_SCORE',
    'TOTAL',
    'People',
    'PoseTrackResult',
    'VideoPeople',
    'acceleration_errors',
    'average_precision',
    'evaluate_posetrack_ap',
    'format_posetrack_table',
    'jitter_values',
    'list_posetrack_files',
    'load_json',
    'multi_hypothesis_errors',
    'parse_posetrack_video',
    'posetrack_columns',
    'posetrack_result_as_dict',
    'read_posetrack_file',
    'read_posetrack_folders',
]
