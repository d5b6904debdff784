"""PoseTrack AP as a metric of MMPose."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.functional import oks_nms, soft_oks_nms
from mmpose.registry import METRICS

from ..functional.json_values import to_numpy
from ..functional.posetrack_ap import (
    JOINT_NAMES,
    evaluate_posetrack_ap,
    format_posetrack_table,
    posetrack_columns,
)
from ..functional.posetrack_files import parse_posetrack_video
from ..functional.posetrack_results import (
    PredictedPerson,
    load_annotated_videos,
    official_prediction,
    write_official_prediction,
)

SCORE_MODES = ('keypoint', 'bbox', 'bbox_keypoint')
NMS_MODES = ('oks_nms', 'soft_oks_nms', 'none')


@METRICS.register_module()
class PoseTrackAP(BaseMetric):
    """PoseTrack multi-person pose AP, equal to the official evaluation, without further packages.

    Results, in percent: `Head AP`, `Shoulder AP`, `Elbow AP`, `Wrist AP`, `Hip AP`, `Knee AP`, `Ankle AP`, `Mean AP`.
    Every frame of every annotated video counts, also those in which nothing was predicted. A person that comes twice
    (same `id` in the same image, as in padded distributed runs) counts once.

    Args:
        ann_dir: folder of official annotation files (2018 layout), one per video.
        ann_file: instead of `ann_dir`: one merged COCO-style file; an image's `video`, or else the parent folder in its
            `file_name`, names its video.
        data_root: what a relative `ann_dir` or `ann_file` is relative to.
        score_mode: what ranks the joints: `'keypoint'` their confidence, `'bbox'` the score of the person's box,
            `'bbox_keypoint'` their product.
        keypoint_score_thr: keypoints below it do not enter the score of the person, as in MMPose's metrics. Only
            suppression uses the score of a person, and only the mode `'bbox_keypoint'` the threshold.
        nms_mode: `'oks_nms'`, `'soft_oks_nms'` (keeps at most 20 people per frame) or `'none'`.
        nms_thr: similarity above which the person with the lower score is suppressed.
        format_only: write result files, evaluate nothing, need no annotated people.
        outfile_prefix: folder for the official result files, one per video. None: write none.
        box_source: where the boxes came from (`'ground truth'`, the name of a detector ...), printed with the result.
            None: ground truth is recognised by the samples' `raw_ann_info`.
        collect_device: `'cpu'` or `'gpu'`.
        prefix: of the metric names.
    """

    default_prefix = 'posetrack'

    def __init__(
        self,
        ann_dir: str | None = None,
        ann_file: str | None = None,
        data_root: str | None = None,
        score_mode: str = 'bbox_keypoint',
        keypoint_score_thr: float = 0.2,
        nms_mode: str = 'oks_nms',
        nms_thr: float = 0.9,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        box_source: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if score_mode not in SCORE_MODES:
            raise ValueError(f'score_mode must be one of {SCORE_MODES}, got {score_mode!r}')
        if nms_mode not in NMS_MODES:
            raise ValueError(f'nms_mode must be one of {NMS_MODES}, got {nms_mode!r}')
        if format_only and outfile_prefix is None:
            raise ValueError('format_only needs outfile_prefix, the folder for the result files')
        ann_dir, ann_file = (
            str(Path(data_root or '') / path) if path is not None else None for path in (ann_dir, ann_file)
        )
        if None not in (ann_dir, outfile_prefix) and Path(ann_dir).resolve() == Path(outfile_prefix).resolve():
            raise ValueError(
                f'outfile_prefix {outfile_prefix} is the folder of the annotations: results would replace them'
            )
        self.score_mode = score_mode
        self.keypoint_score_thr = keypoint_score_thr
        self.nms_mode = nms_mode
        self.nms_thr = nms_thr
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.box_source = box_source
        self.videos = load_annotated_videos(ann_dir, ann_file, images_only=format_only)
        self._frames = _FrameIndex([(Path(video.file_name).stem, video.images) for video in self.videos])

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep what the evaluation needs of each sample: one result per sample, whatever the number of its people."""
        for sample in data_samples:
            self.results.append(_read_sample(sample))

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Suppress, write and evaluate the predictions of all videos."""
        logger = MMLogger.get_current_instance()
        meta = self._checked_meta()
        warn_about_broken_clips(results)
        predictions = self._official_predictions(results, meta)
        if self.outfile_prefix is not None:
            for video, content in zip(self.videos, predictions, strict=True):
                write_official_prediction(content, Path(self.outfile_prefix) / video.file_name)
            logger.info(f'{len(predictions)} result files are in {self.outfile_prefix}')
        if self.format_only:
            return {}
        pairs = [
            (video.annotated, parse_posetrack_video(content, f'predictions of {video.file_name}', is_prediction=True))
            for video, content in zip(self.videos, predictions, strict=True)
        ]
        result = evaluate_posetrack_ap(pairs)
        is_annotated = bool(results) and all(sample['has_annotated_box'] for sample in results)
        box_source = self.box_source or ('ground truth' if is_annotated else 'source not stated')
        logger.info(
            f'PoseTrack AP of {len(pairs)} videos, boxes: {box_source}, '
            f'joint scores: {self.score_mode}, suppression: {self.nms_mode}\n{format_posetrack_table(result)}'
        )
        return {f'{name} AP': value for name, value in posetrack_columns(result.ap).items()}

    def _checked_meta(self) -> dict[str, Any]:
        """Keypoint names and sigmas of the data set, which must have the PoseTrack joints."""
        meta = self.dataset_meta or parse_pose_metainfo({'from_file': 'configs/_base_/datasets/posetrack18.py'})
        names = list(meta['keypoint_id2name'].values())
        missing = [name for name in JOINT_NAMES if name not in names]
        if missing or len(names) not in (15, 17):
            lacking = f' without {", ".join(missing)}' if missing else ''
            raise ValueError(
                f'{type(self).__name__} needs the 15 PoseTrack joints (and two ears at most), but the data set '
                f'{meta.get("dataset_name")!r} has {len(names)} keypoints{lacking}. A model of COCO keypoints cannot '
                'be evaluated: it predicts neither head_bottom nor head_top'
            )
        return {**meta, 'names': names}

    def _official_predictions(self, results: Sequence[dict[str, Any]], meta: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Group the samples by frame, once each, in the order of their ids; one result file per video."""
        samples: dict[tuple[int, int], dict[tuple, dict[str, Any]]] = {}
        for sample in results:
            check_keypoint_count(sample, meta)
            frame = self._frames.find(sample['video'], sample['img_id'], sample['label'])
            samples.setdefault(frame, {}).setdefault(sample['id'], sample)
        people: list[list[list[PredictedPerson]]] = [[[] for _ in video.images] for video in self.videos]
        for (video, frame), by_id in samples.items():
            people[video][frame] = self._select_people([by_id[key] for key in sorted(by_id)], meta['sigmas'])
        return [
            official_prediction(video.images, people_of_video, meta['names'])
            for video, people_of_video in zip(self.videos, people, strict=True)
        ]

    def _select_people(self, samples: Sequence[dict[str, Any]], sigmas: np.ndarray) -> list[PredictedPerson]:
        """Score the people of one frame and suppress doubles; the best score comes first then."""
        keypoints, confidences, box_scores, areas = (
            np.concatenate([sample[key] for sample in samples])
            for key in ('keypoints', 'keypoint_scores', 'bbox_scores', 'areas')
        )
        person_scores = self._person_scores(confidences, box_scores)
        joint_scores = self._joint_scores(confidences, box_scores)
        kept: Sequence[int] = range(len(keypoints))
        if self.nms_mode != 'none':
            candidates = [
                {'keypoints': np.column_stack([points, confidence]), 'score': score, 'area': area}
                for points, confidence, score, area in zip(keypoints, confidences, person_scores, areas, strict=True)
            ]
            suppress = oks_nms if self.nms_mode == 'oks_nms' else soft_oks_nms
            kept = suppress(candidates, self.nms_thr, sigmas=np.asarray(sigmas))
        return [PredictedPerson(keypoints[i], confidences[i], joint_scores[i], float(person_scores[i])) for i in kept]

    def _joint_scores(self, confidences: np.ndarray, box_scores: np.ndarray) -> np.ndarray:
        """What ranks the joints, [P, K], from confidences [P, K] and box scores [P]."""
        return {
            'keypoint': confidences,
            'bbox': np.broadcast_to(box_scores[:, None], confidences.shape),
            'bbox_keypoint': confidences * box_scores[:, None],
        }[self.score_mode]

    def _person_scores(self, confidences: np.ndarray, box_scores: np.ndarray) -> np.ndarray:
        """One score per person [P] from confidences [P, K] and box scores [P]."""
        if self.score_mode == 'bbox':
            return box_scores
        if self.score_mode == 'keypoint':
            return confidences.mean(axis=1)
        is_counted = confidences > self.keypoint_score_thr
        mean = (confidences * is_counted).sum(axis=1) / np.maximum(is_counted.sum(axis=1), 1)
        return box_scores * mean


def warn_about_broken_clips(results: Sequence[Mapping[str, Any]]) -> None:
    """Say how many samples had frames that could not be read."""
    broken = [sample for sample in results if sample['is_broken']]
    if broken:
        MMLogger.get_current_instance().warning(
            f'{len(broken)} of {len(results)} samples were predicted from clips with frames that could not be '
            f'read, for example {broken[0]["label"]}'
        )


def check_keypoint_count(sample: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """Refuse predictions of other keypoints than those of the data set."""
    if sample['keypoints'].shape[1:] != (len(meta['names']), 2):
        raise ValueError(
            f'{sample["label"]}: expected {len(meta["names"])} keypoints as in the data set '
            f'{meta.get("dataset_name")!r}, got predictions of shape {sample["keypoints"].shape}'
        )


class _FrameIndex:
    """Finds the frame of a sample by video and image id, or by image id alone where it is unique."""

    def __init__(self, videos: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
        self.video_names = {name for name, _ in videos}
        self.by_video: dict[tuple[str, Any], tuple[int, int]] = {}
        self.by_image: dict[Any, list[tuple[int, int]]] = {}
        for number, (name, images) in enumerate(videos):
            for frame, image in enumerate(images):
                self.by_video[name, image['id']] = (number, frame)
                self.by_image.setdefault(image['id'], []).append((number, frame))

    def find(self, video: str | None, image_id: Any, label: str) -> tuple[int, int]:
        """Number of the video and of its frame."""
        if video in self.video_names:
            found = [self.by_video[video, image_id]] if (video, image_id) in self.by_video else []
        else:
            found = self.by_image.get(image_id, [])
        if len(found) != 1:
            raise ValueError(
                f'{label}: image id {image_id} of video {video!r} is {"not" if not found else "more than once"} in the '
                f'annotations ({len(self.video_names)} videos). Evaluate against the annotations that the data set '
                'reads, and let the pipeline pack the key video if image ids repeat'
            )
        return found[0]


def _read_sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of one sample: P people (top-down: 1), K keypoints."""
    label = f'sample {sample.get("id")} ({sample.get("img_path")})'
    if 'pred_instances' not in sample:
        raise ValueError(f'{label} has no pred_instances: PoseTrackAP evaluates predictions')
    predicted, truth = sample['pred_instances'], sample.get('gt_instances') or {}
    missing = [f'pred_instances.{key}' for key in ('keypoints', 'keypoint_scores') if key not in predicted]
    missing += [key for key in ('img_id', 'id') if key not in sample]
    if missing:
        raise ValueError(f'{label} has no {", ".join(missing)}: let the model predict and the pipeline pack them')
    keypoints = to_numpy(predicted['keypoints'])  # [P, K, 2]
    confidences = to_numpy(predicted['keypoint_scores'])  # [P, K]
    if keypoints.ndim != 3 or confidences.shape != keypoints.shape[:2]:
        raise ValueError(
            f'{label}: expected keypoints [P, K, 2] and keypoint_scores [P, K], got {keypoints.shape} '
            f'and {confidences.shape}'
        )
    box_scores = np.ones(len(keypoints))
    for instances in (predicted, truth):
        if 'bbox_scores' in instances and len(instances['bbox_scores']) == len(keypoints):
            box_scores = to_numpy(instances['bbox_scores']).reshape(-1)
            break
    if 'bbox_scales' in truth and len(truth['bbox_scales']) == len(keypoints):
        areas = to_numpy(truth['bbox_scales']).prod(axis=1)
    else:
        areas = np.ptp(keypoints, axis=1).prod(axis=1)
    for name, values in (('keypoints', keypoints), ('keypoint_scores', confidences), ('bbox_scores', box_scores)):
        if not np.isfinite(values).all():
            raise ValueError(f'{label}: {name} are not finite (NaN or infinity); the model may have diverged')
    return {
        'label': label,
        'video': sample.get('video'),
        'img_id': sample['img_id'],
        'id': tuple(np.atleast_1d(sample['id']).tolist()),
        'keypoints': keypoints,
        'keypoint_scores': confidences,
        'bbox_scores': box_scores,
        'areas': areas,
        'is_broken': bool(sample.get('broken_frames')),
        'has_annotated_box': isinstance(sample.get('raw_ann_info'), Mapping),
    }
