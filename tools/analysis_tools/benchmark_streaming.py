"""Sliding window against streaming: backbone passes, frames per second and PoseTrack AP, of one checkpoint, in one run.

    python tools/analysis_tools/benchmark_streaming.py CONFIG CHECKPOINT

draws 6 videos of 60 frames of the synthetic world (another seed than any training or validation set) into
data/synthetic_streaming, unless --data names videos in the layout of PoseTrack18, and runs both ways over each video,
one after the other. People's boxes are the annotated ones. A frame per second counts reading, cropping, the network,
tracking and writing json; with --pictures also drawing and writing the video. On a machine with other work, look at the
processor's time (without a GPU).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import DictAction

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmpose_diffusion.apis import VideoPoseInferencer
from mmpose_diffusion.datasets import PoseTrackVideoDataset
from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings, write_videos
from mmpose_diffusion.engine import load_config
from mmpose_diffusion.evaluation.functional.posetrack_ap import evaluate_posetrack_ap, posetrack_columns
from mmpose_diffusion.evaluation.functional.posetrack_files import parse_posetrack_video
from mmpose_diffusion.evaluation.functional.posetrack_results import (
    AnnotatedVideo,
    PredictedPerson,
    load_annotated_videos,
    official_prediction,
)

DRAWN_FOLDER = Path('data/synthetic_streaming')
DRAWN = WorldSettings(videos=6, frames=60, split='val', seed=7, unlabeled_share=0.0, motion_frames=50)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('checkpoint', nargs='?', help='without one, weights are random and AP says nothing')
    parser.add_argument('--data', type=Path, help='videos in the layout of PoseTrack18 (default: drawn)')
    parser.add_argument('--ann-file', default='annotations/val', help='their annotations, relative to --data')
    parser.add_argument('--videos', type=int, help='only the first so many')
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--pictures', action='store_true', help='also draw and write the videos with skeletons')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override: key=value ...')
    return parser.parse_args()


@dataclass
class Score:
    """What one way of running has cost and brought so far."""

    frames: int = 0
    people: int = 0
    passes: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    predictions: list[tuple[AnnotatedVideo, dict]] = field(default_factory=list)

    def row(self) -> list[str]:
        """Passes per frame and person, frames per second on the clock and of the processor, AP."""
        pairs = [
            (video.annotated, parse_posetrack_video(content, video.file_name, is_prediction=True))
            for video, content in self.predictions
        ]
        mean_ap = posetrack_columns(evaluate_posetrack_ap(pairs).ap)['Mean']
        speeds = [f'{self.frames / seconds:.2f}' for seconds in (self.seconds, self.processor_seconds)]
        return [f'{self.passes / self.people:.2f}', *speeds, f'{mean_ap:.2f}']


def boxes_of_videos(dataset: PoseTrackVideoDataset) -> Iterator[tuple[str, list[str], list[np.ndarray]]]:
    """Name, paths of the frames and annotated boxes [P, 4] of each frame, video by video."""
    boxes = {video: [[] for _ in frames] for video, frames in dataset.video_frames.items()}
    for index in range(len(dataset)):
        sample = dataset.get_data_info(index)
        boxes[sample['video']][sample['key_frame_index']].append(sample['bbox'][0])
    for video, frames in dataset.video_frames.items():
        yield video, list(frames), [np.array(people).reshape(-1, 4) for people in boxes[video]]


def as_official(video: AnnotatedVideo, paths: list[str], results: list[dict], names: list[str]) -> dict:
    """The results for a video's frames as PoseTrack json, scored as in evaluation: keypoint times box."""
    people_of_path = dict(zip(paths, (result['predictions'][0] for result in results), strict=True))
    people = []
    for image in video.images:
        instances = next(found for path, found in people_of_path.items() if path.endswith(image['file_name']))
        scores = [np.array(instance['keypoint_scores']) for instance in instances]
        people.append(
            [
                PredictedPerson(np.array(instance['keypoints']), score, score, float(score.mean()))
                for instance, score in zip(instances, scores, strict=True)
            ]
        )
    return official_prediction(video.images, people, names)


def run(inferencer: VideoPoseInferencer, paths: list[str], options: dict[str, Any], score: Score) -> list[dict]:
    """Run over one video, adding to the score."""
    counts: list[int] = []
    handle = inferencer.model.backbone.register_forward_pre_hook(lambda _, inputs: counts.append(len(inputs[0])))
    with tempfile.TemporaryDirectory() as folder:
        folders = dict(pred_out_dir=folder, vis_out_dir=folder if options.pop('pictures') else '')
        began, processor_began = time.perf_counter(), time.process_time()
        results = list(inferencer(paths, images_are_video=True, **folders, **options))
        score.seconds += time.perf_counter() - began
        score.processor_seconds += time.process_time() - processor_began
    handle.remove()
    score.frames += len(results)
    score.people += sum(len(result['predictions'][0]) for result in results)
    score.passes += sum(counts)
    return results


def main() -> None:
    arguments = parse_arguments()
    config = load_config(arguments.config)
    config.merge_from_dict(arguments.cfg_options or {})
    inferencer = VideoPoseInferencer(config, arguments.checkpoint, device=arguments.device)
    if arguments.data is None:
        list(write_videos(DRAWN_FOLDER, DRAWN))
    data = arguments.data or DRAWN_FOLDER
    dataset = PoseTrackVideoDataset(arguments.ann_file, data_root=str(data), test_mode=True)
    annotated = {Path(video.file_name).stem: video for video in load_annotated_videos(data / arguments.ann_file)}
    names = list(inferencer.model.dataset_meta['keypoint_id2name'].values())
    scores = {'sliding window': Score(), 'streaming': Score()}
    videos = list(boxes_of_videos(dataset))[: arguments.videos]
    options = dict(batch_size=arguments.batch_size)
    for way in scores:  # the first pass of a network is slow
        name, paths, boxes = videos[0]
        run(inferencer, paths[:8], dict(options, bboxes=boxes[:8], stream=way == 'streaming', pictures=False), Score())
    for name, paths, boxes in videos:
        for way, score in scores.items():
            settings = dict(options, bboxes=boxes, stream=way == 'streaming', pictures=arguments.pictures)
            results = run(inferencer, paths, settings, score)
            score.predictions.append((annotated[name], as_official(annotated[name], paths, results, names)))
        print(f'{name} done', file=sys.stderr, flush=True)

    window = scores['sliding window']
    clip_length = len(inferencer.frame_offsets)
    print(f'{len(videos)} videos, {window.frames} frames, {window.people} poses, clips of {clip_length} frames')
    print(f'{arguments.device}, {torch.get_num_threads()} thread(s), batch size {arguments.batch_size}\n')
    print('| | backbone passes per frame and person | frames/s | frames per processor second | AP |')
    print('|---|---:|---:|---:|---:|')
    for way, score in scores.items():
        print('| ' + ' | '.join([way, *score.row()]) + ' |')
    streaming = scores['streaming']
    print(f'\nstreaming is {window.seconds / streaming.seconds:.2f} x as fast', end='')
    print(f' ({window.processor_seconds / streaming.processor_seconds:.2f} x by processor time)')


if __name__ == '__main__':
    main()
