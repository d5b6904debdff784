"""Video in, poses out: the inferencer for models that look at several frames."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.apis.inferencers import Pose2DInferencer
from mmpose.apis.inferencers.utils import default_det_models
from mmpose.registry import INFERENCERS
from mmpose.structures import PoseDataSample
from tqdm import tqdm

from ..engine import find_config, load_config, load_weights
from ..models.heads.sampling_options import SamplingOptions
from ..visualization.ellipses import draw_ellipses
from ..visualization.pose3d_picture import SkeletonPainter
from .clip_window import KeyFrame, key_frames
from .frame_results import as_dicts, merge_people, results_of, track_ids_of
from .frame_sources import Frame, FrameSource, open_frames
from .person_boxes import BoxFile, DetectedBoxes, GivenBoxes, PersonBoxes, PersonFinder, WholeImage, find_people
from .pose_lifting import PoseTracks, TrackLifter, WaitingSamples, to_human36m_joints
from .result_files import DIGITS, ResultFiles
from .streaming import StreamingEstimator
from .tracking import PoseTracker


@INFERENCERS.register_module()
class VideoPoseInferencer(Pose2DInferencer):
    """Poses of all people in all frames of a video, by a model that looks at clips.

    Takes MMPoseInferencer's arguments and gives its results, with these differences: the model sees a frame together
    with its neighbours; `batch_size` people are estimated together, from as many frames as it takes; boxes given by the
    caller are used; where nobody is found there is nobody; the people of a video have a `track_id`; frames are read one
    by one and results written at once, so that memory does not grow with the video.

    Args:
        pose2d: path of a config, name of a config of this package, or a config.
        pose2d_weights: checkpoint.
        pose3d: who lifts the poses of a video to 3D, once all of them are there: path, name or config of a
            `DiffusionPoseLifter` for the joints of Human3.6M (D3DP, FinePOSE). None: poses stay 2D.
        pose3d_weights: its checkpoint.
        device: 'cuda', 'cpu', ...; None: what is there.
        scope: the registry's scope.
        det_model: who finds the people: a detector's config (path, name of this package's, or name of MMDetection's),
            'whole_image' for one person who fills the picture, or a json file of boxes (see `BoxFile`). None: MMPose's
            default detector, whose weights it downloads; it is not needed when `bboxes` are given.
        det_weights: checkpoint of the detector.
        det_cat_ids: which of the detector's classes are people. None: the first one.
        show_progress: show a bar with frames per second.
    """

    preprocess_kwargs: set = {'bboxes', 'bbox_thr', 'nms_thr', 'images_are_video', 'fps'}
    forward_kwargs: set = {'stream', 'num_steps', 'num_hypotheses', 'seed', 'action'}
    visualize_kwargs: set = Pose2DInferencer.visualize_kwargs | {'show_uncertainty'}
    postprocess_kwargs: set = {'pred_out_dir', 'posetrack_json'}

    def __init__(
        self,
        pose2d: str | Config | ConfigDict | None = None,
        pose2d_weights: str | None = None,
        pose3d: str | Config | ConfigDict | None = None,
        pose3d_weights: str | None = None,
        device: str | None = None,
        scope: str = 'mmpose',
        det_model: str | Config | None = None,
        det_weights: str | None = None,
        det_cat_ids: int | Sequence[int] | None = None,
        show_progress: bool = False,
    ) -> None:
        if pose3d_weights is not None and pose3d is None:
            raise ValueError(f'pose3d is missing: the config of the lifter with the weights {pose3d_weights}')
        if pose2d is None:
            raise ValueError('pose2d is missing: the path or name of a config')
        super().__init__(
            load_config(pose2d) if isinstance(pose2d, str) else pose2d,
            pose2d_weights,
            device,
            scope,
            det_model,
            det_weights,
            det_cat_ids,
            show_progress,
        )
        if pose2d_weights is not None:
            load_weights(self.model, pose2d_weights)  # MMPose would only log weights that are missing
        self._test_cfg = dict(self.model.test_cfg or {})  # the config's; a call puts its own in its place
        self.lifter: TrackLifter | None = None
        if pose3d is not None:
            self._joints_for_lifting(np.zeros((1, self.model.dataset_meta['num_keypoints'], 2)))  # refuses others
            self.lifter = TrackLifter(pose3d, pose3d_weights, next(self.model.parameters()).device)

    def _init_pipeline(self, cfg: Config) -> Compose:
        """The config's own test pipeline, as its evaluation runs it."""
        pipeline = super()._init_pipeline(cfg)
        offsets = [step.offsets for step in pipeline.transforms if hasattr(step, 'offsets')]
        if len(offsets) != 1 or offsets[0] is None:
            raise ValueError(
                'the test pipeline must say by SampleClip(offsets=...) which frames a clip has; for a model of single '
                'images use MMPoseInferencer'
            )
        (self.frame_offsets,) = offsets
        return pipeline

    def _init_detector(
        self,
        det_model: str | Config | None = None,
        det_weights: str | None = None,
        det_cat_ids: int | Sequence[int] | None = None,
        device: str | None = None,
    ) -> None:
        """Build the detector, unless boxes come from elsewhere or might (then `_make_finder` builds it)."""
        self.detector, self.device, self.det_model = None, device, det_model
        if det_model is None or det_model == 'whole_image' or str(det_model).endswith('.json'):
            return
        if isinstance(det_model, str):
            try:
                det_model = str(find_config(det_model))
            except FileNotFoundError:
                pass  # perhaps a name of MMDetection's; it says so if not
        with DefaultScope.overwrite_default_scope('mmdet'):
            super()._init_detector(det_model, det_weights, 0 if det_cat_ids is None else det_cat_ids, device)
        if det_weights is not None:
            load_weights(self.detector.model, det_weights, allow_unexpected=True)  # MMDetection would only log a misfit

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        out_dir: str | None = None,
        **kwargs: Any,
    ) -> Iterator[dict]:
        """Estimate the poses in a video or in images.

        What can be refused is refused at once; the work is done while the results are taken.

        Args:
            inputs: see `open_frames`.
            return_datasamples: give `PoseDataSample`s instead of lists of dicts.
            batch_size: how many people the network sees at once, and how many frames the detector.
            out_dir: folder for `predictions/` and `visualizations/`; see `ResultFiles`.
            bboxes: the people's boxes, an entry [P, 4] or [P, 5] (with scores) for each frame.
            bbox_thr: detections of a lower score are dropped (0.3).
            nms_thr: of two detections that overlap more (IoU), the better one stays (0.3).
            images_are_video: the images of a folder or list are frames of a video.
            fps: frames per second, if the video does not say or says wrong.
            stream: compute each frame's features once, from crops that stand still while people stay inside (see
                `StreamingEstimator`). Faster, and almost as accurate as a crop for each frame.
            num_steps, num_hypotheses, seed: how diffusion models are to sample, instead of as their configs say; with
                `pose3d` that may be two.
            action: what the people do, for a lifter that is told so in words (FinePOSE).
            pred_out_dir: folder of the json files.
            posetrack_json: also write PoseTrack's layout.
            kwargs: what MMPoseInferencer takes to draw: vis_out_dir, return_vis, show, kpt_thr, draw_bbox, ...; and
                show_uncertainty, to draw what the hypotheses say about each keypoint.

        Returns:
            An iterator over the frames, each a dict with `predictions` (a list with the list of the frame's people) and
            `visualization` (a list with the picture, or empty). With `pose3d` the first one comes when all frames have
            been lifted, and people have `keypoints_3d`.
        """
        if out_dir is not None:
            kwargs = dict(vis_out_dir=f'{out_dir}/visualizations', pred_out_dir=f'{out_dir}/predictions') | kwargs
        reading, sampling, drawing, writing = self._dispatch_kwargs(**kwargs)
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        stream = sampling.pop('stream', False)
        test_cfg, lift = self._sampling_options(sampling, drawing)
        self.update_model_visualizer_settings(**drawing)
        test_cfg['output_heatmaps'] = drawing.get('draw_heatmap', False)
        source = open_frames(inputs, reading.pop('images_are_video', False), reading.pop('fps', None))
        refuse_what_does_not_go_together(source, stream, lift is not None)
        if source.is_live:
            drawing['show'] = True
        finder = self._make_finder(source, **reading)
        names = list(self.model.dataset_meta['keypoint_id2name'].values())
        meta_info = None if lift is None else {'keypoint_names': names, **self.lifter.meta}
        files = ResultFiles(
            source,
            vis_out_dir=drawing.pop('vis_out_dir', ''),
            keypoint_names=names,
            meta_info=meta_info,
            also_read=[finder.path] if isinstance(finder, BoxFile) else [],
            **writing,
        )
        returning = {'return_vis': drawing.pop('return_vis', False)}
        poses = partial(self._poses, source, finder, files, batch_size, test_cfg, stream=stream)
        if lift is None:
            return results_of(poses(drawing | returning), return_datasamples, **returning)
        poses = self._lifted_poses(source, poses(drawing), files, lift, drawing | {'show': False} | returning)
        return results_of(poses, return_datasamples, **returning)

    def _sampling_options(
        self, sampling: Mapping[str, Any], drawing: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Callable | None]:
        """How to sample: the config's `test_cfg` with the caller's wishes, and a function that lifts tracks so.

        What has no effect is refused.
        """
        asked = {name: value for name, value in sampling.items() if value is not None}
        action = asked.pop('action', None)
        samples_heatmaps = hasattr(self.model.head, 'sample_heatmaps')
        samples_poses = self.lifter is not None and self.lifter.samples
        if drawing.get('show_uncertainty') and not samples_heatmaps:
            raise ValueError(f'show_uncertainty is for diffusion models; {self._head_name} does not sample')
        if asked and not (samples_heatmaps or samples_poses):
            raise ValueError(f'{sorted(asked)} are for diffusion models; {self._head_name} does not sample')
        test_cfg = {**self._test_cfg, **(asked if samples_heatmaps else {})}
        if drawing.get('show_uncertainty'):
            test_cfg['output_hypotheses'] = True
        SamplingOptions.from_test_cfg(test_cfg)
        if self.lifter is None:
            if action is not None:
                raise ValueError(f'action={action!r} is for lifting to 3D: give pose3d, or leave it out')
            return test_cfg, None
        lifting_cfg = self.lifter.check(action, asked if samples_poses else {})
        return test_cfg, partial(self.lifter.lift, action=action, test_cfg=lifting_cfg)

    @property
    def _head_name(self) -> str:
        return type(self.model.head).__name__

    def _joints_for_lifting(self, keypoints: np.ndarray) -> np.ndarray:
        """Keypoints [P, K, 2] -> what the lifter reads [P, J, 2], from coordinates as they stand in the json.

        The last bits of an estimate depend on how many clips are in a batch; those of 3D poses shall not.
        """
        return to_human36m_joints(np.round(keypoints, DIGITS), self.model.dataset_meta)

    def _make_finder(
        self, source: FrameSource, bboxes: Sequence[Any] | None = None, bbox_thr: float = 0.3, nms_thr: float = 0.3
    ) -> PersonFinder:
        """Who says where the people are."""
        if bboxes is not None:
            return GivenBoxes(bboxes, len(source.image_names) or None)
        if self.det_model == 'whole_image':
            return WholeImage()
        if str(self.det_model).endswith('.json'):
            return BoxFile(self.det_model, bbox_thr)
        if self.detector is None:
            default = default_det_models['human']
            self._init_detector(default['model'], default['weights'], default['cat_ids'], self.device)
        return DetectedBoxes(self.detector, self.det_cat_ids, bbox_thr, nms_thr)

    def _poses(
        self,
        source: FrameSource,
        finder: PersonFinder,
        files: ResultFiles,
        batch_size: int,
        test_cfg: dict[str, Any],
        drawing: dict[str, Any],
        stream: bool,
    ) -> Generator[tuple[KeyFrame, PoseDataSample, np.ndarray | None], None, None]:
        """Read, find, estimate, track, draw and write, frame by frame."""
        tracker = PoseTracker(self.model.dataset_meta['sigmas']) if source.is_video else None
        wants_pictures = files.wants_pictures or drawing.get('show') or drawing.get('return_vis')
        reach = self._reach(source)
        estimate = partial(self._slide, batch_size=batch_size)
        if stream:
            estimate = StreamingEstimator(
                self.model, self.pipeline, self.frame_offsets, self.model.dataset_meta, batch_size
            )
        located = self._locate(source, finder, batch_size)
        estimated = self._estimate(located, reach, estimate, batch_size, test_cfg)
        progress = tqdm(estimated, total=source.num_frames, unit=' frames', disable=not self.show_progress)
        with files:
            for key_frame, people in progress:
                sample = merge_people(people, key_frame.frame, self.model.dataset_meta['num_keypoints'])
                self._add_track_ids(sample.pred_instances, key_frame.frame.people, tracker)
                picture = self._draw(key_frame, sample, source, drawing) if wants_pictures else None
                files.add(key_frame.frame, as_dicts(sample.pred_instances), picture)
                yield key_frame, sample, picture

    def _reach(self, source: FrameSource) -> tuple[int, int]:
        """How many frames before and after the key frame a clip has."""
        return (-self.frame_offsets[0], self.frame_offsets[-1]) if source.is_video else (0, 0)

    def _lifted_poses(
        self, source: FrameSource, poses: Generator, files: ResultFiles, lift: Callable, drawing: dict[str, Any]
    ) -> Generator[tuple[KeyFrame | None, PoseDataSample, np.ndarray | None], None, None]:
        """Let the video pass in 2D, lift its tracks, then give and write each frame once more, with `keypoints_3d`.

        The video is read again for the pictures.
        """
        tracks = PoseTracks()
        with closing(poses), WaitingSamples() as waiting:
            for key_frame, sample, _ in poses:
                people = sample.pred_instances
                if len(people):
                    joints, size = self._joints_for_lifting(people.keypoints), key_frame.image.shape[1::-1]
                    tracks.add(key_frame.frame.index, people.track_ids, joints, size)
                waiting.append(sample)
            sequences = tqdm(tracks.sequences(), desc='lifting', unit=' sequences', disable=not self.show_progress)
            poses_3d = lift(sequences)
            painter = SkeletonPainter(self.lifter.metainfo)
            frames: Iterable[KeyFrame | None] = repeat(None, len(waiting))
            if files.wants_pictures or drawing['return_vis']:
                frames = key_frames(source, *self._reach(source))
            with files.lifted_files() as lifted_files:
                for frame_id, (sample, key_frame) in enumerate(zip(waiting, frames, strict=True)):
                    people = sample.pred_instances
                    in_frame = poses_3d.get(frame_id, {})
                    people.keypoints_3d = np.array(
                        [in_frame[track_id] for track_id in track_ids_of(people)], dtype=np.float32
                    ).reshape(-1, self.lifter.num_joints, 3)
                    picture = None if key_frame is None else self._draw(key_frame, sample, source, drawing)
                    if picture is not None:
                        labels = [f'track {track_id}' for track_id in track_ids_of(people)]
                        picture = painter.beside(picture, people.keypoints_3d, labels, people.bboxes[:, :2])
                    lifted_files.add(frame_id, as_dicts(people), picture)
                    yield key_frame, sample, picture

    def _locate(self, source: FrameSource, finder: PersonFinder, batch_size: int) -> Iterator[Frame]:
        """The frames with their people; the finder sees `batch_size` frames at once."""
        before = None
        for frames in self._get_chunk_data(source, batch_size):
            people = find_people(frames, finder, before)
            before = people[-1] if source.is_video else None
            yield from (frame._replace(people=boxes) for frame, boxes in zip(frames, people, strict=True))
        if isinstance(finder, BoxFile):
            finder.warn_if_unused()

    def _estimate(
        self, frames: Iterable[Frame], reach: tuple[int, int], estimate: Callable, batch_size: int, test_cfg: dict
    ) -> Iterator[tuple[KeyFrame, list[PoseDataSample]]]:
        """The poses of each frame's people, the frames in groups of `batch_size`."""
        for keys in self._get_chunk_data(key_frames(frames, *reach), batch_size):
            self.model.test_cfg = test_cfg
            yield from zip(keys, estimate(keys), strict=True)

    @torch.no_grad()
    def _slide(self, keys: Sequence[KeyFrame], batch_size: int) -> list[list[PoseDataSample]]:
        """Poses of the people of some key frames, by a window that slides: each clip on its own, as in evaluation."""
        clips = (clip for key in keys for clip in self._clips(key))
        batches = map(self.collate_fn, self._get_chunk_data(clips, batch_size))
        predicted = iter([sample for batch in batches for sample in self.model.test_step(batch)])
        return [[next(predicted) for _ in range(num_people(key))] for key in keys]

    def _clips(self, key: KeyFrame) -> Iterator[dict]:
        """A clip for each person of a key frame, through the config's own test pipeline."""
        for person in range(num_people(key)):
            yield self.pipeline(self._pipeline_input(key, person))

    def _pipeline_input(self, key: KeyFrame, person: int) -> dict:
        """What a data set would give the pipeline: frames, a box, and what the data set knows about skeletons."""
        frame = key.frame
        return dict(
            self.model.dataset_meta,
            frames=[other.image for other in key.frames],
            key_frame_index=key.position,
            img_path=frame.path,
            img_id=frame.index,  # with `id` this decides about a diffusion model's noise: no path in it
            id=person,
            bbox=frame.people.boxes[person : person + 1],
            bbox_score=frame.people.scores[person : person + 1],
        )

    def _add_track_ids(self, instances: InstanceData, people: PersonBoxes, tracker: PoseTracker | None) -> None:
        """Say who is who: what came with the boxes, or what the tracker makes of boxes and poses."""
        if tracker is None:
            return
        if people.track_ids is not None:
            instances.track_ids = np.array(people.track_ids, dtype=np.int64)
        else:
            instances.track_ids = tracker.update(instances.bboxes, instances.keypoints, instances.keypoint_scores)

    def _draw(
        self, key_frame: KeyFrame, sample: PoseDataSample, source: FrameSource, drawing: dict[str, Any]
    ) -> np.ndarray | None:
        """The frame with its poses, blue first, by MMPose's visualizer."""
        image = key_frame.image
        if image is None:
            return None
        self._video_input = source.is_video
        options = {name: value for name, value in drawing.items() if name not in ('return_vis', 'show_uncertainty')}
        (picture,) = self.visualize([image], [sample], return_vis=True, window_name=source.name, **options)
        if drawing.get('show_uncertainty') and len(sample.pred_instances):
            picture = self._draw_uncertainty(picture, sample.pred_instances, drawing.get('kpt_thr', 0.3))
        return picture[..., ::-1]

    def _draw_uncertainty(self, picture: np.ndarray, instances: InstanceData, min_score: float) -> np.ndarray:
        """Ellipses around the keypoints that are shown, in their colours; the picture is red first."""
        is_shown = instances.keypoint_scores >= min_score  # [P, K]
        colors = np.broadcast_to(np.array(self.visualizer.kpt_color), (*is_shown.shape, 3))
        covariances = instances.keypoint_covariances
        return draw_ellipses(picture, instances.keypoints[is_shown], covariances[is_shown], colors[is_shown])


def num_people(key: KeyFrame) -> int:
    """How many people a key frame has whose poses can be estimated."""
    return len(key.frame.people.boxes) if key.image is not None else 0


def refuse_what_does_not_go_together(source: FrameSource, stream: bool, lifts: bool) -> None:
    """Streaming and lifting want a video, lifting the whole of it."""
    if lifts and (stream or source.is_live):
        raise ValueError(
            'lifting to 3D looks at whole tracks, so it waits for the end of the video: it does not go with '
            "stream=True or 'webcam'; leave one of them out"
        )
    if stream and not source.is_video:
        raise ValueError('stream=True is for videos; these images have nothing to do with each other')
    if lifts and not source.is_video:
        raise ValueError(
            'lifting to 3D is for videos; images_are_video=True says that these images are the frames of one'
        )
