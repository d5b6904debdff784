"""Make a synthetic data set in the official layouts of PoseTrack18 and VideoPose3D.

Example: python tools/dataset_tools/make_synthetic.py data/synthetic --videos 20 --frames 30 --people 3 --seed 0
"""

import argparse
import os
import sys
import time
from pathlib import Path

import cv2
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmpose_diffusion.datasets.synthetic import ACTIONS, DIFFICULTIES
from mmpose_diffusion.datasets.synthetic.contact_sheet import write_action_sheet, write_contact_sheet
from mmpose_diffusion.datasets.synthetic.dataset_writer import SPLITS, WorldSettings, write_videos
from mmpose_diffusion.datasets.synthetic.videopose3d import write_motions


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder to write to; a second run finishes what is missing')
    parser.add_argument('--videos', type=int, default=20)
    parser.add_argument('--frames', type=int, default=30, help='frames of each video, 25 a second (default: 30)')
    parser.add_argument('--people', type=int, default=3, help='annotated people in each video (default: 3)')
    parser.add_argument('--difficulty', choices=list(DIFFICULTIES), default='medium')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--split', choices=list(SPLITS), default='train')
    parser.add_argument('--size', type=size, default=(480, 270), metavar='WxH', help='default: 480x270')
    parser.add_argument('--unlabeled-share', type=float, default=0.2, help='share of frames without annotations')
    parser.add_argument('--actions', nargs='+', choices=list(ACTIONS), help='default: by chance')
    parser.add_argument('--workers', type=int, default=1, help='processes; the result does not depend on it')
    parser.add_argument('--motion-subjects', type=int, help='people of the npz files (default: 5 train, 2 otherwise)')
    parser.add_argument('--motion-frames', type=int, default=300, help='frames of each motion, 50 a second')
    parser.add_argument('--contact-sheet', type=Path, metavar='FILE', help='also write a picture of annotated frames')
    parser.add_argument('--action-sheet', type=Path, metavar='FILE', help='also write a picture with a row per action')
    return parser.parse_args()


def size(text: str) -> tuple[int, int]:
    """'480x270' -> (480, 270)."""
    try:
        width, height = (int(part) for part in text.lower().split('x'))
    except ValueError:
        raise argparse.ArgumentTypeError(f'expected WIDTHxHEIGHT such as 480x270, got {text!r}') from None
    return width, height


def busy_seconds() -> float:
    """Processor time of this process and of its finished children: what other programs take does not count."""
    return sum(os.times()[:4])


def write_motions_with_bar(out: Path, settings: WorldSettings) -> list[Path]:
    """Write the npz files; a progress bar appears when that takes longer than two seconds."""
    with tqdm(unit='step', delay=2) as progress:

        def report(what: str, done: int, total: int) -> None:
            progress.total = total
            progress.set_postfix_str(what, refresh=False)
            progress.update(done - progress.n)

        return write_motions(out, settings, report)


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(1)  # processes share the cores, not threads
    try:
        settings = WorldSettings(
            args.videos, args.frames, args.people, args.difficulty, args.seed, args.split, *args.size,
            args.unlabeled_share, tuple(args.actions) if args.actions else None, args.motion_subjects,
            args.motion_frames,
        )  # fmt: skip
        start, busy_before = time.perf_counter(), busy_seconds()
        drawn = 0
        with tqdm(total=args.videos, unit='video', disable=not args.videos) as progress:
            for frames in write_videos(args.out, settings, args.workers):
                drawn += frames
                progress.update()
        seconds, busy = time.perf_counter() - start, busy_seconds() - busy_before
        paths = write_motions_with_bar(args.out, settings)
    except (ValueError, OSError) as error:
        sys.exit(f'make_synthetic: {error}')
    if args.videos:
        print(
            f'{drawn} frames drawn in {seconds:.1f} s with {args.workers} worker(s): {drawn / seconds:.1f} frames/s, '
            f'{drawn / max(busy, 1e-3):.1f} frames per second of processor time'
        )
    print('Motions:', ', '.join(str(path) for path in paths))
    if args.contact_sheet:
        write_contact_sheet(args.contact_sheet, args.out, settings)
    if args.action_sheet:
        write_action_sheet(args.action_sheet, args.seed)


if __name__ == '__main__':
    main()
