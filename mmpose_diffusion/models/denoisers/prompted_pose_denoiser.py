"""The denoiser of FinePOSE: D3DP's, which is also told in words what the person does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmpose.registry import MODELS
from torch import Tensor, nn

from ...diffusion import fold_hypotheses, pair_with_hypotheses
from .part_aware_prompts import ACTION, PartAwarePrompts
from .pose_prompt_attention import PosePromptAttention, PromptKeys
from .pose_sequence_denoiser import PoseSequenceDenoiser
from .prompt_time_stylization import PromptTimeStylization

# Pairs (text, number of learnable vectors in front of it); with four tokens a text they fill the 77 that CLIP reads.
HUMAN36M_PROMPTS = (('A person', 3), (ACTION, 8), ('speed', 6), ('head', 6), ('body', 6), ('arm', 10), ('leg', 10))
MPI_INF_3DHP_PROMPTS = (('A person', 5), ('speed', 8), ('head', 8), ('body', 8), ('arm', 12), ('leg', 12))


class PromptedPoseCondition(NamedTuple):
    """What is known of B clips beside the noise."""

    tokens_2d: Tensor  # [B, F, J, W], the embedded 2D poses
    prompt_keys: PromptKeys | None  # for FPC
    prompt: Tensor | None  # [B, W], for PTS


@MODELS.register_module()
class PromptedPoseDenoiser(PoseSequenceDenoiser):
    """D3DP's denoiser with prompts (FinePOSE, CVPR 2024), in three modules that can be switched off one by one.

    FPP, `PartAwarePrompts`, makes text tokens of prompts about the action and the parts of the body. PTS,
    `PromptTimeStylization`, adds their summary to the vector of the diffusion step, which all tokens get. After the
    first spatial block, and only there, as in the released code, FPC, `PosePromptAttention`, lets the pose look at the
    text; what it finds goes through PTS into the pose tokens. Texts are read in `prepare`: once per clip, and once for
    each distinct action of a batch.

    The ablation arms: ``prompts=None`` is D3DP; the first two of the prompts leave out the parts; without FPC, PTS
    works on the pose tokens themselves; without PTS, what FPC finds is added through a plain linear layer and the step
    hears nothing of the text. What is switched off does not exist.

    `compat=True` does as the released code does, so that its weights give its numbers: learnable vectors that are never
    learned and a summary at another place (`PartAwarePrompts`), texts mixed up in batches of several actions
    (`PosePromptAttention`).

    Args:
        num_frames: frames F of a clip.
        num_joints: joints J of a pose.
        width: channels of a pose token.
        depth: number of spatial and of temporal blocks.
        num_heads: heads of the attention, also from pose to text.
        mlp_ratio: hidden channels of the blocks' MLP, as a multiple of `width`.
        drop_path: probability of skipping either half of the deepest blocks in training.
        text_encoder: config of a `BaseTextEncoder`; None: CLIP.
        prompts: pairs (text, number of learnable vectors in front of it), '{action}' for the clip's action.
        text_layers: layers of the transformer that is trained on the text encoder.
        text_heads: their heads.
        use_attention: FPC.
        use_stylization: PTS.
        compat: do as the released code.
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
        text_encoder: dict | None = None,
        prompts: Sequence[tuple[str, int]] | None = HUMAN36M_PROMPTS,
        text_layers: int = 4,
        text_heads: int = 8,
        use_attention: bool = True,
        use_stylization: bool = True,
        compat: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(num_frames, num_joints, width, depth, num_heads, mlp_ratio, drop_path, init_cfg)
        self.use_attention = use_attention and prompts is not None
        self.use_stylization = use_stylization and prompts is not None
        if prompts is None:
            return
        if not (use_attention or use_stylization):
            raise ValueError('without use_attention and use_stylization no text reaches the pose: set prompts=None')
        text_encoder = text_encoder or dict(type='CLIPTextEncoder')
        self.part_prompts = PartAwarePrompts(text_encoder, prompts, text_layers, text_heads, compat=compat)
        text_width = self.part_prompts.width
        if use_attention:
            self.pose_prompt_attention = PosePromptAttention(width, text_width, num_heads, compat)
        if use_stylization:
            self.prompt_time_stylization = PromptTimeStylization(width, text_width)
        else:
            self.attention_output = nn.Linear(width, width)
            nn.init.zeros_(self.attention_output.weight)
            nn.init.zeros_(self.attention_output.bias)

    def prepare(self, keypoints_2d: Tensor, actions: Sequence[str | None]) -> PromptedPoseCondition:
        """2D poses [B, F, J, 2] in normalised screen coordinates, and what the person does in each clip."""
        tokens_2d = self.trunk.embed(keypoints_2d)
        keys = prompt = None
        if self.use_attention or self.use_stylization:
            text = self.part_prompts(actions)
        if self.use_attention:
            keys = self.pose_prompt_attention.prepare(text.tokens, text.of_clip)
        if self.use_stylization:
            prompt = self.prompt_time_stylization.prompt(text.summary)[text.of_clip]
        return PromptedPoseCondition(tokens_2d, keys, prompt)

    def modulation(self, step: Tensor, condition: PromptedPoseCondition) -> Tensor:
        """Step [B*H] and the clip's prompt -> what is added to all tokens, [B*H, W]."""
        modulation = super().modulation(step, condition)
        if self.use_stylization:
            of_step, of_prompt = pair_with_hypotheses(modulation, condition.prompt)
            modulation = fold_hypotheses(of_step + of_prompt)
        return modulation

    def after_first_spatial_block(self, tokens: Tensor, modulation: Tensor, condition: PromptedPoseCondition) -> Tensor:
        """Tokens [B*H, J, F, W], modulation [B*H, W] -> tokens that have looked at the text."""
        found = self.pose_prompt_attention(tokens, condition.prompt_keys) if self.use_attention else tokens
        if self.use_stylization:
            return tokens + self.prompt_time_stylization(found, modulation)
        return tokens + self.attention_output(found) if self.use_attention else tokens
