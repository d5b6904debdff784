"""Attention between the joints of a frame and between the frames of a joint, by turns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from .pose_sequence_network import PoseSequenceNetwork, full_precision
from .transformer_layers import TransformerLayer

NORM_EPS = 1e-6  # of the blocks and of the two shared normalisations


@MODELS.register_module()
class PoseSequenceTransformer(PoseSequenceNetwork):
    """The trunk of MixSTE (CVPR 2022): 2D pose sequences [B, F, J, 2] in, 3D pose sequences [B, F, J, 3] out.

    `embed` makes a token of each joint in each frame. `depth` times a spatial block lets the joints of a frame look at
    each other, then a temporal block the frames of a joint. One normalisation behind all spatial blocks and one behind
    all temporal blocks is shared by all depths, as in the released code. D3DP and FinePOSE add the noisy pose and the
    diffusion step to the tokens; without them this is a regression network.

    Args:
        num_frames: F, which the learned position of a frame fixes.
        num_joints: J.
        width: channels of a token.
        depth: number of spatial and of temporal blocks.
        num_heads: heads of the attention.
        mlp_ratio: hidden channels of the blocks' MLP, as a multiple of `width`.
        drop_path: probability of skipping either half of the deepest blocks in training; it rises linearly from 0.
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
    ) -> None:
        super().__init__(num_frames, num_joints)
        self.width = width
        self.embedding = nn.Linear(2, width)
        self.joint_position = nn.Parameter(torch.zeros(num_joints, width))
        self.frame_position = nn.Parameter(torch.zeros(num_frames, width))
        rates = torch.linspace(0, drop_path, depth, device='cpu').tolist()
        self.spatial_blocks = nn.ModuleList(
            TransformerLayer(width, num_heads, mlp_ratio, rate, NORM_EPS) for rate in rates
        )
        self.temporal_blocks = nn.ModuleList(
            TransformerLayer(width, num_heads, mlp_ratio, rate, NORM_EPS) for rate in rates
        )
        self.spatial_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.temporal_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))

    def embed(self, keypoints_2d: Tensor) -> Tensor:
        """2D poses [B, F, J, 2] -> tokens [B, F, J, W] that know which joint they are."""
        self.check_shape(keypoints_2d)
        with full_precision(keypoints_2d):
            return self.embedding(keypoints_2d.float()) + self.joint_position

    def sized_weights(self) -> dict[str, tuple[int, str]]:
        """The learned positions."""
        return {
            'frame_position': (self.num_frames, 'frames per sequence (num_frames)'),
            'joint_position': (self.num_joints, 'joints (num_joints)'),
        }

    def forward(self, tokens: Tensor, after_first_spatial_block: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Tokens [N, F, J, W] -> 3D poses [N, F, J, 3] float32.

        Args:
            tokens: result of `embed`, with anything added to it.
            after_first_spatial_block: is handed the tokens as [N, J, F, W] and returns what goes on instead.
        """
        for depth, (spatial, temporal) in enumerate(zip(self.spatial_blocks, self.temporal_blocks, strict=True)):
            tokens = self.spatial_norm(along_second_last(spatial, tokens)).transpose(1, 2)  # [N, J, F, W]
            if depth == 0:
                if after_first_spatial_block is not None:
                    tokens = after_first_spatial_block(tokens)
                tokens = tokens + self.frame_position
            tokens = self.temporal_norm(along_second_last(temporal, tokens)).transpose(1, 2)  # [N, F, J, W]
        with full_precision(tokens):
            return self.output(tokens.float())


def along_second_last(block: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """Applies a block for sequences [rows, L, W] to tokens [N, M, L, W]."""
    return block(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])
