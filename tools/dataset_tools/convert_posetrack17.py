"""Convert PoseTrack17's original annotations (annolist) to the layout of PoseTrack18.

python tools/dataset_tools/convert_posetrack17.py data/posetrack17/annotations/val data/posetrack17/annotations18/val \
    --images data/posetrack17
"""

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmpose_diffusion.datasets.image_sizes import ImageSizes
from mmpose_diffusion.datasets.posetrack17_conversion import convert_video, numbers_of_videos
from mmpose_diffusion.datasets.posetrack_files import load_json


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='folder of annolist json files, one per video')
    parser.add_argument('target', type=Path, help='folder for the converted files; they keep their names')
    parser.add_argument(
        '--images', type=Path, help='folder that image names are relative to: image sizes are then written too'
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    files = sorted(arguments.source.glob('*.json'))
    if not files:
        sys.exit(f'there are no json files in {arguments.source}')
    if arguments.target.resolve() == arguments.source.resolve():
        sys.exit('source and target are the same folder: the originals would be overwritten')
    arguments.target.mkdir(parents=True, exist_ok=True)
    image_size = ImageSizes(str(arguments.images)) if arguments.images else None
    frames = people = 0
    for file, number in zip(tqdm(files, unit='video'), numbers_of_videos([file.name for file in files]), strict=True):
        converted = convert_video(load_json(str(file)), str(file), number, image_size)
        frames += len(converted['images'])
        people += len(converted['annotations'])
        (arguments.target / file.name).write_text(json.dumps(converted))
    print(f'{len(files)} videos, {frames} frames, {people} people -> {arguments.target}')


if __name__ == '__main__':
    main()
