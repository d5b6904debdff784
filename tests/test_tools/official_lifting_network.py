"""The released networks of D3DP and FinePOSE, written down literally from a description of what they compute.

Names of parameters are those of official checkpoints, so a `state_dict` of this network is one. Everything is done the
long way round, as it is there: texts read in every call and tiled over the rows, the modulation copied to every token.
"""

import math

import numpy as np
import torch
from torch import nn

FIXED = (
    (49406, 320, 2533, 49407),  # a person
    (49406, 4163, 49407, 0),  # speed
    (49406, 1375, 49407, 0),  # head
    (49406, 1774, 49407, 0),  # body
    (49406, 4793, 49407, 0),  # arm
    (49406, 4924, 49407, 0),  # leg
)
ACTIONS = {
    'Walking': (49406, 3941, 49407, 0, 0),
    'Photo': (49406, 1125, 49407, 0, 0),
    'WalkDog': (49406, 8588, 1929, 49407, 0),
    'SittingDown': (49406, 42988, 653, 1136, 49407),
}
HUMAN36M = dict(subject=3, verb=8, speed=6, head=6, body=6, arm=10, leg=10)
MPI_INF_3DHP = dict(subject=5, speed=8, head=8, body=8, arm=12, leg=12)


def attend(query, key, value, heads, mask=None):
    """[N, L, W] each, by the formula."""
    rows, length, width = query.shape
    split = [x.reshape(rows, -1, heads, width // heads).permute(0, 2, 1, 3) for x in (query, key, value)]
    scores = split[0] @ split[1].transpose(-1, -2) / math.sqrt(width // heads)
    if mask is not None:
        scores = scores.masked_fill(mask, -math.inf)
    return (scores.softmax(-1) @ split[2]).permute(0, 2, 1, 3).reshape(rows, length, width)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x):
        width = x.shape[-1]
        every = self.qkv(x)
        return self.proj(attend(every[..., :width], every[..., width : 2 * width], every[..., 2 * width :], self.heads))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = Attention(width, heads), Mlp(width, 2 * width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ClipBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module('c_fc', nn.Linear(width, 4 * width))
        self.mlp.add_module('c_proj', nn.Linear(4 * width, width))
        self.heads = heads

    def forward(self, x):
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        every = nn.functional.linear(self.ln_1(x), self.attn.in_proj_weight, self.attn.in_proj_bias)
        x = x + self.attn.out_proj(attend(*every.chunk(3, dim=-1), self.heads, mask))
        hidden = self.mlp.c_fc(self.ln_2(x))
        return x + self.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))


class Clip(nn.Module):
    """Also the image tower and what else lies in the files unused."""

    def __init__(self, width, heads, layers):
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(77, width))
        self.text_projection = nn.Parameter(torch.randn(width, width))
        self.logit_scale = nn.Parameter(torch.zeros([]))
        self.token_embedding = nn.Embedding(49408, width)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(ClipBlock(width, heads) for _ in range(layers))
        self.ln_final = nn.LayerNorm(width)
        self.visual = nn.Module()
        self.visual.conv1 = nn.Conv2d(3, width, 8, bias=False)


class CrossAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm, self.text_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.proj_out = nn.Module()
        self.proj_out.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.proj_out.norm = nn.LayerNorm(width)
        self.proj_out.out_layers = nn.Sequential(nn.SiLU(), nn.Dropout(0.0), nn.Linear(width, width))
        self.heads = heads

    def forward(self, x, text, modulation):
        """Rows [R, F, W], text of each row [R, 77, W], modulation of each row [R, W]."""
        text = self.text_norm(text)
        found = attend(self.query(self.norm(x)), self.key(text), self.value(text), self.heads)
        gain, shift = self.proj_out.emb_layers(modulation)[:, None].chunk(2, dim=-1)
        return x + self.proj_out.out_layers(self.proj_out.norm(found) * (1 + gain) + shift)


class Network(nn.Module):
    """`prompts` None: D3DP; otherwise how many learnable vectors stand before each prompt."""

    def __init__(self, frames, joints=17, width=512, depth=8, heads=8, prompts=None, clip_layers=12, text_layers=4):
        super().__init__()
        self.prompts = prompts
        self.Spatial_pos_embed = nn.Parameter(torch.zeros(1, joints, width))
        self.Temporal_pos_embed = nn.Parameter(torch.zeros(1, frames, width))
        self.Spatial_patch_to_embedding = nn.Linear(5, width)
        self.time_mlp = nn.Sequential(
            nn.Identity(), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.STEblocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.TTEblocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.Spatial_norm, self.Temporal_norm = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))
        if prompts is not None:
            for name, length in prompts.items():
                self.register_parameter(f'ctx_{name}', nn.Parameter(torch.randn(length, width)))
            self.temporal_cross_attn = CrossAttention(width, heads)
            layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, activation='gelu')
            self.textTransEncoder = nn.TransformerEncoder(layer, text_layers, enable_nested_tensor=False)
            self.text_ln = nn.LayerNorm(width)
            self.text_proj = nn.Sequential(nn.Linear(width, width))
            self.clip_text = Clip(width, heads, clip_layers)

    def read(self, action):
        """One clip's text tokens [77, W] and its summary [W]."""
        clip, groups = self.clip_text, dict(zip(('subject', 'speed', 'head', 'body', 'arm', 'leg'), FIXED, strict=True))
        if 'verb' in self.prompts:
            groups['verb'] = ACTIONS[action][:4]
        parts = []
        for name in self.prompts:
            parts += [getattr(self, f'ctx_{name}'), clip.token_embedding(torch.tensor(groups[name]))]
        x = (torch.cat(parts) + clip.positional_embedding)[None]
        for block in clip.transformer.resblocks:
            x = block(x)
        x = self.textTransEncoder(clip.ln_final(x).transpose(0, 1)).transpose(0, 1)
        x = self.text_ln(x)[0]
        place = ACTIONS[action].index(49407) if 'verb' in self.prompts else 76
        return x, self.text_proj(x[place])

    def forward(self, x_2d, x_3d, t, actions):
        """x_2d [B, F, J, 2], x_3d [B, H, F, J, 3], t [B] -> [B, H, F, J, 3]."""
        b, h, f, j, _ = x_3d.shape
        half = self.time_mlp[1].in_features // 2
        angles = t[:, None].float() * torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
        modulation = self.time_mlp(torch.cat([angles.sin(), angles.cos()], dim=-1))  # [B, W]
        if self.prompts is not None:
            texts, summaries = zip(*(self.read(action) for action in actions), strict=True)
            modulation = modulation + torch.stack(summaries)
        x = torch.cat([x_2d[:, None].expand(b, h, f, j, 2), x_3d], dim=-1)
        x = self.Spatial_patch_to_embedding(x) + self.Spatial_pos_embed
        x = (x + modulation[:, None, None, None]).reshape(b * h * f, j, -1)
        for depth, (spatial, temporal) in enumerate(zip(self.STEblocks, self.TTEblocks, strict=True)):
            x = self.Spatial_norm(spatial(x))
            x = x.reshape(b * h, f, j, -1).transpose(1, 2).reshape(b * h * j, f, -1)
            if depth == 0:
                if self.prompts is not None:
                    tiled = torch.stack(texts).repeat(h * j, 1, 1)  # row r gets text r modulo B
                    x = self.temporal_cross_attn(x, tiled, modulation.repeat_interleave(h * j, dim=0))
                x = x + self.Temporal_pos_embed
            x = self.Temporal_norm(temporal(x))
            x = x.reshape(b * h, j, f, -1).transpose(1, 2).reshape(b * h * f, j, -1)
        return self.head(x).reshape(b, h, f, j, 3)


def trained(network, seed=0):
    """Weights in which nothing is zero or one any more, as after training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = 0.3 / math.sqrt(parameter.shape[-1]) if parameter.ndim > 1 else 0.2
            parameter.add_(torch.randn(parameter.shape, generator=generator) * spread)
    return network.eval()


def official_file(network, path):
    """Write what the released training code writes: a pickle with much more than weights."""
    tables = ('betas', 'alphas_cumprod', 'sqrt_one_minus_alphas_cumprod', 'posterior_mean_coef1')
    weights = {f'module.{name}': torch.zeros(1000, dtype=torch.float64) for name in tables}
    weights |= {f'module.pose_estimator.{name}': weight for name, weight in network.state_dict().items()}
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(2))], lr=6e-5)
    state = np.random.get_state()  # noqa: NPY002  as in the official files
    content = dict(epoch=80, lr=6e-5, random_state=state, optimizer=optimizer.state_dict())
    torch.save(dict(content, model_pos=weights), path)
