"""Merge the per-video json files of PoseTrack18 or 21 (or converted 17) into one COCO-style json; ids stay official.

python tools/dataset_tools/merge_posetrack.py data/posetrack18/annotations/val data/posetrack18/annotations/val.json \
    --images data/posetrack18

MMPose's CocoMetric reads the result: dict(type='CocoMetric', ann_file='data/posetrack18/annotations/val.json').
"""

import json
import sys
from pathlib import Path

from annotation_folders import parse_arguments
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmpose_diffusion.datasets.image_sizes import ImageSizes
from mmpose_diffusion.datasets.posetrack_files import as_video, checked_content, load_json
from mmpose_diffusion.datasets.posetrack_merging import merge_videos


def main() -> None:
    arguments, files = parse_arguments(
        __doc__,
        source='folder of json files, one per video',
        target='the merged file',
        images='sizes that the files lack are added',
    )
    if arguments.target.resolve().parent == arguments.source.resolve():
        sys.exit('the merged file must not lie in the folder of the single ones: it would be read as one more video')
    videos = [
        as_video(file.stem, str(file), checked_content(load_json(str(file)), str(file)))
        for file in tqdm(files, unit='video')
    ]
    merged = merge_videos(videos, ImageSizes(str(arguments.images)) if arguments.images else None)
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    arguments.target.write_text(json.dumps(merged))
    counts = f'{len(videos)} videos, {len(merged["images"])} frames, {len(merged["annotations"])} people'
    print(f'{counts} -> {arguments.target}')


if __name__ == '__main__':
    main()
