"""What the tools that rewrite a folder of annotation files share: their arguments."""

import argparse
import sys
from pathlib import Path


def parse_arguments(description: str, source: str, target: str, images: str) -> tuple[argparse.Namespace, list[Path]]:
    """Parse `source target --images`, each with its help; return them with the json files of `source`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help=source)
    parser.add_argument('target', type=Path, help=target)
    parser.add_argument('--images', type=Path, help=f'folder that image names are relative to: {images}')
    arguments = parser.parse_args()
    files = sorted(arguments.source.glob('*.json'))
    if not files:
        sys.exit(f'there are no json files in {arguments.source}')
    return arguments, files
