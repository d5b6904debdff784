"""Seconds that PoseTrack AP takes on random videos: reading the files, evaluating, and how the time grows.

Example: python tools/analysis_tools/benchmark_posetrack_ap.py
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from evaluate_posetrack import load_evaluation

SCALES = ((20, 30, 4), (75, 30, 5), (150, 30, 5), (300, 30, 5), (600, 30, 5))  # videos, frames, people


def write_random_videos(root: Path, num_videos: int, num_frames: int, num_people: int, seed: int = 0) -> None:
    """Write folders `truth` and `guess` of official files: people side by side, an ignore region in every frame."""
    random = np.random.default_rng(seed)
    names = (*load_evaluation().JOINT_NAMES, 'left_ear', 'right_ear')
    categories = [{'id': 1, 'name': 'person', 'keypoints': names}]
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    for number in range(num_videos):
        video = f'{number + 1:06d}_mpii_test'
        images = [{'id': i, 'file_name': f'images/val/{video}/{i:06d}.jpg'} for i in range(num_frames)]
        truth, guess = [], []
        for frame in range(num_frames):
            for person in range(num_people):
                exact = random.uniform(0, 200, (17, 2)) + [250 * person, 100]
                entry = {'image_id': frame, 'track_id': person}
                keypoints = np.column_stack([exact, np.ones(17)]).ravel().tolist()
                truth.append({**entry, 'keypoints': keypoints, 'bbox_head': [0, 0, 40, 30]})
                noisy = np.column_stack([exact + random.normal(0, 8, exact.shape), np.ones(17)]).ravel().tolist()
                guess.append({**entry, 'keypoints': noisy, 'scores': random.random(17).tolist()})
        regions = {
            'ignore_regions_x': [(50 * np.cos(angles) + 300).tolist()],
            'ignore_regions_y': [(50 * np.sin(angles) + 200).tolist()],
        }
        for side, frames, people in (('truth', [image | regions for image in images], truth), ('guess', images, guess)):
            (root / side).mkdir(exist_ok=True)
            content = {'images': frames, 'annotations': people, 'categories': categories}
            (root / side / f'{video}.json').write_text(json.dumps(content))


def main() -> None:
    """Print one line per scale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeats', type=int, default=5, help='evaluations per scale; the fastest counts')
    repeats = parser.parse_args().repeats
    evaluation = load_evaluation()
    print('videos  frames  people/frame  read s  evaluate s  evaluate us/person  Mean AP')
    for num_videos, num_frames, num_people in SCALES:
        with tempfile.TemporaryDirectory() as folder:
            write_random_videos(Path(folder), num_videos, num_frames, num_people)
            start = time.perf_counter()
            videos = evaluation.read_posetrack_folders(Path(folder) / 'truth', Path(folder) / 'guess')
            reading = time.perf_counter() - start
        evaluating = []
        for _ in range(repeats):
            start = time.perf_counter()
            result = evaluation.evaluate_posetrack_ap(videos)
            evaluating.append(time.perf_counter() - start)
        per_person = min(evaluating) / (num_videos * num_frames * num_people) * 1e6
        print(
            f'{num_videos:6d}  {num_videos * num_frames:6d}  {num_people:12d}  {reading:6.2f}  '
            f'{min(evaluating):10.3f}  {per_person:18.1f}  {result.ap[evaluation.TOTAL]:7.2f}'
        )


if __name__ == '__main__':
    main()
