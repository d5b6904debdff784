"""Scores the rows of one trained model: one process for all of them, started by ablation.py."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ablation_plan import Score, Training, read_json, test_config, write_json
from mmengine.config import Config

MARK = 'ablation: '  # begins the lines that ablation.py reads


def score_training(training: Training, wanted: set[str], settings: Mapping[str, Any], data: Path, code: str) -> None:
    """Score all wanted rows that have no score yet; a row that fails is reported and leaves the others alone."""
    rows = {row['name']: row for row in settings['rows']}
    checkpoint = training.folder / read_json(training.note)['checkpoint']
    for score in training.scores:
        if score.row not in wanted or score.path.exists():
            continue
        report = dict(row=score.row, test=score.test)
        try:
            config = test_config(settings, rows[score.row], score.test, f'{data}/')
            record = score_checkpoint(prepared(config, training, score, checkpoint))
            about = dict(**report, model=training.model, seed=training.seed, boxes=box_source(config), code=code)
            write_json({**about, 'date': f'{datetime.now():%Y-%m-%d %H:%M}', **record}, score.path)
        except Exception as error:  # whatever it is: it must not cost the other rows their scores
            traceback.print_exc()
            report['error'] = f'{type(error).__name__}: {error}'
        print(f'{MARK}{json.dumps(report)}', flush=True)


def prepared(config: Config, training: Training, score: Score, checkpoint: Path) -> Config:
    """The config with weights, a folder for the log, and all work in this process."""
    config.load_from, config.resume = str(checkpoint), False
    config.work_dir = str(training.folder / 'scoring')
    config.experiment_name = f'{training.model} {training.seed} {score.path.stem}'
    config.test_dataloader.update(num_workers=0, persistent_workers=False)
    if 'batch_sampler' in config.test_dataloader:
        config.test_dataloader.batch_sampler.num_workers = 0
    return config


def score_checkpoint(config: Config) -> dict[str, Any]:
    """Metrics of a checkpoint, number of learned values of its model, seconds of the evaluation."""
    from mmpose_diffusion.engine import build_runner, load_strictly

    runner = build_runner(config)
    load_strictly(runner)
    began = time.perf_counter()
    metrics = {name: plain_number(value) for name, value in runner.test().items()}
    return dict(
        metrics=metrics,
        parameters=sum(parameter.numel() for parameter in runner.model.parameters()),
        seconds=round(time.perf_counter() - began, 2),
    )


def box_source(config: Config) -> str:
    """Where the boxes of people come from; lifting starts from 2D poses and has none."""
    dataset = config.test_dataloader.dataset
    if config.get('data_mode') != 'topdown' or 'keypoints_2d_file' in dataset:
        return 'none'
    return dataset.get('bbox_file') or 'ground truth'


def plain_number(value: Any) -> float | None:
    """A number for json, which has no NaN."""
    return float(value) if math.isfinite(value) else None
