"""From scores to the curves of ablation.py: a metric over the number that the names of some rows differ in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablation_table import Values, values_of

Points = list[tuple[int, Values]]  # x, values by seed


def rows_of(pattern: str, names: Iterable[str]) -> list[tuple[int, str]]:
    """The rows that a pattern such as 'D3DP, 5 x {}' stands for, by their number."""
    before, after = map(re.escape, pattern.split('{}'))
    found = ((re.fullmatch(f'{before}([0-9]+){after}', name), name) for name in names)
    return sorted((int(match[1]), name) for match, name in found if match)


def check_curves(curves: Mapping[str, Any], names: Sequence[str], columns: Mapping[str, str]) -> None:
    """Refuse a column that is not in the table, and curves without a row."""
    if curves.get('column') not in columns:
        raise ValueError(f'curves: column {curves.get("column")!r} is unknown; there are {", ".join(columns)}')
    for title, pattern in curves['rows'].items():
        if pattern.count('{}') != 1 or not rows_of(pattern, names):
            raise ValueError(f'curves: no row is called like {pattern!r} ({title}), with a number in the place of {{}}')


def curves_of(
    records: Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]],
    names: Sequence[str],
    test: str,
    patterns: Mapping[str, str],
    key: str,
) -> dict[str, Points]:
    """Title -> points of a curve, as far as there are scores.

    Args:
        records: (row, test) -> seed -> score record.
        names: names of the rows.
        test: name of the test world.
        patterns: title -> pattern of the rows' names.
        key: of the metric.
    """
    curves = {}
    for title, pattern in patterns.items():
        points = [(x, values_of(records.get((name, test), {}), key)) for x, name in rows_of(pattern, names)]
        curves[title] = [(x, values) for x, values in points if values]
    return curves
