"""Merge the per-video files of PoseTrack into one COCO-style file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .posetrack_files import VideoAnnotations, refuse_shared_image_ids

# MMPose's share of a body in its box; COCO-style evaluation needs an area, which PoseTrack does not annotate.
BODY_SHARE_OF_BOX = 0.53


def merge_videos(
    videos: Iterable[VideoAnnotations], image_size: Callable[[str], tuple[int, int] | None] | None = None
) -> dict:
    """Put videos into one COCO-style dict. All ids stay the official ones: results are looked up by them.

    Every image gets the name of its video under `video`, and its height and width where `image_size` knows them. Every
    person gets what COCO-style evaluation needs and the official files lack: area, iscrowd, num_keypoints.
    """
    videos = list(videos)
    refuse_shared_image_ids(videos)
    refuse_other_categories(videos)
    refuse_shared_annotation_ids(videos)
    images, annotations = [], []
    for video in videos:
        for image in video.images:
            size = None if image.get('width') or image_size is None else image_size(image['file_name'])
            images.append({**image, 'video': video.name, **({'height': size[0], 'width': size[1]} if size else {})})
        annotations.extend(complete_annotation(annotation) for annotation in video.annotations)
    categories = videos[0].categories if videos else []
    return {'images': images, 'annotations': annotations, 'categories': categories}


def complete_annotation(annotation: dict) -> dict:
    """Add the keys that COCO-style evaluation reads, unless they are there."""
    keypoints = annotation.get('keypoints') or []
    width, height = (annotation.get('bbox') or [0, 0, 0, 0])[2:4]
    defaults = {
        'iscrowd': 0,
        'num_keypoints': sum(visible > 0 for visible in keypoints[2::3]),
        'area': width * height * BODY_SHARE_OF_BOX,
    }
    return {**defaults, **annotation}


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
