"""Pages that are one file: plain HTML with its pictures inside, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = {'.gif': 'gif', '.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg', '.svg': 'svg+xml'}
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{line-height:1.2;margin-bottom:.3rem}h2{margin-top:2.6rem;padding-bottom:.2rem;border-bottom:2px solid #eee}
.faint,figcaption,td.faint{color:#667}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #ccc}th{font-weight:600}
td:first-child,th:first-child{text-align:left}img{max-width:100%;height:auto}.wide{overflow-x:auto}
pre{background:#f4f4f4;padding:1rem;overflow:auto;font-size:13px;line-height:1.4}summary{cursor:pointer}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.4rem 0}
.tile{background:#f3f6fa;border-radius:.5rem;padding:.7rem 1.1rem}
.tile b{display:block;font-size:1.7rem;line-height:1.2}.grid{display:flex;flex-wrap:wrap;gap:1.2rem}
.grid figure{flex:1 1 26rem;max-width:38rem}figure{margin:0 0 .6rem}figcaption{font-size:.9rem;margin-top:.2rem}
.missing{background:#fdf6e3;border-left:4px solid #d9b44a;padding:.5rem .9rem}"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


def page(title: str, body: str) -> str:
    """A complete page; `title` is text, `body` is HTML."""
    return PAGE.format(title=html.escape(title), style=STYLE, body=body)


def data_url(kind: str, content: bytes) -> str:
    """A picture of that kind ('png', 'jpeg', 'gif', 'svg+xml') as an address that holds the picture itself."""
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'


def embed_file(path: str | Path) -> str:
    """The address of a picture file's content."""
    kind = KINDS.get(Path(path).suffix.lower())
    if kind is None:
        raise ValueError(f'{path} cannot be embedded, only {", ".join(KINDS)}')
    return data_url(kind, Path(path).read_bytes())


def embed_photo(picture: np.ndarray) -> str:
    """The address of an RGB picture [H, W, 3] uint8, as JPEG with whole colours, so that thin lines stay crisp."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'JPEG', quality=88, subsampling=0)
    return data_url('jpeg', buffer.getvalue())


def figure(address: str, caption: str, description: str | None = None) -> str:
    """A picture with a caption; `description` is for those who cannot see it."""
    described = html.escape(description or caption, quote=True)
    return f'<figure><img src="{address}" alt="{described}"><figcaption>{html.escape(caption)}</figcaption></figure>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; the first column is its rows' names."""
    head = ''.join(f'<th>{html.escape(column)}</th>' for column in columns)
    body = ''.join('<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>' for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def paragraph(text: str, kind: str | None = None) -> str:
    """A paragraph of text, perhaps of a kind that `STYLE` knows: 'faint', 'missing'."""
    attribute = '' if kind is None else f' class="{kind}"'
    return f'<p{attribute}>{html.escape(text)}</p>'


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """The figures that matter most, large: pairs of a figure and what it is."""
    found = (f'<div class="tile"><b>{html.escape(value)}</b>{html.escape(name)}</div>' for value, name in values)
    return f'<div class="tiles">{"".join(found)}</div>'


def fold(title: str, body: str) -> str:
    """HTML that opens at a click on its title."""
    return f'<details><summary>{html.escape(title)}</summary>{body}</details>'
