import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from mmpose_diffusion.models import PromptedPoseDenoiser
from mmpose_diffusion.models.denoisers.part_aware_prompts import PartAwarePrompts
from mmpose_diffusion.models.denoisers.pose_prompt_attention import PosePromptAttention
from mmpose_diffusion.models.denoisers.prompt_time_stylization import PromptTimeStylization
from mmpose_diffusion.models.denoisers.prompted_pose_denoiser import HUMAN36M_PROMPTS, MPI_INF_3DHP_PROMPTS

TEXTS = ['Walking', 'Photo', 'SittingDown', *(text for text, _ in HUMAN36M_PROMPTS if text != '{action}')]
TABLE = dict(type='LearnedPromptTable', texts=TEXTS, width=16)
CLIP = dict(
    type='CLIPTextEncoder',
    weights='random',
    model=dict(width=16, heads=2, layers=2, context_length=77, vocab_size=49408),
)
TINY = dict(type='PromptedPoseDenoiser', num_frames=9, width=32, depth=2, num_heads=4, text_layers=1, text_heads=2)
ARMS = [
    pytest.param({}, id='whole'),
    pytest.param(dict(prompts=HUMAN36M_PROMPTS[:2]), id='no_parts'),
    pytest.param(dict(prompts=MPI_INF_3DHP_PROMPTS), id='no_action'),
    pytest.param(dict(use_attention=False), id='no_FPC'),
    pytest.param(dict(use_stylization=False), id='no_PTS'),
    pytest.param(dict(prompts=None), id='no_prompts'),
    pytest.param(dict(text_encoder=CLIP), id='clip'),
    pytest.param(dict(text_encoder=CLIP, compat=True), id='released'),
]
ACTIONS = ['Walking', 'Photo', 'SittingDown']


def build(trained=True, **options):
    torch.manual_seed(0)
    denoiser = MODELS.build(dict(TINY, text_encoder=TABLE) | options)
    if trained:  # as if: nothing is zero any more
        with torch.no_grad():
            for weight in denoiser.parameters():
                weight.add_(torch.randn_like(weight) * 0.2)
    return denoiser.eval()


def inputs(batch_size=3, hypotheses=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    flat = torch.randn(batch_size, 9, 17, 2, generator=generator)
    noisy = torch.randn(batch_size * hypotheses, 9, 17, 3, generator=generator)
    return flat, noisy, torch.randint(1000, (len(noisy),), generator=generator)


def answer(denoiser, actions, flat, noisy, step):
    return denoiser(noisy, step, denoiser.prepare(flat, actions))


@pytest.mark.parametrize('options', ARMS)
def test_every_arm_trains_every_parameter_it_has(options):
    denoiser = build(**options).train()
    answer(denoiser, ACTIONS, *inputs()).square().sum().backward()
    idle = [name for name, weight in denoiser.named_parameters() if weight.requires_grad and weight.grad is None]
    assert not idle
    # Keys share a bias, which softmax cannot see.
    still = [name for name, weight in denoiser.named_parameters() if weight.requires_grad and not weight.grad.any()]
    assert all(name.endswith('.key.bias') for name in still)


@pytest.mark.parametrize('options', ARMS[:-1])
@torch.no_grad()
def test_clips_and_hypotheses_get_the_answers_they_get_alone(options):
    denoiser = build(**options)
    flat, noisy, step = inputs()
    together = answer(denoiser, ACTIONS, flat, noisy, step)
    for row in range(6):
        clip = row // 2
        alone = answer(denoiser, ACTIONS[clip : clip + 1], flat[[clip]], noisy[[row]], step[[row]])
        torch.testing.assert_close(alone, together[[row]], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('options', [ARMS[0], ARMS[3], ARMS[4], ARMS[6]])
@torch.no_grad()
def test_the_text_of_a_clip_reaches_this_clip_only(options):
    denoiser = build(**options)
    before = answer(denoiser, ['Walking', 'Walking', 'Photo'], *inputs()).unflatten(0, (3, 2))
    after = answer(denoiser, ['Walking', 'SittingDown', 'Photo'], *inputs()).unflatten(0, (3, 2))
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]], atol=1e-6, rtol=0)
    assert (after[1] - before[1]).abs().max() > 1e-3


@torch.no_grad()
def test_the_released_code_lets_texts_reach_other_clips():
    denoiser = build(text_encoder=CLIP, compat=True)
    before = answer(denoiser, ['Walking', 'Walking', 'Photo'], *inputs())
    after = answer(denoiser, ['Walking', 'SittingDown', 'Photo'], *inputs())
    assert (after[:2] - before[:2]).abs().max() > 1e-3


def test_learnable_prompts_learn_through_frozen_clip_but_not_in_the_released_way():
    for compat in (False, True):
        denoiser = build(text_encoder=CLIP, compat=compat).train()
        answer(denoiser, ACTIONS, *inputs()).square().sum().backward()
        gradient = denoiser.part_prompts.learnable.grad
        if compat:
            assert gradient is None
        else:
            assert (gradient.abs().sum(dim=1) > 0).all()  # every one of the 49 vectors
        assert all(weight.grad is None for weight in denoiser.part_prompts.text_encoder.parameters())


class ReadingCounted(PartAwarePrompts):
    """Notes the shape of everything that is read."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.read = []
        self.text_encoder.register_forward_pre_hook(lambda module, sequences: self.read.append(sequences[0].shape))


@torch.no_grad()
def test_texts_are_read_once_for_all_steps_and_views_and_once_for_each_distinct_action(monkeypatch):
    monkeypatch.setattr('mmpose_diffusion.models.denoisers.prompted_pose_denoiser.PartAwarePrompts', ReadingCounted)
    denoiser = build(text_encoder=CLIP)
    flat, noisy, step = inputs(batch_size=4)
    condition = denoiser.prepare(flat, ['Walking', 'Photo', 'Walking', 'Walking'])
    mirrored = denoiser.with_keypoints(condition, flat * torch.tensor([-1.0, 1.0]))
    for each in (condition, mirrored):
        denoiser(noisy, step, each)
        denoiser(noisy, step // 2, each)
    assert denoiser.part_prompts.read == [(2, 77, 16)]
    expected = denoiser.prepare(flat * torch.tensor([-1.0, 1.0]), ['Walking', 'Photo', 'Walking', 'Walking'])
    torch.testing.assert_close(denoiser(noisy, step, mirrored), denoiser(noisy, step, expected))


def prompts_with(encoder, compat=False, prompts=HUMAN36M_PROMPTS):
    torch.manual_seed(0)
    return PartAwarePrompts(encoder, prompts, num_layers=1, num_heads=2, compat=compat).eval()


@torch.no_grad()
def test_the_summary_is_the_end_of_the_action_within_the_sequence():
    actions = ['Walking', 'WalkDog', 'SittingDown']
    for compat, places in ((False, (17, 18, 18)), (True, (2, 3, 4))):
        text = prompts_with(CLIP, compat)(actions)
        assert text.tokens.shape == (3, 77, 16)
        expected = torch.stack([text.tokens[row, place] for row, place in enumerate(places)])
        assert torch.equal(text.summary, expected)
    text = prompts_with(CLIP, prompts=MPI_INF_3DHP_PROMPTS)([None] * 3)
    assert text.tokens.shape == (1, 77, 16)
    assert torch.equal(text.summary, text.tokens[:, 76])
    assert text.of_clip.tolist() == [0, 0, 0]
    # With a table a text is one token: 3 + 1 of the person, 8 before the action.
    text = prompts_with(TABLE)(['Photo', 'Walking', 'Photo'])
    assert torch.equal(text.summary, text.tokens[:, 12])
    assert text.of_clip.tolist() == [0, 1, 0]


@torch.no_grad()
def test_the_sequence_is_learnable_vectors_then_words_prompt_by_prompt():
    prompts = prompts_with(CLIP, prompts=(('A person', 3), ('{action}', 0), ('leg', 2)))
    sequence = prompts._sequences(['Walking', 'Photo'])
    words, vectors = prompts.text_encoder.embed(['A person', 'Photo', 'leg']), prompts.learnable
    assert torch.equal(sequence[1], torch.cat([vectors[:3], words[0], words[1], vectors[3:], words[2]]))


@torch.no_grad()
def test_attention_to_the_text_equals_the_formula():
    torch.manual_seed(0)
    attention = PosePromptAttention(8, 6, num_heads=2)
    tokens, text = torch.randn(4, 3, 5, 8), torch.randn(2, 7, 6)
    found = attention(tokens, attention.prepare(text, torch.tensor([1, 0])))
    for row in range(4):
        mine = attention.text_norm(text[[1, 0][row // 2]])
        for head in (slice(0, 4), slice(4, 8)):
            query = attention.query(attention.norm(tokens[row]))[..., head]
            weights = torch.softmax(query @ attention.key(mine)[:, head].T / 2, dim=-1)
            torch.testing.assert_close(found[row, ..., head], weights @ attention.value(mine)[:, head])


@torch.no_grad()
def test_stylization_scales_and_shifts_and_adds_nothing_at_first():
    torch.manual_seed(0)
    stylization = PromptTimeStylization(8, 6)
    features, modulation = torch.randn(2, 3, 5, 8), torch.randn(2, 8)
    assert not stylization(features, modulation).any()
    output = stylization.output[-1]
    nn.init.eye_(output.weight)
    gain, shift = stylization.gain_and_shift(modulation)[1].split(8)
    normal = (features[1] - features[1].mean(-1, keepdim=True)) / features[1].std(-1, unbiased=False, keepdim=True)
    expected = nn.functional.silu(normal * (1 + gain) + shift)
    torch.testing.assert_close(stylization(features, modulation)[1], expected, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_untrained_the_text_says_nothing_between_the_blocks_and_without_prompts_it_is_d3dp():
    denoiser = build(trained=False, use_stylization=False)
    d3dp = MODELS.build(dict(type='PoseSequenceDenoiser', num_frames=9, width=32, depth=2, num_heads=4)).eval()
    d3dp.load_state_dict({name: denoiser.state_dict()[name] for name in d3dp.state_dict()})
    flat, noisy, step = inputs()
    expected = answer(d3dp, [None] * 3, flat, noisy, step)
    torch.testing.assert_close(answer(denoiser, ACTIONS, flat, noisy, step), expected, atol=1e-6, rtol=1e-6)
    plain = build(prompts=None)
    assert plain.state_dict().keys() == d3dp.state_dict().keys()
    d3dp.load_state_dict(plain.state_dict())
    assert torch.equal(answer(plain, [None] * 3, *inputs()), answer(d3dp, [None] * 3, *inputs()))


def test_both_sets_of_prompts_fill_what_clip_reads():
    for prompts, learnable in ((HUMAN36M_PROMPTS, 49), (MPI_INF_3DHP_PROMPTS, 53)):
        assert sum(number for _, number in prompts) == learnable == 77 - 4 * len(prompts)


def test_real_sizes_are_those_of_the_paper():
    with torch.device('meta'):
        denoiser = PromptedPoseDenoiser(243)
    weights = {name: weight.numel() for name, weight in denoiser.named_parameters()}
    clip = sum(count for name, count in weights.items() if '.text_encoder.' in name)
    assert round((sum(weights.values()) - clip) / 1e6, 2) == 49.31
    assert weights['part_prompts.learnable'] == 25088
    assert round(clip / 1e6, 2) == 63.17  # without CLIP's projection of the summary


@pytest.mark.parametrize(
    ('options', 'actions', 'message'),
    [
        ({}, ['Walking', None, 'Photo'], "clip 1 of the batch has no action, which the prompt '{action}' asks for"),
        ({}, ['Walking', 'Swimming', 'Photo'], "LearnedPromptTable has no prompt 'Swimming'"),
        (dict(use_attention=False, use_stylization=False), ACTIONS, 'no text reaches the pose: set prompts=None'),
        (dict(prompts=[('{action}', 1), ('{action}', 1)]), ACTIONS, 'may stand once'),
        (dict(prompts=[]), ACTIONS, 'prompts must be pairs'),
        (dict(prompts=[('leg', -1)]), ACTIONS, 'prompts must be pairs'),
    ],
)
def test_what_makes_no_sense_is_refused(options, actions, message):
    with pytest.raises(ValueError, match=message):
        answer(build(**options), actions, *inputs())
