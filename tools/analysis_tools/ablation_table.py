"""From scores to the tables of ablation.py: means with their spread over seeds, and differences seed by seed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Values = Mapping[int, float]  # seed -> value


def values_of(records: Mapping[int, Mapping[str, Any]], key: str) -> dict[int, float]:
    """A metric by seed, of score records by seed; seeds that lack it are left out."""
    found = {seed: record['metrics'].get(key) for seed, record in records.items()}
    return {seed: value for seed, value in found.items() if value is not None}


def differences(values: Values, reference: Values) -> dict[int, float]:
    """Value minus the reference's of the same seed, where both are there."""
    return {seed: value - reference[seed] for seed, value in values.items() if seed in reference}


def digits_for(values: Sequence[float]) -> int:
    """Digits behind the point that show three or so digits of the largest of the values."""
    largest = max(map(abs, values), default=0.0)
    return 1 if largest >= 10 else 2 if largest >= 1 else 3


def format_cell(values: Sequence[float], planned: int, digits: int, signed: bool = False) -> str:
    """Mean ± standard deviation (of a sample); says how many of the planned seeds there are when some are missing."""
    if not values:
        return '–'
    cell = f'{statistics.fmean(values):{"+" if signed else ""}.{digits}f}'
    if len(values) > 1:
        cell += f' ± {statistics.stdev(values):.{digits}f}'
    return cell if len(values) >= planned else f'{cell} ({len(values)} of {planned})'


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    ruler = ['---', *['---:'] * (len(header) - 1)]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in [header, ruler, *lines])


def metric_columns(
    records: Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]],
    rows: Sequence[str],
    tests: Sequence[str],
    columns: Mapping[str, str],
    planned: int,
    reference: str | None = None,
) -> tuple[list[str], list[list[str]]]:
    """Header and cells of all metrics on all tests; with a reference, of the differences to that row.

    Args:
        records: (row, test) -> seed -> score record.
        rows: names of the rows, in order.
        tests: names of the test worlds, in order.
        columns: title -> key of the metric.
        planned: number of seeds that there should be.
        reference: name of the row to subtract, seed by seed.
    """
    header, cells = [], [[] for _ in rows]
    for title, key in columns.items():
        for test in tests:
            header.append(f'{title}, {test}' if len(tests) > 1 else title)
            values = [values_of(records.get((row, test), {}), key) for row in rows]
            if reference is not None:
                base = values[rows.index(reference)]
                values = [differences(value, base) for value in values]
            digits = digits_for([value for of_row in values for value in of_row.values()])
            for line, row, of_row in zip(cells, rows, values, strict=True):
                shown = 'reference' if row == reference else None
                line.append(shown or format_cell(list(of_row.values()), planned, digits, reference is not None))
    return header, cells


def unknown_columns(
    records: Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]], columns: Mapping[str, str]
) -> list[str]:
    """A sentence for each column that no score has, naming what there is."""
    keys = {key for by_seed in records.values() for record in by_seed.values() for key in record['metrics']}
    return [
        f'column {title!r}: no score has a metric {key!r}; there are {", ".join(sorted(keys))}'
        for title, key in columns.items()
        if keys and key not in keys
    ]
