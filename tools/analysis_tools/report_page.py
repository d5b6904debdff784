"""The page of report.py: a section for each question one asks of an evaluation."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from report_people import FEWEST_JOINTS, HEADS, PeopleKeeper, Person
from temporal_audit import HOW_TO_READ

from mmpose_diffusion.engine.training_log import read_log
from mmpose_diffusion.visualization import PersonPainter
from mmpose_diffusion.visualization.html import (
    data_url,
    embed_photo,
    figure,
    fold,
    page,
    paragraph,
    table,
    tiles,
)
from mmpose_diffusion.visualization.person_pictures import LOWEST_SCORE
from mmpose_diffusion.visualization.plots import Curve, plot_calibration, plot_errors, plot_training

COLUMNS = ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle', 'Mean')
SUBSETS = {
    'posetrack': 'all, official',
    'posetrack_annotated': 'annotated',
    'posetrack_occluded': 'occluded',
    'posetrack_blurred': 'blurred',
    'posetrack_fast': 'fast',
}
GROUPS = {
    'head': ('head', 'nose', 'head_bottom', 'head_top', 'left_eye', 'right_eye'),
    'shoulder': ('left_shoulder', 'right_shoulder'),
    'elbow': ('left_elbow', 'right_elbow'),
    'wrist': ('left_wrist', 'right_wrist'),
    'hip': ('left_hip', 'right_hip'),
    'knee': ('left_knee', 'right_knee'),
    'ankle': ('left_ankle', 'right_ankle'),
}


class Evaluation(NamedTuple):
    """All that the page tells."""

    title: str
    facts: Sequence[str]  # sentences on checkpoint, data, boxes ...
    metrics: Mapping[str, float]
    metainfo: Mapping[str, Any]
    people: PeopleKeeper
    calibration: Mapping[str, Sequence[float]] | None  # level, coverage, predictive_coverage
    audit: Sequence[tuple[str, Mapping[str, float]]]  # name of the variant and its metrics
    steps: Sequence[int]  # of the diffusion head; empty for other heads
    missing: Mapping[str, str]  # section -> why it is left out
    work_dir: Path  # of the training
    config: str
    versions: Mapping[str, str]
    command: str


def write_page(evaluation: Evaluation, path: Path) -> None:
    """Write the page, whole or not at all."""
    sections = [
        header(evaluation),
        joints(evaluation),
        distances(evaluation),
        steadiness(evaluation),
        audit(evaluation),
        calibration(evaluation),
        people(evaluation),
        denoising(evaluation),
        training(evaluation),
        provenance(evaluation),
    ]
    aside = path.with_name(f'.{path.name}.part')
    aside.write_text(page(evaluation.title, '\n'.join(sections)), encoding='utf-8')
    aside.replace(path)


def header(evaluation: Evaluation) -> str:
    """What was evaluated, and the figures that matter most."""
    found = evaluation.metrics
    shown = [
        ('posetrack/Mean AP', 'PoseTrack AP, mean', '{:.1f}'),
        ('coco/AP', 'COCO AP (OKS)', '{:.3f}'),
        ('PCK', 'PCK', '{:.3f}'),
        ('keypoint_error/close_share', 'joints within half a head size', '{:.1f} %'),
        ('keypoint_error/median_px', 'pixels of the input, median error', '{:.2f}'),
        ('calibration/coverage_90', 'of the joints in their 90 % ellipse', '{:.0f} %'),
    ]
    main = [(form.format(found[name]), text) for name, text, form in shown if is_number(found.get(name))]
    return ''.join(paragraph(fact, 'faint') for fact in evaluation.facts) + tiles(main)


def joints(evaluation: Evaluation) -> str:
    """AP by joint, of all joints and of the hard ones."""
    rows = []
    for prefix, title in SUBSETS.items():
        if is_number(evaluation.metrics.get(f'{prefix}/Mean AP')):
            values = [evaluation.metrics.get(f'{prefix}/{column} AP') for column in COLUMNS]
            share = evaluation.metrics.get(f'{prefix}/Share')
            rows.append([title, *map(one_digit, values), '' if share is None else f'{share:.0f} %'])
    body = missing(evaluation, 'joints')
    if rows:
        body = table(['joints', *COLUMNS, 'share'], rows) if len(rows) > 1 else table(['', *COLUMNS], [rows[0][:-1]])
        body += missing(evaluation, 'subsets')
    if len(rows) > 1:
        body += paragraph(
            'The first row is the official evaluation, which finds out who is who. The rows below know from the '
            'box whose pose it is, and look at some of the joints only (their share stands at the end); compare them '
            'with each other. Occluded joints count at their exact place. A row without any joint is left out.',
            'faint',
        )
    return section('Average precision by joint', body)


def distances(evaluation: Evaluation) -> str:
    """How far off joints are."""
    kept, found = evaluation.people, evaluation.metrics
    if not len(kept.errors):
        return section('How far off joints are', missing(evaluation, 'annotation'))
    names = keypoint_names(evaluation.metainfo)
    groups = {
        title: kept.errors[:, [names.index(name) for name in members if name in names]]
        for title, members in GROUPS.items()
        if any(name in names for name in members)
    }
    groups = {title: errors[np.isfinite(errors)] for title, errors in groups.items()}
    is_in_heads = kept.unit == HEADS
    drawing = plot_errors(groups, kept.unit, 0.5 if is_in_heads else None, 2.0 if is_in_heads else 0.2)
    body = figure(data_url('svg+xml', drawing), f'Joints by their distance from the annotation, in {kept.unit}.')
    if 'keypoint_error/median_px' in found:
        body += paragraph(
            f'Of {found["keypoint_error/joints"]:.0f} annotated joints {found["keypoint_error/close_share"]:.1f} % lie '
            'within half a head size of their place; these are off by '
            f'{found["keypoint_error/close_median_px"]:.2f} pixels of the input (median).'
        )
    return section('How far off joints are', body)


def steadiness(evaluation: Evaluation) -> str:
    """Jitter and acceleration error."""
    found = evaluation.metrics
    if 'temporal/jitter' not in found:
        return section('Steadiness over time', missing(evaluation, 'steadiness'))
    rows = [
        [
            'jitter',
            significant(found['temporal/jitter']),
            significant(found['temporal/jitter_ground_truth']),
            'per frame³',
        ],
        ['acceleration error', significant(found['temporal/acceleration_error']), '', 'per frame²'],
    ]
    note = 'In sizes of the person (diagonal of the box unless the config says otherwise). Jitter above that of the '
    note += 'annotation is trembling; jitter below it, with a large acceleration error, is a pose that lags behind.'
    return section(
        'Steadiness over time', table(['', 'predicted', 'annotated', 'unit'], rows) + paragraph(note, 'faint')
    )


def audit(evaluation: Evaluation) -> str:
    """Whether the neighbours of the key frame help."""
    title = 'Does it use time?'
    if not evaluation.audit:
        return section(title, missing(evaluation, 'audit'))
    rows = [
        [name, *(one_digit(metrics.get(f'posetrack/{column} AP')) for column in COLUMNS)]
        for name, metrics in evaluation.audit
    ]
    return section(title, table(['', *COLUMNS], rows) + paragraph(HOW_TO_READ, 'faint'))


def calibration(evaluation: Evaluation) -> str:
    """Whether the ellipses hold what they promise."""
    title = 'Does it know when it is unsure?'
    curve, found = evaluation.calibration, evaluation.metrics
    if curve is None:
        return section(title, missing(evaluation, 'calibration'))
    shares = {'ellipse as drawn': curve['coverage'], 'widened for few hypotheses': curve['predictive_coverage']}
    drawing = figure(data_url('svg+xml', plot_calibration(curve['level'], shares)), 'Calibration of the ellipses.')
    text = paragraph(
        f'The 90 % ellipses hold {found["calibration/coverage_90"]:.0f} % of the joints, the 50 % ellipses '
        f'{found["calibration/coverage_50"]:.0f} %. Below the diagonal the model is too sure of itself, above it too '
        'cautious.'
    )
    text += paragraph(
        f'Spread of the hypotheses and error have a rank correlation of '
        f'{found["calibration/spread_error_correlation"]:.2f}: 1 means that the joints with the widest spread are '
        'those farthest off, 0 that the spread tells nothing.'
    )
    text += paragraph(
        'A covariance from few hypotheses is itself a guess; the widened ellipse allows for it, as Hotelling did.',
        'faint',
    )
    return section(title, f'<div class="grid">{drawing}<div style="flex:1 1 18rem">{text}</div></div>')


def people(evaluation: Evaluation) -> str:
    """Pictures of the worst and of the best people."""
    kept = evaluation.people
    if not kept.worst.people():
        return section('The worst and the best', missing(evaluation, 'annotation'))
    painter = PersonPainter(evaluation.metainfo)
    names = keypoint_names(evaluation.metainfo)
    note = paragraph(
        f'By mean distance from the annotation; one of each video at most, of those with at least {FEWEST_JOINTS} '
        f'annotated joints. Predicted joints are drawn from a score of {LOWEST_SCORE} on.',
        'faint',
    )
    body = ''
    for title, chosen in (('Worst people', kept.worst.people()), ('Best people', kept.best.people())):
        figures = ''.join(
            figure(embed_photo(painter.draw_pose(person.sample)), describe(person, names, kept.unit))
            for person in chosen
        )
        body += section(title, f'{note}<div class="grid">{figures}</div>')
        note = ''
    return body


def denoising(evaluation: Evaluation) -> str:
    """How heatmaps come out of noise, for the best and the worst person."""
    title = 'From noise to pose'
    kept = evaluation.people
    examples = [('The best person', kept.best.people()[:1]), ('The worst person', kept.worst.people()[:1])]
    if not evaluation.steps or not any(chosen for _, chosen in examples):
        return section(title, missing(evaluation, 'denoising'))
    painter = PersonPainter(evaluation.metainfo)
    body = paragraph(
        'Each column is what the model holds for the clean heatmaps at that step, averaged over the hypotheses; dots '
        'in the image are the annotation. Brightness is relative within a row, the number is the highest value.',
        'faint',
    )
    for name, chosen in examples:
        for person in chosen:
            body += figure(embed_photo(painter.draw_denoising(person.sample, evaluation.steps)), name)
    return section(title, body)


def training(evaluation: Evaluation) -> str:
    """Losses and validation scores, where the training has left them."""
    losses, scores = read_curves(evaluation.work_dir)
    if not losses:
        text = f'{evaluation.work_dir} holds no log of a training (<time>/vis_data/scalars.json), so no curves.'
        return section('Training', paragraph(text, 'missing'))
    drawing = plot_training(losses, scores)
    return section('Training', figure(data_url('svg+xml', drawing), 'Loss over the iterations, and validations.'))


def provenance(evaluation: Evaluation) -> str:
    """Command, versions, all figures, config."""
    numbers = [[name, f'{value:.6g}'] for name, value in sorted(evaluation.metrics.items())]
    body = f'<pre>{html.escape(evaluation.command)}</pre>'
    body += paragraph(', '.join(f'{name} {version}' for name, version in evaluation.versions.items()), 'faint')
    body += fold('All figures', table(['metric', 'value'], numbers))
    body += fold('The whole config', f'<pre>{html.escape(evaluation.config)}</pre>')
    return section('How this was made', body)


def section(title: str, body: str) -> str:
    """A section; nothing at all without a body."""
    return f'<h2>{html.escape(title)}</h2>{body}' if body else ''


def missing(evaluation: Evaluation, name: str) -> str:
    """The sentence that says why something is left out."""
    return paragraph(evaluation.missing[name], 'missing') if name in evaluation.missing else ''


def describe(person: Person, names: Sequence[str], unit: str) -> str:
    """Who this is and what is wrong with it."""
    sample, errors = person.sample, person.errors
    worst = int(np.nanargmax(errors))
    keypoints = np.asarray(sample.pred_instances.keypoints)[0, worst, :2]
    pixels = np.linalg.norm(keypoints - np.asarray(sample.gt_instances.keypoints)[0, worst, :2])
    path = Path(sample.img_path)
    return (
        f'Mean error {person.mean_error:.2f} {unit}. Farthest off: {names[worst].replace("_", " ")}, '
        f'{errors[worst]:.2f} {unit} or {pixels:.0f} pixels. '
        f'{sample.get("video") or path.parent.name}, {path.name}, annotation {sample.get("id")}'
    )


def read_curves(work_dir: Path) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Losses and AP over iterations from the logs of a training; a resumed run's log continues the earlier one's."""
    losses: dict[str, dict[int, float]] = {}
    scores: dict[str, dict[int, float]] = {}
    iteration = 0
    for entry in read_log(work_dir):
        if 'loss' in entry:
            iteration = entry['iter']
            for name, value in entry.items():
                if 'loss' in name:
                    losses.setdefault(name, {})[iteration] = value
        for name in ('posetrack/Mean AP', 'coco/AP', 'PCK'):
            if name in entry:  # a validation is logged by epoch; it stands where the training was
                scale = 1 if name.startswith('posetrack') else 100
                scores.setdefault(f'{name} (validation)', {})[iteration] = scale * entry[name]
    if len(losses) == 2:  # the sum and its only term
        losses = {'loss': losses['loss']}
    return tuple(
        {name: tuple(zip(*sorted(points.items()), strict=True)) for name, points in curves.items()}
        for curves in (losses, scores)
    )


def keypoint_names(metainfo: Mapping[str, Any]) -> list[str]:
    """Names of the K keypoints in their order."""
    return [metainfo['keypoint_id2name'][index] for index in range(len(metainfo['keypoint_id2name']))]


def is_number(value: Any) -> bool:
    """Whether there is a figure to show."""
    return value is not None and math.isfinite(value)


def one_digit(value: float | None) -> str:
    """A percentage for a table."""
    return f'{value:.1f}' if is_number(value) else '–'


def significant(value: float) -> str:
    """A small number for a table."""
    return f'{value:.4f}' if is_number(value) else '–'
