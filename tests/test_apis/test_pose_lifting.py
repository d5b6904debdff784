"""2D -> 3D: tracks to sequences, sequences to clips and back, and 3D poses in the results of a video."""

import json
import shutil
from copy import deepcopy

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from mmpose_diffusion.apis import VideoPoseInferencer
from mmpose_diffusion.apis.pose_lifting import PoseTracks, TrackLifter, clips_of, to_human36m_joints
from mmpose_diffusion.visualization.pose3d_picture import SkeletonPainter, seen_from_the_side

from .conftest import ROOT, people_of, save_random_weights
from .test_bad_input import read_video
from .test_infer_video import run  # noqa: F401, a fixture

LENGTH = 4  # frames of a lifter's clip; the video has 9
SKELETONS = {
    name: parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{name}.py'))
    for name in ('coco', 'posetrack18', 'h36m', 'jhmdb')
}


def lifter_config(kind='d3dp'):
    config = Config.fromfile(ROOT / f'configs/body_3d_video/{kind}/{kind}_tiny_synthetic.py')
    config.model.head.denoiser.update(num_frames=LENGTH, width=16, depth=1, num_heads=2)
    config.model.test_cfg = dict(num_steps=2, num_hypotheses=2, seed=0, flip_test=True)
    return config


@pytest.fixture(scope='module')
def pose3d(tmp_path_factory):
    """Config and weights of a tiny D3DP."""
    config = lifter_config()
    return config, save_random_weights(config, tmp_path_factory.mktemp('weights') / 'd3dp.pth')


@pytest.fixture(scope='module')
def prompted(tmp_path_factory):
    """Config and weights of a tiny FinePOSE with a learned table."""
    config = lifter_config('finepose')
    return config, save_random_weights(config, tmp_path_factory.mktemp('weights') / 'finepose.pth')


@pytest.fixture(scope='module')
def inferencer(config, weights, pose3d):
    return VideoPoseInferencer(config, weights, *pose3d, device='cpu')


def named(keypoints, name):
    """Keypoints by name, of one frame."""
    return {SKELETONS[name]['keypoint_id2name'][index]: point for index, point in enumerate(keypoints)}


@pytest.mark.parametrize('name', ['coco', 'posetrack18'])
def test_joints_of_human36m_by_name(name):
    keypoints = np.random.default_rng(0).uniform(0, 100, (17, 2))
    given, made = named(keypoints, name), named(to_human36m_joints(keypoints[None], SKELETONS[name])[0], 'h36m')
    parts = {'foot': 'ankle', 'hip': 'hip', 'knee': 'knee', 'shoulder': 'shoulder', 'elbow': 'elbow', 'wrist': 'wrist'}
    for part, other in parts.items():
        for side in ('left', 'right'):
            np.testing.assert_array_equal(made[f'{side}_{part}'], given[f'{side}_{other}'])
    pelvis, thorax = ((given[f'left_{part}'] + given[f'right_{part}']) / 2 for part in ('hip', 'shoulder'))
    eyes = ('left_eye', 'right_eye') if name == 'coco' else ('head_bottom', 'head_top')
    middles = dict(root=pelvis, thorax=thorax, spine=(pelvis + thorax) / 2, head=(given[eyes[0]] + given[eyes[1]]) / 2)
    for joint, expected in (middles | {'neck_base': given['nose']}).items():
        np.testing.assert_allclose(made[joint], expected)


def test_other_skeletons_are_refused():
    with pytest.raises(ValueError, match='15 keypoints of jhmdb cannot be made the 17 joints'):
        to_human36m_joints(np.zeros((1, 15, 2)), SKELETONS['jhmdb'])
    with pytest.raises(ValueError, match='12 keypoints of h36m'):
        to_human36m_joints(np.zeros((1, 12, 2)), SKELETONS['h36m'])


def tracks_of(frames, speed=(2.0, -1.0), sizes=None):
    """Person 7, who moves in a straight line and is seen in some frames."""
    tracks = PoseTracks()
    start = np.random.default_rng(0).uniform(0, 100, (17, 2))
    for frame in frames:
        size = sizes[frame] if sizes else (200, 100)
        tracks.add(frame, np.array([7]), (start + frame * np.array(speed))[None], size)
    return tracks, start


def test_gaps_lie_on_a_straight_line():
    tracks, start = tracks_of([3, 4, 8, 9, 11])
    (sequence,) = tracks.sequences()
    assert (sequence.track_id, sequence.first_frame, sequence.image_size) == (7, 3, (200, 100))
    assert sequence.is_seen.tolist() == [True, True, False, False, False, True, True, False, True]
    expected = start + np.arange(3, 12)[:, None, None] * np.array([2.0, -1.0])
    np.testing.assert_allclose(sequence.keypoints, expected, rtol=1e-5)


def test_long_absence_and_another_size_begin_another_sequence():
    tracks, _ = tracks_of([0, 16, 33])  # 15 frames missing, then 16
    assert [(one.first_frame, len(one.keypoints)) for one in tracks.sequences()] == [(0, 17), (33, 1)]
    tracks, _ = tracks_of([0, 1, 2], sizes=[(200, 100), (200, 100), (100, 200)])
    assert [len(one.keypoints) for one in tracks.sequences()] == [2, 1]
    with pytest.raises(ValueError, match='frame 3 has two people of one track id'):
        tracks.add(3, [1, 1], np.zeros((2, 17, 2)), (200, 100))


@pytest.mark.parametrize('count', [1, 3, 4, 5, 8, 11])
def test_every_frame_belongs_to_one_clip(count):
    poses = np.arange(count)
    joined = np.full(count, -1)
    for start, clip, frames, own in clips_of(poses, LENGTH):
        assert len(clip) == LENGTH
        assert frames[0] == start
        assert (joined[frames[own]] == -1).all()
        joined[frames[own]] = clip[own]
    assert joined.tolist() == poses.tolist()


def test_lifts_what_the_model_makes_of_each_clip(pose3d):
    """An independent second way: by hand from pixels, frames 0..3 and 4..7, and the last four for frame 8."""
    lifter = TrackLifter(*pose3d, 'cpu')
    tracks, start = tracks_of(range(9))
    (sequence,) = tracks.sequences()
    found = lifter.lift_sequence(sequence)
    pixels = start + np.arange(9)[:, None, None] * np.array([2.0, -1.0])
    screen = np.stack([pixels[..., 0] / 100 - 1, pixels[..., 1] / 100 - 0.5], axis=-1).astype(np.float32)
    for first, kept in ((0, range(4)), (4, range(4, 8)), (5, [8])):
        meta = dict(img_id=7, id=first, action=None, flip_indices=SKELETONS['h36m']['flip_indices'], root_index=0)
        (sample,) = lifter.model.predict(
            torch.from_numpy(screen[None, first : first + 4]), [PoseDataSample(metainfo=meta)]
        )
        for frame in kept:
            np.testing.assert_allclose(found[frame], sample.pred_instances.keypoints[frame - first], atol=1e-5)
    assert (found[:, 0] == 0).all()
    assert found.std() > 0


def test_video_has_3d_poses_in_results_json_and_pictures(inferencer, video_file, frames, boxes, tmp_path):
    height, width = frames[0].shape[:2]
    results = list(inferencer(video_file, bboxes=boxes, batch_size=4, out_dir=tmp_path, return_vis=True))
    content = json.loads((tmp_path / 'predictions/walk.json').read_text())
    assert content['meta_info']['keypoint_3d_names'] == list(SKELETONS['h36m']['keypoint_id2name'].values())
    assert content['meta_info']['keypoint_names'][0] == 'nose'
    assert content['meta_info']['root_joint'] == 'root'
    entries = content['instance_info']
    assert [entry['frame_id'] for entry in entries] == list(range(len(frames)))
    assert [len(people) for people in people_of(results)] == [len(people) for people in boxes]
    for entry, people in zip(entries, people_of(results), strict=True):
        for written, person in zip(entry['instances'], people, strict=True):
            assert written['track_id'] == person['track_id']
            assert np.shape(written['keypoints']) == (17, 2)
            assert np.shape(written['keypoints_3d']) == (17, 3)
            assert written['keypoints_3d'][0] == [0, 0, 0]
            np.testing.assert_allclose(written['keypoints_3d'], person['keypoints_3d'], atol=6e-5)
    plain, _ = read_video(tmp_path / 'visualizations/walk.mp4')
    pictures, fps = read_video(tmp_path / 'visualizations/walk_3d.mp4')
    assert (len(pictures), fps) == (len(plain), 12.5) == (len(frames), 12.5)
    for result, picture, overlay in zip(results, pictures, plain, strict=True):
        assert picture.shape == (height, width + height, 3)
        assert np.abs(picture[:, :width].astype(int) - overlay).mean() < 3
        panel = result['visualization'][0][:, width:]
        assert (panel.min(axis=2) < 200).any()
    assert not list((tmp_path / 'predictions').glob('.*'))


def test_same_seed_gives_the_same_3d_poses_whatever_the_batch_size(inferencer, video_file, boxes, tmp_path):
    """With a gap, in which nobody is among the results, and bit by bit."""
    boxes = [people if frame not in (3, 4) else [] for frame, people in enumerate(boxes)]

    def written(name, **options):
        list(inferencer(video_file, bboxes=boxes, pred_out_dir=tmp_path / name, **options))
        entries = json.loads((tmp_path / name / 'walk.json').read_text())['instance_info']
        return [[person['keypoints_3d'] for person in entry['instances']] for entry in entries]

    alone = written('1', batch_size=1)
    assert [len(people) for people in alone] == [len(people) for people in boxes]
    assert written('5', batch_size=5) == alone
    assert written('other', batch_size=5, seed=1) != alone
    assert written('steps', batch_size=5, num_steps=1) != alone
    assert written('again', batch_size=5) == alone


def test_data_samples_and_nobody(inferencer, frames):
    samples = people_of(
        inferencer(frames[:3], images_are_video=True, bboxes=[[]] * 3, return_datasamples=True, return_vis=True)
    )
    assert [sample.pred_instances.keypoints_3d.shape for sample in samples] == [(0, 17, 3)] * 3


@pytest.mark.parametrize('during', ['2D', '3D', 'results'])
def test_interrupted_work_leaves_what_was_done_in_2d(
    inferencer, video_file, frames, boxes, tmp_path, monkeypatch, during
):
    def interrupt(*_):
        raise KeyboardInterrupt

    if during == '2D':
        test_step, calls = inferencer.model.test_step, []
        monkeypatch.setattr(
            inferencer.model,
            'test_step',
            lambda data: interrupt() if len(calls) == 8 else calls.append(0) or test_step(data),
        )  # people 9 and 10 are in frame 4
    elif during == '3D':
        monkeypatch.setattr(inferencer.lifter, 'lift_sequence', interrupt)
    results = inferencer(video_file, bboxes=boxes, out_dir=tmp_path)
    if during == 'results':
        next(results)
        results.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            list(results)
    num_done = 4 if during == '2D' else len(frames)
    assert len(read_video(tmp_path / 'visualizations/walk.mp4')[0]) == num_done
    entries = json.loads((tmp_path / 'predictions/walk.json').read_text())['instance_info']
    assert len(entries) == num_done
    assert all('keypoints_3d' not in person for entry in entries for person in entry['instances'])
    assert [path.name for path in (tmp_path / 'predictions').iterdir()] == ['walk.json']


def test_action_reaches_a_prompted_lifter(config, weights, prompted, frames, boxes):
    inferencer = VideoPoseInferencer(config, weights, *prompted, device='cpu')
    options = dict(images_are_video=True, bboxes=boxes[:3])
    with pytest.raises(ValueError, match='give action, one of Walking, Running, .*, Stretching$'):
        inferencer(frames[:3], **options)
    with pytest.raises(ValueError, match=r"does not know action='Swimming': give one of Walking"):
        inferencer(frames[:3], action='Swimming', **options)
    walking, boxing = (
        people_of(inferencer(frames[:3], action=action, **options))[0][0]['keypoints_3d']
        for action in ('Walking', 'Boxing')
    )
    assert walking != boxing


def test_regression_lifts_and_does_not_sample(config, weights, frames, boxes, tmp_path):
    lifter = Config.fromfile(ROOT / 'configs/body_3d_video/d3dp/regression_tiny_synthetic.py')
    lifter.model.head.trunk.update(num_frames=LENGTH, width=16, depth=1, num_heads=2)
    lifter_weights = save_random_weights(lifter, tmp_path / 'regression.pth')
    inferencer = VideoPoseInferencer(config, weights, lifter, lifter_weights, device='cpu')
    options = dict(images_are_video=True, bboxes=boxes[:2])
    (person, *_), _ = people_of(inferencer(frames[:2], **options))
    assert np.shape(person['keypoints_3d']) == (17, 3)
    with pytest.raises(ValueError, match='num_steps.* are for diffusion models'):
        inferencer(frames[:2], num_steps=2, **options)


def test_what_cannot_be_lifted_is_refused_at_once(
    inferencer, config, weights, pose3d, frames, video_file, tmp_path, monkeypatch
):
    open_file = cv2.VideoCapture
    with pytest.raises(ValueError, match='waits for the end of the video'):
        inferencer(frames, images_are_video=True, stream=True, bboxes=[])
    with monkeypatch.context() as device:
        device.setattr(cv2, 'VideoCapture', lambda _: open_file(video_file))
        with pytest.raises(ValueError, match='waits for the end of the video'):
            inferencer('webcam')
    shutil.copy(video_file, tmp_path / 'webcam_walk.mp4')
    monkeypatch.chdir(tmp_path)
    inferencer('webcam_walk.mp4', bboxes=[])  # no camera
    with pytest.raises(ValueError, match='for videos; images_are_video=True'):
        inferencer(frames, bboxes=[])
    with pytest.raises(ValueError, match="action='Walking' has no effect"):
        inferencer(frames, images_are_video=True, bboxes=[], action='Walking')
    with pytest.raises(ValueError, match='num_hypotheses must be an integer'):
        inferencer(frames, images_are_video=True, bboxes=[], num_hypotheses=0)
    with pytest.raises(ValueError, match='show_uncertainty is for diffusion models; HeatmapHead'):
        inferencer(frames, images_are_video=True, bboxes=[], show_uncertainty=True)
    with pytest.raises(ValueError, match='action=.* is for lifting to 3D: give pose3d'):
        VideoPoseInferencer(config, weights, device='cpu')(frames, images_are_video=True, bboxes=[], action='Walking')
    with pytest.raises(ValueError, match='pose3d is missing'):
        VideoPoseInferencer(config, weights, pose3d_weights='some.pth')
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='cannot be written'):
        inferencer(frames, images_are_video=True, bboxes=[[]] * 9, out_dir=str(tmp_path / 'file'))


def test_configs_that_are_no_lifter_are_refused(config, pose3d):
    lifter, weights = pose3d
    with pytest.raises(ValueError, match='its model is .*, not a DiffusionPoseLifter'):
        TrackLifter(config, weights, 'cpu')
    with pytest.raises(ValueError, match='its model is missing'):
        TrackLifter(Config(dict(optimizer='Adam')), weights, 'cpu')
    with pytest.raises(FileNotFoundError, match='d3dp_tiny_synthetik'):
        TrackLifter('d3dp_tiny_synthetik', weights, 'cpu')
    with pytest.raises(ValueError, match='pose3d_weights is missing'):
        TrackLifter(lifter, None, 'cpu')
    with pytest.raises(ValueError, match='joints of mpi_inf_3dhp'):
        TrackLifter('d3dp_mpi_inf_3dhp_243frames', weights, 'cpu')
    wider = deepcopy(lifter)
    wider.model.head.denoiser.num_joints = 16
    with pytest.raises(ValueError, match='16 joints|joint_position'):
        TrackLifter(wider, weights, 'cpu')


def test_command_lifts(run, config, weights, pose3d, video_file, tmp_path):  # noqa: F811
    config.dump(str(tmp_path / 'pose2d.py'))
    pose3d[0].dump(str(tmp_path / 'pose3d.py'))
    printed = run(
        *(video_file, '--config', tmp_path / 'pose2d.py', '--weights', weights, '--det-model', 'whole_image'),
        *('--pose3d', tmp_path / 'pose3d.py', '--pose3d-weights', pose3d[1], '--steps', 1, '--hypotheses', 1),
        *('--out-dir', tmp_path, '--device', 'cpu'),
    )
    assert '9 poses in 9 frames' in printed.out
    entries = json.loads((tmp_path / 'predictions/walk.json').read_text())['instance_info']
    assert all(len(person['keypoints_3d']) == 17 for entry in entries for person in entry['instances'])


def test_view_turns_without_stretching():
    points = np.random.default_rng(0).normal(size=(5, 3))
    seen = seen_from_the_side(points)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), np.linalg.norm(points, axis=1))
    near, above = seen_from_the_side(np.array([[0.0, 0, -1], [0, -1, 0]]))
    assert near[0] < 0 < near[1]  # seen from the right and from above, the near side is to the left and below
    assert above[1] < 0
    assert np.linalg.det(seen_from_the_side(np.eye(3))) == pytest.approx(1)


def test_people_have_cells_of_their_own():
    painter = SkeletonPainter(SKELETONS['h36m'])
    pose = np.random.default_rng(0).normal(scale=0.3, size=(17, 3))
    panel = painter.panel(np.stack([pose] * 3), ['track 1'] * 3, 200)
    cells = [panel[:100, :100], panel[:100, 100:], panel[100:, :100]]
    assert all((cell == cells[0]).all() and (cell != 255).any() for cell in cells)
    assert (panel[100:, 100:] == 255).all()
    turned = painter.panel((pose * [1, 1, 2])[None], ['track 1'], 200)
    assert (turned != painter.panel(pose[None], ['track 1'], 200)).any()  # depth shows
    assert cv2.countNonZero(255 - painter.panel(np.zeros((0, 17, 3)), [], 200)[..., 0]) == 0
