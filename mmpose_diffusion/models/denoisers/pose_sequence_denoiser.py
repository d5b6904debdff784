"""The denoiser of D3DP: a noisy 3D pose sequence and the 2D sequence in, the clean 3D sequence out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from mmpose.registry import MODELS
from torch import Tensor, nn

from ...diffusion import StepEmbedding, pair_with_hypotheses
from ..pose_sequence_network import full_precision
from ..pose_sequence_transformer import PoseSequenceTransformer
from .base_denoiser import BasePoseDenoiser


class PoseCondition(NamedTuple):
    """What is known of B clips beside the noise. Denoisers with more to know add fields and keep this one."""

    tokens_2d: Tensor  # [B, F, J, W], the embedded 2D poses


@MODELS.register_module()
class PoseSequenceDenoiser(BasePoseDenoiser):
    """MixSTE as a denoiser (D3DP, ICCV 2023), in metres relative to the root joint.

    The paper's linear embedding of the five numbers (2D, noisy 3D) of a joint is split into that of the 2D pose, paid
    once for each clip, and that of the noisy pose, paid for each hypothesis and step; their sum is the same.

    `modulation` and `after_first_spatial_block` are what a denoiser with further conditions overrides.

    Args:
        num_frames: frames F of a clip.
        num_joints: joints J of a pose.
        width: channels of a token.
        depth: number of spatial and of temporal blocks.
        num_heads: heads of the attention.
        mlp_ratio: hidden channels of the blocks' MLP, as a multiple of `width`.
        drop_path: probability of skipping either half of the deepest blocks in training.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        num_frames: int,
        num_joints: int = 17,
        width: int = 512,
        depth: int = 8,
        num_heads: int = 8,
        mlp_ratio: float = 2.0,
        drop_path: float = 0.1,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.trunk = PoseSequenceTransformer(num_frames, num_joints, width, depth, num_heads, mlp_ratio, drop_path)
        self.noisy_embedding = nn.Linear(3, width, bias=False)
        self.step_embedding = StepEmbedding(width)
        # As PyTorch initialises one layer of five inputs.
        for layer in (self.trunk.embedding, self.noisy_embedding):
            nn.init.uniform_(layer.weight, -(5**-0.5), 5**-0.5)
        nn.init.uniform_(self.trunk.embedding.bias, -(5**-0.5), 5**-0.5)

    def prepare(self, keypoints_2d: Tensor, actions: Sequence[str | None]) -> PoseCondition:
        """2D poses [B, F, J, 2] in normalised screen coordinates; D3DP does not read the actions."""
        return PoseCondition(self.trunk.embed(keypoints_2d))

    def with_keypoints(self, condition: Any, keypoints_2d: Tensor) -> Any:
        """The same condition with other 2D poses [B, F, J, 2]; whatever else it holds is not computed again."""
        return condition._replace(tokens_2d=self.trunk.embed(keypoints_2d))

    def modulation(self, step: Tensor, condition: Any) -> Tensor:
        """What is added to all tokens of a noisy sequence: step [B*H] -> [B*H, W]."""
        return self.step_embedding(step)

    def after_first_spatial_block(self, tokens: Tensor, modulation: Tensor, condition: Any) -> Tensor:
        """A place to look at a further condition: tokens [B*H, J, F, W], modulation [B*H, W] -> tokens."""
        return tokens

    def forward(self, noisy: Tensor, step: Tensor, condition: Any) -> Tensor:
        """Noisy poses [B*H, F, J, 3], step [B*H], condition of B clips -> clean poses [B*H, F, J, 3]."""
        modulation = self.modulation(step, condition)  # [B*H, W]
        with full_precision(noisy):
            noisy_tokens, known = pair_with_hypotheses(self.noisy_embedding(noisy), condition.tokens_2d)
            tokens = (noisy_tokens + known).flatten(0, 1) + modulation[:, None, None].float()  # [B*H, F, J, W]
        return self.trunk(tokens, partial(self.after_first_spatial_block, modulation=modulation, condition=condition))
