"""Does the memory of inference grow with the video? Measures it along a long one.

    python tools/analysis_tools/benchmark_inference_memory.py CONFIG [CHECKPOINT] --minutes 20 --size 1280x720

writes a video of moving noise (one second, repeated) with two boxes per frame, runs the inferencer over it and prints
the resident memory of the process every tenth of the way, the slope of a line through the second half, and the peak.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

FPS = 25
MEGABYTE = 2**20


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('checkpoint', nargs='?')
    parser.add_argument('--minutes', type=float, default=20)
    parser.add_argument('--size', type=lambda text: tuple(map(int, text.split('x'))), default=(1280, 720))
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--stream', action='store_true', help='stream instead of sliding a window')
    parser.add_argument('--pictures', action='store_true', help='also draw and write the video with skeletons')
    parser.add_argument('--plot', type=Path, help='write the curve as a picture')
    return parser.parse_args()


def write_long_video(path: Path, size: tuple[int, int], num_frames: int) -> None:
    """A second of drifting coloured noise, over and over."""
    width, height = size
    noise = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (width, height))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), FPS, (width, height))
    for index in range(num_frames):
        writer.write(np.roll(picture, 4 * (index % FPS), axis=1))
    writer.release()


def resident_megabytes() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * resource.getpagesize() / MEGABYTE


def main() -> None:
    arguments = parse_arguments()
    from mmpose_diffusion.apis import VideoPoseInferencer
    from mmpose_diffusion.apis.result_files import prepare_folder

    if arguments.plot:
        prepare_folder(arguments.plot.parent)
    inferencer = VideoPoseInferencer(arguments.config, arguments.checkpoint, device='cpu')
    num_frames = round(arguments.minutes * 60 * FPS)
    width, height = arguments.size
    people = [[0.1 * width, 0.1 * height, 0.3 * width, 0.9 * height], [0.6 * width, 0.2 * height, 0.8 * width, height]]
    curve = []
    with tempfile.TemporaryDirectory() as folder:
        write_long_video(Path(folder) / 'long.mp4', arguments.size, num_frames)
        results = inferencer(
            f'{folder}/long.mp4',
            bboxes=[people] * num_frames,
            batch_size=arguments.batch_size,
            stream=arguments.stream,
            pred_out_dir=f'{folder}/out',
            vis_out_dir=f'{folder}/out' if arguments.pictures else '',
        )
        began = time.monotonic()
        for index, _ in enumerate(results):
            if index % FPS == 0:
                curve.append((index, resident_megabytes()))
    seconds = time.monotonic() - began
    frames, megabytes = np.array(curve).T
    print(f'{num_frames} frames of {width}x{height} in {seconds:.0f} s, {num_frames / seconds:.1f} frames/s')
    print('| minute | resident, MB |\n|---:|---:|')
    for place in np.linspace(0, len(frames) - 1, 11).round().astype(int):
        print(f'| {frames[place] / FPS / 60:.1f} | {megabytes[place]:.0f} |')
    half = len(frames) // 2
    slope = np.polyfit(frames[half:] / FPS / 60, megabytes[half:], 1)[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'\nsecond half: {slope:+.2f} MB per minute of video; peak {peak:.0f} MB')
    if arguments.plot:
        figure, axes = plt.subplots(figsize=(8, 3), layout='constrained')
        axes.plot(frames / FPS / 60, megabytes)
        axes.set(xlabel='minute of the video', ylabel='resident memory, MB', ylim=(0, None))
        figure.savefig(arguments.plot, dpi=110)


if __name__ == '__main__':
    main()
