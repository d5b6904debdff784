"""What a rows file of ablation.py asks for: which worlds, trainings and scores, and where each is kept.

Everything is kept under a fingerprint of the settings that it depends on. What has other settings has another name, so
results are never mixed, and a change redoes what it concerns and nothing else.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from ablation_curves import check_curves
from mmengine.config import Config

REQUIRED = ('seeds', 'worlds', 'train', 'tests', 'models', 'rows', 'columns')
ENTRIES = {
    'train': {'world', 'options'},
    'tests': {'world', 'options'},
    'models': {'config', 'options'},
    'rows': {'name', 'model', 'test_options', 'metrics'},
    'curves': {'column', 'rows', 'xlabel', 'ylabel'},
}
# What a training follows from, of all that a config may hold; and what a score follows from besides the training.
TRAINING_SETTINGS = (
    'model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'custom_hooks', 'load_from',
    'randomness', 'auto_scale_lr', 'sync_bn', 'preprocess_cfg',
)  # fmt: skip
TEST_SETTINGS = ('model', 'test_dataloader', 'test_evaluator', 'test_cfg')


@dataclass(frozen=True)
class Score:
    """One row on one test world, for the weights of one seed."""

    row: str
    test: str
    path: Path


@dataclass(frozen=True)
class Training:
    """One model and seed, and what is scored with its weights."""

    model: str
    seed: int
    folder: Path
    scores: tuple[Score, ...]

    @property
    def config(self) -> Path:
        """The file of its config."""
        return self.folder / 'config.py'

    @property
    def note(self) -> Path:
        """The file that says that this training has ended, and how."""
        return self.folder / 'trained.json'


def read_rows_file(path: str | Path) -> dict[str, Any]:
    """The settings of a rows file, checked."""
    settings = Config.fromfile(path, lazy_import=False).to_dict()
    missing = [name for name in REQUIRED if not settings.get(name)]
    if missing:
        raise ValueError(f'{path} lacks {", ".join(missing)}: a rows file needs {", ".join(REQUIRED)}')
    try:
        check_rows(settings)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return settings


def check_rows(settings: Mapping[str, Any]) -> None:
    """Refuse names that lead nowhere."""
    from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings

    for name, world in settings['worlds'].items():
        check_keys(f'world {name!r}', world, [field.name for field in fields(WorldSettings)])
    check_keys('train', settings['train'], ENTRIES['train'])
    require_known(settings['train'].get('world'), settings['worlds'], 'train: world')
    for name, test in settings['tests'].items():
        check_keys(f'test {name!r}', test, ENTRIES['tests'])
        require_known(test.get('world'), settings['worlds'], f'test {name!r}: world')
    for name, model in settings['models'].items():
        check_keys(f'model {name!r}', model, ENTRIES['models'])
        if 'config' not in model:
            raise ValueError(f'model {name!r} names no config')
    names = [row.get('name') for row in settings['rows']]
    for name, row in zip(names, settings['rows'], strict=True):
        if not name or names.count(name) > 1:
            raise ValueError(f'row {name!r}: each row needs a name of its own')
        check_keys(f'row {name!r}', row, ENTRIES['rows'])
        require_known(row.get('model'), settings['models'], f'row {name!r}: model')
    if settings.get('reference'):
        require_known(settings['reference'], names, 'reference: row')
    if curves := settings.get('curves'):
        check_keys('curves', curves, ENTRIES['curves'])
        check_curves(curves, names, settings['columns'])


def check_keys(label: str, entry: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse settings that nobody reads."""
    for key in entry:
        require_known(key, known, f'{label}: setting')


def require_known(name: Any, known: Iterable[str], label: str) -> None:
    """Refuse a name that is not among the known ones, and list those."""
    if name not in known:
        raise ValueError(f'{label} {name!r} is unknown; there are {", ".join(sorted(known))}')


def fingerprint(value: Any) -> str:
    """Ten letters that follow from settings made of dictionaries, lists, texts and numbers; tuples are lists here."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()[:10]


def world_name(world: Mapping[str, Any]) -> str:
    """Folder of a synthetic world: the same for the same settings, whatever the rows file calls it."""
    from mmpose_diffusion.datasets.synthetic.dataset_writer import WORLD_VERSION, WorldSettings

    settings = WorldSettings(**world)
    return f'{settings.split}_{settings.difficulty}_{fingerprint([WORLD_VERSION, asdict(settings)])}'


def fill_world(value: Any, folder: str) -> Any:
    """Settings with `{world}` replaced by a folder in every text; a copy."""
    if isinstance(value, str):
        return value.replace('{world}', folder)
    if isinstance(value, Mapping):
        return {key: fill_world(item, folder) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(fill_world(item, folder) for item in value)
    return copy.deepcopy(value)


@cache
def read_config(name: str) -> Config:
    """A config by path or bare name, read once; not to be changed."""
    from mmpose_diffusion.engine import load_config

    return load_config(name)


def training_config(settings: Mapping[str, Any], model: str, data: str) -> Config:
    """Config of a model's training with the worlds below the folder `data`."""
    from mmpose_diffusion.engine import merge_options

    train, chosen = settings['train'], settings['models'][model]
    folder = data + world_name(settings['worlds'][train['world']])
    try:
        config = copy.deepcopy(read_config(chosen['config']))
        merge_options(config, fill_world(train.get('options', {}), folder))
        merge_options(config, fill_world(chosen.get('options', {}), folder))
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise ValueError(f'model {model!r}: {error}') from error
    return config


def test_config(settings: Mapping[str, Any], row: Mapping[str, Any], test: str, data: str) -> Config:
    """Config of a row on a test world: that of its training, with other test settings and further metrics."""
    from mmpose_diffusion.engine import merge_options

    folder = data + world_name(settings['worlds'][settings['tests'][test]['world']])
    config = training_config(settings, row['model'], data)
    try:
        merge_options(config, fill_world(settings['tests'][test].get('options', {}), folder))
        merge_options(config, fill_world(row.get('test_options', {}), folder))
    except (ValueError, KeyError) as error:
        raise ValueError(f'row {row["name"]!r}, test {test!r}: {error}') from error
    metrics = fill_world([*settings.get('metrics', []), *row.get('metrics', [])], folder)
    if metrics:
        evaluators = config.test_evaluator if isinstance(config.test_evaluator, list) else [config.test_evaluator]
        config.test_evaluator = [*evaluators, *metrics]
    return config


def training_fingerprint(settings: Mapping[str, Any], model: str) -> str:
    """Of all that the weights follow from, apart from the seed."""
    relevant = pick(training_config(settings, model, data=''), TRAINING_SETTINGS)
    relevant['model'].pop('test_cfg', None)
    relevant['train_cfg'].pop('val_interval', None)  # nothing is validated
    return fingerprint(relevant)


def score_fingerprint(settings: Mapping[str, Any], row: Mapping[str, Any], test: str) -> str:
    """Of all that a score follows from, apart from the weights."""
    return fingerprint(pick(test_config(settings, row, test, data=''), TEST_SETTINGS))


def pick(config: Config, names: Iterable[str]) -> dict[str, Any]:
    """Some of the top-level settings of a config."""
    everything = config.to_dict()
    return {name: everything[name] for name in names if everything.get(name) is not None}


def make_plan(settings: Mapping[str, Any], out: Path) -> list[Training]:
    """All trainings with their scores, seed after seed, so that the first seed's table is there early."""
    folders, paths = {}, {}
    for row in settings['rows']:
        if (model := row['model']) not in folders:
            folders[model] = f'{plain_name(model)}_{training_fingerprint(settings, model)}'
        for test in settings['tests']:
            paths[row['name'], test] = f'{score_fingerprint(settings, row, test)}.json'
    plan = []
    for seed in settings['seeds']:
        for model, name in folders.items():
            folder = out / 'models' / name / f'seed_{seed}'
            scores = tuple(
                Score(row['name'], test, folder / 'scores' / paths[row['name'], test])
                for row in settings['rows']
                if row['model'] == model
                for test in settings['tests']
            )
            plan.append(Training(model, seed, folder, scores))
    return plan


def plain_name(text: str) -> str:
    """A text as part of a file name."""
    return re.sub(r'\W+', '_', text)


def read_json(path: Path) -> Any:
    """Contents of a json file."""
    return json.loads(path.read_text())


def write_text(text: str, path: Path) -> None:
    """Write a file that is there whole or not at all."""
    from mmpose_diffusion.engine import AtomicLocalBackend

    AtomicLocalBackend().put_text(text, path)


def write_json(content: Any, path: Path) -> None:
    """As `write_text`, for json."""
    write_text(json.dumps(content, indent=1), path)
