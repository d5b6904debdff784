"""Merge the per-video files of PoseTrack into one COCO-style file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .posetrack_files import (
    VideoAnnotations,
    box_of_person,
    keypoint_triplets,
    refuse_shared_image_ids,
    size_of_image,
)
from .video_pose_dataset import area_of_body, clip_box


def merge_videos(
    videos: Iterable[VideoAnnotations], image_size: Callable[[str], tuple[int, int] | None] | None = None
) -> dict:
    """Put videos into one COCO-style dict. All ids stay the official ones: results are looked up by them.

    Every image gets the name of its video under `video`, and its height and width where `image_size` knows them. Every
    person gets what COCO-style evaluation needs and the official files lack: area, iscrowd, num_keypoints, and a box
    where it is missing.
    """
    videos = list(videos)
    refuse_shared_image_ids(videos)
    refuse_other_categories(videos)
    refuse_shared_annotation_ids(videos)
    images, annotations, sizes = [], [], {}
    for video in videos:
        for image in video.images:
            size = size_of_image(image, video.source) or (image_size(image['file_name']) if image_size else None)
            sizes[image['id']] = size
            images.append({**image, 'video': video.name, **({'height': size[0], 'width': size[1]} if size else {})})
        for annotation in video.annotations:
            entry = f'{video.source}: annotation {annotation["id"]}'
            annotations.append(complete_annotation(annotation, sizes[annotation['image_id']], entry))
    categories = videos[0].categories if videos else []
    return {'images': images, 'annotations': annotations, 'categories': categories}


def complete_annotation(annotation: dict, image_size: tuple[int, int] | None, entry: str) -> dict:
    """Add the keys that COCO-style evaluation reads, unless they are there, as the data set would compute them.

    Args:
        annotation: the person's entry.
        image_size: (height, width), if known: the area is that of the box inside the image.
        entry: how error messages name the entry.
    """
    triplets = keypoint_triplets(annotation, entry)  # [K, 3]
    box = box_of_person(annotation, triplets, entry) or [0.0] * 4
    corners, _ = clip_box(box, image_size)
    defaults = {
        'bbox': box,
        'iscrowd': 0,
        'num_keypoints': int((triplets[:, 2] > 0).sum()),
        'area': 0.0 if corners is None else area_of_body(corners),
    }
    return {**defaults, **{key: value for key, value in annotation.items() if value is not None}}


def refuse_other_categories(videos: Iterable[VideoAnnotations]) -> None:
    """One file has one list of keypoint names; all its annotations must follow it."""
    first = None
    for video in videos:
        names = [category.get('keypoints') for category in video.categories]
        first = first or (video, names)
        if names != first[1]:
            raise ValueError(f'{video.source} lists other keypoints than {first[0].source}: they cannot share a file')


def refuse_shared_annotation_ids(videos: Iterable[VideoAnnotations]) -> None:
    """COCO readers keep only one of two annotations with the same id."""
    owner: dict[int, str] = {}
    for video in videos:
        for position, annotation in enumerate(video.annotations):
            identity = annotation.get('id')
            if identity is None:
                raise ValueError(f'{video.source}: annotations[{position}] has no id')
            if identity in owner:
                raise ValueError(f'annotation id {identity} occurs in {owner[identity]} and again in {video.source}')
            owner[identity] = video.source
