import pytest
import torch

from mmpose_diffusion.diffusion import DiffusionProcess, HypothesisNoise, InPasses


def shifted_mean(noisy, step, condition):
    """Each hypothesis knows the condition of its own sample and its own step."""
    hypotheses = len(noisy) // len(condition)
    return noisy / 2 + condition.repeat_interleave(hypotheses)[:, None] + step[:, None]


@pytest.mark.parametrize('hypotheses_per_pass', [1, 2, 3, 7])
def test_passes_change_no_answer_and_stay_small(hypotheses_per_pass):
    sizes = []

    def watched(noisy, step, condition):
        sizes.append(len(noisy))
        return shifted_mean(noisy, step, condition)

    condition, noisy, step = torch.tensor([1.0, 2.0]), torch.randn(10, 4), torch.arange(10)
    guess = InPasses(watched, 2, hypotheses_per_pass)(noisy, step, condition)
    assert torch.equal(guess, shifted_mean(noisy, step, condition))
    assert max(sizes) == 2 * min(hypotheses_per_pass, 5)
    assert sum(sizes) == 10


def test_sampling_in_passes_gives_the_same_hypotheses():
    process = DiffusionProcess(dict(eta=1.0))
    condition = torch.tensor([0.1, -0.2, 0.3])

    def denoise(noisy, step, condition):
        return shifted_mean(noisy, step / 10000, condition)

    whole, passes = (
        process.sample(way, condition, (4,), HypothesisNoise.from_seeds([0, 1, 2], 5), 3).hypotheses
        for way in (denoise, InPasses(denoise, 3, 2))
    )
    assert torch.equal(whole, passes)
