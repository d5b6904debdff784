"""Files of results, written frame by frame: whenever the work stops, what was done can be read and played."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from mmengine.logging import print_log

from ..evaluation.functional.posetrack_ap import JOINT_NAMES
from ..evaluation.functional.posetrack_results import PredictedPerson, official_prediction
from ..visualization.pose_video import VIDEO_CODECS
from .frame_sources import Frame, FrameSource

DIGITS = 3  # of numbers in json: a thousandth of a pixel
SCORE_DIGITS = 5
MORE_DIGITS = {'keypoint_scores': 2, 'bbox_score': 2, 'keypoints_3d': 1}  # a tenth of a millimetre


def prepare_folder(folder: str | Path) -> Path:
    """Make a folder and try to write into it, before anybody works for hours in vain."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f'results cannot be written to {folder}: {error}') from error
    return folder


def rounded(value: Any, digits: int = DIGITS) -> Any:
    """Numbers of a result as json has them: plain and short."""
    if isinstance(value, Mapping):
        return {key: rounded(item, DIGITS + MORE_DIGITS.get(key, 0)) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [rounded(item) for item in value]
    array = np.asarray(value)
    return (np.round(array.astype(np.float64), digits) if array.dtype.kind == 'f' else array).tolist()


class JsonList:
    """A json list on disk that is complete after every entry, whatever happens next.

    Args:
        path: of the file.
        meta_info: makes it a dict instead, with `meta_info` and the list as `instance_info`, as in MMPose's demos.
    """

    def __init__(self, path: str | Path, meta_info: Mapping[str, Any] | None = None) -> None:
        self.file = Path(path).open('wb')
        start, self.end = '[', '\n]\n'
        if meta_info is not None:
            start, self.end = f'{{"meta_info": {json.dumps(meta_info)},\n"instance_info": [', '\n]}\n'
        self.file.write((start + self.end).encode())
        self.num_entries = 0

    def append(self, entry: Any) -> None:
        """Write one more entry, in a line of its own."""
        text = (',\n' if self.num_entries else '\n') + json.dumps(entry, allow_nan=False) + self.end
        self.file.seek(-len(self.end), os.SEEK_CUR)
        self.file.write(text.encode())
        self.file.flush()
        self.num_entries += 1

    def close(self) -> None:
        """End the file."""
        self.file.close()


class PoseTrackJson:
    """The official PoseTrack18 layout of one video; annotations go to disk at once, the frames' list at the end.

    Before the first frame the file is valid, too.

    Args:
        path: of the file.
        folder: name of the video, the parent folder in `file_name`.
        keypoint_names: of the model.
    """

    def __init__(self, path: str | Path, folder: str, keypoint_names: Sequence[str]) -> None:
        missing = [name for name in JOINT_NAMES if name not in keypoint_names]
        if missing:
            raise ValueError(f'PoseTrack json needs the PoseTrack joints; the model does not predict {missing}')
        self.folder, self.keypoint_names = folder, list(keypoint_names)
        self.num_frames = self.num_annotations = 0
        self.file = Path(path).open('w')
        category = official_prediction([], [], self.keypoint_names)['categories']
        self.file.write(f'{{"categories": {json.dumps(category)},\n"annotations": [')
        self.end = self.file.tell()  # of the annotations
        self._write_frames()

    def append(self, instances: Sequence[Mapping[str, Any]]) -> None:
        """Write the people of the next frame; each instance as the inferencer gives it, with a track id."""
        people = []
        for instance in instances:
            keypoints = np.round(np.asarray(instance['keypoints'], dtype=np.float64), DIGITS)
            confidences = np.asarray(instance['keypoint_scores'])
            score = float(instance.get('bbox_score', 1.0))
            people.append(PredictedPerson(keypoints, confidences, confidences * score, score * confidences.mean()))
        content = official_prediction([{'id': self.num_frames}], [people], self.keypoint_names)
        self._cut()
        for annotation, instance in zip(content['annotations'], instances, strict=True):
            annotation.update(id=self.num_annotations, track_id=instance['track_id'])
            entry = {key: rounded(value, SCORE_DIGITS) for key, value in annotation.items()}
            self.file.write((',' if self.num_annotations else '') + '\n' + json.dumps(entry, allow_nan=False))
            self.num_annotations += 1
        self.end = self.file.tell()
        self.num_frames += 1

    def close(self) -> None:
        """Write the list of frames and end the file."""
        self._cut()
        self._write_frames()
        self.file.close()

    def _cut(self) -> None:
        """Go on after the annotations that are complete."""
        self.file.seek(self.end)
        self.file.truncate()

    def _write_frames(self) -> None:
        self.file.write('],\n"images": [')
        for index in range(self.num_frames):
            image = {'id': index, 'frame_id': index, 'file_name': f'{self.folder}/{index:06d}.jpg', 'is_labeled': True}
            self.file.write((',' if index else '') + '\n' + json.dumps(image))
        self.file.write(']}\n')
        self.file.flush()


class VideoFile:
    """A video of pictures; one of another size than the first is scaled into its frame, with black borders.

    Where a frame has no picture the last one stands still; before the first it is black.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        # MPEG-4 counts time in at most 65535 parts of a second, OpenCV in thousandths of a frame where it has to.
        self.path, self.fps = Path(path), fps if fps < 65 else float(f'{fps:.4g}')
        if self.path.suffix not in VIDEO_CODECS:
            raise ValueError(f'{path}: cannot write {self.path.suffix}, only {", ".join(VIDEO_CODECS)}')
        if self.path.is_dir():
            raise IsADirectoryError(f'{path} cannot be written: it is a folder')
        with tempfile.TemporaryDirectory() as folder:
            self._open(Path(folder, self.path.name), (64, 64)).release()  # fails now rather than after the work
        self._writer: cv2.VideoWriter | None = None
        self._picture: np.ndarray | None = None  # the last one
        self._num_missing = 0  # before the first one

    def append(self, picture: np.ndarray | None) -> None:
        """Write one more picture [height, width, 3], blue first, or None if there is none."""
        if picture is None and self._picture is None:
            self._num_missing += 1
            return
        if self._picture is None:
            self._writer = self._open(self.path, picture.shape[1::-1])
            for _ in range(self._num_missing):
                self._writer.write(np.zeros_like(picture))
        if picture is not None:
            self._picture = picture if self._picture is None else fit_into(picture, self._picture.shape[1::-1])
        self._writer.write(self._picture)

    def _open(self, path: Path, size: tuple[int, int]) -> cv2.VideoWriter:
        """A writer of pictures of a size (width, height)."""
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*VIDEO_CODECS[path.suffix]), self.fps, size)
        if not writer.isOpened():
            raise OSError(
                f'{self.path} cannot be written, {size} pixels at {self.fps} frames per second: is there space left, '
                'does OpenCV have the codec, and can a video be so fast or slow?'
            )
        return writer

    def close(self) -> None:
        """End the video; without pictures there is no file."""
        if self._writer is not None:
            self._writer.release()
            print_log(f'the video with skeletons is {self.path}', logger='current')


def fit_into(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a picture into (width, height) with black borders, keeping its shape."""
    if picture.shape[1::-1] == size:
        return picture
    width, height = size
    scale = min(width / picture.shape[1], height / picture.shape[0])
    scaled = cv2.resize(picture, (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)))
    left, top = (width - scaled.shape[1]) // 2, (height - scaled.shape[0]) // 2
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    canvas[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return canvas


class ResultFiles:
    """All files of one run; a context that closes them whatever happens.

    For a video `<pred_out_dir>/<name>.json` (a list with `frame_id` and `instances` of each frame) and
    `<vis_out_dir>/<name>.mp4`; for images a json and a picture each. These are MMPose's names and contents.

    Args:
        source: what is read.
        pred_out_dir: folder of the json files; empty: none are written.
        vis_out_dir: folder of the pictures or, for a video, the video's own name; empty: none are written.
        posetrack_json: also write `<name>_posetrack.json`, in PoseTrack's layout.
        keypoint_names: of the model.
        meta_info: of poses that will be lifted to 3D: the video's json becomes a dict with it, see `JsonList`; then
            `lifted_files` takes the results once more.
        also_read: files besides the source's that no result may replace.
    """

    def __init__(
        self,
        source: FrameSource,
        pred_out_dir: str | Path = '',
        vis_out_dir: str | Path = '',
        posetrack_json: bool = False,
        keypoint_names: Sequence[str] = (),
        meta_info: Mapping[str, Any] | None = None,
        also_read: Sequence[str] = (),
    ) -> None:
        self.is_video, self.meta_info = source.is_video, meta_info
        self.video: VideoFile | None = None
        self.lifted_video: VideoFile | None = None
        self.predictions: JsonList | None = None
        self.posetrack: PoseTrackJson | None = None
        if posetrack_json and not (pred_out_dir and source.is_video):
            raise ValueError('PoseTrack json is for videos, and goes to pred_out_dir (or out_dir): give both')
        is_file = source.is_video and bool(Path(vis_out_dir).suffix) and not Path(vis_out_dir).is_dir()
        self.picture_folder = (
            prepare_folder(Path(vis_out_dir).parent if is_file else vis_out_dir) if vis_out_dir else None
        )
        self.prediction_folder = prepare_folder(pred_out_dir) if pred_out_dir else None
        inputs = [*source.paths, *also_read]
        if not source.is_video:
            if self.picture_folder or self.prediction_folder:
                check_names_differ(source.image_names)
            refuse_to_overwrite([path for name in source.image_names for path in self._image_targets(name)], inputs)
            return
        if self.picture_folder:
            path = Path(vis_out_dir) if is_file else self.picture_folder / f'{source.name}.mp4'
            refuse_to_overwrite((path, lifted_path(path)) if meta_info else (path,), inputs)
            self.video = VideoFile(path, source.fps)
            self.lifted_video = VideoFile(lifted_path(path), source.fps) if meta_info else None
        if self.prediction_folder:
            predictions, posetrack = (self.prediction_folder / f'{source.name}{end}.json' for end in ('', '_posetrack'))
            refuse_to_overwrite((predictions, posetrack) if posetrack_json else (predictions,), inputs)
            if posetrack_json:
                self.posetrack = PoseTrackJson(posetrack, source.name, keypoint_names)
            self.predictions = JsonList(predictions, meta_info)

    def _image_targets(self, name: str) -> list[Path]:
        """The results of an image: json and picture, or what of it is written."""
        predictions = [self.prediction_folder / f'{Path(name).stem}.json'] if self.prediction_folder else []
        return predictions + ([self.picture_folder / Path(name).name] if self.picture_folder else [])

    @property
    def wants_pictures(self) -> bool:
        """Whether pictures are written."""
        return self.picture_folder is not None

    def add(self, frame: Frame, instances: Sequence[Mapping[str, Any]], picture: np.ndarray | None) -> None:
        """Write the people of a frame, and its picture (blue first) if there is one."""
        entry = rounded(list(instances))
        name = Path(frame.path).name
        if self.predictions is not None:
            self.predictions.append({'frame_id': frame.index, 'instances': entry})
        elif self.prediction_folder is not None:
            (self.prediction_folder / f'{Path(name).stem}.json').write_text(json.dumps(entry, allow_nan=False))
        if self.posetrack is not None:
            self.posetrack.append(instances)
        if self.video is not None:
            self.video.append(picture)
        elif picture is not None and self.picture_folder and not cv2.imwrite(str(self.picture_folder / name), picture):
            raise OSError(f'{self.picture_folder / name} cannot be written')

    def lifted_files(self) -> LiftedFiles:
        """The files of a video's results in 3D."""
        path = Path(self.predictions.file.name) if self.predictions else None
        return LiftedFiles(path, self.lifted_video, self.meta_info)

    def close(self) -> None:
        """End all files."""
        for file in (self.predictions, self.posetrack, self.video):
            if file is not None:
                file.close()

    def __enter__(self) -> ResultFiles:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class LiftedFiles:
    """A video's results once more, now in 3D; a context.

    The json replaces that of the 2D poses when it is complete. Interrupted, it leaves that one as it is.

    Args:
        predictions: the json file, if there is one.
        video: for the pictures with 3D skeletons, if there is one.
        meta_info: see `JsonList`.
    """

    def __init__(self, predictions: Path | None, video: VideoFile | None, meta_info: Mapping[str, Any] | None) -> None:
        self.path, self.video = predictions, video
        self.aside = predictions and predictions.with_name(f'.{predictions.name}.partial')
        self.predictions = JsonList(self.aside, meta_info) if self.aside else None

    def add(self, frame_id: int, instances: Sequence[Mapping[str, Any]], picture: np.ndarray | None) -> None:
        """Write the people of a frame, and its picture (blue first) if there is one."""
        if self.predictions is not None:
            self.predictions.append({'frame_id': frame_id, 'instances': rounded(list(instances))})
        if self.video is not None:
            self.video.append(picture)

    def __enter__(self) -> LiftedFiles:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.video is not None:
            self.video.close()
        if self.predictions is not None:
            self.predictions.close()
            if kind is None:
                os.replace(self.aside, self.path)
            else:
                self.aside.unlink()


def lifted_path(path: Path) -> Path:
    """Where the video with 3D skeletons goes, beside the one without."""
    return path.with_stem(f'{path.stem}_3d')


def check_names_differ(paths: Sequence[str]) -> None:
    """Images of one name from different folders would replace each other's results."""
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(Path(path).stem, path)
        if other != path:
            raise ValueError(f'results are named after the images, and {other} and {path} have one name')


def refuse_to_overwrite(targets: Iterable[Path], paths: Sequence[str]) -> None:
    """No result may replace what it is made from."""
    inputs = {os.path.realpath(path): path for path in paths}
    for target in targets:
        if (path := inputs.get(os.path.realpath(target))) is not None:
            raise ValueError(f'the result would overwrite the input {path}: choose another out_dir')
