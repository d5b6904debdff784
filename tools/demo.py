"""From nothing to poses on video: make a small synthetic data set, train on it, evaluate, leave something to look at.

Every step is a command of its own, printed as it runs, so that it can be repeated with other settings. A step that was
interrupted goes on where it stopped. Other settings want other folders (`--out`, `--data`). Paths are relative to the
root of the repository.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from html import escape
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import mmengine
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

MODELS = {
    'single frame': 'key_frame_tiny_synthetic',
    'three frames': 'support_fusion_tiny_synthetic',
    'DiffPose': 'diffpose_tiny_synthetic',
}
SHOWN = 'DiffPose'
COLUMNS = ['Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle', 'Mean']
ABOUT = """Figures in motion were drawn ({train} frames to train on, {val} to evaluate, of another seed;
difficulty {difficulty}). Three models with the same backbone learned in the same number of steps to find the figures'
joints. One sees single frames, one also their two neighbours. DiffPose sees the same three frames and generates the
pose out of noise; in training a second head, which finds joints in the single frame, helps to teach its backbone."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'), help='folder of the results')
    parser.add_argument('--data', type=Path, default=Path('data/synthetic'), help='folder of the synthetic data set')
    parser.add_argument('--videos', type=int, default=200, help='training videos; a tenth as many to evaluate')
    parser.add_argument('--frames', type=int, default=10, help='frames of a video')
    parser.add_argument('--difficulty', choices=['easy', 'medium', 'hard'], default='medium')
    parser.add_argument('--cfg-options', nargs='+', default=[], help='passed on to training')
    return parser.parse_args()


class Steps:
    """Runs commands, shows them, and remembers them for the summary."""

    def __init__(self) -> None:
        self.commands = []

    def run(self, title: str, command: list) -> None:
        """Run a command; stop with a sentence when it fails."""
        words = ['python', *map(str, command)]
        self.commands.append(shlex.join(words))
        print(f'\n==> {title}\n$ {self.commands[-1]}', flush=True)
        began = time.monotonic()
        if subprocess.run([sys.executable, '-W', 'ignore', *words[1:]], check=False).returncode:
            sys.exit(f'\nThe demo stopped because this failed; run it alone to look closer:\n  {self.commands[-1]}')
        print(f'    {time.monotonic() - began:.0f} s', flush=True)


def claim_folder(arguments: argparse.Namespace) -> None:
    """Remember what the results in this folder were made with; refuse to mix them with others."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    note = arguments.out / 'settings.json'
    settings = json.dumps({name: str(value) for name, value in vars(arguments).items()}, indent=1)
    if note.exists() and note.read_text() != settings:
        sys.exit(
            f'{arguments.out} holds the results of a demo with other settings ({note}). '
            f'Delete it, and {arguments.data}, or name other folders with --out and --data'
        )
    note.write_text(settings)


def make_world(steps: Steps, arguments: argparse.Namespace) -> None:
    """Draw the training videos and, from another seed, the videos to evaluate."""
    splits = {'train': (arguments.videos, 0), 'val': (max(arguments.videos // 10, 1), 2)}
    for split, (videos, seed) in splits.items():
        steps.run(
            f'drawing {videos} videos of people in motion ({split})',
            ['tools/dataset_tools/make_synthetic.py', arguments.data, '--split', split, '--videos', videos]
            + ['--frames', arguments.frames, '--difficulty', arguments.difficulty, '--seed', seed]
            + ['--workers', os.cpu_count(), '--motion-frames', 50],
        )


def data_options(root: Path) -> list[str]:
    """Settings that point every part of a config to the data set in `root`."""
    parts = ['train_dataloader.dataset', 'val_dataloader.dataset', 'test_dataloader.dataset']
    return [f'{part}.data_root={root}/' for part in (*parts, 'val_evaluator', 'test_evaluator')]


def train_and_evaluate(steps: Steps, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Train every model and score it; model name -> column -> AP."""
    scores = {}
    for title, config in MODELS.items():
        work_dir = arguments.out / config
        options = [*data_options(arguments.data), *arguments.cfg_options]
        steps.run(
            f'training "{title}"',
            ['tools/train.py', config, '--work-dir', work_dir, '--resume', '--no-validate', '--cfg-options', *options],
        )
        checkpoint = Path((work_dir / 'last_checkpoint').read_text().strip())
        metrics = work_dir / 'metrics.json'
        options += [f'test_evaluator.outfile_prefix={work_dir / "results"}']
        steps.run(
            f'evaluating "{title}" on the unseen videos',
            ['tools/test.py', config, checkpoint, '--work-dir', work_dir, '--out', metrics]
            + ['--pictures', work_dir / 'pictures', '--cfg-options', *options],
        )
        found = mmengine.load(metrics)
        scores[title] = {column: found[f'posetrack/{column} AP'] for column in COLUMNS}
    return scores


def draw_video(arguments: argparse.Namespace, config: str, videos: int = 3) -> Path:
    """Annotation and prediction side by side for the first unseen videos, as video file and as a smaller GIF."""
    import cv2

    from mmpose_diffusion.visualization import PoseDrawer, read_posetrack_frames, write_animation

    drawer, frames = PoseDrawer(), []
    for annotations in sorted((arguments.data / 'annotations/val').glob('*.json'))[:videos]:
        annotated = read_posetrack_frames(annotations, arguments.data)
        predicted = read_posetrack_frames(arguments.out / config / 'results' / annotations.name, arguments.data)
        for truth, guess in zip(annotated, predicted, strict=True):
            frames.append(np.hstack([drawer.draw_frame(truth), drawer.draw_frame(guess)]))
    write_animation(frames, arguments.out / 'skeletons.mp4', frames_per_second=10)
    small = [cv2.resize(frame, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA) for frame in frames]
    return write_animation(small, arguments.out / 'skeletons.gif', frames_per_second=10)


def draw_curves(out: Path) -> Path:
    """The training loss of every model over the iterations."""
    from mmpose_diffusion.engine.training_log import training_entries

    figure, axes = plt.subplots(figsize=(8, 3), layout='constrained')
    for title, config in MODELS.items():
        losses = [(iteration, entry['loss']) for iteration, entry in training_entries(out / config).items()]
        axes.plot(*zip(*losses, strict=True), label=title)
    axes.set(xlabel='iteration', ylabel='loss', yscale='log')
    axes.legend()
    path = out / 'loss.png'
    figure.savefig(path, dpi=110)
    return path


def write_page(arguments: argparse.Namespace, scores: dict, animation: Path, curve: Path, commands: list[str]) -> Path:
    """The one-page summary, self-contained."""
    from mmpose_diffusion.visualization import html

    count = {split: len(list((arguments.data / f'images/{split}').rglob('*.jpg'))) for split in ('train', 'val')}
    rows = [[title, *(f'{row[column]:.1f}' for column in COLUMNS)] for title, row in scores.items()]
    pictures = arguments.out / MODELS[SHOWN] / 'pictures'
    poses, strips = (sorted(pictures.glob(f'*_{kind}.png'))[:3] for kind in ('pose', 'denoising'))
    moving = html.figure(html.embed_file(animation), f'Left: annotation. Right: predicted by "{SHOWN}".')
    body = [
        html.paragraph(ABOUT.format(**count, difficulty=arguments.difficulty)),
        '<h2>PoseTrack AP on the unseen videos (ground-truth boxes)</h2>',
        html.table(['', *COLUMNS], rows),
        html.paragraph('One training run each, so differences of a few points are noise.', 'faint'),
        f'<h2>What it looks like</h2>{moving}',
        '<h2>How sure it is</h2>',
        *(
            html.figure(html.embed_file(path), 'The ellipses show how far poses from different noise spread.')
            for path in poses
        ),
        '<h2>How a pose comes out of noise</h2>',
        *(html.figure(html.embed_file(path), 'The heatmaps that each step expects at the end.') for path in strips),
        '<h2>Training loss</h2>',
        html.figure(html.embed_file(curve), 'DiffPose adds an auxiliary loss, so its curve is not that of the others.'),
        html.fold('Commands', f'<pre>{chr(10).join(map(escape, commands))}</pre>'),
    ]
    page = arguments.out / 'index.html'
    page.write_text(html.page('mmpose_diffusion: what the demo did', '\n'.join(body)))
    return page


def main() -> None:
    arguments = parse_arguments()
    os.chdir(ROOT)
    began = time.monotonic()
    claim_folder(arguments)
    steps = Steps()
    make_world(steps, arguments)
    scores = train_and_evaluate(steps, arguments)
    animation = draw_video(arguments, MODELS[SHOWN])
    page = write_page(arguments, scores, animation, draw_curves(arguments.out), steps.commands)

    print(f'\nPoseTrack AP on unseen videos, ground-truth boxes\n{"":14}' + ''.join(f'{name:>10}' for name in COLUMNS))
    for title, row in scores.items():
        print(f'{title:14}' + ''.join(f'{row[column]:10.1f}' for column in COLUMNS))
    print(f'\nThe demo took {time.monotonic() - began:.0f} s. Look at it:')
    print(f'  {page.resolve()}   the summary, one page\n  {animation.resolve()}   the video (also as .mp4)')
    print(
        f'  {(arguments.out / MODELS[SHOWN] / "pictures").resolve()}   uncertainty ellipses, and denoising step by step'
    )


if __name__ == '__main__':
    main()
