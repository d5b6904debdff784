"""Weights of plain vision transformers under other projects' names, translated into timm's.

The same network is published as MMPose (mmpretrain) checkpoints, by the authors of ViTPose, by Hugging Face and as MAE
pre-training. They differ in the names of the weights, in queries, keys and values being one matrix or three, and in
the position embeddings: some have one entry more than there are patches, and the grid follows the size of the images.
Everything here is a pure function of dictionaries of tensors.
"""

import re
from collections.abc import Iterable, Mapping
from math import gcd, isqrt
from typing import NamedTuple

from timm.layers import resample_abs_pos_embed
from torch import Size, Tensor, cat


class Dialect(NamedTuple):
    """How one project names the weights of a vision transformer."""

    name: str
    marker: str  # pattern of a key which only this dialect has
    renames: tuple[tuple[str, str], ...]  # pattern -> timm's name
    adds_first_position: bool  # the network adds the first position embedding to every patch


DIALECTS = (
    Dialect(
        'Hugging Face VitPose',
        r'encoder\.layer\.\d+\.layernorm_before\.',
        (
            (r'^embeddings\.position_embeddings$', 'pos_embed'),
            (r'^embeddings\.patch_embeddings\.projection\.', 'patch_embed.proj.'),
            (r'^encoder\.layer\.(\d+)\.layernorm_before\.', r'blocks.\1.norm1.'),
            (r'^encoder\.layer\.(\d+)\.layernorm_after\.', r'blocks.\1.norm2.'),
            (r'^encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.', r'blocks.\1.attn.\2.'),
            (r'^encoder\.layer\.(\d+)\.attention\.output\.dense\.', r'blocks.\1.attn.proj.'),
            (r'^encoder\.layer\.(\d+)\.mlp\.', r'blocks.\1.mlp.'),
            (r'^layernorm\.', 'norm.'),
        ),
        adds_first_position=True,
    ),
    Dialect(
        'MMPose (mmpretrain)',
        r'layers\.\d+\.ln1\.',
        (
            (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
            (r'^layers\.(\d+)\.ln([12])\.', r'blocks.\1.norm\2.'),
            (r'^layers\.(\d+)\.attn\.', r'blocks.\1.attn.'),
            (r'^layers\.(\d+)\.ffn\.layers\.0\.0\.', r'blocks.\1.mlp.fc1.'),
            (r'^layers\.(\d+)\.ffn\.layers\.1\.', r'blocks.\1.mlp.fc2.'),
            (r'^ln1\.', 'norm.'),
        ),
        adds_first_position=False,
    ),
    Dialect('original ViTPose', r'last_norm\.', ((r'^last_norm\.', 'norm.'),), adds_first_position=True),
    Dialect('timm or MAE', r'blocks\.\d+\.norm1\.', (), adds_first_position=False),
)

# A class token, and what only pre-training or classification needs: a backbone for poses has no use for them.
NOT_FOR_POSES = re.compile(r'(cls_token|mask_token|decoder_.+|head\..+)$')
HEAD_RENAMES = (
    (r'^keypoint_head\.', 'head.'),
    (r'^head\.deconv1\.', 'head.deconv_layers.0.'),
    (r'^head\.batchnorm1\.', 'head.deconv_layers.1.'),
    (r'^head\.deconv2\.', 'head.deconv_layers.3.'),
    (r'^head\.batchnorm2\.', 'head.deconv_layers.4.'),
    (r'^head\.conv\.', 'head.final_layer.'),
)


def convert_backbone(
    weights: Mapping[str, Tensor], expected: Mapping[str, Size], grid_size: tuple[int, int]
) -> dict[str, Tensor]:
    """Translate the weights of one backbone into timm's names and check that they fit it completely.

    Args:
        weights: Weights of a backbone in any known dialect, names without prefix.
        expected: Name and shape of every weight the backbone needs.
        grid_size: Height and width in patches to which the position embeddings are resampled.

    Raises:
        ValueError: a weight is missing, unknown or of another shape, or the dialect is not known.
    """
    dialect = detect_dialect(weights)
    translated = translate(weights, dialect)
    has_class_token = 'cls_token' in translated
    translated = {name: weight for name, weight in translated.items() if not NOT_FOR_POSES.match(name)}
    check_size(translated, expected, dialect.name)
    if 'pos_embed' in translated:
        patch_positions = positions_of_patches(
            translated['pos_embed'], grid_size, dialect.adds_first_position, has_class_token
        )
        translated['pos_embed'] = resample_positions(patch_positions, grid_size)
    check_complete(translated, expected, dialect.name)
    return translated


def find_backbone(checkpoint: Mapping) -> dict[str, Tensor]:
    """Return the weights of the backbone, without prefix, from a checkpoint of a backbone or of an estimator."""
    for wrapper in ('state_dict', 'model'):  # OpenMMLab's and MAE's
        if isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    weights = {name.removeprefix('module.'): weight for name, weight in checkpoint.items()}
    prefix = 'backbone.' if any(name.startswith('backbone.') for name in weights) else ''
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


def find_head(checkpoint: Mapping) -> dict[str, Tensor]:
    """Return the weights of the (first) pose head, with MMPose's names, from a checkpoint of an estimator."""
    weights = checkpoint.get('state_dict', checkpoint)
    if not any(name.startswith('backbone.') for name in weights):
        return {}
    renamed = rename(weights, HEAD_RENAMES)
    return {name: weight for name, weight in renamed.items() if name.startswith('head.')}


def detect_dialect(names: Iterable[str]) -> Dialect:
    """Tell whose names these are."""
    names = list(names)
    if any('.experts.' in name for name in names):
        raise ValueError(
            'this is a ViTPose+ checkpoint, a mixture of experts (keys with ".mlp.experts."): only plain ViTPose '
            'checkpoints can be loaded; split it into one per data set with the tool of its authors (model_split.py)'
        )
    for dialect in DIALECTS:
        if any(re.match(dialect.marker, name) for name in names):
            return dialect
    raise ValueError(
        f'no vision transformer of {" / ".join(dialect.name for dialect in DIALECTS)} among the {len(names)} weights '
        f'{abbreviate(names)}: is this the checkpoint of another kind of backbone, or the wrong prefix?'
    )


def translate(weights: Mapping[str, Tensor], dialect: Dialect) -> dict[str, Tensor]:
    """Give the weights timm's names; nothing is left out or checked."""
    return join_queries_keys_values(rename(weights, dialect.renames))


def rename(weights: Mapping[str, Tensor], renames: Iterable[tuple[str, str]]) -> dict[str, Tensor]:
    """Apply (pattern, replacement) pairs to every name."""
    renamed = {}
    for name, weight in weights.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        renamed[name] = weight
    return renamed


def join_queries_keys_values(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stack `attn.query`, `attn.key` and `attn.value` ([C, ...] each) to `attn.qkv` [3*C, ...]."""
    joined = dict(weights)
    for name in weights:
        if '.attn.query.' in name:
            parts = [name.replace('.query.', f'.{part}.') for part in ('query', 'key', 'value')]
            absent = [part for part in parts if part not in weights]
            if absent:
                raise ValueError(f'{name} comes without {absent}')
            joined[name.replace('.query.', '.qkv.')] = cat([joined.pop(part) for part in parts])
    return joined


def positions_of_patches(
    positions: Tensor, target_grid: tuple[int, int], adds_first_position: bool, has_class_token: bool
) -> Tensor:
    """Position embeddings [1, N or N + 1, C] -> one per patch [1, N, C].

    The additional first entry belongs to a class token and is left out, unless the network adds it to every patch.
    """
    tokens = positions.shape[1]
    could_have_extra = infer_grid(tokens - 1, target_grid) is not None
    expects_extra = adds_first_position or has_class_token or infer_grid(tokens, target_grid) is None
    if not (could_have_extra and expects_extra):
        return positions
    return positions[:, 1:] + positions[:, :1] if adds_first_position else positions[:, 1:]


def infer_grid(tokens: int, target_grid: tuple[int, int]) -> tuple[int, int] | None:
    """Height and width of a grid of so many patches: of the target's proportions, ViTPose's 4:3 or square, else None.

    >>> infer_grid(192, (24, 18)), infer_grid(196, (24, 18)), infer_grid(197, (24, 18))
    ((16, 12), (14, 14), None)
    """
    for height, width in (target_grid, (4, 3), (1, 1)):
        divisor = gcd(height, width)
        height, width = height // divisor, width // divisor
        scale = isqrt(tokens // (height * width))
        if scale > 0 and height * width * scale**2 == tokens:
            return height * scale, width * scale
    return None


def resample_positions(positions: Tensor, grid_size: tuple[int, int]) -> Tensor:
    """Position embeddings [1, N, C] of any grid that can be inferred -> [1, h*w, C], bicubic."""
    source_grid = infer_grid(positions.shape[1], grid_size)
    if source_grid is None:
        raise ValueError(
            f'pos_embed of shape {tuple(positions.shape)}: {positions.shape[1]} positions form no grid of the '
            f'proportions of {grid_size} (height, width), 4:3 or 1:1, with or without one entry for a class token; set '
            'img_size to the proportions the checkpoint was trained with'
        )
    return resample_abs_pos_embed(positions, new_size=list(grid_size), old_size=list(source_grid), num_prefix_tokens=0)


def check_size(weights: Mapping[str, Tensor], expected: Mapping[str, Size], source: str) -> None:
    """Refuse a network of another width or depth in one sentence instead of a list of every weight."""
    if 'pos_embed' not in weights:
        return  # reported with everything else that is missing
    width, depth = weights['pos_embed'].shape[-1], count_layers(weights)
    needed_width, needed_depth = expected['pos_embed'][-1], count_layers(expected)
    if (width, depth) != (needed_width, needed_depth):
        raise ValueError(
            f'the {source} checkpoint has {depth} layers of width {width}, the backbone {needed_depth} of width '
            f'{needed_width}: set arch to what was trained'
        )


def count_layers(names: Iterable[str]) -> int:
    """Number of transformer layers, by timm's names."""
    return 1 + max((int(name.split('.')[1]) for name in names if name.startswith('blocks.')), default=-1)


def check_complete(weights: Mapping[str, Tensor], expected: Mapping[str, Size], source: str) -> None:
    """Refuse missing and unknown weights and wrong shapes: a half-loaded backbone looks like a badly trained one."""
    differing = [
        f'{name} {tuple(weights[name].shape)} instead of {tuple(shape)}'
        for name, shape in expected.items()
        if name in weights and weights[name].shape != shape
    ]
    problems = {
        'missing': [name for name in expected if name not in weights],
        'unknown': [name for name in weights if name not in expected],
        'of another shape': differing,
    }
    found = [f'{len(names)} {kind}: {abbreviate(names)}' for kind, names in problems.items() if names]
    if found:
        raise ValueError(f"the {source} checkpoint does not fit the backbone (in timm's names): {'; '.join(found)}")


def abbreviate(names: list[str], shown: int = 4) -> str:
    """Join a few names, and say how many more there are."""
    more = f' and {len(names) - shown} more' if len(names) > shown else ''
    return ', '.join(names[:shown]) + more
