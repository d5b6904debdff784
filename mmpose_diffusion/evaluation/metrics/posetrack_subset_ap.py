"""PoseTrack AP of hidden, blurred or fast joints, as a metric of MMPose."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from ..functional.joint_subsets import OUTSIDE, JointFacts, check_rule, read_joint_facts
from ..functional.json_values import no_head_sizes
from ..functional.posetrack_ap import JOINT_NAMES, People, VideoPeople, format_posetrack_table, posetrack_columns
from ..functional.posetrack_results import AnnotatedVideo
from ..functional.posetrack_subset import evaluate_posetrack_subset
from .posetrack_ap import PoseTrackAP, check_keypoint_count, warn_about_broken_clips


@METRICS.register_module()
class PoseTrackSubsetAP(PoseTrackAP):
    """PoseTrack AP of a subset of the joints, for predictions in ground-truth boxes.

    The box says to which annotated person a prediction belongs, so that people are not matched, and none is suppressed.
    Joints outside the subset are ignored on both sides: neither are they missed, nor is their prediction a false
    positive. Everything else is the official evaluation: a hit is within half a head size, scores rank the joints of
    all videos, people without a prediction are missed, AP is the area under the precision envelope.

    Hidden joints are not annotated where others or things hide them, and not scored by `PoseTrackAP`; here they are, at
    their exact place. `subset='annotated'` gives what the others are to be compared with.

    Results, in percent: the columns of `PoseTrackAP` (NaN if the subset lacks one of the column's joints; the mean is
    over the joints that there are) and `Share`: how many of the joints inside the picture belong to the subset. The
    prefix is `posetrack_<subset>`.

    Args:
        subset: `'occluded'`, `'blurred'`, `'hard_to_see'` (occluded or blurred), `'fast'` or `'annotated'`; see
            `evaluation.functional.joint_subsets`. All but the last need the annotations of a synthetic world.
        blur_thr: a joint that moves by so many head sizes while the shutter is open is blurred.
        fast_thr: a joint that moves by so many head sizes from frame to frame is fast.
        ann_dir, ann_file, data_root, score_mode, collect_device: as in `PoseTrackAP`.
        prefix: of the metric names.
    """

    def __init__(
        self,
        subset: str,
        blur_thr: float = 0.25,
        fast_thr: float = 0.5,
        ann_dir: str | None = None,
        ann_file: str | None = None,
        data_root: str | None = None,
        score_mode: str = 'bbox_keypoint',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        self.rule = check_rule(subset, blur_thr, fast_thr)
        super().__init__(
            ann_dir=ann_dir,
            ann_file=ann_file,
            data_root=data_root,
            score_mode=score_mode,
            nms_mode='none',
            collect_device=collect_device,
            prefix=prefix or f'posetrack_{subset}',
        )
        self._videos = [self._restrict(video) for video in self.videos]
        self._rows = [_rows_by_id(video) for video in self.videos]

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Evaluate the joints of the subset, and say how many there are."""
        meta = self._checked_meta()
        warn_about_broken_clips(results)
        predictions = self._predicted_people(results, meta)
        result = evaluate_posetrack_subset(
            [
                (annotated, people, owner, in_subset)
                for (annotated, in_subset, _), (people, owner) in zip(self._videos, predictions, strict=True)
            ]
        )
        chosen, joints = (sum(int(video[i].sum()) for video in self._videos) for i in (1, 2))
        share = 100 * chosen / joints if joints else float('nan')
        MMLogger.get_current_instance().info(
            f'PoseTrack AP of {self.rule.name} joints ({chosen} of {joints}, {share:.1f} %) in {len(self.videos)} '
            f'videos, boxes: ground truth, joint scores: {self.score_mode}\n{format_posetrack_table(result)}'
        )
        columns = {f'{name} AP': value for name, value in posetrack_columns(result.ap).items()}
        return {**columns, 'Share': share}

    def _restrict(self, video: AnnotatedVideo) -> tuple[VideoPeople, np.ndarray, np.ndarray]:
        """People of a video with exact joints, and which of these belong to the subset and to the picture, [P, 15]."""
        people = video.annotated.people
        if not self.rule.needs_facts or not len(people.frame):
            return video.annotated, people.is_present, people.is_present
        listed = [video.annotations[entry] for entry in people.entry.tolist()]
        name = video.annotated.name
        of_people = [read_joint_facts(person, f'{name}: annotation {person.get("id")}') for person in listed]
        columns = [video.keypoint_names.index(joint) for joint in JOINT_NAMES]
        facts = JointFacts(*(np.stack(values)[:, columns] for values in zip(*of_people, strict=True)))
        is_inside = facts.occlusion != OUTSIDE
        exact = people._replace(keypoints=facts.keypoints, is_present=is_inside)
        return video.annotated._replace(people=exact), self.rule.select(facts, people.head_size), is_inside

    def _predicted_people(
        self, results: Sequence[dict[str, Any]], meta: Mapping[str, Any]
    ) -> list[tuple[People, np.ndarray]]:
        """Predictions of each video, one for each annotated person at most, and the rows of these people."""
        found: list[dict[int, dict[str, Any]]] = [{} for _ in self.videos]
        for sample in results:
            check_keypoint_count(sample, meta)
            video, frame = self._frames.find(sample['video'], sample['img_id'], sample['label'])
            row = self._rows[video].get((frame, *sample['id']))
            if row is None or not sample['has_annotated_box']:
                raise ValueError(
                    f'{sample["label"]} belongs to no annotated person of {self.videos[video].annotated.name}: '
                    'PoseTrackSubsetAP needs ground-truth boxes (no bbox_file), of the same annotations'
                )
            found[video].setdefault(row, sample)
        columns = [meta['names'].index(joint) for joint in JOINT_NAMES]
        return [self._as_people(by_row, columns) for by_row in found]

    def _as_people(self, by_row: Mapping[int, dict[str, Any]], columns: list[int]) -> tuple[People, np.ndarray]:
        rows = np.array(sorted(by_row), dtype=np.int64)
        samples = [by_row[row] for row in rows.tolist()]
        keypoints = np.concatenate([np.empty((0, len(columns), 2)), *(s['keypoints'][:, columns] for s in samples)])
        confidences, scores = (
            np.concatenate([np.empty((0, len(columns))), *(values[:, columns] for values in arrays)])
            for arrays in (
                [sample['keypoint_scores'] for sample in samples],
                [self._joint_scores(sample['keypoint_scores'], sample['bbox_scores']) for sample in samples],
            )
        )
        is_present = (keypoints != 0).any(axis=-1) | (confidences != 0)
        return People(rows, keypoints, is_present, scores, no_head_sizes(len(rows)), np.arange(len(rows))), rows


def _rows_by_id(video: AnnotatedVideo) -> dict[tuple[int, Any], int]:
    """Row of each annotated person by its frame and annotation id."""
    people = video.annotated.people
    rows: dict[tuple[int, Any], int] = {}
    for row, (frame, entry) in enumerate(zip(people.frame.tolist(), people.entry.tolist(), strict=True)):
        key = (frame, video.annotations[entry].get('id'))
        if key in rows:
            raise ValueError(
                f'{video.annotated.name}: annotation id {key[1]} stands twice in image {video.images[frame]["id"]}: '
                'nobody can tell whose a prediction is'
            )
        rows[key] = row
    return rows
