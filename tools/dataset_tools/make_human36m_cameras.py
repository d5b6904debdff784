"""Make the camera file that Human3.6M needs in the layout of VideoPose3D, whose npz files hold no cameras.

python tools/dataset_tools/make_human36m_cameras.py metadata.xml data/human36m/cameras.json

The source is the metadata.xml of Human3.6M, or the cameras.pkl that MMPose makes of it.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmpose_diffusion.datasets.cameras import entries_from_mmpose
from mmpose_diffusion.datasets.human36m_metadata import read_metadata_cameras
from mmpose_diffusion.datasets.numpy_files import read_pickle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help="metadata.xml of Human3.6M, or MMPose's cameras.pkl")
    parser.add_argument('target', type=Path, help='json file to write')
    arguments = parser.parse_args()
    try:
        if arguments.source.suffix == '.pkl':
            entries = entries_from_mmpose(read_pickle(str(arguments.source)), str(arguments.source))
        else:
            entries = read_metadata_cameras(str(arguments.source))
        arguments.target.parent.mkdir(parents=True, exist_ok=True)
        arguments.target.write_text(json.dumps(entries, indent=1))
    except (ValueError, OSError) as error:
        sys.exit(f'make_human36m_cameras: {error}')
    listed = ', '.join(f'{subject} ({len(cameras)})' for subject, cameras in entries.items())
    print(f'Cameras of {listed} -> {arguments.target}')


if __name__ == '__main__':
    main()
