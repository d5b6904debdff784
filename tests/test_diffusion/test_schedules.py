import subprocess
import sys

import pytest
import torch

from mmpose_diffusion.diffusion import SUPPORTED_SCHEDULERS, build_schedule, evenly_spaced_steps, validate_steps


@pytest.mark.parametrize(
    ('num_steps', 'expected'),
    [
        (1, [999]),
        (2, [999, 499]),
        (3, [999, 665, 332]),
        (4, [999, 749, 499, 249]),
        (5, [999, 799, 599, 399, 199]),
        (7, [999, 856, 713, 570, 427, 284, 141]),
        (1000, list(range(999, -1, -1))),
    ],
)
def test_steps_are_evenly_spaced_from_pure_noise_to_the_clean_signal(num_steps, expected):
    assert evenly_spaced_steps(num_steps, 1000) == expected


@pytest.mark.parametrize('num_steps', [0, -1, 1001, 2.0, True, '4', None])
def test_impossible_number_of_steps_is_refused_with_the_limits(num_steps):
    with pytest.raises(ValueError, match='num_steps must be an integer from 1 to 1000'):
        evenly_spaced_steps(num_steps, 1000)


@pytest.mark.parametrize('steps', [[], [5, 5], [3, 7], [1000, 2], [4, -1], [900.7, 100.2], [True], ['a'], [[1]]])
def test_explicit_steps_must_descend_within_the_schedule(steps):
    with pytest.raises(ValueError, match='steps must'):
        validate_steps(steps, 1000)


def test_a_scheduler_that_is_no_dict_is_refused():
    with pytest.raises(TypeError, match="a scheduler is described by a dict.*got 'DDIM'"):
        build_schedule('DDIM')


@pytest.mark.parametrize('name', SUPPORTED_SCHEDULERS)
def test_all_solvers_share_one_noise_schedule_unless_told_otherwise(name):
    expected = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    torch.testing.assert_close(build_schedule(dict(type=name)).alphas_cumprod, expected, rtol=1e-3, atol=0)


def test_cosine_schedule_has_the_known_values():
    alphas_cumprod = build_schedule(dict(beta_schedule='squaredcos_cap_v2')).alphas_cumprod
    expected = {
        0: 0.99995871578,
        99: 0.97209273711,
        199: 0.89870592060,
        499: 0.49384359044,
        899: 0.024091724140,
        999: 2.4287669070e-9,
    }
    assert alphas_cumprod[list(expected)].tolist() == pytest.approx(list(expected.values()), rel=1e-4)


NO_SCHEDULES = (
    dict(beta_start=-1.0),
    dict(beta_end=2.0),
    dict(beta_start=float('nan')),
    dict(num_train_timesteps=0),
)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='EulerScheduler'), 'unknown scheduler type .EulerScheduler.; choose one of DDIMScheduler'),
        (
            dict(type='DDIMScheduler', prediction_type='x0'),
            'prediction_type must be one of sample, epsilon, v_prediction',
        ),
        (dict(type='DDIMScheduler', clip_sample=True), 'does not take .clip_sample.'),
        (dict(type='DDPMScheduler', timestep_spacing='trailing'), 'does not take .timestep_spacing.'),
        (dict(type='LCMScheduler', eta=1.0), 'does not take .eta.'),
        (dict(type='DDIMScheduler', eta=2.0), 'eta must lie between 0 and 1'),
        (dict(type='DDIMScheduler', eta=None), 'eta must lie between 0 and 1'),
        (dict(type='DDIMScheduler', beta_schedule='cosine'), 'refuses its options.*cosine'),
        (dict(type='DDIMScheduler', num_train_timesteps=10.5), 'refuses its options|make no noise schedule'),
        (dict(type='DDIMScheduler', beta_start='a'), 'refuses its options'),
        *((dict(type='DDIMScheduler', **bad), 'no noise schedule') for bad in NO_SCHEDULES),
        (dict(type='DDIMScheduler', prediction_type='epsilon', rescale_betas_zero_snr=True), 'pure noise'),
        (dict(type='DPMSolverMultistepScheduler', euler_at_final=True), 'does not take .euler_at_final.'),
        (dict(type='DPMSolverMultistepScheduler', algorithm_type='dpmsolver'), r'one of dpmsolver\+\+, sde-dpm'),
        (dict(type='DPMSolverMultistepScheduler', algorithm_type='deis'), r'one of dpmsolver\+\+, sde-dpm'),
        (dict(type='DPMSolverMultistepScheduler', solver_order=0), 'solver_order must be one of 1, 2, 3'),
        (
            dict(type='DPMSolverMultistepScheduler', algorithm_type='sde-dpmsolver++', solver_order=3),
            'no third order for sde-dpmsolver',
        ),
        (dict(type='DDPMScheduler', variance_type='learned_range'), 'variance_type must be one of fixed_small'),
    ],
)
def test_bad_scheduler_config_is_refused_with_the_way_out(config, message):
    with pytest.raises(ValueError, match=message):
        build_schedule(config)


def test_core_imports_neither_diffusers_nor_the_rest_of_the_package():
    program = (
        'import sys, importlib.util, types\n'
        'package = types.ModuleType("mmpose_diffusion")\n'
        'package.__path__ = [importlib.util.find_spec("mmpose_diffusion").submodule_search_locations[0]]\n'
        'sys.modules["mmpose_diffusion"] = package\n'
        'import mmpose_diffusion.diffusion\n'
        'loaded = [name for name in sys.modules if name.split(".")[0] in ("diffusers", "mmpose", "mmengine")]\n'
        'ours = [name for name in sys.modules if name.startswith("mmpose_diffusion.")]\n'
        'assert not loaded, loaded\n'
        'assert all(name.startswith("mmpose_diffusion.diffusion") for name in ours), ours\n'
    )
    subprocess.run([sys.executable, '-c', program], check=True)
