"""Images of PoseTrack with the boxes of their people, for MMDetection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmpose.registry import DATASETS

from .image_sizes import ImageSizes
from .posetrack_files import (
    VideoAnnotations,
    box_of_person,
    ignore_regions,
    keypoint_triplets,
    read_annotations,
    size_of_image,
)
from .video_pose_dataset import NO_BOX, clip_box


@DATASETS.register_module()
class PoseTrackDetectionDataset(BaseDataset):
    """A sample is one labelled frame with the boxes of all people in it, in the form MMDetection's transforms read.

    In a config of MMDetection (`default_scope = 'mmdet'`) the type is `mmpose.PoseTrackDetectionDataset`. Its
    CocoMetric needs no annotation file if `PackDetInputs` passes `instances` on among its `meta_keys`.

    A person without a box gets one around the keypoints, as in `PoseTrackVideoDataset`. Crowds and regions in which
    nobody is annotated become boxes to be ignored: around the region, which is somewhat more than the region.

    Args:
        ann_file: the official folder with one json per video, or one merged COCO-style json.
        data_prefix: `dict(img=...)` is the folder that file names in the annotations are relative to.
        kwargs: as in MMEngine's BaseDataset.
    """

    METAINFO: dict = dict(classes=('person',), palette=[(220, 20, 60)])

    def __init__(self, ann_file: str = '', data_prefix: dict | None = None, **kwargs: Any) -> None:
        data_prefix = dict(img='') if data_prefix is None else dict(data_prefix)
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the annotations."""
        skipped: Counter[str] = Counter()
        frames = [frame for video in read_annotations(self.ann_file) for frame in self._labelled_frames(video, skipped)]
        num_people = sum(not person['ignore_flag'] for frame in frames for person in frame['instances'])
        left_out = ', '.join(f'{number} people {reason}' for reason, number in sorted(skipped.items()))
        print_log(
            f'{type(self).__name__}: {num_people} people in {len(frames)} labelled frames from {self.ann_file}'
            + (f'; left out: {left_out}' if left_out else ''),
            logger='current',
        )
        return frames

    def _labelled_frames(self, video: VideoAnnotations, skipped: Counter[str]) -> list[dict]:
        """Samples of a video."""
        size_of_file = ImageSizes(self.data_prefix['img'])
        people: dict[Any, list[dict]] = {image['id']: [] for image in labelled_images(video)}
        for annotation in video.annotations:
            people[annotation['image_id']].append(annotation)
        frames = []
        for image in labelled_images(video):
            size = size_of_image(image, video.source) or size_of_file(image['file_name'])
            if size is None:
                raise ValueError(
                    f'{video.source}: image {image["id"]} has no width and height, and there is no readable '
                    f'{image["file_name"]} in {self.data_prefix["img"] or "the current folder"}'
                )
            instances = [ignored_instance(polygon) for polygon in ignore_regions(image)]
            for annotation in people[image['id']]:
                instance, reason = parse_instance(
                    annotation, size, f'{video.source}: annotation {annotation.get("id")}'
                )
                if instance is None:
                    skipped[reason] += 1
                else:
                    instances.append(instance)
            path = join_path(self.data_prefix['img'], image['file_name'])
            frames.append(dict(img_id=image['id'], img_path=path, height=size[0], width=size[1], instances=instances))
        return frames


def ignored_instance(polygon: Sequence[Sequence[float]]) -> dict:
    """The box around a region [n, 2] in which nobody is annotated."""
    bbox = [*np.min(polygon, axis=0).tolist(), *np.max(polygon, axis=0).tolist()]
    return dict(bbox=bbox, bbox_label=0, ignore_flag=1)


def parse_instance(annotation: dict, image_size: tuple[int, int], entry: str) -> tuple[dict, None] | tuple[None, str]:
    """The person's box inside an image of (height, width) as MMDetection reads it, or why there is none."""
    box = box_of_person(annotation, keypoint_triplets(annotation, entry), entry)
    if box is None:
        return None, NO_BOX
    corners, reason = clip_box(box, image_size)
    if corners is None:
        return None, reason
    return dict(bbox=corners.tolist(), bbox_label=0, ignore_flag=int(bool(annotation.get('iscrowd')))), None


def labelled_images(video: VideoAnnotations) -> list[dict]:
    """Entries of the frames of a video in which people are annotated, or said to be absent."""
    annotated_ids = {annotation['image_id'] for annotation in video.annotations}
    return [image for image in video.images if image.get('is_labeled') or image['id'] in annotated_ids]
