"""Poses of the people in a video, a folder of frames, or images: a video with skeletons and a json file.

    python tools/infer_video.py VIDEO --config CONFIG --weights CHECKPOINT --out-dir work_dirs/poses

A folder is taken for the frames of a video. Ctrl-C ends the work; what was done until then is left in good order.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('inputs', metavar='VIDEO', help="video file, folder of frames, image, or 'webcam'")
    parser.add_argument('--config', required=True, help='path of a config, or the bare name of one of this package')
    parser.add_argument('--weights', help='checkpoint')
    parser.add_argument('--out-dir', required=True, help='folder for predictions/*.json and visualizations/*.mp4')
    parser.add_argument('--det-model', help="config of a detector, 'whole_image', or a json file of boxes")
    parser.add_argument('--det-weights', help='checkpoint of the detector')
    parser.add_argument(
        '--det-cat-ids', type=int, nargs='+', default=[0], help='classes of the detector that are people'
    )
    parser.add_argument('--bbox-thr', type=float, default=0.3, help='detections of a lower score are dropped')
    parser.add_argument('--kpt-thr', type=float, default=0.3, help='keypoints of a lower score are not drawn')
    parser.add_argument('--batch-size', type=int, default=8, help='people that the network sees at once')
    parser.add_argument('--pose3d', metavar='CONFIG', help='lift the poses to 3D by this model (D3DP, FinePOSE)')
    parser.add_argument('--pose3d-weights', metavar='FILE', help='checkpoint of the lifter')
    parser.add_argument('--action', help='what the people do, for a lifter with prompts (FinePOSE)')
    parser.add_argument('--steps', type=int, help='denoising steps of diffusion models (default: as in their configs)')
    parser.add_argument('--hypotheses', type=int, help='hypotheses of diffusion models (default: as in their configs)')
    parser.add_argument('--seed', type=int, help='seed of diffusion models (default: as in their configs)')
    parser.add_argument('--stream', action='store_true', help='each frame passes the backbone once; faster')
    parser.add_argument('--show-uncertainty', action='store_true', help="draw the spread of the model's hypotheses")
    parser.add_argument('--posetrack-json', action='store_true', help="also write a json in PoseTrack's layout")
    parser.add_argument('--fps', type=float, help='frames per second (default: what the video says, else 25)')
    parser.add_argument('--device', help='cpu, cuda, ... (default: what is there)')
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    from mmpose_diffusion.apis import VideoPoseInferencer

    inferencer = VideoPoseInferencer(
        arguments.config,
        arguments.weights,
        arguments.pose3d,
        arguments.pose3d_weights,
        device=arguments.device,
        det_model=arguments.det_model,
        det_weights=arguments.det_weights,
        det_cat_ids=arguments.det_cat_ids,
        show_progress=True,
    )
    results = inferencer(
        arguments.inputs,
        batch_size=arguments.batch_size,
        out_dir=arguments.out_dir,
        images_are_video=Path(arguments.inputs).is_dir(),
        fps=arguments.fps,
        bbox_thr=arguments.bbox_thr,
        kpt_thr=arguments.kpt_thr,
        num_steps=arguments.steps,
        num_hypotheses=arguments.hypotheses,
        seed=arguments.seed,
        action=arguments.action,
        stream=arguments.stream,
        show_uncertainty=arguments.show_uncertainty,
        posetrack_json=arguments.posetrack_json,
    )
    num_frames = num_people = 0
    try:
        for result in results:
            num_frames += 1
            num_people += len(result['predictions'][0])
    except KeyboardInterrupt:
        results.close()
        print(f'interrupted; the results until there are in {arguments.out_dir}')
        sys.exit(130)  # as shells expect it
    print(f'{num_people} poses in {num_frames} frames; the results are in {arguments.out_dir}')


if __name__ == '__main__':
    main()
