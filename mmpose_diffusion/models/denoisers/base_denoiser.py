"""What a denoiser of this package is."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor


class BaseDenoiser(BaseModule, metaclass=ABCMeta):
    """Guesses the clean signal behind a noisy one, given a condition.

    Sampling calls a denoiser many times for one clip: once for each step, each time with all hypotheses. Whatever does
    not depend on the noisy signal belongs in `prepare`, which runs once; and its result is not repeated for the
    hypotheses (`mmpose_diffusion.diffusion.pair_with_hypotheses` brings both together).
    """

    @abstractmethod
    def prepare(self, features: Any) -> Any:
        """Features of B clips -> whatever `forward` wants to know about them, computed once."""

    @abstractmethod
    def forward(self, noisy: Tensor, step: Tensor, condition: Any) -> Tensor:
        """Noisy signals [B * H, ...], diffusion steps [B * H] int64, result of `prepare` -> guess shaped as `noisy`."""


class BaseHeatmapDenoiser(BaseDenoiser):
    """A denoiser of heatmaps [B * H, K, h', w'] conditioned on feature maps [B, C, h, w].

    Args:
        in_channels: C, channels of the feature map.
        out_channels: K, number of keypoints.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, in_channels: int, out_channels: int, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels

    @abstractmethod
    def heatmap_size(self, feature_size: tuple[int, int]) -> tuple[int, int]:
        """Size (h', w') of the heatmaps that go with feature maps of `feature_size` (h, w)."""


class BasePoseDenoiser(BaseDenoiser):
    """A denoiser of 3D pose sequences [B * H, F, J, 3] conditioned on 2D pose sequences [B, F, J, 2]."""

    @abstractmethod
    def prepare(self, keypoints_2d: Tensor, actions: Sequence[str | None]) -> Any:
        """2D poses [B, F, J, 2] in normalised screen coordinates, each clip's action (None: unknown) -> condition."""

    @abstractmethod
    def with_keypoints(self, condition: Any, keypoints_2d: Tensor) -> Any:
        """The same condition with other 2D poses [B, F, J, 2], such as the mirrored ones."""
