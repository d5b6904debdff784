"""What lifting a clip to 3D costs: FLOPs and time for a grid of hypotheses and steps, and where the FLOPs of a step go.

    python tools/analysis_tools/benchmark_lifting.py d3dp_tiny_synthetic
    python tools/analysis_tools/benchmark_lifting.py d3dp_human36m_cpn_243frames --no-time
    python tools/analysis_tools/benchmark_lifting.py d3dp_human36m_cpn_243frames --device cuda \\
        --cfg-options model.test_cfg.amp=bfloat16
    python tools/analysis_tools/benchmark_lifting.py finepose_human36m_cpn_243frames \\
        --cfg-options model.head.denoiser.text_encoder.weights=random

Works for every config of a lifting model; a regression head has no steps and one answer. A multiply-add counts as two
FLOPs. `flip_test`, `hypotheses_per_pass` and `amp` are those of `test_cfg`. Weights are random, which does not matter.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from benchmark_model import Meter
from mmengine.config import DictAction
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

ATTENTION_TO_TEXT = 'attention to text'
REST = 'embeddings, output and the rest'


def parts_of(head: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """What a head spends its time on: (part, module, method), several modules to a part."""
    network = getattr(head, 'denoiser', head)
    trunk = network.trunk
    if hasattr(trunk, 'tcn'):
        parts = [('temporal blocks', trunk.tcn, 'forward')]
    else:
        parts = [('spatial blocks', block, 'forward') for block in trunk.spatial_blocks]
        parts += [('temporal blocks', block, 'forward') for block in trunk.temporal_blocks]
    for part, name, method in (
        ('text', 'part_prompts', 'forward'),
        ('text', 'pose_prompt_attention', 'prepare'),
        (ATTENTION_TO_TEXT, 'pose_prompt_attention', 'forward'),
        (ATTENTION_TO_TEXT, 'prompt_time_stylization', 'forward'),
    ):
        if hasattr(network, name):
            parts.append((part, getattr(network, name), method))
    return parts


def prediction_of(
    model: nn.Module, num_hypotheses: int, num_steps: int, action: str | None = None, flip_test: bool | None = None
) -> Callable[[], Any]:
    """The lifting of one clip, as a function without arguments."""
    from mmpose_diffusion.diffusion import HypothesisNoise
    from mmpose_diffusion.models.heads.sampling_options import LiftingOptions

    head, options = model.head, LiftingOptions.from_test_cfg(model.test_cfg)
    trunk = getattr(head, 'denoiser', head).trunk
    keypoints_2d = torch.zeros(1, trunk.num_frames, trunk.num_joints, 2, device=next(model.parameters()).device)
    flip_test = options.flip_test if flip_test is None else flip_test
    # Which joints are partners costs nothing.
    flip_indices = list(range(trunk.num_joints)) if flip_test else None

    @torch.no_grad()
    def predict() -> Any:
        with options.autocast(keypoints_2d.device):
            if hasattr(head, 'sample_poses'):
                noise = HypothesisNoise.from_seeds([0], num_hypotheses)
                per_pass = options.hypotheses_per_pass
                return head.sample_poses(keypoints_2d, [action], noise, num_steps, flip_indices, per_pass)
            return [head(keypoints_2d) for _ in range(2 if flip_test else 1)]

    return predict


def count_flops(model: nn.Module, num_hypotheses: int, num_steps: int, **options: Any) -> dict[str, int]:
    """FLOPs of each part and in `total`, counted on tensors without contents."""
    skeleton = copy.deepcopy(model).eval().to('meta')
    predict = prediction_of(skeleton, num_hypotheses, num_steps, **options)
    with FlopCounterMode(display=False) as counter:
        meter = Meter(counter.get_total_flops)
        for part, module, method in parts_of(skeleton.head):
            setattr(module, method, meter.wrap(part, getattr(module, method)))
        predict()
        total = counter.get_total_flops()
    flops = {part: int(value) for part, value in meter.totals.items()}
    return {**flops, REST: total - sum(flops.values()), 'total': total}


def measure(predict: Callable[[], Any], device: torch.device, repeats: int) -> tuple[float, float]:
    """Median seconds of a prediction after one that warms up, and the peak memory in GB so far.

    On a GPU the memory is what PyTorch allocated in these predictions; otherwise what the process ever held at once.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        predict()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    if device.type == 'cuda':
        return statistics.median(seconds[1:]), torch.cuda.max_memory_allocated(device) / 1e9
    return statistics.median(seconds[1:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def print_parts(flops: Mapping[str, int]) -> None:
    """Print where the FLOPs of one call go."""
    print('\n| part | GFLOPs | share |\n|---|---:|---:|')
    for part, value in flops.items():
        print(f'| {part} | {value / 1e9:.2f} | {value / flops["total"]:.1%} |')


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('--hypotheses', type=int, nargs='+', default=[1, 5, 20], help='default: 1 5 20')
    parser.add_argument('--steps', type=int, nargs='+', default=[1, 2, 5, 10], help='default: 1 2 5 10')
    parser.add_argument('--action', default='Walking', help='what prompts say that the person does')
    parser.add_argument('--device', default='cpu', help='where to measure the time: cpu, cuda, ...')
    parser.add_argument('--repeats', type=int, default=3, help='measured predictions; the median is shown')
    parser.add_argument('--compile', action='store_true', help='let torch.compile work on the blocks')
    parser.add_argument('--no-time', action='store_true', help='count only')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override: key=value ...')
    return parser.parse_args()


def build_model(name: str, options: Mapping[str, Any] | None = None) -> nn.Module:
    """The model of a config, as it starts."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    from mmpose_diffusion.engine import load_config, merge_options

    config = load_config(name)
    merge_options(config, options)
    init_default_scope(config.get('default_scope', 'mmpose'))
    if config.model.type != 'DiffusionPoseLifter':
        sys.exit(f'{name} is a {config.model.type}: this command is for lifting models, see benchmark_model.py')
    return MODELS.build(config.model).eval()


def grid_of(model: nn.Module, hypotheses: Sequence[int], steps: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs (hypotheses, steps); for a network without diffusion, one answer in one step."""
    return list(itertools.product(hypotheses, steps)) if hasattr(model.head, 'sample_poses') else [(1, 1)]


def main() -> None:
    """Build the model, count, measure, print."""
    arguments = parse_arguments()
    model = build_model(arguments.config, arguments.cfg_options)
    parameters = sum(weight.numel() for weight in model.parameters()) / 1e6
    print(f'{arguments.config}: {parameters:.2f} million weights, test_cfg {dict(model.test_cfg)}')
    print_parts(count_flops(model, 1, 1, action=arguments.action, flip_test=False))
    print('(one clip, one hypothesis, one step, one view)\n')
    device = torch.device(arguments.device)
    flops = {
        pair: count_flops(model, *pair, action=arguments.action)['total']
        for pair in grid_of(model, arguments.hypotheses, arguments.steps)
    }
    model.to(device)
    if arguments.compile:
        for block in (module for part, module, _ in parts_of(model.head) if part.endswith('blocks')):
            block.compile()
    if not arguments.no_time:
        print(f'{device}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)\n')
    print('| hypotheses | steps | GFLOPs | seconds | peak memory, GB |\n|---:|---:|---:|---:|---:|')
    for (hypotheses, steps), count in flops.items():
        measured = ' | '
        if not arguments.no_time:
            predict = prediction_of(model, hypotheses, steps, arguments.action)
            seconds, memory = measure(predict, device, arguments.repeats)
            measured = f'{seconds:.3f} | {memory:.2f}'
        print(f'| {hypotheses} | {steps} | {count / 1e9:.2f} | {measured} |', flush=True)


if __name__ == '__main__':
    main()
