"""The plain vision transformer of ViTPose, built from `timm`'s parts."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .checkpoint_keys import convert_backbone, find_backbone


class Architecture(NamedTuple):
    """Size of a vision transformer, in the words MMPose's ViTPose configs use."""

    embed_dims: int
    num_layers: int
    num_heads: int
    feedforward_channels: int


ARCHITECTURES = {
    's': Architecture(384, 12, 12, 1536),
    'b': Architecture(768, 12, 12, 3072),
    'l': Architecture(1024, 24, 16, 4096),
    'h': Architecture(1280, 32, 16, 5120),
}
LONG_NAMES = {'small': 's', 'base': 'b', 'large': 'l', 'huge': 'h'}


def resolve_architecture(arch: str | Mapping[str, int]) -> Architecture:
    """Turn a name or a dict of `Architecture`'s four fields into an `Architecture`.

    The names are ViTPose's: 's' is 384 wide with 12 heads, not the 768-wide network mmpretrain calls so.

    >>> resolve_architecture('s').embed_dims
    384
    """
    if isinstance(arch, str):
        name = LONG_NAMES.get(arch.lower(), arch.lower())
        if name not in ARCHITECTURES:
            raise ValueError(
                f'arch must be one of {sorted(ARCHITECTURES)}, one of {sorted(LONG_NAMES)} or a dict with '
                f'{Architecture._fields}, got {arch!r}'
            )
        return ARCHITECTURES[name]
    if not isinstance(arch, Mapping) or set(arch) != set(Architecture._fields):
        raise ValueError(f'an arch dict must have exactly the keys {Architecture._fields}, got {arch!r}')
    resolved = Architecture(**arch)
    if resolved.embed_dims % resolved.num_heads:
        raise ValueError(f'embed_dims={resolved.embed_dims} cannot be shared evenly by num_heads={resolved.num_heads}')
    return resolved


@MODELS.register_module()
class TimmVisionTransformer(BaseModule):
    """Vision transformer returning one feature map at 1/16 of the image's size: the backbone of ViTPose.

    Computes exactly what `mmpretrain.VisionTransformer` computes in MMPose's ViTPose configs (no class token,
    `out_type='featmap'`, patch padding 2), with the fused attention of PyTorch and without needing mmpretrain.
    Parameters have timm's names (`patch_embed.proj`, `blocks.N.attn.qkv`, `norm` ...). Checkpoints of MMPose, of the
    authors of ViTPose, of Hugging Face's VitPose and of MAE load as they are, whichever way they come (`init_cfg`,
    `load_from`, `load_state_dict`), with position embeddings resampled to `img_size`; one that does not fit
    completely is refused.

    Args:
        arch: 's', 'b', 'l' or 'h' as in ViTPose ('small' ... 'huge' work too), or a dict with `embed_dims`,
            `num_layers`, `num_heads` and `feedforward_channels`.
        img_size: Height and width of the images in pixels; multiples of `patch_size`. Other sizes are refused.
        patch_size: Side of a patch in pixels.
        patch_padding: Zero pixels around the image before it is cut into patches. ViTPose has 2, MAE 0.
        in_channels: Channels of the images.
        qkv_bias: Whether queries, keys and values have a bias.
        drop_path_rate: Probability of skipping the last layer in training; earlier layers are skipped less often.
        with_cp: Recompute each layer in the backward pass instead of keeping its activations.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        arch: str | Mapping[str, int] = 'b',
        img_size: tuple[int, int] = (256, 192),
        patch_size: int = 16,
        patch_padding: int = 2,
        in_channels: int = 3,
        qkv_bias: bool = True,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.img_size = check_image_size(img_size, patch_size)
        if not 0 <= 2 * patch_padding < patch_size:
            raise ValueError(f'patch_padding must be less than half of patch_size={patch_size}, got {patch_padding}')
        architecture = resolve_architecture(arch)
        transformer = VisionTransformer(
            img_size=self.img_size,
            patch_size=patch_size,
            in_chans=in_channels,
            num_classes=0,
            global_pool='',
            class_token=False,
            embed_dim=architecture.embed_dims,
            depth=architecture.num_layers,
            num_heads=architecture.num_heads,
            # timm cuts embed_dims * mlp_ratio to an integer: aim at the middle, or 49 * (1 / 49) becomes 0
            mlp_ratio=(architecture.feedforward_channels + 0.5) / architecture.embed_dims,
            qkv_bias=qkv_bias,
            drop_path_rate=drop_path_rate,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        )
        self.patch_embed = transformer.patch_embed
        self.patch_embed.proj.padding = (patch_padding, patch_padding)
        self.pos_embed = transformer.pos_embed  # [1, h*w, C]
        self.blocks = transformer.blocks
        self.norm = transformer.norm

        self.grid_size: tuple[int, int] = tuple(self.patch_embed.grid_size)
        self.out_channels = architecture.embed_dims
        self.with_cp = with_cp

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Images [B, 3, H, W] -> ([B, C, H/16, W/16],), contiguous."""
        if tuple(images.shape[-2:]) != self.img_size:
            raise ValueError(
                f'this {type(self).__name__} was built for images of {self.img_size} (height, width), got '
                f'{tuple(images.shape[-2:])}: set img_size (checkpoints of other sizes are resampled when loaded)'
            )
        tokens = self.patch_embed(images) + self.pos_embed  # [B, h*w, C]
        for block in self.blocks:
            if self.with_cp and self.training:
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        maps = self.norm(tokens).transpose(1, 2).unflatten(2, self.grid_size)  # [B, C, h, w]
        return (maps.contiguous(),)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Translate the weights below `prefix` (a copy PyTorch lets modules change) before they are loaded."""
        own = {name.removeprefix(prefix): weight for name, weight in state_dict.items() if name.startswith(prefix)}
        if own:
            # A backbone loaded on its own may be given a whole estimator's checkpoint.
            weights = own if prefix else find_backbone(own)
            expected = {name: weight.shape for name, weight in self.state_dict().items()}
            try:
                converted = convert_backbone(weights, expected, self.grid_size)
            except ValueError as error:
                raise ValueError(f'cannot load {prefix}{type(self).__name__}: {error}') from error
            for name in own:
                del state_dict[prefix + name]
            state_dict.update({prefix + name: weight for name, weight in converted.items()})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def check_image_size(img_size: Any, patch_size: int) -> tuple[int, int]:
    """Return `img_size` as (height, width) if it can be cut into whole patches."""
    try:
        height, width = (int(side) for side in img_size)
    except (TypeError, ValueError):
        raise ValueError(f'img_size must be (height, width) in pixels, got {img_size!r}') from None
    if height < 1 or width < 1 or height % patch_size or width % patch_size:
        raise ValueError(f'img_size must be positive multiples of patch_size={patch_size}, got {(height, width)}')
    return height, width
