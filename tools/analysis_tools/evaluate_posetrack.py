"""PoseTrack AP of a folder of predictions against a folder of annotations, both official json, one file per video.

Example: python tools/analysis_tools/evaluate_posetrack.py annotations/val predictions/val --json result.json
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType


def load_evaluation() -> ModuleType:
    """Import the evaluation functions alone: they need numpy only, the package seconds for torch and MMPose."""
    package = Path(__file__).resolve().parents[2] / 'mmpose_diffusion'
    if not package.is_dir():  # this file was installed away from the sources
        found = importlib.util.find_spec('mmpose_diffusion')
        if found is None or found.origin is None:
            raise ModuleNotFoundError(f'mmpose_diffusion is neither at {package} nor installed')
        package = Path(found.origin).parent
    folder = package / 'evaluation' / 'functional'
    spec = importlib.util.spec_from_file_location(
        'posetrack_evaluation', folder / '__init__.py', submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', metavar='GT_DIR', type=Path, help='folder of annotation files')
    parser.add_argument('predictions', metavar='PRED_DIR', type=Path, help='folder of prediction files, same names')
    parser.add_argument(
        '--json', metavar='OUT', type=Path, help='write AP, precision and recall in full precision here'
    )
    return parser.parse_args()


def main() -> int:
    """Evaluate, print the table, write the json; 1 and a message on bad input."""
    arguments = parse_arguments()
    evaluation = load_evaluation()
    try:
        videos = evaluation.read_posetrack_folders(arguments.annotations, arguments.predictions)
        result = evaluation.evaluate_posetrack_ap(videos)
    except (FileNotFoundError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    warn_about_missing_scores(evaluation, videos)
    evaluated = sum(int(annotated.has_people.sum()) for annotated, _ in videos)
    frames = sum(len(annotated.has_people) for annotated, _ in videos)
    print(f'{len(videos)} videos, {frames} frames, {evaluated} of them with annotated people (only these count)')
    print(evaluation.format_posetrack_table(result))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(
            json.dumps(evaluation.posetrack_result_as_dict(result), indent=2, allow_nan=False) + '\n'
        )
    return 0


def warn_about_missing_scores(evaluation: ModuleType, videos: list) -> None:
    """Say how many joints rank last because their file gives no score."""
    missing = sum(
        int((predicted.people.is_present & (predicted.people.scores == evaluation.MISSING_SCORE)).sum())
        for _, predicted in videos
    )
    if missing:
        print(
            f'warning: {missing} predicted joints have no score and count as {evaluation.MISSING_SCORE}',
            file=sys.stderr,
        )


if __name__ == '__main__':
    sys.exit(main())
