"""Video models as ONNX files, each checked against the original before it is kept.

Three parts can be exported: the 'network' (clips in, what the head makes of them out; of a diffusion head the answer of
one step and one hypothesis), and for sampling with more of either its two halves, 'features' and 'denoiser'.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..diffusion import HypothesisNoise
from ..models.data_preprocessors import VideoPoseDataPreprocessor
from ..models.estimators import VideoTopdownPoseEstimator
from ..models.heads import DiffusionHeatmapHead
from ..structures import FrameWindow

PARTS = ('network', 'features', 'denoiser')
OPSET = 20  # deformable convolution came with 19, affine grids with 20
TOLERANCE = 1e-4  # greatest absolute difference between the outputs of both
CHECKED_BATCHES = (1, 3)  # of another size than the one that is exported
# What heads make, told by the number of axes: heatmaps [B, K, h, w], SimCC vectors [B, K, bins], keypoints [B, K, 2].
OUTPUT_NAMES = {
    (4,): ['heatmaps'],
    (3, 3): ['simcc_x', 'simcc_y'],
    (4, 3, 3): ['heatmaps', 'simcc_x', 'simcc_y'],
    (3, 4): ['keypoints', 'heatmaps'],
}
SINGLE_FILE_BYTES = 1_800_000_000  # protobuf ends at 2 GB; the weights of larger models get a file of their own


class ClipShape(NamedTuple):
    """What clips a config's model is made for."""

    frame_offsets: tuple[int, ...]
    image_size: tuple[int, int]  # (width, height)

    @classmethod
    def from_config(cls, config: Config) -> ClipShape:
        """Read off the test pipeline."""
        pipeline = config.test_dataloader.dataset.pipeline
        steps = {step.type.rsplit('.')[-1]: step for step in pipeline}
        if not steps.get('SampleClip', {}).get('offsets') or 'TopdownAffine' not in steps:
            raise ValueError(
                f'the test pipeline of {config.filename} must say by SampleClip(offsets=...) and '
                f'TopdownAffine(input_size=...) what a clip is, it has {", ".join(steps)}'
            )
        return cls(tuple(steps['SampleClip'].offsets), tuple(steps['TopdownAffine'].input_size))


class ClipFeatureNetwork(nn.Module):
    """Clips as the pipeline makes them, uint8 [B, T, 3, H, W], blue first -> fused maps [B, C, h, w].

    Normalisation is part of it. All frames count as real: a graph has one path.
    """

    def __init__(self, model: VideoTopdownPoseEstimator, frame_offsets: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.key_index = list(frame_offsets).index(0)
        self.register_buffer('frame_offsets', torch.tensor(frame_offsets), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        """Run backbone and necks."""
        batch_size, num_frames = clips.shape[:2]
        # The preprocessor's own forward looks at the clips one by one, which would fix their number.
        images = super(VideoPoseDataPreprocessor, self.model.data_preprocessor).forward(
            dict(inputs=clips.flatten(0, 1), data_samples=[])
        )
        frames = self.model.extract_frame_maps(images['inputs']).unflatten(0, (batch_size, num_frames))
        offsets = self.frame_offsets.expand(batch_size, -1)  # [B, T]
        window = FrameWindow(offsets, torch.ones_like(offsets, dtype=torch.bool), self.key_index)
        return self.model.fuse_frame_maps(frames, window).fused


class PoseNetwork(nn.Module):
    """Clips [B, T, 3, H, W] as in `ClipFeatureNetwork` -> raw output of the head, as the model's mode 'tensor'.

    A diffusion head answers in one step and from one noise, the same as in its own `forward`, which becomes a constant.
    """

    def __init__(self, features: ClipFeatureNetwork, map_size: tuple[int, int]) -> None:
        super().__init__()
        self.features, self.head = features, features.model.head
        if isinstance(self.head, DiffusionHeatmapHead):
            shape = (self.head.out_channels, *self.head.denoiser.heatmap_size(map_size))
            self.register_buffer('noise', HypothesisNoise.from_seeds([0]).draw(shape), persistent=False)  # [1, K, h, w]

    def forward(self, clips: Tensor) -> Any:
        """Run the whole network."""
        features = self.features(clips)
        if isinstance(self.head, DiffusionHeatmapHead):
            noise = ConstantNoise(self.noise.expand(features.shape[0], -1, -1, -1))
            return self.head.sample_heatmaps([features], noise).hypotheses[:, 0]
        return self.head.forward((features,))


class ConstantNoise(NamedTuple):
    """Noise [B, ...] of one hypothesis that is there already. Stands in for `HypothesisNoise`: a graph cannot draw."""

    values: Tensor
    num_hypotheses: int = 1

    def draw(self, shape: Sequence[int], device: torch.device | str = 'cpu') -> Tensor:
        """The noise."""
        return self.values


class DenoiserNetwork(nn.Module):
    """Noisy heatmaps, steps and features of one hypothesis each -> the denoiser's guess.

    For more hypotheses the features are repeated. The part that depends on the features alone is done again in each
    step here, which the head does once.
    """

    def __init__(self, head: DiffusionHeatmapHead) -> None:
        super().__init__()
        self.denoiser = head.denoiser

    def forward(self, noisy: Tensor, step: Tensor, features: Tensor) -> Tensor:
        """Noisy [B, K, h', w'] (`DiffusionProcess.network_input`), step [B], features [B, C, h, w] -> guess."""
        return self.denoiser(noisy, step, self.denoiser.prepare(features))


class Part(NamedTuple):
    """A part of a model, ready for export."""

    network: nn.Module
    inputs: dict[str, Tensor]  # an example of each, by name; their first axis is the batch
    output_names: list[str]


def build_part(model: VideoTopdownPoseEstimator, shape: ClipShape, name: str = 'network') -> Part:
    """The part `name` (one of `PARTS`) of a model, with random inputs for two people."""
    if not isinstance(model, VideoTopdownPoseEstimator) or not isinstance(
        model.data_preprocessor, VideoPoseDataPreprocessor
    ):
        raise TypeError(
            f'a VideoTopdownPoseEstimator with a VideoPoseDataPreprocessor can be exported, this is a '
            f'{type(model).__name__} with a {type(model.data_preprocessor).__name__}'
        )
    if name == 'denoiser' and not isinstance(model.head, DiffusionHeatmapHead):
        raise TypeError(f'a {type(model.head).__name__} has no denoiser, a DiffusionHeatmapHead has')
    model.eval()
    generator = torch.Generator().manual_seed(0)
    width, height = shape.image_size
    clips = (2, len(shape.frame_offsets), 3, height, width)
    clips = torch.randint(0, 256, clips, dtype=torch.uint8, generator=generator)
    features_network = ClipFeatureNetwork(model, shape.frame_offsets)
    with torch.no_grad():
        features = features_network(clips)
    if name == 'features':
        return Part(features_network.eval(), dict(clips=clips), ['features'])
    if name == 'denoiser':
        head = model.head
        size = (2, head.out_channels, *head.denoiser.heatmap_size(tuple(features.shape[-2:])))
        noisy = torch.randn(size, generator=generator)
        step = torch.tensor([head.process.num_train_steps - 1, 0])
        inputs = dict(noisy=noisy, step=step, features=features)
        return Part(DenoiserNetwork(head).eval(), inputs, ['estimate'])
    network = PoseNetwork(features_network, tuple(features.shape[-2:])).eval()
    with torch.no_grad():
        outputs = as_tuple(network(clips))
    axes = tuple(output.ndim for output in outputs)
    numbered = [f'output_{position}' for position in range(len(outputs))]
    return Part(network, dict(clips=clips), OUTPUT_NAMES.get(axes, numbered))


def export_part(part: Part, path: str | Path) -> float:
    """Write a part as ONNX file; return the greatest difference to the original that was found.

    The file appears once it has been compared in onnxruntime, with batches of other sizes than that of the export. The
    weights of a model of more than 1.8 GB lie in `<path>.data`.
    """
    path = Path(path)
    num_bytes = sum(weight.nbytes for weight in part.network.state_dict().values())
    batch = torch.export.Dim('batch')
    program = torch.onnx.export(
        part.network,
        kwargs=part.inputs,
        input_names=list(part.inputs),
        output_names=part.output_names,
        dynamic_shapes={name: {0: batch} for name in part.inputs},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.onnx_') as folder:
        program.save(Path(folder) / path.name, external_data=num_bytes > SINGLE_FILE_BYTES)
        difference = greatest_difference(part, Path(folder) / path.name)
        if not difference <= TOLERANCE:
            raise ArithmeticError(
                f'the exported {type(part.network).__name__} differs from the original by {difference:.2g}, more than '
                f'{TOLERANCE:g}; {path} was not written'
            )
        for file in Path(folder).iterdir():
            file.replace(path.parent / file.name)
    return difference


def greatest_difference(part: Part, path: str | Path) -> float:
    """Compare a part with its ONNX file on random inputs: the greatest absolute difference of any output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    differences = []
    for batch_size in CHECKED_BATCHES:
        picked = torch.arange(batch_size) % 2
        inputs = {name: values[picked].flip(-1) for name, values in part.inputs.items() if values.ndim > 1}
        inputs.update({name: values[picked] for name, values in part.inputs.items() if values.ndim == 1})
        with torch.no_grad():
            expected = as_tuple(part.network(**inputs))
        found = session.run(part.output_names, {name: values.numpy() for name, values in inputs.items()})
        differences += [np.abs(one - other.numpy()).max() for one, other in zip(found, expected, strict=True)]
    return float(np.max(differences))  # NaN stays NaN


def as_tuple(outputs: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """One output or several -> several."""
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
