import pytest
import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmpose_diffusion.diffusion import sinusoidal_embedding
from mmpose_diffusion.models import PoseSequenceDenoiser
from mmpose_diffusion.models.pose_sequence_transformer import PoseSequenceTransformer

FRAMES, JOINTS, WIDTH, HEADS = 5, 4, 8, 2
SIZES = dict(num_frames=FRAMES, num_joints=JOINTS, width=WIDTH, depth=2, num_heads=HEADS)


def as_if_trained(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5, generator=generator)
    return module


def build(**options):
    return as_if_trained(MODELS.build(dict(type='PoseSequenceDenoiser', **SIZES, **options))).eval()


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def norm(layer, values):
    mean, variance = values.mean(-1, keepdim=True), values.var(-1, keepdim=True, correction=0)
    return (values - mean) / (variance + layer.eps).sqrt() * layer.weight + layer.bias


def block(layer, values):
    """A transformer block on tokens [L, W], one head at a time."""
    fused = norm(layer.attention_norm, values) @ layer.attention.query_key_value.weight.T
    query, key, value = (fused + layer.attention.query_key_value.bias).chunk(3, dim=-1)
    size, heads = WIDTH // HEADS, []
    for start in range(0, WIDTH, size):
        one = slice(start, start + size)
        scores = query[:, one] @ key[:, one].T / size**0.5
        heads.append(torch.exp(scores) / torch.exp(scores).sum(-1, keepdim=True) @ value[:, one])
    values = values + torch.cat(heads, -1) @ layer.attention.output.weight.T + layer.attention.output.bias
    first, _, last = layer.mlp
    hidden = norm(layer.mlp_norm, values) @ first.weight.T + first.bias
    hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    return values + hidden @ last.weight.T + last.bias


def literal(denoiser, keypoints_2d, noisy, step):
    """MixSTE of D3DP written down for one sequence: [F, J, 2], [F, J, 3], step -> [F, J, 3]."""
    trunk = denoiser.trunk
    weight = torch.cat([trunk.embedding.weight, denoiser.noisy_embedding.weight], dim=1)  # one layer of five inputs
    tokens = torch.cat([keypoints_2d, noisy], dim=-1) @ weight.T + trunk.embedding.bias + trunk.joint_position
    first, _, last = denoiser.step_embedding.layers
    wave = sinusoidal_embedding(torch.tensor([step]), WIDTH)[0]
    tokens = tokens + last.weight @ F.gelu(first.weight @ wave + first.bias) + last.bias
    for depth in range(2):
        tokens = torch.stack([block(trunk.spatial_blocks[depth], tokens[frame]) for frame in range(FRAMES)])
        tokens = norm(trunk.spatial_norm, tokens)
        if depth == 0:
            tokens = tokens + trunk.frame_position[:, None]
        tokens = torch.stack([block(trunk.temporal_blocks[depth], tokens[:, joint]) for joint in range(JOINTS)], 1)
        tokens = norm(trunk.temporal_norm, tokens)
    return norm(trunk.output[0], tokens) @ trunk.output[1].weight.T + trunk.output[1].bias


def test_agrees_with_the_network_written_down_literally():
    denoiser, clips, hypotheses = build(), 2, 3
    keypoints_2d, noisy = random(clips, FRAMES, JOINTS, 2), random(clips * hypotheses, FRAMES, JOINTS, 3, seed=1)
    steps = torch.tensor([999, 0, 7, 500, 3, 250])
    with torch.no_grad():
        guess = denoiser(noisy, steps, denoiser.prepare(keypoints_2d, [None] * clips))
        for row in range(clips * hypotheses):
            expected = literal(denoiser, keypoints_2d[row // hypotheses], noisy[row], int(steps[row]))
            torch.testing.assert_close(guess[row], expected, atol=1e-4, rtol=1e-4)
    assert denoiser.trunk.spatial_norm.eps == denoiser.trunk.spatial_blocks[0].mlp_norm.eps == 1e-6
    assert denoiser.trunk.output[0].eps == 1e-5


def test_other_keypoints_in_a_condition_are_those_of_a_new_condition():
    denoiser = build()
    one, other = random(2, FRAMES, JOINTS, 2), random(2, FRAMES, JOINTS, 2, seed=1)
    condition = denoiser.with_keypoints(denoiser.prepare(one, ['a', None]), other)
    assert torch.equal(condition.tokens_2d, denoiser.prepare(other, [None, 'b']).tokens_2d)


def test_a_further_condition_enters_where_it_should():
    class Watched(PoseSequenceDenoiser):
        def modulation(self, step, condition):
            return super().modulation(step, condition) + condition.shift

        def after_first_spatial_block(self, tokens, modulation, condition):
            self.seen = tokens, modulation
            return torch.zeros_like(tokens)

    class Condition:
        def __init__(self, tokens_2d, shift):
            self.tokens_2d, self.shift = tokens_2d, shift

    denoiser = as_if_trained(Watched(**SIZES)).eval()
    tokens_2d = denoiser.prepare(random(2, FRAMES, JOINTS, 2), [None] * 2).tokens_2d
    step = torch.zeros(6, dtype=torch.int64)
    guess = denoiser(random(6, FRAMES, JOINTS, 3), step, Condition(tokens_2d, 5.0))
    tokens, modulation = denoiser.seen
    assert tokens.shape == (6, JOINTS, FRAMES, WIDTH)
    torch.testing.assert_close(modulation, denoiser.step_embedding(step) + 5.0)
    assert guess.var(dim=0).max() < 1e-8  # nothing but the place of a token is left
    assert guess.var(dim=1).min() > 1e-8


def test_every_parameter_is_trained_and_stochastic_depth_rises():
    denoiser = as_if_trained(PoseSequenceDenoiser(**SIZES, drop_path=0.1)).train()
    for blocks in (denoiser.trunk.spatial_blocks, denoiser.trunk.temporal_blocks):
        assert [layer.drop_path.drop_prob for layer in blocks] == pytest.approx([0, 0.1])
    condition = denoiser.prepare(random(2, FRAMES, JOINTS, 2), [None] * 2)
    denoiser(random(2, FRAMES, JOINTS, 3), torch.tensor([3, 900]), condition).square().sum().backward()
    assert not [name for name, weight in denoiser.named_parameters() if weight.grad is None or not weight.grad.any()]


def test_sequences_of_another_size_are_refused():
    denoiser = build()
    for frames, joints in ((FRAMES + 1, JOINTS), (FRAMES, JOINTS + 1)):
        with pytest.raises(ValueError, match=rf'lifts sequences \[B, 5, 4, 2\].*got \[1, {frames}, {joints}, 2\]'):
            denoiser.prepare(torch.zeros(1, frames, joints, 2), [None])


@pytest.mark.parametrize('other', [dict(num_frames=9), dict(num_joints=9)])
def test_checkpoints_of_another_size_are_refused(other):
    state = PoseSequenceDenoiser(**{**SIZES, **other}).state_dict()
    name, own = ('frames', FRAMES) if 'num_frames' in other else ('joints', JOINTS)
    with pytest.raises(ValueError, match=f'is for 9 {name}.* this model has {own}'):
        build().load_state_dict(state, strict=False)


def test_mixed_precision_leaves_coordinates_alone():
    denoiser = build().double().float()
    keypoints_2d, noisy = random(1, FRAMES, JOINTS, 2), random(1, FRAMES, JOINTS, 3, seed=1)
    step = torch.tensor([10])
    plain = denoiser(noisy, step, denoiser.prepare(keypoints_2d, [None]))
    with torch.autocast('cpu', torch.bfloat16):
        condition = denoiser.prepare(keypoints_2d, [None])
        mixed = denoiser(noisy, step, condition)
    assert mixed.dtype == condition.tokens_2d.dtype == torch.float32
    assert torch.equal(condition.tokens_2d, denoiser.prepare(keypoints_2d, [None]).tokens_2d)
    torch.testing.assert_close(mixed, plain, atol=0.15, rtol=0.05)
    assert not torch.equal(mixed, plain)


def test_costs_no_more_than_the_reference():
    # FinePOSE's denoiser without its text takes 294.86 GFLOP for a hypothesis of 243 frames.
    with torch.device('meta'):
        denoiser = PoseSequenceDenoiser(243).eval()
        keypoints_2d, noisy = torch.empty(1, 243, 17, 2), torch.empty(20, 243, 17, 3)
        step = torch.zeros(20, dtype=torch.int64)
    assert sum(weight.numel() for weight in denoiser.parameters()) == pytest.approx(34.84e6, rel=1e-3)
    with FlopCounterMode(display=False) as counter:
        condition = denoiser.prepare(keypoints_2d, [None])
        once = counter.get_total_flops()
        denoiser(noisy[:1], step[:1], condition)
        single = counter.get_total_flops()
        denoiser(noisy, step, condition)
        many = counter.get_total_flops() - single
    assert once == 2 * 243 * 17 * 2 * 512  # the 2D pose, whatever the number of hypotheses
    assert 294.7 < round(single / 1e9, 2) <= 294.86
    assert many <= 20 * (single - once)


def test_regression_trunk_makes_poses_of_tokens():
    trunk = as_if_trained(PoseSequenceTransformer(**SIZES)).eval()
    assert trunk(trunk.embed(random(2, FRAMES, JOINTS, 2))).shape == (2, FRAMES, JOINTS, 3)
