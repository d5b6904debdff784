"""Convert a ViT checkpoint of MMPose, ViTPose, Hugging Face or MAE into one for `TimmVisionTransformer`.

The backbone loads all of these directly; converting helps where the head must come along (Hugging Face names it
differently), to check that a file is whole before a long run, and to be rid of an optimizer's state.
"""

import argparse
import io
import sys
from collections.abc import Mapping

import torch
from torch import Tensor

from mmpose_diffusion.engine import AtomicLocalBackend, load_checkpoint_file
from mmpose_diffusion.models.backbones import TimmVisionTransformer
from mmpose_diffusion.models.backbones.checkpoint_keys import (
    Dialect,
    convert_backbone,
    count_layers,
    detect_dialect,
    find_backbone,
    find_head,
    translate,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', help='checkpoint to convert: .pth, .pt, .bin or .safetensors')
    parser.add_argument('target', help='checkpoint to write, .pth')
    parser.add_argument(
        '--img-size',
        type=int,
        nargs=2,
        default=(256, 192),
        metavar=('HEIGHT', 'WIDTH'),
        help='size of the images the backbone will see; position embeddings are resampled to it (default: 256 192)',
    )
    return parser.parse_args()


def empty_backbone(weights: Mapping[str, Tensor], img_size: tuple[int, int]) -> TimmVisionTransformer:
    """Build the backbone these weights (timm's names) belong to, without memory for weights of its own."""
    needed = ('pos_embed', 'patch_embed.proj.weight', 'blocks.0.mlp.fc1.weight')
    missing = [name for name in needed if name not in weights]
    if missing:
        raise ValueError(f'the size of the network cannot be told without {missing}')
    width, in_channels, patch_size = weights['patch_embed.proj.weight'].shape[:3]
    arch = dict(
        embed_dims=width,
        num_layers=count_layers(weights),
        num_heads=1,  # leaves no trace in the weights
        feedforward_channels=weights['blocks.0.mlp.fc1.weight'].shape[0],
    )
    qkv_bias = 'blocks.0.attn.qkv.bias' in weights
    with torch.device('meta'):
        return TimmVisionTransformer(arch, img_size, patch_size, in_channels=in_channels, qkv_bias=qkv_bias)


def convert(checkpoint: Mapping, img_size: tuple[int, int]) -> tuple[dict[str, Tensor], Dialect]:
    """Return all weights of an estimator under the names `backbone.*` (timm) and `head.*` (MMPose)."""
    weights = find_backbone(checkpoint)
    dialect = detect_dialect(weights)
    backbone = empty_backbone(translate(weights, dialect), img_size)
    expected = {name: weight.shape for name, weight in backbone.state_dict().items()}
    converted = convert_backbone(weights, expected, backbone.grid_size)
    state_dict = {f'backbone.{name}': weight for name, weight in converted.items()} | find_head(checkpoint)
    return {name: weight.clone() for name, weight in state_dict.items()}, dialect  # a slice would drag its whole along


def main() -> None:
    """Convert one file, or say in one sentence why not."""
    args = parse_args()
    img_size = tuple(args.img_size)
    try:
        state_dict, dialect = convert(load_checkpoint_file(args.source, map_location='cpu'), img_size)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'{args.source} was not converted: {error}')
    buffer = io.BytesIO()
    torch.save(dict(state_dict=state_dict, meta=dict(converted_from=dialect.name, img_size=img_size)), buffer)
    AtomicLocalBackend().put(buffer.getvalue(), args.target)
    in_head = sum(name.startswith('head.') for name in state_dict)
    print(
        f'{dialect.name} -> {args.target}: {len(state_dict) - in_head} weights of the backbone, {in_head} of the head, '
        f'for images of {img_size[0]}x{img_size[1]}'
    )


if __name__ == '__main__':
    main()
