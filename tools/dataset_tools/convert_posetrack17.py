"""Convert PoseTrack17's original annotations (annolist) to the layout of PoseTrack18.

python tools/dataset_tools/convert_posetrack17.py data/posetrack17/annotations/val data/posetrack17/annotations18/val \
    --images data/posetrack17
"""

import json
import sys
from pathlib import Path

from annotation_folders import parse_arguments
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmpose_diffusion.datasets.image_sizes import ImageSizes
from mmpose_diffusion.datasets.posetrack17_conversion import convert_video, numbers_of_videos
from mmpose_diffusion.datasets.posetrack_files import load_json


def main() -> None:
    arguments, files = parse_arguments(
        __doc__,
        source='folder of annolist json files, one per video',
        target='folder for the converted files; they keep their names',
        images='image sizes are then written too',
    )
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
