import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from open_clip.transformer import QuickGELU, TextTransformer
from safetensors.torch import save_file

from mmpose_diffusion.models.text_encoders import write_prompt_embeddings
from mmpose_diffusion.models.text_encoders.clip_text_encoder import token_ids

SIZES = dict(width=16, heads=2, layers=2, context_length=77, vocab_size=49408)
ONE_WORD = dict(
    Directions=16440, Discussion=5060, Eating=4371, Greeting=17754, Photo=1125, Posing=10518, Purchases=21887,
    Sitting=4919, Smoking=9038, Waiting=2680, Walking=3941,
    speed=4163, head=1375, body=1774, arm=4793, leg=4924,
)  # fmt: skip
PIECES = {
    'Phoning': (745, 5197),
    'WalkDog': (8588, 1929),
    'WalkTogether': (8588, 1952),
    'SittingDown': (42988, 653, 1136),
    'A person': (320, 2533),
}


@pytest.fixture(scope='module')
def clip():
    """Stands for CLIP as open_clip builds it, with its pooling and projection."""
    torch.manual_seed(0)
    return TextTransformer(**SIZES, act_layer=QuickGELU, output_dim=16, output_tokens=True).eval()


@pytest.fixture
def clip_file(clip, tmp_path):
    """The weights of a whole CLIP, image tower included."""
    weights = {name: weight.contiguous() for name, weight in clip.state_dict().items()}
    path = tmp_path / 'open_clip_model.safetensors'
    save_file(weights | {'visual.conv1.weight': torch.zeros(4, 3, 2, 2), 'logit_scale': torch.zeros(1)}, path)
    return path


def encoder_from(path, **options):
    encoder = MODELS.build(dict(type='CLIPTextEncoder', weights=str(path), model=SIZES) | options)
    encoder.init_weights()  # as the runner does
    return encoder.eval()


def test_tokens_of_the_prompts_are_clips_and_come_without_a_download():
    for text, pieces in {**PIECES, **{text: (piece,) for text, piece in ONE_WORD.items()}}.items():
        ids = token_ids([text])[0].tolist()
        assert ids == [49406, *pieces, 49407, *[0] * (75 - len(pieces))]


def test_ends_of_texts(clip_file):
    encoder = encoder_from(clip_file)
    assert encoder.end_positions(['Walking', 'WalkDog', 'SittingDown']) == [2, 3, 4]


@torch.no_grad()
def test_clip_reads_as_open_clip_does(clip, clip_file):
    texts = ['Walking', 'a person who sits down', 'SittingDown']
    encoder = encoder_from(clip_file, tokens_per_text=77)
    _, expected = clip(token_ids(texts))
    torch.testing.assert_close(encoder(encoder.embed(texts)), expected, atol=1e-5, rtol=1e-5)
    # CLIP looks back only, so what was cut off behind does not change what stands before.
    short = encoder_from(clip_file)
    torch.testing.assert_close(short(short.embed(texts)), expected[:, :4], atol=1e-5, rtol=1e-5)


def test_clip_is_frozen_but_lets_gradients_pass(clip_file):
    encoder = encoder_from(clip_file)
    assert not any(weight.requires_grad for weight in encoder.parameters())
    sequence = torch.randn(1, 7, 16, requires_grad=True)
    encoder(sequence)[0, 4].sum().backward()
    reached = sequence.grad.abs().sum(dim=-1)[0] > 0
    assert reached.tolist() == [True] * 5 + [False] * 2


@pytest.mark.parametrize('weights', ['gone', None])
def test_nothing_is_read_until_a_checkpoint_of_the_model_brings_clip_along(weights, clip_file):
    trained, fresh = encoder_from(clip_file), MODELS.build(dict(type='CLIPTextEncoder', weights=weights, model=SIZES))
    for read in (lambda: fresh.embed(['Walking']), lambda: fresh(torch.zeros(1, 7, 16))):
        with pytest.raises(RuntimeError, match='open_clip_model.safetensors.*nor a checkpoint have been loaded'):
            read()
    fresh.load_state_dict(trained.state_dict())
    sequence = torch.randn(2, 7, 16)
    torch.testing.assert_close(fresh.eval()(sequence), trained(sequence))


def test_random_weights_are_had_by_asking_for_them():
    encoder = encoder_from('random')
    assert encoder(encoder.embed(['Walking'])).shape == (1, 4, 16)


@pytest.mark.parametrize(
    ('weights', 'reason'),
    [
        ({'ln_final.weight': torch.zeros(16)}, "27 of CLIP's 28 text weights are missing"),
        ('wide', 'it is of another size: '),
        (None, 'There is no checkpoint'),
        ('program', 'TorchScript'),
    ],
    ids=['fragment', 'wide', 'absent', 'program'],
)
def test_weights_that_do_not_fit_are_refused_with_the_ways_out(weights, reason, clip, tmp_path):
    path = tmp_path / 'clip.pt'
    if weights == 'program':
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    elif weights == 'wide':
        torch.save({name: torch.zeros(*weight.shape, 2) for name, weight in clip.state_dict().items()}, path)
    elif weights is not None:
        torch.save(weights, path)
    with pytest.raises((FileNotFoundError, ValueError), match=f'(?s){reason}') as refusal:
        encoder_from(path)
    for way_out in ('clip.pt', 'open_clip_model.safetensors', 'PromptEmbeddingFile', 'LearnedPromptTable'):
        assert way_out in str(refusal.value)


def test_sequences_longer_than_clip_reads_are_refused(clip_file):
    with pytest.raises(ValueError, match='CLIP reads 77 tokens at most, the prompts make 78'):
        encoder_from(clip_file)(torch.zeros(1, 78, 16))
    with pytest.raises(ValueError, match='open_clip has no model'):
        MODELS.build(dict(type='CLIPTextEncoder', model='ViT-B-31'))


@torch.no_grad()
def test_embeddings_in_a_file_are_those_of_clip(clip_file, tmp_path):
    encoder = encoder_from(clip_file)
    write_prompt_embeddings(encoder, ['speed', 'SittingDown', 'speed'], tmp_path / 'new' / 'prompts.npz')
    stored = MODELS.build(dict(type='PromptEmbeddingFile', path=str(tmp_path / 'new' / 'prompts.npz')))
    assert (stored.width, stored.tokens_per_text, stored.texts) == (16, 4, ['speed', 'SittingDown'])
    assert stored.end_positions(['SittingDown', 'speed']) == [4, 2]
    expected = encoder(encoder.embed(['SittingDown', 'speed']))
    assert torch.equal(stored(stored.embed(['SittingDown', 'speed'])), expected)
    with pytest.raises(ValueError, match="prompts.npz has no prompt 'Swimming'; it has 'speed', 'SittingDown'"):
        stored.embed(['Swimming'])


def test_files_of_something_else_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='write_prompt_embeddings.py'):
        MODELS.build(dict(type='PromptEmbeddingFile', path=str(tmp_path / 'none.npz')))
    (tmp_path / 'text.npz').write_text('a person walks')
    with pytest.raises(ValueError, match=r'text\.npz cannot be read; .*write_prompt_embeddings\.py'):
        MODELS.build(dict(type='PromptEmbeddingFile', path=str(tmp_path / 'text.npz')))
    np.savez(tmp_path / 'other.npz', texts=np.array(['a']))
    with pytest.raises(ValueError, match='lacks tokens, end_positions'):
        MODELS.build(dict(type='PromptEmbeddingFile', path=str(tmp_path / 'other.npz')))
    np.savez(tmp_path / 'odd.npz', texts=np.array(['a']), tokens=np.zeros((2, 4, 3)), end_positions=np.array([2]))
    with pytest.raises(ValueError, match=r'got \[2, 4, 3\] for 1 texts'):
        MODELS.build(dict(type='PromptEmbeddingFile', path=str(tmp_path / 'odd.npz')))


def test_learned_table_has_a_vector_for_each_text_and_knows_no_other():
    table = MODELS.build(dict(type='LearnedPromptTable', texts=['Walking', 'speed', 'leg'], width=8))
    vectors = table(table.embed(['leg', 'Walking']))
    assert vectors.shape == (2, 1, 8)
    vectors[0].sum().backward()
    assert table.vectors.grad.abs().sum(dim=1).tolist() == [0, 0, 8]
    with pytest.raises(ValueError, match="LearnedPromptTable has no prompt 'Swimming'; it has 'Walking', 'speed'"):
        table.embed(['Walking', 'Swimming'])
    with pytest.raises(ValueError, match='each once'):
        MODELS.build(dict(type='LearnedPromptTable', texts=['Walking', 'Walking']))
