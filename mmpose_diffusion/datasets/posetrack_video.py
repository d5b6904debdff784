"""Clips of PoseTrack17 (converted), PoseTrack18 and PoseTrack21."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from ..evaluation.functional.json_values import numbers
from .image_sizes import ImageSizes
from .posetrack_files import (
    KeypointPlaces,
    VideoAnnotations,
    box_of_person,
    frame_files,
    ignore_regions,
    keypoint_places,
    keypoint_triplets,
    load_json,
    read_annotations,
    size_of_image,
)
from .video_pose_dataset import NO_KEYPOINTS, VideoPoseDataset, area_of_body, clip_box


@DATASETS.register_module()
class PoseTrackVideoDataset(VideoPoseDataset):
    """People in the labelled frames of PoseTrack videos; unlabelled frames serve as their neighbours.

    A frame is labelled if it is flagged so (`is_labeled`) or has annotations. With annotated boxes there is a sample
    for each annotated person with keypoints and a usable box; a person without a box gets one around the keypoints, as
    PoseTrack18 made its own. With a detector's `bbox_file` there is a sample for each box in a labelled frame. What is
    left out is counted in the log; what cannot be understood is refused, with file and entry.

    Image ids, annotation ids and track ids are the official ones (an annotation id that occurs twice is replaced).

    Args:
        ann_file: the official folder with one json per video, or one merged COCO-style json (from
            tools/dataset_tools/merge_posetrack.py, or MMPose's).
        bbox_file: json list of boxes, each with `image_id` or `image_name`, `bbox` (left, top, width, height), `score`
            and perhaps `category_id` (1 = person).
        fill_frame_gaps: let frames that the annotations do not list, but whose numbers lie between listed ones, be
            neighbours too (merged files often list labelled frames only).
        kwargs: as in VideoPoseDataset.
    """

    METAINFO: dict = {'from_file': 'configs/_base_/datasets/posetrack18.py'}

    def __init__(
        self,
        ann_file: str = '',
        bbox_file: str | None = None,
        fill_frame_gaps: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        self.fill_frame_gaps = fill_frame_gaps
        self._track_keypoints: dict[tuple[str, int], dict[int, tuple[np.ndarray, np.ndarray]]] = {}
        super().__init__(ann_file=ann_file, bbox_file=bbox_file, pipeline=pipeline, **kwargs)

    def get_data_info(self, idx: int) -> dict:
        """Return one sample; with annotated boxes it says where the same person is in the video's other frames."""
        data_info = super().get_data_info(idx)
        if 'track_id' in data_info and self._track_keypoints:
            data_info['track_keypoints'] = self._track_keypoints[data_info['video'], data_info['track_id']]
        return data_info

    def load_data_list(self) -> list[dict]:
        """Read the annotations, and the boxes if there are any."""
        videos = read_annotations(self.ann_file)
        self._metainfo['CLASSES'] = [dict(category) for category in videos[0].categories] if videos else []
        key_frames = {}
        for video in videos:
            key_frames.update(self._index_frames(video))
        labelled = {image_id: frame for image_id, frame in key_frames.items() if frame['is_labeled']}
        if self.bbox_file:
            return self._detected_people(load_json(self.bbox_file), key_frames, labelled)
        return self._annotated_people(videos, labelled)

    def _index_frames(self, video: VideoAnnotations) -> dict[Any, dict]:
        """Note the frames of a video, and return what its samples need to know of each listed one, by image id."""
        names = frame_files(video.images, self.fill_frame_gaps)
        self._video_frames[video.name] = tuple(self._image_path(name) for name in names)
        index_by_name = {name: index for index, name in enumerate(names)}
        annotated_ids = {annotation['image_id'] for annotation in video.annotations}
        image_size = ImageSizes(self.data_prefix['img'])
        frames = {}
        for image in video.images:
            regions = ignore_regions(image)
            if regions:
                self._ignore_regions[image['id']] = regions
            size = size_of_image(image, video.source) or image_size(image['file_name'])
            index = index_by_name[image['file_name']]
            frames[image['id']] = {
                'file_name': image['file_name'],
                'is_labeled': bool(image.get('is_labeled')) or image['id'] in annotated_ids,
                'size': size,
                'sample': {
                    'img_id': image['id'],
                    'img_path': self._video_frames[video.name][index],
                    'video': video.name,
                    'key_frame_index': index,
                    **({'img_shape': size} if size else {}),
                },
            }
        return frames

    def _annotated_people(self, videos: Sequence[VideoAnnotations], labelled: dict[Any, dict]) -> list[dict]:
        """One sample for each annotated person."""
        samples: list[dict] = []
        skipped: Counter[str] = Counter()
        repaired: Counter[str] = Counter()
        names = [self.metainfo['keypoint_id2name'][index] for index in range(self.metainfo['num_keypoints'])]
        for video in videos:
            skipped['annotations without image'] += video.num_stray_annotations
            skipped['frames listed twice'] += video.num_repeated_images
            places = keypoint_places(video.categories, names, video.source)
            by_image: dict[Any, list[dict]] = {image['id']: [] for image in video.images}
            for position, annotation in enumerate(video.annotations):
                entry = f'{video.source}: annotation {annotation.get("id", f"at position {position}")}'
                frame = labelled[annotation['image_id']]
                person, reason = parse_person(annotation, places, frame['size'], entry)
                if person is None:
                    skipped[reason] += 1
                    continue
                repaired['missing boxes'] += annotation.get('bbox') is None
                by_image[annotation['image_id']].append({**frame['sample'], **person})
            samples.extend(sample for people in by_image.values() for sample in people)
        repaired['annotation ids'] = renumber_repeated_ids(samples)
        self._track_keypoints = keypoints_of_tracks(samples)
        self._log_summary(f'{len(samples)} people in {self._count_frames(labelled)}', skipped, repaired)
        return samples

    def _count_frames(self, labelled: dict[Any, dict]) -> str:
        """Describe how much video there is."""
        total = sum(len(frames) for frames in self._video_frames.values())
        return f'{len(labelled)} labelled of {total} frames of {len(self._video_frames)} videos'

    def _detected_people(self, boxes: Any, key_frames: dict[Any, dict], labelled: dict[Any, dict]) -> list[dict]:
        """One sample for each of the detector's boxes in a labelled frame, with placeholders for the keypoints."""
        if not isinstance(boxes, list) or not all(isinstance(box, dict) for box in boxes):
            raise ValueError(f'{self.bbox_file} must be a list of boxes (one dict each), as COCO results are')
        id_by_name = {frame['file_name']: image_id for image_id, frame in key_frames.items()}
        num_keypoints = self.metainfo['num_keypoints']
        samples, skipped = [], Counter()
        for position, box in enumerate(boxes):
            if box.get('category_id', 1) != 1:
                skipped['boxes of other categories'] += 1
                continue
            corners, score, image_id = self._parse_box(box, f'{self.bbox_file}: box {position}', id_by_name)
            if image_id not in labelled:
                where = 'in unlabelled frames' if image_id in key_frames else 'in frames that are not annotated here'
                skipped[f'boxes {where}'] += 1
                continue
            frame = labelled[image_id]
            _, reason = clip_box(corners, frame['size'])
            if reason:
                skipped[f'boxes {reason}'] += 1
                continue
            left, top, width, height = corners
            samples.append(
                {
                    **frame['sample'],
                    'id': position,
                    'category_id': 1,
                    # Not clipped: a detector may say where a person goes on beyond the border.
                    'bbox': np.array([[left, top, left + width, top + height]], dtype=np.float32),
                    'bbox_score': np.array([score], dtype=np.float32),
                    'keypoints': np.zeros((1, num_keypoints, 2), dtype=np.float32),
                    'keypoints_visible': np.ones((1, num_keypoints), dtype=np.float32),
                    **track_of(box, f'{self.bbox_file}: box {position}'),
                }
            )
        if not boxes:
            raise ValueError(f'{self.bbox_file} is an empty list: the detector found nobody')
        if not samples:
            raise ValueError(
                f'none of the {len(boxes)} boxes of {self.bbox_file} lies in a labelled frame of {self.ann_file} '
                f'({dict(skipped)}): are they from another split, or with renumbered image ids?'
            )
        samples.sort(
            key=lambda sample: (sample['video'], sample['key_frame_index'])
        )  # stable: the file's order in a frame
        self._log_summary(f'{len(samples)} boxes in {self._count_frames(labelled)}', skipped)
        return samples

    @staticmethod
    def _parse_box(box: dict, entry: str, id_by_name: dict[str, Any]) -> tuple[list[float], float, Any]:
        """Check one box; return it as (left, top, width, height), with its score and image id."""
        key = 'image_name' if 'image_name' in box else 'image_id'  # the name goes first, as in MMPose
        if not isinstance(box.get(key), int | float | str):
            raise ValueError(f'{entry} needs an image_id or an image_name, it has {box}')
        image_id = id_by_name.get(box[key]) if key == 'image_name' else box[key]
        corners = numbers(box.get('bbox'), f'{entry}: bbox (left, top, width, height)', count=4)
        return corners.tolist(), checked_number(box, 'score', entry), image_id


def checked_number(content: dict, key: str, entry: str) -> float:
    """The finite number under `key`."""
    return numbers([content.get(key)], f'{entry}: {key}', count=1).tolist()[0]


def track_of(content: dict, entry: str) -> dict[str, int]:
    """The part of a sample that says which track it belongs to: nothing if that is not known."""
    known = content.get('track_id') is not None
    return {'track_id': int(checked_number(content, 'track_id', entry))} if known else {}


def parse_person(
    annotation: dict, places: KeypointPlaces, image_size: tuple[int, int] | None, entry: str
) -> tuple[dict | None, str | None]:
    """Turn an annotation into the person's part of a sample, or say why it is left out.

    Args:
        annotation: the entry of the annotation file.
        places: where each keypoint stands in the entry, see `keypoint_places`.
        image_size: (height, width), if known.
        entry: how error messages name the entry.
    """
    if annotation.get('iscrowd'):
        return None, 'crowds'
    triplets = keypoint_triplets(annotation, entry, places.num_listed)
    if not len(triplets):
        return None, f'people {NO_KEYPOINTS}'
    triplets = np.vstack([triplets, np.zeros((1, 3))])[places.places]  # [K, 3]; the last row is nothing
    present = triplets[:, 2] > 0
    if not present.any():
        return None, f'people {NO_KEYPOINTS}'
    box = box_of_person(annotation, triplets, entry)
    corners, reason = clip_box(box, image_size)
    if corners is None:
        return None, f'people {reason}'
    area = area_of_body(corners)
    if annotation.get('area') is not None:
        area = checked_number(annotation, 'area', entry)
    shared = {
        'id': annotation.get('id'),
        'category_id': 1,
        'iscrowd': 0,
        'num_keypoints': int(present.sum()),
        **track_of(annotation, entry),
    }
    return {
        **shared,
        'bbox': corners[None],
        'bbox_score': np.ones(1, dtype=np.float32),
        'keypoints': triplets[None, :, :2].astype(np.float32),
        'keypoints_visible': np.minimum(triplets[None, :, 2], 1).astype(np.float32),
        'area': np.array(area, dtype=np.float32),
        'raw_ann_info': {
            **shared,
            'image_id': annotation['image_id'],
            'bbox': box,
            'keypoints': triplets.flatten().tolist(),
            'area': area,
            **({'bbox_head': annotation['bbox_head']} if annotation.get('bbox_head') else {}),
            **synthetic_facts(annotation, places),
        },
    }, None


def synthetic_facts(annotation: dict, places: KeypointPlaces) -> dict[str, dict]:
    """What a synthetic world alone knows of a person (docs/synthetic_world.md), for evaluation; nothing of others.

    Lists get the order of our keypoints. A synthetic world lists all of them.
    """
    known = annotation.get('synthetic')
    if not known:
        return {}
    ordered = {
        key: [value[place] for place in places.places] if isinstance(value, list) else value
        for key, value in known.items()
    }
    return {'synthetic': ordered}


def keypoints_of_tracks(samples: Sequence[dict]) -> dict[tuple[str, int], dict[int, tuple[np.ndarray, np.ndarray]]]:
    """Video and track id -> frame index -> keypoints [K, 2] in pixels of the image and visibility [K].

    A frame in which several people have the same track id is left out: nobody knows who is who.
    """
    tracked = [sample for sample in samples if 'track_id' in sample]
    places = Counter((sample['video'], sample['track_id'], sample['key_frame_index']) for sample in tracked)
    tracks: dict[tuple[str, int], dict[int, tuple[np.ndarray, np.ndarray]]] = {}
    for sample in tracked:
        track = tracks.setdefault((sample['video'], sample['track_id']), {})
        if places[sample['video'], sample['track_id'], sample['key_frame_index']] == 1:
            track[sample['key_frame_index']] = sample['keypoints'][0], sample['keypoints_visible'][0]
    return tracks


def renumber_repeated_ids(samples: Sequence[dict]) -> int:
    """Give samples whose annotation id is missing or taken a new one, in place; return how many there were."""
    taken: set[Any] = set()
    repeated = []
    for sample in samples:
        if sample['id'] is None or sample['id'] in taken:
            repeated.append(sample)
        taken.add(sample['id'])
    free = max((identity for identity in taken if isinstance(identity, int)), default=0) + 1
    for offset, sample in enumerate(repeated):
        sample['id'] = sample['raw_ann_info']['id'] = free + offset
    return len(repeated)
