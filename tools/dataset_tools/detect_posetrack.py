"""Detect the people in all labelled frames of a PoseTrack split, and write their boxes for evaluation.

python tools/dataset_tools/detect_posetrack.py data/posetrack18/annotations/val data/posetrack18 \
    CONFIG WEIGHTS --out data/posetrack18/boxes_val.json

CONFIG and WEIGHTS are a detector's of MMDetection. The result is a COCO result list, which the data set reads as
`bbox_file`; it is written once all frames are done.
"""

import argparse
import os
import sys
from pathlib import Path

import mmengine
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', help='folder with one json per video, or a merged json')
    parser.add_argument('images', help='folder that image names in the annotations are relative to')
    parser.add_argument('config', help="path of a detector's config, or the bare name of one of this package")
    parser.add_argument('weights', help='its checkpoint')
    parser.add_argument('--out', type=Path, required=True, help='the json file of boxes')
    parser.add_argument('--batch-size', type=int, default=8, help='images that the detector sees at once')
    parser.add_argument('--device', help='cuda, cpu, ... (default: a GPU if there is one)')
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if arguments.out.is_dir() or not os.access(arguments.out.parent, os.W_OK):
        sys.exit(f'{arguments.out} cannot be written')

    from mmpose_diffusion.apis.split_detection import SplitDetector, labelled_frames

    try:
        frames = labelled_frames(arguments.annotations, arguments.images)
        detector = SplitDetector(arguments.config, arguments.weights, arguments.device)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    boxes, broken = [], []
    with tqdm(total=len(frames), unit='frame', disable=None) as bar:
        for start in range(0, len(frames), arguments.batch_size):
            batch = frames[start : start + arguments.batch_size]
            found, unreadable = detector.detect(batch)
            boxes += found
            broken += unreadable
            bar.update(len(batch))
    mmengine.dump(boxes, arguments.out, backend_args=dict(backend='atomic_local'))
    if broken:
        print(f'{len(broken)} images could not be read and have no boxes, the first is {broken[0]}', file=sys.stderr)
    print(f'{len(boxes)} boxes in {len(frames)} frames -> {arguments.out}')


if __name__ == '__main__':
    main()
