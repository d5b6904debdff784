"""Writes synthetic videos in the official PoseTrack18 folders, in any number of processes.

Every file is written aside and renamed, the annotation file last: a video whose annotation file exists is whole, and a
second run after an interruption makes only what is missing.
"""

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from .difficulty import get_difficulty
from .posetrack18 import posetrack_annotations
from .video import check_request, generate_video, video_generator

SPLITS = {'train': 0, 'val': 100_000, 'test': 200_000}  # first video numbers: ids stay unique when splits are merged
WORLD_VERSION = 1  # raised whenever the same seed gives another world
MOST_FRAMES = 10_000  # official frame numbers have four digits


@dataclass(frozen=True)
class WorldSettings:
    """All that the bytes of a data set follow from, besides the versions of the libraries."""

    videos: int = 20
    frames: int = 30
    people: int = 3
    difficulty: str = 'medium'
    seed: int = 0
    split: str = 'train'
    width: int = 480
    height: int = 270
    unlabeled_share: float = 0.2
    actions: tuple[str, ...] | None = None
    motion_subjects: int | None = None  # people of the npz files; None = as many as Human3.6M has in this split
    motion_frames: int = 300

    def __post_init__(self) -> None:
        get_difficulty(self.difficulty)
        check_request(self.frames, self.people, (self.width, self.height))
        if self.split not in SPLITS:
            raise ValueError(f'split must be one of {", ".join(SPLITS)}, got {self.split!r}')
        if not 0 <= self.videos < 100_000:  # 0: only the npz files
            raise ValueError(f'videos must be between 0 and 99999, got {self.videos}')
        if self.frames > MOST_FRAMES:
            raise ValueError(f'frames must be at most {MOST_FRAMES}, got {self.frames}')
        if self.motion_frames < 1 or (self.motion_subjects is not None and self.motion_subjects < 1):
            raise ValueError(
                f'motion subjects and frames must be at least 1, got {self.motion_subjects} and {self.motion_frames}'
            )
        if self.seed < 0:
            raise ValueError(f'seed must not be negative, got {self.seed}')
        if not 0 <= self.unlabeled_share <= 0.75:
            raise ValueError(f'the unlabeled share must be between 0 and 0.75, got {self.unlabeled_share}')


def video_name(settings: WorldSettings, index: int) -> str:
    """Official name of video number `index` (from 0)."""
    kind = 'train' if settings.split == 'train' else 'test'
    return f'{SPLITS[settings.split] + index + 1:06d}_mpii_{kind}'


def write_videos(root: str | Path, settings: WorldSettings, workers: int = 1) -> Iterator[int]:
    """Write all videos of a split below `root`; yields the number of frames drawn for each as it is finished.

    Videos that are already there are left alone and count 0 frames.
    """
    root = Path(root)
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    claim_folder(root, settings)
    jobs = [(root, settings, index) for index in range(settings.videos)]
    if workers == 1:
        yield from map(_write_video, jobs)
        return
    # Forked workers start at once; elsewhere they import what they need.
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
    with multiprocessing.get_context(method).Pool(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.imap_unordered(_write_video, jobs)


def write_aside(path: Path, content: bytes) -> None:
    """Write a file under another name first, so that it is never seen half written."""
    aside = path.with_name(f'.{path.name}.{os.getpid()}')
    aside.write_bytes(content)
    os.replace(aside, path)


def claim_folder(root: Path, settings: WorldSettings) -> None:
    """Remember the settings; refuse a folder that holds another world."""
    root.mkdir(parents=True, exist_ok=True)
    note = root / f'synthetic_{settings.split}.json'
    wanted = json.dumps({'world_version': WORLD_VERSION, **asdict(settings)}, indent=1)
    if note.exists() and json.loads(note.read_text()) != json.loads(wanted):
        raise ValueError(
            f'{root} already holds a {settings.split} split made with other settings (see {note}); '
            'choose another folder or delete that one'
        )
    annotations = root / 'annotations' / settings.split
    if not note.exists() and annotations.exists():
        raise ValueError(f'{annotations} was not written by this tool (no {note.name}); choose another folder')
    write_aside(note, wanted.encode())


def _write_video(job: tuple[Path, WorldSettings, int]) -> int:
    root, settings, index = job
    name = video_name(settings, index)
    annotation_file = root / 'annotations' / settings.split / f'{name}.json'
    if annotation_file.exists():
        return 0
    video = generate_video(
        video_generator(settings.seed, settings.split, index), settings.difficulty, settings.frames, settings.people,
        (settings.width, settings.height), settings.actions,
    )  # fmt: skip
    folder = root / 'images' / settings.split / name
    aside = folder.with_name(f'.{name}')
    for leftover in (folder, aside):
        shutil.rmtree(leftover, ignore_errors=True)
    aside.mkdir(parents=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, video.difficulty.jpeg_quality]
    for number, frame in enumerate(video.frames):
        path = aside / f'{number:06d}.jpg'
        if not cv2.imwrite(str(path), frame, quality):
            raise OSError(f'Could not write {path}: is the disk full?')
    os.replace(aside, folder)
    annotation_file.parent.mkdir(parents=True, exist_ok=True)
    annotations = posetrack_annotations(video, name, settings.split, settings.unlabeled_share)
    write_aside(annotation_file, json.dumps(annotations).encode())
    return len(video.frames)
