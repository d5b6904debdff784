"""Measure how fast an evaluation loads its clips and how many images it decodes, with the frame cache on and off.

python tools/analysis_tools/benchmark_clip_loading.py
python tools/analysis_tools/benchmark_clip_loading.py --data-root data/posetrack18 --workers 4

Without --data-root it writes some videos of coloured noise into a temporary folder: every frame labelled, three people
each. One decode per frame is the least possible; a 5-frame window and three people ask for 15 without a cache.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmpose_diffusion.datasets import PoseTrackVideoDataset
from mmpose_diffusion.datasets.posetrack17_conversion import KEYPOINT_NAMES, official_image_id
from mmpose_diffusion.datasets.samplers import ContiguousBatchSampler, ContiguousSampler


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', type=Path, help='a data set in the layout of PoseTrack18')
    parser.add_argument('--ann-file', default='annotations/val', help='its annotations, relative to the root')
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 2], help='numbers of loader processes to try')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--offsets', type=int, nargs='+', default=[-2, -1, 0, 1, 2], help='frames of a clip')
    parser.add_argument('--input-size', type=int, nargs=2, default=[192, 256], help='width and height of a crop')
    parser.add_argument('--cache-megabytes', type=float, default=128)
    parser.add_argument('--videos', type=int, default=4, help='how many videos to write')
    parser.add_argument('--frames', type=int, default=50, help='how many frames each of them has')
    parser.add_argument('--people', type=int, default=3, help='how many people each frame has')
    parser.add_argument('--frame-size', type=int, nargs=2, default=[1280, 720], help='width and height of a frame')
    return parser.parse_args()


def write_videos(root: Path, arguments: argparse.Namespace) -> None:
    """Write videos of coloured noise with annotated people, in the official layout."""
    width, height = arguments.frame_size
    generator = np.random.default_rng(0)
    (root / 'annotations/val').mkdir(parents=True)
    for video in tqdm(range(1, arguments.videos + 1), desc='writing', unit='video'):
        name = f'{video:06d}_mpii_test'
        folder = root / 'images/val' / name
        folder.mkdir(parents=True)
        images, annotations = [], []
        for frame in range(arguments.frames):
            noise = generator.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f'{frame:06d}.jpg'), cv2.resize(noise, (width, height)))
            image_id = official_image_id(video, frame)
            image = {'id': image_id, 'file_name': f'images/val/{name}/{frame:06d}.jpg', 'is_labeled': True}
            images.append({**image, 'width': width, 'height': height, 'nframes': arguments.frames})
            for person in range(arguments.people):
                box = [person * width / arguments.people, height / 8, width / 5, height / 2]
                xy = generator.uniform(size=(len(KEYPOINT_NAMES), 2)) * box[2:] + box[:2]
                keypoints = np.concatenate([xy, np.ones((len(xy), 1))], axis=1).flatten().tolist()
                entry = {'id': image_id * 100 + person, 'image_id': image_id, 'track_id': person, 'category_id': 1}
                annotations.append({**entry, 'bbox': box, 'keypoints': keypoints})
        category = {'id': 1, 'name': 'person', 'keypoints': list(KEYPOINT_NAMES)}
        content = {'images': images, 'annotations': annotations, 'categories': [category]}
        (root / 'annotations/val' / f'{name}.json').write_text(json.dumps(content))


def measure(root: Path, arguments: argparse.Namespace, num_workers: int, cache_megabytes: float) -> dict[str, float]:
    """Load all clips once, in the order of an evaluation."""
    dataset = PoseTrackVideoDataset(
        ann_file=arguments.ann_file,
        data_root=str(root),
        test_mode=True,
        pipeline=[
            dict(type='SampleClip', offsets=sorted(arguments.offsets)),
            dict(type='LoadClip', cache_megabytes=cache_megabytes),
            dict(type='GetBBoxCenterScale', padding=1.25),
            dict(type='TopdownAffine', input_size=tuple(arguments.input_size)),
            dict(type='PackClipInputs', meta_keys=('num_decoded_frames', 'img_path')),
        ],
    )
    batches = ContiguousBatchSampler(ContiguousSampler(dataset), arguments.batch_size, num_workers)
    loader = DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=pseudo_collate)
    decoded, key_frames = 0, set()
    start = time.perf_counter()
    description = f'{num_workers} workers, cache {cache_megabytes:g} MB'
    for batch in tqdm(loader, desc=description, unit='batch', leave=False):
        decoded += sum(sample.metainfo['num_decoded_frames'] for sample in batch['data_samples'])
        key_frames.update(sample.metainfo['img_path'] for sample in batch['data_samples'])
    seconds = time.perf_counter() - start
    return {'clips_per_second': len(dataset) / seconds, 'decodes_per_frame': decoded / len(key_frames)}


def main() -> None:
    arguments = parse_arguments()
    init_default_scope('mmpose')
    MMLogger.get_current_instance().setLevel('WARNING')
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.data_root or Path(folder)
        if arguments.data_root is None:
            write_videos(root, arguments)
        print(f'{"workers":>7} {"cache MB":>9} {"clips/s":>9} {"decodes per key frame":>22}')
        for num_workers in arguments.workers:
            for cache_megabytes in (arguments.cache_megabytes, 0):
                result = measure(root, arguments, num_workers, cache_megabytes)
                print(
                    f'{num_workers:>7} {cache_megabytes:>9g} {result["clips_per_second"]:>9.1f} '
                    f'{result["decodes_per_frame"]:>22.2f}'
                )


if __name__ == '__main__':
    main()
