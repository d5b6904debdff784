import pytest
import torch

from mmpose_diffusion.diffusion import (
    DiffusionProcess,
    HypothesisNoise,
    MirrorAveraged,
    SignalRange,
    fold_hypotheses,
    pair_with_hypotheses,
)

SHAPES = [pytest.param((17, 16, 12), id='heatmaps'), pytest.param((9, 17, 3), id='poses_3d')]
STOCHASTIC = dict(type='DPMSolverMultistepScheduler', algorithm_type='sde-dpmsolver++')
SOLVERS = [
    pytest.param(dict(type='DDIMScheduler'), id='ddim'),
    pytest.param(dict(type='DDIMScheduler', eta=1.0), id='ddim_eta1'),
    pytest.param(dict(type='DDPMScheduler'), id='ddpm'),
    pytest.param(dict(type='DPMSolverMultistepScheduler'), id='dpm'),
    pytest.param(STOCHASTIC, id='sde_dpm'),
    pytest.param(dict(type='UniPCMultistepScheduler'), id='unipc'),
    pytest.param(dict(type='LCMScheduler'), id='lcm'),
]


def build(scheduler, **signal):
    return DiffusionProcess(scheduler, signal)


def answer_with(process, clean_data):
    """A denoiser that knows the clean data [B, ...] and says so in the form the process wants."""
    clean = process.signal.encode(clean_data)

    def denoise(noisy, step, condition):
        _, target = pair_with_hypotheses(noisy, clean)
        target = target.expand(-1, noisy.shape[0] // len(clean), *clean.shape[1:]).flatten(0, 1)
        signal_rate, noise_rate = process.rates(step, noisy)
        noise = (noisy - signal_rate * target) / noise_rate  # noise and v are asked with the noisy signal itself
        return {
            'sample': target / process.signal.scale,
            'epsilon': noise,
            'v_prediction': signal_rate * noise - noise_rate * target,
        }[process.prediction_type]

    return denoise


@pytest.mark.parametrize('num_steps', [1, 2, 3, 7, 9, 20])
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('scheduler', SOLVERS)
def test_perfect_denoiser_returns_the_target(scheduler, shape, num_steps):
    process = build(scheduler, low=0.0, high=1.0, scale=0.5)
    target = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    noise = HypothesisNoise.from_seeds([1, 2], num_hypotheses=3)
    samples = process.sample(answer_with(process, target), None, shape, noise, num_steps, keep_estimates=True)
    assert samples.hypotheses.shape == (2, 3, *shape)
    assert len(samples.estimates) == num_steps
    for estimate in (samples.hypotheses, *samples.estimates):
        torch.testing.assert_close(estimate, target[:, None].expand_as(estimate), atol=1e-5, rtol=0)


@pytest.mark.parametrize('clamp', [None, 1.1])
@pytest.mark.parametrize('prediction_type', ['epsilon', 'v_prediction'])
@pytest.mark.parametrize('scheduler', SOLVERS)
def test_perfect_prediction_of_noise_or_v_returns_the_target(scheduler, prediction_type, clamp):
    process = build(dict(scheduler, prediction_type=prediction_type), scale=2.0, clamp=clamp)
    target = torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(0))
    samples = process.sample(answer_with(process, target), None, (4, 3), HypothesisNoise.from_seeds([1, 2]), 5)
    # The step of pure noise divides by sqrt(4e-5) of signal: float32 leaves an error of about 1e-5 there.
    torch.testing.assert_close(samples.hypotheses[:, 0], target, atol=1e-4, rtol=0)


@pytest.mark.parametrize('scheduler', SOLVERS[:-1])
def test_conditional_gaussian_is_sampled_with_the_mean_and_variance_of_its_posterior(scheduler):
    # x ~ N(0, 0.8^2), observed as y = x + N(0, 0.6^2): x given y ~ N(0.64 y, 0.48^2)
    observed, deviation = torch.tensor([[-1.0], [1.5]]), 0.48
    process = build(scheduler)

    def posterior_mean(noisy, step, condition):
        noisy, mean = pair_with_hypotheses(noisy, 0.64 * condition)
        signal_rate, noise_rate = (rate[0] for rate in process.rates(step, noisy.flatten(0, 1)))
        gain = signal_rate * deviation**2 / (signal_rate**2 * deviation**2 + noise_rate**2)
        return fold_hypotheses(mean + gain * (noisy - signal_rate * mean))

    noise = HypothesisNoise.from_seeds([0, 1], num_hypotheses=50)
    # Solvers with fresh noise in each step approach the right spread only as the steps get small.
    num_steps = 400 if scheduler in ({'type': 'DDPMScheduler'}, {'type': 'DDIMScheduler', 'eta': 1.0}) else 100
    sampled = process.sample(posterior_mean, observed, (1000,), noise, num_steps).hypotheses.flatten(1)  # [2, 50000]
    torch.testing.assert_close(sampled.mean(1), 0.64 * observed[:, 0], atol=0.01, rtol=0)
    torch.testing.assert_close(sampled.std(1), torch.full((2,), deviation), atol=0.015, rtol=0)


def test_lcm_samples_a_gaussian_when_the_network_is_consistent():
    # LCM wants not the mean of the posterior but the end of the deterministic path; a Gaussian has it in closed form.
    process, mean, deviation = build(dict(type='LCMScheduler')), 0.3, 0.5

    def end_of_path(noisy, step, condition):
        signal_rate, noise_rate = process.rates(step, noisy)
        return mean + deviation * (noisy - signal_rate * mean) / (signal_rate**2 * deviation**2 + noise_rate**2).sqrt()

    noise = HypothesisNoise.from_seeds([0], num_hypotheses=20)
    sampled = process.sample(end_of_path, None, (2000,), noise, 4).hypotheses
    assert sampled.mean().item() == pytest.approx(mean, abs=0.01)
    assert sampled.std().item() == pytest.approx(deviation, abs=0.01)


@pytest.mark.parametrize('scheduler', SOLVERS)
def test_same_seed_gives_bit_equal_answers_alone_and_in_a_batch(scheduler):
    process, seeds = build(scheduler, clamp=1.1), [5, 7, 5, 11]
    conditions = torch.linspace(-1, 1, 4)[:, None, None]

    def denoise(noisy, step, condition):
        noisy, condition = pair_with_hypotheses(noisy, condition)
        return fold_hypotheses((noisy + condition).tanh())

    def sample(seeds, condition):
        return process.sample(denoise, condition, (5, 6), HypothesisNoise.from_seeds(seeds, 3), 4).hypotheses

    together = sample(seeds, conditions)
    for index, seed in enumerate(seeds):
        assert torch.equal(sample([seed], conditions[index : index + 1])[0], together[index])
    assert not torch.equal(together[0], together[2]), 'the condition makes no difference'
    assert not torch.equal(together[0, 0], together[0, 1]), 'hypotheses are copies of each other'


def test_more_hypotheses_keep_the_first_ones():
    process = build(dict(type='DDPMScheduler'))
    noises = (HypothesisNoise.from_seeds([3], count) for count in (2, 5))
    few, many = (process.sample(lambda noisy, step, _: noisy.tanh(), None, (8,), noise, 3) for noise in noises)
    assert torch.equal(few.hypotheses, many.hypotheses[:, :2])


@pytest.mark.parametrize('steps', [[999, 665, 332], 3, 7, 9])
@pytest.mark.parametrize('eta', [0.0, 1.0])
def test_ddim_follows_the_formula_between_the_listed_steps(steps, eta):
    process = build(dict(type='DDIMScheduler', eta=eta, beta_schedule='squaredcos_cap_v2'))
    noise, same_noise = HypothesisNoise.from_seeds([0]), HypothesisNoise.from_seeds([0])
    visited, inputs = [], []

    def denoise(noisy, step, condition):
        visited.append(step.item())
        inputs.append(noisy)
        return 0.5 * noisy.sin()

    process.sample(denoise, None, (40,), noise, steps)

    def alpha_bar(step):  # cosine schedule by hand, in double precision
        betas = [min(1 - (share(i + 1) / share(i)), 0.999) for i in range(step + 1)]
        return torch.prod(1 - torch.tensor(betas, dtype=torch.float64)).item()

    def share(i):
        return torch.cos(torch.tensor((i / 1000 + 0.008) / 1.008 * torch.pi / 2, dtype=torch.float64)).item() ** 2

    expected = same_noise.draw((40,)).double()
    assert visited == [int(step) for step in torch.linspace(-1, 999, len(visited) + 1).flip(0)[:-1]]
    for seen, now, after in zip(inputs, visited, [*visited[1:], None], strict=True):
        torch.testing.assert_close(seen.double(), expected, atol=2e-5, rtol=1e-4)
        if after is None:
            break
        now, after = alpha_bar(now), alpha_bar(after)
        clean = 0.5 * expected.sin()
        direction = (expected / now**0.5 - clean) / (1 / now - 1) ** 0.5
        sigma = eta * ((1 - now / after) * (1 - after) / (1 - now)) ** 0.5
        expected = after**0.5 * clean + (1 - after - sigma**2) ** 0.5 * direction + sigma * same_noise.draw((40,))


@pytest.mark.parametrize('num_steps', [3, 7, 9])
@pytest.mark.parametrize('scheduler', SOLVERS)
def test_every_solver_is_asked_at_the_listed_steps_and_gets_the_noise_that_belongs_there(scheduler, num_steps):
    process, visited, spreads = build(scheduler), [], []

    def denoise(noisy, step, condition):
        visited.append(step[0].item())
        spreads.append(noisy.std().item())
        return torch.zeros_like(noisy)  # data that is always 0: what is left is the noise of the step

    process.sample(denoise, None, (20000,), HypothesisNoise.from_seeds([0]), num_steps)
    assert visited == process.steps(num_steps)
    assert spreads == pytest.approx(process.noise_rate[visited].tolist(), rel=0.03)


@pytest.mark.parametrize('scheduler', SOLVERS)
def test_short_training_schedules_work_with_every_solver(scheduler):
    process = build(dict(scheduler, num_train_timesteps=10))
    target = torch.rand(1, 8)
    for num_steps in (1, 4, 10):
        noise = HypothesisNoise.from_seeds([0])
        samples = process.sample(answer_with(process, target), None, (8,), noise, num_steps)
        torch.testing.assert_close(samples.hypotheses[0], target, atol=1e-5, rtol=0)


@pytest.mark.parametrize('variance_type', ['fixed_small', 'fixed_small_log', 'fixed_large'])
def test_every_variance_that_ddpm_may_have_is_finite(variance_type):
    process = build(dict(type='DDPMScheduler', variance_type=variance_type))
    samples = process.sample(lambda noisy, step, _: noisy.tanh(), None, (8,), HypothesisNoise.from_seeds([0]), 4)
    assert samples.hypotheses.isfinite().all()


@pytest.mark.parametrize('scale', [0.2, 1.0, 3.0])
def test_forward_noising_has_the_stated_signal_to_noise_ratio(scale):
    process = build(None, scale=scale)
    clean = process.signal.encode(torch.randn(1, 50000, generator=torch.Generator().manual_seed(0)).sign())
    noise = torch.randn(1, 50000, generator=torch.Generator().manual_seed(1))
    for step in (10, 300, 700):
        of_each = torch.tensor([step])
        signal_part = process.add_noise(clean, torch.zeros_like(noise), of_each)
        noise_part = process.add_noise(clean, noise, of_each) - signal_part
        share = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)[step].item()
        ratio = signal_part.square().mean() / noise_part.square().mean()
        assert ratio.item() == pytest.approx(scale**2 * share / (1 - share), rel=0.02)


def test_a_training_draw_is_what_its_parts_say():
    process = build(None, low=0.0, high=1.0, scale=2.0, clamp=1.1)
    data = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0))
    draw = process.draw(data, torch.Generator().manual_seed(1))
    again = process.draw(data, torch.Generator().manual_seed(1))
    assert all(torch.equal(first, second) for first, second in zip(draw, again, strict=True))
    assert draw.step.min() >= 0
    assert draw.step.max() < 1000
    assert draw.step.float().mean().item() == pytest.approx(499.5, abs=15)
    assert draw.noise.std().item() == pytest.approx(1, abs=0.03)
    torch.testing.assert_close(process.signal.decode(draw.clean), data)
    torch.testing.assert_close(draw.noisy, process.add_noise(draw.clean, draw.noise, draw.step))
    assert draw.network_input.abs().max().item() == pytest.approx(1.1)


@pytest.mark.parametrize('scale', [0.5, 2.0])
def test_with_a_spread_the_network_sees_the_best_linear_guess_of_the_clean_signal(scale):
    """What is wrong with the best linear guess has nothing to do with the noisy signal it is made of."""
    process = build(dict(beta_schedule='squaredcos_cap_v2'), scale=scale, spread=0.3)
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(40000, generator=generator) for _ in range(2))
    clean = 0.3 * scale * clean
    for step in (0, 200, 500, 800, 999):
        steps = torch.full((40000,), step)
        noisy = process.add_noise(clean, noise, steps)
        # Without a clamp the network sees signal units.
        wrong = process.network_input(noisy, steps) - clean
        assert abs(torch.corrcoef(torch.stack([wrong, noisy]))[0, 1].item()) < 0.02
    assert process.network_input(noisy, steps).abs().max() < 1e-3 * scale  # pure noise says nothing
    start = torch.zeros(1, dtype=torch.int64)
    torch.testing.assert_close(process.network_input(clean[:1], start), clean[:1], rtol=0.002, atol=0)


def test_the_best_linear_guess_is_what_the_network_is_trained_on_and_asked_with():
    process, seen = build(None, scale=0.5, clamp=1.1, spread=0.3), []
    draw = process.draw(torch.randn(20, 7) * 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(draw.network_input, process.network_input(draw.noisy, draw.step))
    assert not torch.allclose(draw.network_input, (draw.noisy / 0.5).clamp(-1.1, 1.1), atol=0.1)

    def denoise(noisy, step, condition):
        seen.append(noisy)
        return torch.zeros_like(noisy)

    process.sample(denoise, None, (20000,), HypothesisNoise.from_seeds([0]), 1)
    last = torch.tensor([process.num_train_steps - 1])
    start = torch.randn(1, 20000, generator=torch.Generator().manual_seed(1))
    assert seen[0].std().item() == pytest.approx(process.network_input(start, last).std().item(), rel=0.03)


@pytest.mark.parametrize('prediction_type', ['epsilon', 'v_prediction'])
def test_a_network_that_predicts_noise_or_v_must_see_it(prediction_type):
    with pytest.raises(ValueError, match=f'{prediction_type}.* leave out spread=0.3'):
        build(dict(prediction_type=prediction_type), spread=0.3)


@pytest.mark.parametrize('prediction_type', ['epsilon', 'v_prediction'])
def test_what_noise_and_v_are_learned_from_is_not_cut_while_estimates_are(prediction_type):
    process = build(dict(prediction_type=prediction_type), scale=0.3, clamp=1.0)
    draw = process.draw(torch.rand(100, 7), torch.Generator().manual_seed(1))
    assert torch.equal(draw.network_input, draw.noisy)
    samples = process.sample(lambda noisy, step, _: -noisy, None, (7,), HypothesisNoise.from_seeds([0]), 2)
    assert samples.hypotheses.abs().max().item() == pytest.approx(1)


@pytest.mark.parametrize('prediction_type', ['sample', 'epsilon', 'v_prediction'])
def test_clean_estimate_of_the_training_target_is_the_clean_signal(prediction_type):
    process = build(dict(prediction_type=prediction_type), scale=0.5)
    draw = process.draw(torch.rand(100, 7), torch.Generator().manual_seed(1))
    estimate = process.clean_estimate(process.target(draw), draw.noisy, draw.step)
    torch.testing.assert_close(estimate, draw.clean, atol=1e-3, rtol=0)


def test_clean_estimates_are_cut_to_the_signal_range_in_every_step():
    process = build(None, low=-1.0, high=1.0, scale=0.1, clamp=1.0)
    noise = HypothesisNoise.from_seeds([0])
    too_large = process.sample(lambda noisy, step, _: torch.full_like(noisy, 7.0), None, (2,), noise, 3, True)
    assert len(too_large.estimates) == 3
    assert all(torch.equal(estimate, torch.ones_like(estimate)) for estimate in too_large.estimates)


def test_mirror_averaging_makes_the_answer_of_a_lopsided_denoiser_symmetric():
    lopsided = torch.tensor([0.0, 0.2, 0.4])

    def denoise(noisy, step, condition):
        return condition + lopsided + 0.1 * noisy.tanh()

    def run(noisy_mirrored):
        steps = MirrorAveraged(denoise, lambda values: values.flip(-1))
        noisy = torch.tensor([[1.0, -0.5, 2.0]])
        condition = torch.tensor([[1.0, 2.0, 4.0]])
        if noisy_mirrored:
            return steps(noisy.flip(-1), torch.tensor([5]), (condition.flip(-1), condition)).flip(-1)
        return steps(noisy, torch.tensor([5]), (condition, condition.flip(-1)))

    torch.testing.assert_close(run(False), run(True))


def test_mirrored_sampling_uses_one_noise_for_both_views():
    process, seen = build(dict(type='DDPMScheduler')), []

    def denoise(noisy, step, condition):
        seen.append(noisy)
        return noisy.tanh()

    process.sample(
        MirrorAveraged(denoise, lambda values: values.flip(-1)),
        (None, None),
        (6,),
        HypothesisNoise.from_seeds([0], 2),
        3,
    )
    assert len(seen) == 6
    for plain, mirrored in zip(seen[::2], seen[1::2], strict=True):
        assert torch.equal(plain, mirrored.flip(-1))


def test_answer_of_another_shape_is_refused():
    process = build(None)
    with pytest.raises(ValueError, match=r'\(1, 4, 4\), got \(1, 4, 8\)'):
        process.sample(lambda noisy, step, _: noisy.repeat(1, 1, 2), None, (4, 4), HypothesisNoise.from_seeds([0]))


@pytest.mark.parametrize(
    ('options', 'message'),
    [(dict(low=1.0, high=1.0), 'low'), (dict(scale=0.0), 'scale'), (dict(clamp=0.9), 'clamp')]
    + [(dict(spread=0.0), 'spread'), (dict(scale=float('inf')), 'scale'), (dict(clamp=float('nan')), 'clamp')],
)
def test_senseless_signal_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SignalRange(**options).validated()


def test_tables_stay_out_of_checkpoints_and_follow_the_module():
    process = build(None)
    assert not process.state_dict()
    assert process.to('meta').signal_rate.device.type == 'meta'
