"""Skeletons on the frames of a video, from PoseTrack files to a GIF or video file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer
from PIL import Image

from .ellipses import draw_ellipses

VIDEO_CODECS = {'.mp4': 'mp4v', '.webm': 'VP80', '.avi': 'MJPG'}


class FramePoses(NamedTuple):
    """The people of one frame."""

    image: Path  # file of the frame
    keypoints: np.ndarray  # [P, K, 2] pixels
    scores: np.ndarray  # [P, K], 0 where a keypoint is absent


def read_posetrack_frames(annotation_file: str | Path, image_root: str | Path) -> list[FramePoses]:
    """Read the frames of one PoseTrack18 json (annotations or results) in their order, with their people."""
    content = json.loads(Path(annotation_file).read_text())
    people = defaultdict(list)
    for annotation in content['annotations']:
        triplets = np.array(annotation['keypoints'], dtype=float).reshape(-1, 3)
        present = (triplets != 0).any(axis=1)
        scores = np.array(annotation.get('scores') or present, dtype=float)
        people[annotation['image_id']].append((triplets[:, :2], np.where(present, scores, 0)))
    num_keypoints = len(content['categories'][0]['keypoints'])
    frames = []
    for image in content['images']:
        found = people[image['id']]
        keypoints = np.array([keypoints for keypoints, _ in found]).reshape(-1, num_keypoints, 2)
        scores = np.array([scores for _, scores in found]).reshape(-1, num_keypoints)
        frames.append(FramePoses(Path(image_root) / image['file_name'], keypoints, scores))
    return frames


class PoseDrawer:
    """Draws people with the colours and skeleton of a data set, by MMPose's own visualizer.

    Args:
        metainfo: MMPose's data set file that names the skeleton, as `from_file` in configs, or a data set's metainfo.
        score_threshold: keypoints below it are not drawn.
        line_width: of limbs and of the outlines of ellipses; with 1, keypoints are small dots.
        share: of the probability that an uncertainty ellipse holds.
    """

    def __init__(
        self,
        metainfo: str | Mapping[str, Any] = 'configs/_base_/datasets/posetrack18.py',
        score_threshold: float = 0.3,
        line_width: int = 2,
        share: float = 0.9,
    ) -> None:
        self.score_threshold, self.share, self.line_width = score_threshold, share, line_width
        self.visualizer = PoseLocalVisualizer(line_width=line_width, radius=line_width + 1)
        self.metainfo = parse_pose_metainfo(dict(from_file=metainfo)) if isinstance(metainfo, str) else metainfo
        self.visualizer.set_dataset_meta(self.metainfo)

    @property
    def keypoint_colors_bgr(self) -> np.ndarray:
        """Colours [K, 3] of the keypoints, blue first."""
        return np.array(self.visualizer.kpt_color, dtype=float)[:, ::-1]

    def draw(
        self, image_bgr: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, covariances: np.ndarray | None = None
    ) -> np.ndarray:
        """Return a copy of the image [height, width, 3] with people on it.

        Args:
            image_bgr: uint8, blue first.
            keypoints: [P, K, 2] pixels.
            scores: [P, K].
            covariances: [P, K, 2, 2] square pixels (`keypoint_covariances`); draws ellipses as well.
        """
        if not len(keypoints):
            return image_bgr.copy()
        # The visualizer compares its threshold with keypoints_visible, not with the scores.
        people = InstanceData(keypoints=keypoints, keypoint_scores=scores, keypoints_visible=scores)
        sample = PoseDataSample(pred_instances=people)
        image_rgb = np.ascontiguousarray(image_bgr[..., ::-1])
        self.visualizer.add_datasample('frame', image_rgb, sample, draw_gt=False, kpt_thr=self.score_threshold)
        drawn = np.ascontiguousarray(self.visualizer.get_image()[..., ::-1])
        if covariances is None:
            return drawn
        shown = np.asarray(scores) >= self.score_threshold  # [P, K]
        colors = np.broadcast_to(self.keypoint_colors_bgr, (*shown.shape, 3))
        outline = max(self.line_width // 2, 1)
        return draw_ellipses(drawn, keypoints[shown], covariances[shown], colors[shown], self.share, outline)

    def draw_frame(self, frame: FramePoses) -> np.ndarray:
        """Read a frame's image and draw its people."""
        image = cv2.imread(str(frame.image))
        if image is None:
            raise FileNotFoundError(f'The frame {frame.image} is missing or not an image')
        return self.draw(image, frame.keypoints, frame.scores)


def write_animation(frames_bgr: Iterable[np.ndarray], path: str | Path, frames_per_second: float = 15) -> Path:
    """Write frames [height, width, 3] as .gif, .mp4, .webm or .avi, whichever `path` says."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = iter(frames_bgr)
    first = next(frames, None)
    if first is None:
        raise ValueError(f'There are no frames to write to {path}')
    if path.suffix == '.gif':
        frames = [first, *frames]
        # One palette for all frames: smaller, and colours do not flicker. An octree keeps the colours of thin lines.
        sample = np.concatenate(frames[:: max(len(frames) // 8, 1)])
        palette = Image.fromarray(sample[..., ::-1]).quantize(256, Image.Quantize.FASTOCTREE)
        pictures = [
            Image.fromarray(frame[..., ::-1]).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
        ]
        pictures[0].save(
            path, save_all=True, append_images=pictures[1:], duration=round(1000 / frames_per_second), loop=0
        )
        return path
    if path.suffix not in VIDEO_CODECS:
        raise ValueError(f'{path.name}: cannot write {path.suffix}, only .gif, {", ".join(VIDEO_CODECS)}')
    height, width = first.shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*VIDEO_CODECS[path.suffix]), frames_per_second, (width, height)
    )
    if not writer.isOpened():
        raise OSError(f'{path} cannot be written: is the folder writable, and does OpenCV have the codec?')
    try:
        for frame in (first, *frames):
            writer.write(frame)
    finally:
        writer.release()
    return path
