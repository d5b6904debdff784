"""Convert an official checkpoint of D3DP or FinePOSE into one for our configs.

    python tools/model_converters/lifting_to_ours.py finepose_released_human36m_cpn_243frames official.bin ours.pth

The config says what the checkpoint must be: its frames, joints, sizes and prompts. Every weight is taken over by name
and shape, and nothing may be left over: what does not fit is refused.
"""

import argparse
import io
import re
import sys
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import Tensor

from mmpose_diffusion.engine import AtomicLocalBackend, load_checkpoint_file, load_config
from mmpose_diffusion.models import PoseSequenceDenoiser

# The tables of the diffusion are computed, CLIP's images are never looked at.
LEFT_OUT = (
    r'(\w*alphas_cumprod\w*|betas|posterior_\w+)$',
    r'pose_estimator\.clip_text\.(visual\..*|text_projection|logit_scale)$',
)
# Learnable vectors by prompt, in the order of the sequence; MPI-INF-3DHP has none for the action.
LEARNABLE = [f'ctx_{name}' for name in ('subject', 'verb', 'speed', 'head', 'body', 'arm', 'leg')]

# What the released networks know as clean and noisy poses, in the words of `SignalRange`.
RELEASED_SIGNAL = dict(scale=1.0, clamp=1.1, spread=None)

RESHAPED = (
    'Spatial_patch_to_embedding.weight',
    'Spatial_patch_to_embedding.bias',
    'Spatial_pos_embed',
    'Temporal_pos_embed',
)
ATTENTION = 'pose_prompt_attention'
STYLIZATION = 'prompt_time_stylization'
BLOCKS = {'STEblocks': 'spatial_blocks', 'TTEblocks': 'temporal_blocks'}
BLOCK_PARTS = {
    'norm1': 'attention_norm',
    'attn.qkv': 'attention.query_key_value',
    'attn.proj': 'attention.output',
    'norm2': 'mlp_norm',
    'mlp.fc1': 'mlp.0',
    'mlp.fc2': 'mlp.2',
}
RENAMED = {
    'Spatial_pos_embed': 'trunk.joint_position',
    'Temporal_pos_embed': 'trunk.frame_position',
    'Spatial_norm': 'trunk.spatial_norm',
    'Temporal_norm': 'trunk.temporal_norm',
    'head': 'trunk.output',
    'time_mlp.1': 'step_embedding.layers.0',
    'time_mlp.3': 'step_embedding.layers.2',
    'clip_text': 'part_prompts.text_encoder.tower',
    'textTransEncoder': 'part_prompts.layers',
    'text_ln': 'part_prompts.norm',
    'text_proj.0': f'{STYLIZATION}.prompt',
    'temporal_cross_attn.proj_out.emb_layers': f'{STYLIZATION}.gain_and_shift',
    'temporal_cross_attn.proj_out.norm': f'{STYLIZATION}.norm',
    'temporal_cross_attn.proj_out.out_layers.2': f'{STYLIZATION}.output.1',
    'temporal_cross_attn': ATTENTION,
}
MEANINGS = {
    'frame_position': 'frames (num_frames)',
    'joint_position': 'joints (num_joints)',
    'part_prompts.learnable': 'learnable vectors (prompts)',
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of ours that the checkpoint is for: path or name')
    parser.add_argument('source', help='official checkpoint (.bin, .pth)')
    parser.add_argument('target', help='checkpoint to write, .pth')
    return parser.parse_args()


def official_weights(checkpoint: Any) -> dict[str, Tensor]:
    """The weights of the network in an official checkpoint, without the names of what it was wrapped in."""
    found = checkpoint.get('model_pos', checkpoint) if isinstance(checkpoint, Mapping) else checkpoint
    if not isinstance(found, Mapping):
        raise ValueError(f'it is no checkpoint of D3DP or FinePOSE: it holds a {type(found).__name__}')
    weights = {name.removeprefix('module.'): weight for name, weight in found.items() if isinstance(weight, Tensor)}
    weights = {name: weight for name, weight in weights.items() if not any(re.match(p, name) for p in LEFT_OUT)}
    weights = {name.removeprefix('pose_estimator.'): weight for name, weight in weights.items()}
    missing = [name for name in RESHAPED if name not in weights]
    if missing:
        raise ValueError(f'it is no checkpoint of D3DP or FinePOSE: there is no pose_estimator.{missing[0]}')
    return weights


def our_name(name: str) -> str:
    """The name of a weight that is taken over as it is; an unknown one stays as it is."""
    block = re.match(r'(STEblocks|TTEblocks)\.(\d+)\.(.+)\.(weight|bias)$', name)
    if block:
        kind, depth, part, end = block.groups()
        return f'trunk.{BLOCKS[kind]}.{depth}.{BLOCK_PARTS.get(part, part)}.{end}'
    for theirs, ours in RENAMED.items():
        if name == theirs or name.startswith(f'{theirs}.'):
            return ours + name[len(theirs) :]
    return name


def convert(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the official network -> of `PoseSequenceDenoiser` or `PromptedPoseDenoiser`."""
    weights = dict(weights)
    converted = {}
    # One layer of five inputs, 2D and noisy 3D, is split.
    embedding = weights.pop('Spatial_patch_to_embedding.weight')  # [W, 5]
    converted['trunk.embedding.weight'] = embedding[:, :2]
    converted['trunk.embedding.bias'] = weights.pop('Spatial_patch_to_embedding.bias')
    converted['noisy_embedding.weight'] = embedding[:, 2:]
    for name in ('Spatial_pos_embed', 'Temporal_pos_embed'):
        weights[name] = weights[name].squeeze(0)
    vectors = [weights.pop(name) for name in LEARNABLE if name in weights]
    if vectors:
        converted['part_prompts.learnable'] = torch.cat(vectors)
    converted.update({our_name(name): weight for name, weight in weights.items()})
    return {name: weight.float().clone() for name, weight in converted.items()}  # a slice would drag its whole along


def check(converted: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not exactly those of the config's network."""
    other = {
        name: f'{list(converted[name].shape)} instead of {list(weight.shape)}'
        for name, weight in expected.items()
        if name in converted and converted[name].shape != weight.shape
    }
    for ending, meaning in MEANINGS.items():
        for name in other:
            counts = converted[name].shape[0], expected[name].shape[0]
            if name.endswith(ending) and counts[0] != counts[1]:
                raise ValueError(f'it is for {counts[0]} {meaning}, the config for {counts[1]}')
    problems = {
        'of another size': [f'{name} ({sizes})' for name, sizes in other.items()],
        'missing': [name for name in expected if name not in converted],
        'unknown to the config': [name for name in converted if name not in expected],
    }
    listed = [
        f'{len(names)} weights are {problem}: {", ".join(names[:3])}{" ..." if len(names) > 3 else ""}'
        for problem, names in problems.items()
        if names
    ]
    if listed:
        raise ValueError(f'{"; ".join(listed)}. The config must be that of the network that was trained')


def expected_weights(config_name: str) -> dict[str, Tensor]:
    """Names and shapes of the config's denoiser, without memory for them."""
    config = load_config(config_name)
    init_default_scope('mmpose')
    denoiser = config.get('model', {}).get('head', {}).get('denoiser', {})
    kind = MODELS.get(denoiser.type) if 'type' in denoiser else None
    if kind is None or not issubclass(kind, PoseSequenceDenoiser):
        raise ValueError(
            f'{config_name} is no config of D3DP or FinePOSE: model.head.denoiser must be a PoseSequenceDenoiser '
            'or PromptedPoseDenoiser'
        )
    signal = RELEASED_SIGNAL | (config.model.head.get('signal') or {})
    if signal != RELEASED_SIGNAL:
        raise ValueError(
            f'model.head.signal of {config_name} is {signal}, but the released networks were trained with '
            f'{RELEASED_SIGNAL}: take a config that has it'
        )
    with torch.device('meta'):
        denoiser = MODELS.build(denoiser)
    return denoiser.state_dict()


def main() -> None:
    """Convert one file, or say in one sentence why not."""
    args = parse_args()
    try:
        converted = convert(official_weights(load_checkpoint_file(args.source, map_location='cpu')))
        check(converted, expected_weights(args.config))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'{args.source} was not converted: {error}')
    state_dict = {f'head.denoiser.{name}': weight for name, weight in converted.items()}
    buffer = io.BytesIO()
    torch.save(dict(state_dict=state_dict, meta=dict(converted_for=args.config)), buffer)
    AtomicLocalBackend().put(buffer.getvalue(), args.target)
    print(f'{args.source} -> {args.target}: {len(state_dict)} weights')


if __name__ == '__main__':
    main()
