"""Write a video model as an ONNX file, checked against the original in onnxruntime.

python tools/export_onnx.py CONFIG CHECKPOINT --out model.onnx [--part network|features|denoiser]
"""

import argparse
import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

NEEDED = ('onnx', 'onnxscript', 'onnxruntime')


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config, or the bare name of one of this package')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', type=Path, required=True, help='the ONNX file')
    parser.add_argument(
        '--part',
        choices=['network', 'features', 'denoiser'],
        default='network',
        help='network: clips to heatmaps; features and denoiser: the halves of a diffusion model (docs/export.md)',
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f'Exporting needs {", ".join(missing)}: pip install {" ".join(missing)}')
    if not Path(arguments.checkpoint).is_file():
        sys.exit(f'There is no checkpoint {arguments.checkpoint}')
    arguments.out.parent.mkdir(parents=True, exist_ok=True)

    from mmpose.models import build_pose_estimator

    from mmpose_diffusion.apis.onnx_export import ClipShape, build_part, export_part
    from mmpose_diffusion.engine import load_config, load_weights

    config = load_config(arguments.config)
    model = build_pose_estimator(config.model)
    try:
        load_weights(model, arguments.checkpoint)
        part = build_part(model, ClipShape.from_config(config), arguments.part)
    except (TypeError, ValueError) as error:
        sys.exit(f'{arguments.config}: {error}')
    difference = export_part(part, arguments.out)
    inputs = ', '.join(f'{name} {["batch", *values.shape[1:]]} {values.dtype}' for name, values in part.inputs.items())
    print(f'{inputs} -> {", ".join(part.output_names)}')
    print(f'{arguments.out}: differs from the original by at most {difference:.1e}')


if __name__ == '__main__':
    main()
