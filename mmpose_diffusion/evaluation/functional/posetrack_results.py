"""The other direction: official PoseTrack18 result files, one per annotated video with exactly its frames."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .json_values import get_list
from .posetrack18_layout import images_of_first_video
from .posetrack_ap import VideoPeople
from .posetrack_files import list_posetrack_files, load_json, parse_posetrack_video

COPIED_IMAGE_KEYS = ('id', 'file_name', 'frame_id', 'vid_id', 'nframes', 'is_labeled')


class AnnotatedVideo(NamedTuple):
    """A video as its annotation file describes it."""

    file_name: str  # of the annotation file and of the result file
    images: list[dict[str, Any]]  # one entry per frame
    annotations: list[dict[str, Any]]  # as they stand in the file; none where they were not asked for
    keypoint_names: list[str]  # what the K keypoints of an annotation are, in its order
    annotated: VideoPeople | None  # None where annotations were not asked for


class PredictedPerson(NamedTuple):
    """A person in one frame."""

    keypoints: np.ndarray  # [K, 2] pixels
    confidences: np.ndarray  # [K], written as third number of each keypoint
    scores: np.ndarray  # [K], rank the detections in AP
    person_score: float


def load_annotated_videos(
    ann_dir: str | Path | None = None, ann_file: str | Path | None = None, images_only: bool = False
) -> list[AnnotatedVideo]:
    """The videos of a folder of official files (2018 layout), or of one merged COCO-style file, sorted by file name.

    Args:
        ann_dir: folder of official files.
        ann_file: one file of all videos; an image's `video`, or else the parent folder in `file_name`, names its video.
        images_only: for videos whose annotations are not public.
    """
    if (ann_dir is None) == (ann_file is None):
        raise ValueError(f'expected either ann_dir or ann_file, got ann_dir={ann_dir!r} and ann_file={ann_file!r}')
    if ann_dir is not None:
        contents = [(path.name, str(path), load_json(path)) for path in list_posetrack_files(ann_dir)]
    else:
        videos = split_by_video(load_json(ann_file), str(ann_file))
        contents = [(f'{video}.json', f'{ann_file}, video {video}', videos[video]) for video in videos]
    return [
        _annotated_video(file_name, label, content, images_only)
        for file_name, label, content in sorted(contents, key=_name)
    ]


def split_by_video(content: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Split a merged COCO-style file into the content of one official file per video.

    An image's `video`, as tools/dataset_tools/merge_posetrack.py writes it, or else the folder of its file names its
    video. Annotations of no image are left out.
    """
    videos: dict[str, dict[str, Any]] = {}
    folder_of_video: dict[str, str] = {}
    video_of_image: dict[Any, str] = {}
    for index, image in enumerate(get_list(content, 'images', name)):
        parts = str(image.get('file_name', '')).split('/') if isinstance(image, Mapping) else []
        if len(parts) < 2 or 'id' not in image:
            raise ValueError(
                f'{name}: images[{index}] needs an id and a file_name with a parent folder named like the video'
            )
        video = image.get('video') or parts[-2]
        if video_of_image.setdefault(image['id'], video) != video:
            raise ValueError(
                f'{name}: images[{index}] has the id {image["id"]}, which an image of another video has already'
            )
        folder = image.get('video') or '/'.join(parts[:-1])
        if folder_of_video.setdefault(video, folder) != folder:
            raise ValueError(
                f'{name}: the folders {folder_of_video[video]} and {folder} would be two videos of one name; give each '
                'image a key video, as tools/dataset_tools/merge_posetrack.py does'
            )
        empty = {'images': [], 'annotations': [], 'categories': content.get('categories')}
        videos.setdefault(video, empty)['images'].append(image)
    for index, annotation in enumerate(content.get('annotations') or []):
        if not isinstance(annotation, Mapping) or 'image_id' not in annotation:
            raise ValueError(f'{name}: annotations[{index}] has no image_id')
        if annotation['image_id'] in video_of_image:
            videos[video_of_image[annotation['image_id']]]['annotations'].append(annotation)
    return videos


def official_prediction(
    images: Sequence[Mapping[str, Any]], people: Sequence[Sequence[PredictedPerson]], keypoint_names: Sequence[str]
) -> dict[str, Any]:
    """The content of an official result file.

    Args:
        images: entries of the frames.
        people: of each frame.
        keypoint_names: of the K keypoints.
    """
    annotations = [
        {
            'id': 0,
            'image_id': image['id'],
            'category_id': 1,
            'track_id': track_id,
            'keypoints': np.column_stack([person.keypoints, person.confidences]).astype(np.float64).ravel().tolist(),
            'scores': np.asarray(person.scores, dtype=np.float64).tolist(),
            'score': float(person.person_score),
        }
        for image, people_of_frame in zip(images, people, strict=True)
        for track_id, person in enumerate(people_of_frame)
    ]
    for index, annotation in enumerate(annotations):
        annotation['id'] = index
    category = {'supercategory': 'person', 'id': 1, 'name': 'person', 'keypoints': list(keypoint_names)}
    copied = [{key: image[key] for key in COPIED_IMAGE_KEYS if key in image} for image in images]
    return {'images': copied, 'annotations': annotations, 'categories': [category]}


def write_official_prediction(content: Mapping[str, Any], path: str | Path) -> None:
    """Write a result file as strict json, so that reading it gives the same numbers."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(content, allow_nan=False))


def _annotated_video(file_name: str, label: str, content: Mapping[str, Any], images_only: bool) -> AnnotatedVideo:
    if 'annolist' in content:
        raise ValueError(
            f'{label} has the 2017 layout (annolist), which has no image ids: convert it to the 2018 layout first'
        )
    images = images_of_first_video(get_list(content, 'images', label), label)
    if images_only:
        return AnnotatedVideo(file_name, images, [], [], None)
    annotated = parse_posetrack_video(content, label)
    names = content['categories'][0]['keypoints']
    return AnnotatedVideo(file_name, images, content['annotations'], names, annotated)


def _name(item: tuple[str, str, dict]) -> str:
    return item[0]
