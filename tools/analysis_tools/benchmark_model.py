"""What a model costs: parameters, FLOPs and latency of one prediction, part by part.

    python tools/analysis_tools/benchmark_model.py CONFIG
    python tools/analysis_tools/benchmark_model.py CONFIG --num-steps 4 --num-hypotheses 10 --batch-size 8 --device cuda
    python tools/analysis_tools/benchmark_model.py CONFIG --no-latency

Works for every top-down config, of clips and of single images. A multiply-add counts as two FLOPs; a prediction goes
from normalised pixels to the output of the head, without decoding. For a diffusion head the steps and hypotheses are
those of `test_cfg` unless given here, and the denoiser is split into what is paid once (prepare) and in each step.
Weights are random: they do not matter here.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision  # noqa: F401  torch.ops.torchvision
from mmengine.config import Config, DictAction
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

REST = 'rest of the head'


def deformable_convolution_flops(
    maps: torch.Size, weight: torch.Size, *_: Any, out_shape: torch.Size, **__: Any
) -> int:
    """FLOPs of a deformable convolution: the products of any convolution; interpolation is counted nowhere here."""
    return 2 * out_shape.numel() * weight[1:].numel()


FORMULAS = {torch.ops.torchvision.deform_conv2d: deformable_convolution_flops}  # what torch does not count by itself


class Cost(NamedTuple):
    """Cost of one part in one prediction."""

    part: str
    parameters: int
    calls: int
    flops: int
    seconds: float | None = None


class Meter:
    """Reads a counter (a clock, a FLOP count) around every call of a model's parts."""

    def __init__(self, read: Callable[[], float]) -> None:
        self.read = read
        self.totals: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def wrap(self, part: str, function: Callable) -> Callable:
        """The function, with its share added to the part's total."""

        def metered(*args: Any, **kwargs: Any) -> Any:
            before = self.read()
            result = function(*args, **kwargs)
            self.totals[part] = self.totals.get(part, 0) + self.read() - before
            self.calls[part] = self.calls.get(part, 0) + 1
            return result

        return metered


def parts_of(model: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Parts of a model by name: the module and the method that does its work."""
    parts = {
        name: (getattr(model, name), 'forward')
        for name in ('backbone', 'neck', 'temporal_neck')
        if isinstance(getattr(model, name, None), nn.Module)
    }
    denoiser = getattr(model.head, 'denoiser', None)
    if denoiser is not None:
        parts['denoiser, prepare'] = (denoiser, 'prepare')
        parts['denoiser, steps'] = (denoiser, 'forward')
    return parts


def prediction_of(model: nn.Module, inputs: Tensor, num_steps: int | Sequence[int], num_hypotheses: int) -> Callable:
    """One prediction for normalised clips [B, T, 3, H, W] or images [B, 3, H, W], as a function without arguments."""
    from mmpose_diffusion.diffusion import HypothesisNoise

    def predict() -> Any:
        features = model.extract_feat(inputs)
        if hasattr(model.head, 'sample_heatmaps'):
            noise = HypothesisNoise.from_seeds(range(len(inputs)), num_hypotheses)
            return model.head.sample_heatmaps([features[-1]], noise, num_steps)
        return model.head.forward(features)

    return predict


@torch.no_grad()
def metered_run(model: nn.Module, predict: Callable, read: Callable[[], float]) -> tuple[Meter, float]:
    """Runs one prediction; returns the meter with the parts' shares, and the whole."""
    meter, parts = Meter(read), parts_of(model)
    for part, (module, method) in parts.items():
        setattr(module, method, meter.wrap(part, getattr(module, method)))
    try:
        before = read()
        predict()
        whole = read() - before
    finally:
        for module, method in parts.values():
            delattr(module, method)  # the class's own method shows again
    return meter, whole


def count_flops(
    model: nn.Module, input_shape: Sequence[int], num_steps: int | Sequence[int] = 1, num_hypotheses: int = 1
) -> list[Cost]:
    """FLOPs of each part, the rest of the head and the total, for inputs [B, T, 3, H, W] or [B, 3, H, W].

    Counted on tensors without contents, in about a second whatever the size; attention counts as its two products.
    """
    skeleton = copy.deepcopy(model).eval().to('meta')
    predict = prediction_of(skeleton, torch.empty(*input_shape, device='meta'), num_steps, num_hypotheses)
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        meter, whole = metered_run(skeleton, predict, counter.get_total_flops)
    return as_table(skeleton, meter, whole)


def as_table(model: nn.Module, meter: Meter, whole: float) -> list[Cost]:
    """One row for each part, one for what is left in the head, one for all."""
    rows = []
    for part, (module, method) in parts_of(model).items():
        parameters = 0 if method == 'prepare' else count_parameters(module)
        rows.append(Cost(part, parameters, meter.calls.get(part, 0), int(meter.totals.get(part, 0))))
    counted = count_parameters(getattr(model.head, 'denoiser', None))
    rest = int(whole - sum(row.flops for row in rows))
    rows.append(Cost(REST, count_parameters(model.head) - counted, 1, rest))
    return [*rows, Cost('total', count_parameters(model), 1, int(whole))]


def count_parameters(module: nn.Module | None) -> int:
    """Number of learned values in a module."""
    return 0 if module is None else sum(parameter.numel() for parameter in module.parameters())


def measure_latency(model: nn.Module, predict: Callable, device: torch.device, repeats: int) -> dict[str, float]:
    """Median seconds of each part, of the rest of the head and of all, over `repeats` predictions after two others."""

    def clock() -> float:
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return time.perf_counter()

    runs = [metered_run(model, predict, clock) for _ in range(repeats + 2)][2:]
    seconds = {part: statistics.median(meter.totals.get(part, 0.0) for meter, _ in runs) for part in parts_of(model)}
    seconds[REST] = statistics.median(whole - sum(meter.totals.values()) for meter, whole in runs)
    seconds['total'] = statistics.median(whole for _, whole in runs)
    return seconds


def input_shape_of(config: Config, batch_size: int) -> tuple[int, ...]:
    """Shape of a batch of the config's test pipeline: [B, T, 3, H, W] with SampleClip, else [B, 3, H, W]."""
    pipeline = config.test_dataloader.dataset.pipeline
    sizes = [step.input_size for step in pipeline if 'input_size' in step]
    if not sizes:
        raise SystemExit('The test pipeline names no input_size: this command is for top-down models')
    frames = [len(step.get('offsets', (-2, -1, 0, 1, 2))) for step in pipeline if step.type == 'SampleClip']
    width, height = sizes[-1]
    return (batch_size, *frames[:1], 3, height, width)


def print_table(rows: Sequence[Cost]) -> None:
    """Print the rows as a table in Markdown."""
    print('| part | parameters, M | calls | GFLOPs | latency, ms |\n|---|---:|---:|---:|---:|')
    for row in rows:
        latency = '' if row.seconds is None else f'{1000 * row.seconds:.1f}'
        print(f'| {row.part} | {row.parameters / 1e6:.2f} | {row.calls} | {row.flops / 1e9:.2f} | {latency} |')


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('--num-steps', type=int, help='denoising steps of a diffusion head (default: test_cfg)')
    parser.add_argument('--num-hypotheses', type=int, help='hypotheses of a diffusion head (default: test_cfg)')
    parser.add_argument('--batch-size', type=int, default=1, help='people per prediction')
    parser.add_argument('--device', default='cpu', help='where to measure the latency: cpu, cuda, ...')
    parser.add_argument('--repeats', type=int, default=5, help='measured predictions; the median is shown')
    parser.add_argument('--no-latency', action='store_true', help='count only')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override: key=value ...')
    return parser.parse_args()


def main() -> None:
    """Build the model, count, measure, print."""
    arguments = parse_arguments()
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    from mmpose_diffusion.engine import load_config, merge_options

    config = load_config(arguments.config)
    merge_options(config, arguments.cfg_options)
    init_default_scope(config.get('default_scope', 'mmpose'))
    model = MODELS.build(config.model).eval()
    test_cfg = config.model.get('test_cfg') or {}
    steps = test_cfg.get('num_steps', 1) if arguments.num_steps is None else arguments.num_steps
    hypotheses = test_cfg.get('num_hypotheses', 1) if arguments.num_hypotheses is None else arguments.num_hypotheses
    shape = input_shape_of(config, arguments.batch_size)
    rows = count_flops(model, shape, steps, hypotheses)
    print(f'{arguments.config}: input {list(shape)}, one view')
    if hasattr(model.head, 'sample_heatmaps'):
        print(f'{steps} step(s) x {hypotheses} hypothesis(es)')
    if not arguments.no_latency:
        device = torch.device(arguments.device)
        predict = prediction_of(model.to(device), torch.randn(*shape, device=device), steps, hypotheses)
        seconds = measure_latency(model, predict, device, arguments.repeats)
        rows = [row._replace(seconds=seconds[row.part]) for row in rows]
        print(f'latency on {device} with torch {torch.__version__}, {torch.get_num_threads()} thread(s)')
    print_table(rows)


if __name__ == '__main__':
    main()
