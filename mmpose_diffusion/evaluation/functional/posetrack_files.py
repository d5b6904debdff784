"""Read official PoseTrack json files, one per video, of the 2018 and of the 2017 (`annolist`) layout.

Nothing doubtful is repaired: every error names the file and the entry.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .posetrack17_layout import parse_annolist
from .posetrack18_layout import parse_posetrack18
from .posetrack_ap import VideoPeople


def read_posetrack_folders(
    annotation_dir: str | Path, prediction_dir: str | Path
) -> list[tuple[VideoPeople, VideoPeople]]:
    """Read every annotation file and the prediction file of the same name, sorted by file name.

    Prediction files without an annotation file are not looked at; a missing prediction file is an error.
    """
    annotation_files = list_posetrack_files(annotation_dir)
    prediction_files = [Path(prediction_dir) / path.name for path in annotation_files]
    missing = [path.name for path in prediction_files if not path.is_file()]
    if missing:
        names = ', '.join(missing[:5]) + (' ...' if len(missing) > 5 else '')
        raise FileNotFoundError(
            f'{prediction_dir} lacks {len(missing)} of {len(annotation_files)} prediction files: {names}. '
            'Every video needs one, even if nobody is predicted in it'
        )
    return [
        (read_posetrack_file(annotations), read_posetrack_file(predictions, is_prediction=True))
        for annotations, predictions in zip(annotation_files, prediction_files, strict=True)
    ]


def list_posetrack_files(folder: str | Path) -> list[Path]:
    """The json files directly inside a folder, sorted by name."""
    files = sorted(path for path in Path(folder).glob('*.json') if path.is_file())
    if not files:
        raise FileNotFoundError(f'{folder} holds no json file; expected one official PoseTrack file per video')
    return files


def load_json(path: str | Path) -> dict[str, Any]:
    """Load a json file whose top level is an object."""
    content = parse_json(Path(path).read_bytes(), str(path))
    if not isinstance(content, dict):
        raise ValueError(
            f'{path} holds a {type(content).__name__} at its top level; expected an object with images, annotations '
            'and categories (2018) or with annolist (2017)'
        )
    return content


def parse_json(content: bytes, name: str) -> Any:
    """Parse json; if it is cut or not json, say which file and where."""
    try:
        return json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f'{name} is not a complete json file: {error}. Was the file cut while it was copied?'
        ) from error


def read_posetrack_file(path: str | Path, is_prediction: bool = False) -> VideoPeople:
    """Read one official file of either layout."""
    return parse_posetrack_video(load_json(path), str(path), is_prediction)


def parse_posetrack_video(content: Mapping[str, Any], name: str, is_prediction: bool = False) -> VideoPeople:
    """Turn the content of one official file of either layout into arrays.

    Args:
        content: the loaded json.
        name: what error messages call the file.
        is_prediction: read scores instead of head boxes and ignore regions, and hold predictions to the rules for them.
    """
    if 'annolist' in content:
        return parse_annolist(content['annolist'], name, is_prediction)
    return parse_posetrack18(content, name, is_prediction)
