import importlib.util
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / 'tools/analysis_tools'
WIDTH, FRAMES, JOINTS = 8, 5, 17
SIZES = dict(num_frames=FRAMES, width=WIDTH, depth=1, num_heads=2)
PROMPTS = {
    'prompts': [['{action}', 1], ['leg', 1]],
    'text_encoder.texts': ['Walking', 'leg'],
    'text_encoder.width': WIDTH,
    'text_heads': 2,
}


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location('benchmark_lifting', FOLDER / 'benchmark_lifting.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop('benchmark_model', None)


def tiny(benchmark, name, **options):
    where = 'model.head.denoiser' if name.startswith(('d3dp', 'finepose')) else 'model.head.trunk'
    sizes = dict(num_frames=FRAMES, width=WIDTH) if name.startswith('tcn') else SIZES
    return benchmark.build_model(name, {f'{where}.{key}': value for key, value in {**sizes, **options}.items()})


def test_counts_the_products_of_the_blocks_by_hand(benchmark):
    flops = benchmark.count_flops(tiny(benchmark, 'd3dp_tiny_synthetic'), 1, 1, flip_test=False)
    tokens = FRAMES * JOINTS
    linear = 2 * tokens * (3 + 1 + 2 + 2) * WIDTH**2  # queries keys values, output, MLP of twice the width
    assert flops['spatial blocks'] == linear + 2 * 2 * tokens * JOINTS * WIDTH
    assert flops['temporal blocks'] == linear + 2 * 2 * tokens * FRAMES * WIDTH
    step_embedding = 2 * 2 * WIDTH * 2 * WIDTH
    assert flops[benchmark.REST] == 2 * tokens * (2 + 3 + 3) * WIDTH + step_embedding
    assert flops['total'] == sum(value for part, value in flops.items() if part != 'total')


@pytest.mark.parametrize('name', ['d3dp_tiny_synthetic', 'finepose_tiny_synthetic'])
def test_hypotheses_steps_and_views_multiply_the_blocks_and_not_the_text(benchmark, name):
    model = tiny(benchmark, name, **(PROMPTS if 'finepose' in name else {}))
    one, many = (
        benchmark.count_flops(model, *pair, action='Walking', flip_test=flip)
        for pair, flip in (((1, 1), False), ((3, 2), True))
    )
    for part in ('spatial blocks', 'temporal blocks'):
        assert many[part] == 3 * 2 * 2 * one[part]
    assert many.get('text') == one.get('text')
    assert ('text' in one) == (benchmark.ATTENTION_TO_TEXT in one) == ('finepose' in name)
    assert next(model.parameters()).device.type == 'cpu'
    assert 'forward' not in vars(model.head.denoiser.trunk.spatial_blocks[0])  # the model itself is not metered


@pytest.mark.parametrize('name', ['regression_tiny_synthetic', 'tcn_tiny_synthetic'])
def test_a_regression_network_answers_once(name, benchmark):
    model = tiny(benchmark, name)
    assert benchmark.grid_of(model, [1, 5], [1, 2]) == [(1, 1)]
    one, both = (benchmark.count_flops(model, 1, 1, flip_test=flip)['total'] for flip in (False, True))
    assert both == 2 * one
    assert benchmark.count_flops(model, 1, 1, flip_test=False)['temporal blocks'] > one / 3


def test_the_command_prints_a_row_for_each_pair(benchmark, monkeypatch, capsys):
    options = [f'model.head.denoiser.{key}={value}' for key, value in SIZES.items()]
    words = ['d3dp_tiny_synthetic', '--hypotheses', '1', '2', '--steps', '1', '3', '--repeats', '1']
    monkeypatch.setattr(sys, 'argv', ['benchmark_lifting.py', *words, '--cfg-options', *options])
    benchmark.main()
    rows = [line.strip('| ').split(' | ') for line in capsys.readouterr().out.splitlines() if line.startswith('| ')]
    grid = [row for row in rows if row[0].isdigit()]
    assert [row[:2] for row in grid] == [['1', '1'], ['1', '3'], ['2', '1'], ['2', '3']]
    assert all(float(row[3]) >= 0 and float(row[4]) > 0 for row in grid)


def test_other_models_are_refused(benchmark):
    with pytest.raises(SystemExit, match='is a VideoTopdownPoseEstimator: this command is for lifting models'):
        benchmark.build_model('diffpose_tiny_synthetic')


def test_memory_of_a_gpu_is_measured_only_there(benchmark):
    seconds, memory = benchmark.measure(lambda: torch.zeros(10), torch.device('cpu'), 1)
    assert seconds >= 0
    assert memory > 0.05
