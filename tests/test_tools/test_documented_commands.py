"""Every `python tools/...` that the pages print is one that the tool understands."""

import argparse
import re
import runpy
import shlex
import sys
from functools import reduce

import pytest

from mmpose_diffusion.engine import find_config, load_config, merge_options

from .conftest import ROOT

PAGES = sorted(
    path
    for pattern in ('*.md', 'docs/*.md', 'projects/*/*.md', 'configs/**/*.md', 'tools/**/*.md')
    for path in ROOT.glob(pattern)
    if path.name != 'CHANGELOG.md'
)
BLOCK = re.compile(r'^\s*(?:\w+=\S+ )*python (tools/.*)$', flags=re.MULTILINE)  # a line of an example
INLINE = re.compile(r'(?<!`)`(?:\w+=\S+ )*python (tools/[^`]*)`(?!`)')  # within a sentence


def commands_of(text):
    """The commands of a page as lists of words, the tool first; `\\` at the end of a line joins it with the next."""
    text = re.sub(r'\\\n\s*', ' ', text)
    return [shlex.split(command, comments=True) for command in (*BLOCK.findall(text), *INLINE.findall(text))]


COMMANDS = sorted({tuple(words) for path in PAGES for words in commands_of(path.read_text())})


class Understood(Exception):
    """The words of a command have been read."""


@pytest.fixture
def understand(monkeypatch):
    """Runs a tool until it has read its words, with its own parser; returns what it read."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, *arguments, **options):
        raise Understood(parse(self, *arguments, **options))

    def run(words):
        monkeypatch.setattr(sys, 'argv', [str(ROOT / words[0]), *words[1:]])
        monkeypatch.syspath_prepend(str((ROOT / words[0]).parent))
        with pytest.raises(Understood) as found:
            runpy.run_path(str(ROOT / words[0]), run_name='__main__')
        return found.value.args[0]

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_and_stop)
    return run


def test_commands_are_found_wherever_a_page_prints_them():
    page = 'See `A=1 python tools/a.py X\n--b 2`, `x`:\n\n    python tools/b.py --c \\\n        d # e\n'
    page += '\n```bash\npython tools/c.py\n```'
    assert commands_of(page) == [['tools/b.py', '--c', 'd'], ['tools/c.py'], ['tools/a.py', 'X', '--b', '2']]
    assert len({words[0] for words in COMMANDS}) > 10


@pytest.mark.parametrize('words', COMMANDS, ids=' '.join)
def test_tool_understands_the_command(understand, words):
    try:
        read = understand(words)
    except SystemExit:
        pytest.fail(f'{words[0]} does not understand: {" ".join(words)}')
    if hasattr(read, 'rows'):
        assert (ROOT / read.rows).is_file()
    name, options = str(getattr(read, 'config', 'CONFIG')), getattr(read, 'cfg_options', None)
    path = find_config('diffpose_tiny_synthetic' if name in ('CONFIG', 'my_config.py') else name)
    if options:
        config = load_config(str(path))
        for key in options:
            parts = key.split('.')
            if any(part.isdigit() for part in parts):  # an item of a list: it must be there
                reduce(lambda value, part: value[int(part) if part.isdigit() else part], parts, config)
        merge_options(config, options)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_that_are_named_exist(page):
    for name in re.findall(r'(?<![\w/])((?:tools|tests)/[\w/]+\.(?:py|sh))\b', page.read_text()):
        assert (ROOT / name).is_file(), f'{page.relative_to(ROOT)} names {name}'
