"""Tables of ablation.py: what is done once, what is done anew, what is said when something fails."""

import contextlib
import importlib
import io
import json
import os
import runpy
import signal
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from mmpose.registry import MODELS

from .conftest import ROOT

MODULES = ('ablation', 'ablation_curves', 'ablation_plan', 'ablation_processes', 'ablation_report', 'ablation_table')
ROWS = """
seeds = (3, 4)
small = dict(frames=3, people=2, difficulty='easy', unlabeled_share=0, motion_subjects=1, motion_frames=2)
worlds = dict(
    train=dict(videos=2, **small), val=dict(split='val', videos=1, seed=1, **small), unused=dict(videos=90000))
train = dict(world='train', options={
    'train_dataloader.dataset.data_root': '{world}/', 'train_cfg.max_epochs': 1})
tests = dict(val=dict(world='val', options={
    'test_dataloader.dataset.data_root': '{world}/', 'test_evaluator.data_root': '{world}/'}))
models = {
    'tiny': dict(config='CONFIG'),
    'slow': dict(config='CONFIG', options={'optim_wrapper.optimizer.lr': 1e-5}),
}
rows = [
    dict(name='plain', model='tiny'),
    dict(name='flipped', model='tiny', test_options={'model.test_cfg.flip_test': True}),
]
metrics = [dict(type='KeypointError')]
columns = {'AP': 'posetrack/Mean AP', 'error': 'keypoint_error/mean_px'}
reference = 'plain'
"""


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """The worlds, drawn by the first test that needs them."""
    return tmp_path_factory.mktemp('ablation_worlds')


@pytest.fixture
def rows_file(tmp_path, make_config):
    path = tmp_path / 'rows.py'
    path.write_text(ROWS.replace('CONFIG', str(make_config())))
    return path


def edit(path, before, after):
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


@pytest.fixture
def tool(monkeypatch):
    """The modules of the command, by name."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools/analysis_tools'))
    return {name: importlib.import_module(name) for name in MODULES}


@pytest.fixture
def run(tool, monkeypatch, tmp_path, data):
    """Runs the command in this process, its trainings and scorings too; returns exit status, message and commands."""
    failure, commands = tool['ablation_processes'].Failure, []

    def run_here(self, command, log, read=lambda line: None):
        commands.append(' '.join(map(str, command)))
        monkeypatch.setattr(sys, 'argv', list(map(str, command)))
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                runpy.run_path(str(command[0]), run_name='__main__')
        except Exception as error:
            raise failure(f'{type(error).__name__}: {error}') from error
        finally:
            for line in output.getvalue().splitlines():
                read(line)

    def run_command(rows, *words):
        commands.clear()
        arguments = ['ablation.py', rows, '--out', tmp_path / 'out', '--data', data, '--jobs', 1, *words]
        monkeypatch.setattr(sys, 'argv', list(map(str, arguments)))
        with pytest.raises(SystemExit) as end:
            tool['ablation'].main()
        return end.value.code, list(commands)

    monkeypatch.setattr(tool['ablation'].Processes, 'run', run_here)
    handler = signal.getsignal(signal.SIGTERM)
    yield run_command
    signal.signal(signal.SIGTERM, handler)


def read_table(folder):
    """Row -> cells by column title, of the first table."""
    lines = [line.strip('| ').split(' | ') for line in (folder / 'table.md').read_text().split('\n\n')[0].splitlines()]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:]}


def files_with_times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*.json') if path.name != 'table.json'}


def test_everything_is_done_once_and_a_changed_row_anew(tmp_path, rows_file, run):
    status, commands = run(rows_file)
    assert status == 0
    assert len(commands) == 4  # a training and a scoring for each seed
    contents = json.loads((tmp_path / 'out/table.json').read_text())
    table = read_table(tmp_path / 'out')
    assert list(table) == ['plain', 'flipped']  # the model of no row is not trained
    for row, cells in table.items():
        records = [record for record in contents['scores'] if record['row'] == row]
        assert sorted(record['seed'] for record in records) == [3, 4]
        errors = [record['metrics']['keypoint_error/mean_px'] for record in records]
        assert cells['error'] == f'{statistics.fmean(errors):.1f} ± {statistics.stdev(errors):.1f}'
    weights = [torch.load(path, weights_only=True) for path in sorted(tmp_path.glob('out/models/*/*/epoch_1.pth'))]
    assert [checkpoint['meta']['seed'] for checkpoint in weights] == [3, 4]
    assert contents['scores'][0]['parameters'] == sum(
        value.numel() for name, value in weights[0]['state_dict'].items() if 'preprocessor' not in name
    )

    before = files_with_times(tmp_path / 'out')
    assert run(rows_file) == (0, [])

    edit(rows_file, "'model.test_cfg.flip_test': True", "'model.test_cfg.flip_test': True, 'test_cfg.fp16': False")
    status, commands = run(rows_file)
    assert status == 0
    assert len(commands) == 2
    assert all('--score tiny' in command and '--only flipped' in command for command in commands)
    after = files_with_times(tmp_path / 'out')
    assert {path: after[path] for path in before} == before
    assert len(after) - len(before) == 2 + 2 * 1  # the scores, and MMEngine's logs of them
    assert read_table(tmp_path / 'out') == table


def test_what_fails_is_named_and_costs_nothing_else(tmp_path, rows_file, run, capsys):
    edit(rows_file, "options={'optim_wrapper.optimizer.lr': 1e-5}", "options={'model.head.in_channels': 5}")
    edit(rows_file, 'rows = [', "rows = [dict(name='broken model', model='slow'),")
    edit(rows_file, "'model.test_cfg.flip_test': True", "'model.head.decoder.heatmap_size': (7, 7, 7)")
    edit(rows_file, "'keypoint_error/mean_px'", "'keypoint_error/meen_px'")
    status, _ = run(rows_file, '--seeds', 3)
    assert status == 1
    table = read_table(tmp_path / 'out')
    assert table['plain']['AP'] != '–'
    assert table['broken model']['AP'] == table['flipped']['AP'] == '–'
    failed = (tmp_path / 'out/table.md').read_text().split('Failed:')[1]
    assert "training of 'slow', seed 3: ValueError" in failed
    assert "row 'flipped', val, seed 3: " in failed
    assert "'error': no score has a metric 'keypoint_error/meen_px'; there are keypoint_error/close_mean_px" in failed
    assert 'Failed:' in capsys.readouterr().out


def test_a_run_that_is_ended_goes_on_where_it_stopped(tmp_path, rows_file, run, tool, monkeypatch):
    processes = tool['ablation'].Processes
    work = processes.run

    def end_before_scoring(self, command, *rest):
        if '--score' in command:
            os.kill(os.getpid(), signal.SIGTERM)
            while not self.is_stopped:
                time.sleep(0.01)
            raise tool['ablation'].Failure('stopped')
        work(self, command, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(processes, 'run', end_before_scoring)
        message, commands = run(rows_file)
    assert message.endswith('the same command goes on from here')
    assert len(commands) == 1  # the other seed was not begun
    before = files_with_times(tmp_path / 'out')
    assert [path.name for path in before if path.name == 'trained.json'] == ['trained.json']

    status, commands = run(rows_file)
    assert status == 0
    assert [command.split()[-2:] for command in commands if '--score' in command] == [['tiny', '3'], ['tiny', '4']]
    assert ['seed_4/config.py' in command for command in commands if 'train.py' in command] == [True]
    after = files_with_times(tmp_path / 'out')
    assert {path: after[path] for path in before} == before
    assert all('±' in cells['error'] for cells in read_table(tmp_path / 'out').values())


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / 'script.py'
        path.write_text(text)
        return [path]

    return write


def test_process_reports_its_lines_and_its_failure(tmp_path, tool, script):
    modules = tool['ablation_processes']
    with modules.claimed(tmp_path / 'out') as lock:
        processes, lines = modules.Processes(lock), []
        command = script("import os; print('a'); print(os.environ['OMP_NUM_THREADS'])")
        processes.run(command, tmp_path / 'logs/log', lines.append)
        with pytest.raises(modules.Failure, match=f'ValueError: wrong .*{tmp_path / "logs/log"}'):
            processes.run(script("raise ValueError('wrong')"), tmp_path / 'logs/log', lines.append)
        killed = "import os, signal; print('at work', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
        with pytest.raises(modules.Failure, match=r'^killed by signal 9, Killed; its last line: at work \(all of it'):
            processes.run(script(killed), tmp_path / 'logs/log', lines.append)
        with pytest.raises(modules.Failure, match=r'^exit status 3 \(all of it'):
            processes.run(script('import sys; sys.exit(3)'), tmp_path / 'logs/log', lines.append)
    assert lines[:2] == ['a\n', '1\n']
    assert (tmp_path / 'logs/log').read_text() == ''.join(lines)


def test_processes_end_together_and_hold_their_folder_until_then(tmp_path, tool, script):
    modules = tool['ablation_processes']
    started = []
    with modules.claimed(tmp_path / 'out') as lock, ThreadPoolExecutor(1) as executor:
        processes = modules.Processes(lock)
        command = script("import time; print('here', flush=True); time.sleep(600)")
        running = executor.submit(processes.run, command, tmp_path / 'log', started.append)
        while not started:
            time.sleep(0.01)
        lock.close()  # as if this process had been killed
        with pytest.raises(SystemExit, match='outlived'), modules.claimed(tmp_path / 'out'):
            pass
        processes.stop()
        with pytest.raises(modules.Failure, match='stopped'):
            running.result()
    with modules.claimed(tmp_path / 'out'):
        pass
    with pytest.raises(modules.Failure, match='stopped'):
        processes.run(command, tmp_path / 'log')


def test_settings_have_names_that_follow_from_what_they_concern(tmp_path, rows_file, tool):
    plan = tool['ablation_plan']

    def places(out='out'):
        """Folder of the model, paths of the scores by row."""
        (first, *_) = plan.make_plan(plan.read_rows_file(rows_file), Path(out))
        return first.folder, {score.row: score.path for score in first.scores}

    folder, scores = places()
    assert (folder.parts[-1], len({*scores.values()})) == ('seed_3', 2)
    assert places('elsewhere')[0].parts[1:] == folder.parts[1:]
    original = rows_file.read_text()
    changes = {  # what is changed -> whether the weights, the plain row's score and the other row's change
        ("'model.test_cfg.flip_test': True", "'model.test_cfg.flip_test': False"): (False, False, True),
        ("dict(type='KeypointError')", "dict(type='KeypointError', subset='fast')"): (False, True, True),
        ("split='val', videos=1", "split='val', videos=3"): (False, True, True),
        ("dict(config='CONFIG'),", "dict(config='CONFIG', options={'model.test_cfg.flip_test': 1}),"):
            (False, True, False),
        ('train=dict(videos=2', 'train=dict(videos=3'): (True, False, False),
        ("'train_cfg.max_epochs': 1", "'train_cfg.max_epochs': 2"): (True, False, False),
        ("dict(config='CONFIG'),", "dict(config='CONFIG', options={'randomness.deterministic': True}),"):
            (True, False, False),
        ("videos=90000", "videos=80000"): (False, False, False),
        ("'slow'", "'other'"): (False, False, False),
    }  # fmt: skip
    config = str(tmp_path / 'tiny.py')
    for (before, after), expected in changes.items():
        rows_file.write_text(original)
        edit(rows_file, before.replace('CONFIG', config), after.replace('CONFIG', config))
        changed_folder, changed = places()
        differs = (changed_folder != folder, *(changed[row].name != scores[row].name for row in ('plain', 'flipped')))
        assert differs == expected, after


@pytest.mark.parametrize(
    ('before', 'after', 'message'),
    [
        ("'plain', model='tiny'", "'plain', model='x'", "row 'plain': model 'x' is unknown; there are slow, tiny"),
        ("world='val'", "world='vla'", "test 'val': world 'vla' is unknown; there are train, unused, val"),
        ('test_options', 'testoptions', "row 'flipped': setting 'testoptions' is unknown"),
        ('videos=90000', 'vidoes=2', "world 'unused': setting 'vidoes' is unknown; there are actions, difficulty"),
        ("name='flipped'", "name='plain'", "row 'plain': each row needs a name of its own"),
        ("reference = 'plain'", "reference = 'plan'", "reference: row 'plan' is unknown; there are flipped, plain"),
        ("'model.test_cfg.flip_test'", "'modl.test_cfg.flip_test'", "row 'flipped', test 'val': .* did you mean model"),
        ("'tiny': dict(config='", "'tiny': dict(config='no", "model 'tiny': There is no config no"),
        ('columns = ', 'colums = ', 'lacks columns'),
        ('reference =', "curves = dict(column='AQ', rows={})\nreference =", "column 'AQ' is unknown; .* AP, error"),
        ('reference =', "curves = dict(column='AP', rows=dict(a='p{}'))\nreference =", "no row is called like 'p{}'"),
    ],
)  # fmt: skip
def test_wrong_rows_file_is_refused_with_the_culprit(rows_file, run, before, after, message):
    edit(rows_file, before, after)
    code, commands = run(rows_file)
    assert not commands
    with pytest.raises(ValueError, match=message):
        raise ValueError(code)


def test_unknown_row_is_refused_and_a_folder_in_use_too(tmp_path, rows_file, run, tool):
    assert "--only: row 'plan' is unknown; there are flipped, plain" in run(rows_file, '--only', 'plan')[0]
    with tool['ablation'].claimed(tmp_path / 'out'):
        assert f'works in {tmp_path / "out"}' in run(rows_file)[0]


def test_cells_say_mean_spread_and_missing_seeds(tool):
    table = tool['ablation_table']
    assert table.format_cell([50.0, 52.0, 57.0], 3, digits=1) == '53.0 ± 3.6'
    assert table.format_cell([0.5, 0.7], 3, digits=3, signed=True) == '+0.600 ± 0.141 (2 of 3)'
    assert table.format_cell([2.0], 1, digits=2) == '2.00'
    assert table.format_cell([], 3, digits=2) == '–'
    assert [table.digits_for(values) for values in ([3, -12.0], [1.0], [-0.5], [])] == [1, 2, 3, 3]


def test_differences_are_taken_seed_by_seed(tool):
    # The reference varies much from seed to seed, the difference to it does not.
    values = {'reference': {1: 10.0, 2: 30.0, 3: 50.0}, 'row': {1: 12.0, 2: 32.0, 3: None}}
    records = {
        (row, 'hard'): {seed: dict(metrics={'m': value}) for seed, value in by_seed.items()}
        for row, by_seed in values.items()
    }
    _, cells = tool['ablation_table'].metric_columns(records, list(values), ['hard'], {'M': 'm'}, 3, 'reference')
    assert cells == [['reference'], ['+2.00 ± 0.00 (2 of 3)']]
    header, cells = tool['ablation_table'].metric_columns(records, list(values), ['easy', 'hard'], {'M': 'm'}, 3)
    assert header == ['M, easy', 'M, hard']
    assert cells == [['–', '30.0 ± 20.0'], ['–', '22.0 ± 14.1 (2 of 3)']]


def test_curves_join_rows_that_differ_in_a_number_and_show_what_is_there(tmp_path, tool):
    names = ['DDIM, 5 x 10', 'DDIM, 5 x 2', 'DDIM, 15 x 2', 'UniPC, 5 x 2', 'DDIM, 5 x 3']
    curves, report = tool['ablation_curves'], tool['ablation_report']
    assert curves.rows_of('DDIM, 5 x {}', names) == [(2, 'DDIM, 5 x 2'), (3, 'DDIM, 5 x 3'), (10, 'DDIM, 5 x 10')]
    records = {
        (name, 'val'): {seed: dict(metrics={'m': 50.0 + seed + len(name)}) for seed in (0, 1)} for name in names[:2]
    }
    patterns = {'DDIM': 'DDIM, 5 x {}', 'UniPC': 'UniPC, 5 x {}'}
    points = curves.curves_of(records, names, 'val', patterns, 'm')
    assert points == {'DDIM': [(2, {0: 61.0, 1: 62.0}), (10, {0: 62.0, 1: 63.0})], 'UniPC': []}
    settings = dict(rows=[dict(name=name) for name in names], tests=dict(val={}, other={}), columns={'M': 'm'})
    report.draw_curves(dict(column='M', xlabel='steps', rows=patterns), records, settings, tmp_path)
    picture = (tmp_path / 'curves_val.svg').read_text()
    assert all(f'<!-- {text} -->' in picture for text in ('steps', 'M', '2', '10', 'DDIM'))
    assert '<!-- UniPC -->' not in picture
    assert (tmp_path / 'curves_other.svg').exists()


def rows_files():
    """Those of the repository that are tables of their own."""
    return [path for path in (ROOT / 'tools/analysis_tools/ablations').glob('*.py') if path.stem != 'two_worlds']


def test_rows_files_of_the_repository_can_be_planned_and_their_models_built(tool):
    plan = tool['ablation_plan']
    for path in rows_files():
        settings = plan.read_rows_file(path)
        scores = [score.path for training in plan.make_plan(settings, Path('out')) for score in training.scores]
        assert len({*scores}) == len(settings['rows']) * len(settings['tests']) * len(settings['seeds']), path
        for row in {row['model']: row for row in settings['rows']}.values():
            config = plan.test_config(settings, row, next(iter(settings['tests'])), data='')
            MODELS.build(config.model)
            pipelines = [config[f'{part}_dataloader'].dataset.pipeline for part in ('train', 'test')]
            trained, tested = (pipeline[0].get('offsets') for pipeline in pipelines)
            assert trained == tested or config.model.temporal_neck.type == 'KeyFrameNeck', row['name']
            encoders = [step.encoder for step in pipelines[0] if 'encoder' in step]
            assert not encoders or config.model.head.decoder in encoders, row['name']


def test_rows_that_are_compared_have_one_budget(tool):
    """Training world, epochs, their schedule and the batch, but for models whose options ask for another."""
    plan = tool['ablation_plan']
    budget = ('train_cfg', 'param_scheduler', 'train_dataloader.batch_size', 'train_dataloader.dataset.data_root')
    for path in rows_files():
        settings, found = plan.read_rows_file(path), {}
        for model, chosen in settings['models'].items():
            if not any(option.startswith(budget) for option in chosen.get('options', {})):
                config = plan.training_config(settings, model, data='')
                values = [config.train_cfg, config.param_scheduler, config.train_dataloader.batch_size]
                values += [config.train_dataloader.dataset.get(name) for name in ('type', 'data_root', 'ann_file')]
                found[model] = plan.fingerprint([dict(value) if hasattr(value, 'keys') else value for value in values])
        assert len({*found.values()}) == 1, f'{path.name}: {found}'
        assert len(found) > len(settings['models']) / 2
