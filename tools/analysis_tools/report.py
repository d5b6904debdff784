"""Report of an evaluation, as one HTML file: scores, errors, calibration, use of time, best and worst people, curves.

    python tools/analysis_tools/report.py CONFIG CHECKPOINT --out report.html
    python tools/analysis_tools/report.py CONFIG CHECKPOINT --cfg-options model.test_cfg.num_hypotheses=10

Works for every top-down model; what does not apply is left out with a sentence that says why. The model is run once
over the data, and once more for each further row of the temporal audit. The curves are those of the training that left
the checkpoint, from the logs beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from report_page import Evaluation, write_page  # noqa: E402  after the path to the package
from report_people import PeopleKeeper, ProgressBar  # noqa: E402
from temporal_audit import NEIGHBOURS, with_neighbours  # noqa: E402

from mmpose_diffusion.apis.result_files import prepare_folder  # noqa: E402
from mmpose_diffusion.engine import build_runner, load_config, load_strictly, merge_options  # noqa: E402
from mmpose_diffusion.evaluation.functional.joint_subsets import read_joint_facts  # noqa: E402
from mmpose_diffusion.version import __version__  # noqa: E402
from mmpose_diffusion.visualization.picture_hook import sampling_steps  # noqa: E402

PACKAGES = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmpose', 'diffusers')
SUBSETS = ('annotated', 'occluded', 'blurred', 'fast')


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('checkpoint', type=Path, help='checkpoint file')
    parser.add_argument('--out', type=Path, default=Path('report.html'), help='the page (default: report.html)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='settings to override: key=value ...')
    return parser.parse_args()


class Plan:
    """What is to be evaluated for a config, and why the rest is not."""

    def __init__(self, config: Config, curve_file: Path) -> None:
        self.config, self.curve_file = config, curve_file
        self.missing: dict[str, str] = {}
        given = config.test_evaluator
        self.metrics: list[dict] = [dict(metric) for metric in (given if isinstance(given, list) else [given])]
        names = ', '.join(metric['type'] for metric in self.metrics)
        self.person = first_person(config)
        self.annotation = self.person.get('raw_ann_info')
        self._ask_for_samples()
        if not isinstance(self.annotation, Mapping):
            reason = (
                'The boxes are those of a detector, so nobody knows whose pose is whose: no errors of single joints.'
            )
            self.missing.update(dict.fromkeys(('annotation', 'subsets', 'steadiness', 'calibration'), reason))
        else:
            self._add_subsets()
            self._add_errors()
            self._add_steadiness()
            self._add_calibration()
        self._plan_audit()
        if self._find('PoseTrackAP') is None:
            self.missing['joints'] = (
                f'The config evaluates with {names}, not with PoseTrackAP: no AP by joint. All figures are at the end.'
            )

    @property
    def box_source(self) -> str:
        """Where the boxes of people come from."""
        stated = [metric['box_source'] for metric in self.metrics if metric.get('box_source')]
        return (stated or [self.config.test_dataloader.dataset.get('bbox_file') or 'ground truth'])[0]

    def _ask_for_samples(self) -> None:
        """Let a diffusion head hand out its hypotheses and the estimates of its steps."""
        model = self.config.model
        if not hasattr(MODELS.get(model.head.type), 'sample_heatmaps'):
            self.missing['denoising'] = f'{model.head.type} makes its answer in one go: there are no steps to show.'
            self.missing['calibration'] = (
                f'{model.head.type} gives one answer, no hypotheses whose spread could be judged.'
            )
            return
        model.test_cfg = {**(model.get('test_cfg') or {}), 'output_estimates': True}
        hypotheses = model.test_cfg.get('num_hypotheses', 1)
        model.test_cfg['output_hypotheses'] = hypotheses > 1
        if hypotheses < 3:
            self.missing['calibration'] = (
                f'An ellipse needs 3 hypotheses, the config asks for {hypotheses}: '
                'add --cfg-options model.test_cfg.num_hypotheses=10 (no retraining needed).'
            )

    def _add_subsets(self) -> None:
        """AP of hidden, blurred and fast joints."""
        posetrack = self._find('PoseTrackAP')
        if posetrack is None:
            return
        try:
            read_joint_facts(self.annotation, 'the annotation')
        except ValueError as error:
            self.missing['subsets'] = f'No scores of occluded, blurred and fast joints: {error}.'
            return
        shared = {key: posetrack[key] for key in ('ann_dir', 'ann_file', 'data_root', 'score_mode') if key in posetrack}
        for subset in SUBSETS:
            if self._find('PoseTrackSubsetAP', subset=subset) is None:
                self.metrics.append(dict(type='PoseTrackSubsetAP', subset=subset, **shared))

    def _add_errors(self) -> None:
        """Errors in pixels, which need the size of heads."""
        if self.annotation.get('bbox_head') and self._find('KeypointError') is None:
            self.metrics.append(dict(type='KeypointError'))

    def _add_steadiness(self) -> None:
        """Jitter along the tracks."""
        lacking = [key for key in ('video', 'track_id', 'key_frame_index') if self.person.get(key) is None]
        if lacking:
            self.missing['steadiness'] = f'The samples have no {", ".join(lacking)}: there are no tracks to follow.'
        elif self._find('TemporalConsistency') is None:
            self.metrics.append(dict(type='TemporalConsistency'))

    def _add_calibration(self) -> None:
        """The curve of the ellipses."""
        if 'calibration' in self.missing:
            return
        metric = self._find('UncertaintyCalibration')
        if metric is None:
            metric = dict(type='UncertaintyCalibration')
            self.metrics.append(metric)
        metric['curve_file'] = str(self.curve_file)

    def _plan_audit(self) -> None:
        """Whether support frames can be replaced, to see what they are worth."""
        self.audited = self._find('PoseTrackAP')
        if len(self.person.get('frame_offsets') or ()) < 2:
            self.missing['audit'] = 'The model sees single images: there are no neighbours to use.'
        elif self.audited is None:
            self.missing['audit'] = 'The audit compares PoseTrackAP, which the config does not use.'

    def _find(self, kind: str, **options: Any) -> dict | None:
        wanted = dict(type=kind, **options)
        return next((metric for metric in self.metrics if wanted.items() <= metric.items()), None)


def first_person(config: Config) -> dict[str, Any]:
    """Metainfo of the first sample of the test data."""
    dataset = DATASETS.build(config.test_dataloader.dataset)
    if not len(dataset):
        raise SystemExit(f'The test data {dataset.ann_file} holds nobody to evaluate')
    return dataset[0]['data_samples'].metainfo


def evaluate(
    config: Config, checkpoint: Path, metrics: Sequence[dict], work_dir: Path, hooks: Sequence[Any]
) -> tuple[dict[str, float], Any]:
    """Run the model over the test data; returns the metrics and the runner."""
    config = Config(config.to_dict(), filename=config.filename)
    config.test_evaluator, config.load_from, config.resume = list(metrics), str(checkpoint), False
    config.work_dir, config.log_level = str(work_dir), 'WARNING'
    # A name and a visualizer of its own: those of an earlier run would write to that one's folder.
    config.experiment_name, config.visualizer = f'{work_dir.parent.name} {work_dir.name}', None
    runner = build_runner(config)
    load_strictly(runner)
    for hook in hooks:
        runner.register_hook(hook)
    return runner.test(), runner


def temporal_audit(plan: Plan, checkpoint: Path, metrics: Mapping[str, float], work_dir: Path) -> list[tuple[str, Any]]:
    """Metrics with the true neighbours, which are known, and with replaced ones; nothing if the plan says so."""
    if 'audit' in plan.missing:
        return []
    # Without result files: the audit's would replace those of the model.
    metric = {key: value for key, value in plan.audited.items() if key != 'outfile_prefix'}
    rows = [(NEIGHBOURS['true'], metrics)]
    for neighbours, title in list(NEIGHBOURS.items())[1:]:
        config = Config(plan.config.to_dict(), filename=plan.config.filename)
        config.test_dataloader = with_neighbours(config.test_dataloader, neighbours)
        for output in ('output_hypotheses', 'output_estimates'):
            (config.model.get('test_cfg') or {}).pop(output, None)
        found, _ = evaluate(config, checkpoint, [metric], work_dir / neighbours, [ProgressBar(title)])
        rows.append((title, found))
    return rows


def data_sentences(plan: Plan, checkpoint: Path, people: int) -> list[str]:
    """What a reader must know to judge the figures."""
    dataset = plan.config.test_dataloader.dataset
    test_cfg = plan.config.model.get('test_cfg') or {}
    sampling = [
        f'{test_cfg[key]} {word}'
        for key, word in (('num_steps', 'step(s)'), ('num_hypotheses', 'hypothesis(es)'))
        if key in test_cfg
    ]
    where = f'{dataset.get("data_root", "")}{dataset.get("ann_file", "")}'
    return [
        f'Checkpoint {checkpoint}, evaluated {datetime.now():%Y-%m-%d %H:%M}.',
        f'{people} people of {where} ({dataset.type}); boxes: {plan.box_source}.'
        + (f' Sampled with {" and ".join(sampling)}, seed {test_cfg.get("seed", 0)}.' if sampling else ''),
    ]


def versions() -> dict[str, str]:
    """Versions of what the figures depend on."""
    found = {'mmpose_diffusion': __version__, 'Python': platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f'CPU {platform.machine()}'
    return {**found, 'on': device}


def main() -> None:
    """Evaluate and write the page."""
    arguments = parse_arguments()
    if not arguments.checkpoint.is_file():
        sys.exit(f'There is no checkpoint {arguments.checkpoint}')
    if arguments.out.is_dir():
        sys.exit(f'--out {arguments.out} is a folder: name a file')
    try:
        prepare_folder(arguments.out.parent)
    except OSError as error:
        sys.exit(f'--out: {error}')

    config = load_config(arguments.config)
    merge_options(config, arguments.cfg_options)
    init_default_scope(config.get('default_scope', 'mmpose'))
    text = config.pretty_text
    with tempfile.TemporaryDirectory(prefix='report_') as name:
        folder, keeper = Path(name), PeopleKeeper()
        plan = Plan(config, folder / 'curve.json')
        hooks = [keeper, ProgressBar('evaluating')]
        metrics, runner = evaluate(plan.config, arguments.checkpoint, plan.metrics, folder / 'run', hooks)
        audit = temporal_audit(plan, arguments.checkpoint, metrics, folder)
        curve = json.loads(plan.curve_file.read_text()) if plan.curve_file.exists() else None
    evaluation = Evaluation(
        title=f'Evaluation of {Path(arguments.config).stem}',
        facts=data_sentences(plan, arguments.checkpoint, keeper.num_people),
        metrics=metrics,
        metainfo=runner.test_evaluator.dataset_meta,
        people=keeper,
        calibration=curve,
        audit=audit,
        steps=sampling_steps(runner.model),
        missing=plan.missing,
        work_dir=arguments.checkpoint.parent,
        config=text,
        versions=versions(),
        command=shlex.join(['python', *sys.argv]),
    )
    write_page(evaluation, arguments.out)
    print(f'The report is {arguments.out.resolve()}')


if __name__ == '__main__':
    main()
