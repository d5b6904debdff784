"""Human3.6M for lifting, and synthetic worlds in its layout."""

from __future__ import annotations

from typing import Any

from mmpose.registry import DATASETS

from .mmpose_h36m_files import read_mmpose_h36m
from .numpy_files import npz_keys
from .pose_sequence_dataset import PoseSequence, PoseSequenceDataset
from .videopose3d_files import read_videopose3d


@DATASETS.register_module()
class Human36mSequenceDataset(PoseSequenceDataset):
    """Human3.6M as 17 joints, from the npz files of VideoPose3D or from MMPose's own; root is joint 0.

    Args:
        ann_file: npz with `positions_3d` (VideoPose3D: `data_3d_h36m.npz`, or a synthetic world's
            `videopose3d_<split>.npz`), or with `imgname` and `S` (MMPose: `h36m_train.npz`).
        keypoints_2d_file: the 2D input: npz with `positions_2d`, such as `data_2d_h36m_cpn_ft_h36m_dbb.npz`; for
            MMPose's file an npy [n, 17, 3], or None for the annotated 2D poses.
        camera_file: json made by `tools/dataset_tools/make_human36m_cameras.py`, or MMPose's `cameras.pkl`. None:
            taken from `ann_file` (synthetic worlds have them there); for MMPose's file, without cameras.
        kwargs: see `PoseSequenceDataset`.
    """

    METAINFO = {'from_file': 'configs/_base_/datasets/h36m.py'}

    def __init__(
        self,
        ann_file: str = '',
        keypoints_2d_file: str | None = None,
        camera_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.keypoints_2d_file = keypoints_2d_file
        self.camera_file = camera_file
        super().__init__(ann_file=ann_file, **kwargs)

    def load_sequences(self) -> list[PoseSequence]:
        """Read whichever layout the file has."""
        keys = npz_keys(self.ann_file)
        keypoints_2d_path = self._path(self.keypoints_2d_file) if self.keypoints_2d_file else None
        camera_path = self._path(self.camera_file) if self.camera_file else None
        if 'positions_3d' in keys:
            if keypoints_2d_path is None:
                raise ValueError(f'{self.ann_file} holds 3D poses: give the file with the 2D input, keypoints_2d_file')
            return read_videopose3d(self.ann_file, keypoints_2d_path, camera_path, self._selected)
        if {'imgname', 'S'} <= keys:
            return read_mmpose_h36m(self.ann_file, keypoints_2d_path, camera_path, self._selected)
        raise ValueError(
            f"{self.ann_file} has neither positions_3d (VideoPose3D's layout) nor imgname and S (MMPose's); "
            f'its keys are: {", ".join(sorted(keys))}'
        )
