"""Long, broken, empty and crowded videos; work that is interrupted; results that cannot be written."""

import json
import weakref
from copy import deepcopy

import cv2
import numpy as np
import pytest

from mmpose_diffusion.apis import VideoPoseInferencer, result_files
from mmpose_diffusion.apis.frame_sources import Frame, FrameSource
from mmpose_diffusion.apis.result_files import VideoFile
from mmpose_diffusion.evaluation.functional.posetrack_files import parse_posetrack_video

from .conftest import people_of

BOX = [20, 20, 90, 150]


def read_video(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        is_there, frame = capture.read()
        if not is_there:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(frame)


def test_video_becomes_a_video_with_skeletons_and_json(inferencer, video_file, frames, boxes, tmp_path):
    results = list(
        inferencer(
            video_file, bboxes=boxes, batch_size=4, out_dir=tmp_path, posetrack_json=True, kpt_thr=-1, return_vis=True
        )
    )
    pictures, fps = read_video(tmp_path / 'visualizations/walk.mp4')
    assert (len(pictures), fps) == (len(frames), 12.5)
    for result, picture, frame in zip(results, pictures, frames, strict=True):
        (drawn,) = result['visualization']  # red first, as MMPose's
        assert np.abs(drawn[..., ::-1].astype(int) - picture).mean() < 12
        assert np.abs(drawn[..., ::-1].astype(int) - frame).mean() > 1
    entries = json.loads((tmp_path / 'predictions/walk.json').read_text())
    assert [entry['frame_id'] for entry in entries] == list(range(len(frames)))
    for entry, people in zip(entries, people_of(results), strict=True):
        assert [person['track_id'] for person in entry['instances']] == [person['track_id'] for person in people]
        for written, person in zip(entry['instances'], people, strict=True):
            np.testing.assert_allclose(written['keypoints'], person['keypoints'], atol=6e-4)
    assert {person['track_id'] for people in people_of(results) for person in people} == {0, 1}

    content = json.loads((tmp_path / 'predictions/walk_posetrack.json').read_text())
    for image in content['images']:  # the official reader wants the official names of folders
        image['file_name'] = image['file_name'].replace('walk', '000001_mpii_test')
    video = parse_posetrack_video(content, 'walk', is_prediction=True)
    assert len(video.people.frame) == sum(len(people) for people in boxes)
    people = [person for entry in entries for person in entry['instances']]
    for annotation, person in zip(content['annotations'], people, strict=True):
        triplets = np.reshape(annotation['keypoints'], (-1, 3))
        assert triplets[:, :2].tolist() == person['keypoints']
        assert triplets[:, 2].tolist() == person['keypoint_scores']  # five digits
        np.testing.assert_allclose(annotation['scores'], person['keypoint_scores'], atol=1e-5)
        assert annotation['score'] == pytest.approx(np.mean(person['keypoint_scores']), abs=1e-5)


def test_images_have_results_of_their_own(inferencer, frames_folder, boxes, tmp_path):
    results = list(inferencer(str(frames_folder), bboxes=boxes, batch_size=5, out_dir=tmp_path))
    names = sorted(path.stem for path in frames_folder.glob('*.jpg'))
    assert sorted(path.stem for path in (tmp_path / 'predictions').iterdir()) == names
    assert sorted(path.stem for path in (tmp_path / 'visualizations').iterdir()) == names
    first = json.loads((tmp_path / f'predictions/{names[0]}.json').read_text())
    np.testing.assert_allclose(first[0]['keypoints'], people_of(results)[0][0]['keypoints'], atol=6e-4)
    assert 'track_id' not in first[0]
    alone = people_of(inferencer(str(frames_folder / f'{names[0]}.jpg'), bboxes=boxes[:1]))
    assert alone == people_of(results)[:1]


def test_interrupted_work_leaves_a_playable_video_and_valid_json(inferencer, video_file, boxes, tmp_path, monkeypatch):
    test_step, calls = inferencer.model.test_step, []

    def interrupt(data):
        calls.append(data)
        if len(calls) == 9:  # people 9 and 10 are in frame 4
            raise KeyboardInterrupt
        return test_step(data)

    monkeypatch.setattr(inferencer.model, 'test_step', interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(inferencer(video_file, bboxes=boxes, out_dir=tmp_path, posetrack_json=True))
    assert len(read_video(tmp_path / 'visualizations/walk.mp4')[0]) == 4
    assert len(json.loads((tmp_path / 'predictions/walk.json').read_text())) == 4
    assert len(json.loads((tmp_path / 'predictions/walk_posetrack.json').read_text())['images']) == 4


def test_whoever_stops_taking_results_keeps_what_was_done(inferencer, video_file, boxes, tmp_path):
    results = inferencer(video_file, bboxes=boxes, out_dir=tmp_path)
    for _ in range(3):
        next(results)
        entries = json.loads((tmp_path / 'predictions/walk.json').read_text())  # valid after every frame
    assert len(entries) == 3
    results.close()
    assert len(read_video(tmp_path / 'visualizations/walk.mp4')[0]) == 3


@pytest.mark.parametrize('name', ['out_dir', 'vis_out_dir', 'pred_out_dir'])
def test_unwritable_folders_are_reported_before_the_work(inferencer, video_file, tmp_path, monkeypatch, name):
    (tmp_path / 'file').write_text('')
    monkeypatch.setattr(inferencer.model, 'test_step', pytest.fail)
    with pytest.raises(OSError, match=r'cannot be written to .*file/results'):
        inferencer(video_file, bboxes=[[BOX]] * 9, **{name: str(tmp_path / 'file/results')})


def test_results_never_replace_their_input(inferencer, video_file, tmp_path):
    with pytest.raises(ValueError, match=r'overwrite the input .*walk.mp4'):
        inferencer(video_file, bboxes=[], vis_out_dir=str(tmp_path / 'input'))
    with pytest.raises(ValueError, match=r'overwrite the input .*walk.mp4'):
        inferencer(video_file, bboxes=[], vis_out_dir=video_file)


@pytest.mark.parametrize('name', ['walk', 'walk_posetrack', '000001'])
def test_results_never_replace_the_box_file(inferencer, video_file, frames, tmp_path, name):
    path = tmp_path / f'{name}.json'
    path.write_text(content := json.dumps([dict(frame_id=0, bbox=[20, 20, 70, 130])]))
    inferencer.det_model = str(path)
    inputs, is_video = (frames, False) if name == '000001' else (video_file, True)
    with pytest.raises(ValueError, match=f'overwrite the input .*{name}.json'):
        inferencer(inputs, pred_out_dir=str(tmp_path), posetrack_json=is_video)
    assert path.read_text() == content


def test_videos_that_cannot_be_written_are_reported_before_the_work(inferencer, video_file, tmp_path):
    with pytest.raises(ValueError, match='fps must be .* at most 1000, got 1001'):
        inferencer(video_file, bboxes=[], vis_out_dir=str(tmp_path), fps=1001)
    with pytest.raises(OSError, match='walk.mp4 cannot be written.*0.0001 frames per second'):
        inferencer(video_file, bboxes=[], vis_out_dir=str(tmp_path), fps=0.0001)
    (tmp_path / 'walk.mp4').mkdir()
    with pytest.raises(IsADirectoryError, match='walk.mp4 cannot be written: it is a folder'):
        inferencer(video_file, bboxes=[], vis_out_dir=str(tmp_path))


@pytest.mark.parametrize('fps', [23.976, 90.009, 999.99])
def test_odd_frame_rates_can_be_written(tmp_path, fps):
    video = VideoFile(tmp_path / 'walk.mp4', fps)
    for _ in range(3):
        video.append(np.zeros((40, 60, 3), np.uint8))
    video.close()
    pictures, written = read_video(tmp_path / 'walk.mp4')
    assert (len(pictures), written) == (3, pytest.approx(fps, rel=1e-4))


def test_a_writer_that_fails_does_not_say_that_there_is_a_video(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(result_files, 'print_log', lambda message, **_: said.append(message))
    video = VideoFile(tmp_path / 'walk.mp4', 25)
    (tmp_path / 'walk.mp4').mkdir()
    with pytest.raises(OSError, match='cannot be written'):
        video.append(np.zeros((40, 60, 3), np.uint8))
    video.close()
    assert not said


def test_results_that_nobody_takes_leave_valid_files(inferencer, video_file, tmp_path):
    inferencer(video_file, bboxes=[], pred_out_dir=tmp_path, posetrack_json=True).close()
    assert json.loads((tmp_path / 'walk.json').read_text()) == []
    assert json.loads((tmp_path / 'walk_posetrack.json').read_text())['images'] == []


def test_images_of_one_name_are_refused(inferencer, frames, tmp_path):
    paths = [str(tmp_path / folder / 'a.jpg') for folder in 'xy']
    for path, frame in zip(paths, frames, strict=False):
        (tmp_path / path).parent.mkdir()
        cv2.imwrite(path, frame)
    with pytest.raises(ValueError, match='have one name'):
        inferencer(paths, bboxes=[[BOX]] * 2, pred_out_dir=str(tmp_path / 'out'))
    assert len(list(inferencer(paths, bboxes=[[BOX]] * 2))) == 2  # nothing is written


@pytest.mark.parametrize('stream', [False, True])
def test_nobody_in_the_video(inferencer, video_file, frames, tmp_path, stream):
    results = list(inferencer(video_file, bboxes=[[]] * len(frames), out_dir=tmp_path, batch_size=4, stream=stream))
    assert people_of(results) == [[]] * len(frames)
    assert len(read_video(tmp_path / 'visualizations/walk.mp4')[0]) == len(frames)
    entries = json.loads((tmp_path / 'predictions/walk.json').read_text())
    assert [entry['instances'] for entry in entries] == [[]] * len(frames)


@pytest.mark.parametrize('stream', [False, True])
def test_thirty_people(inferencer, frames, stream):
    crowd = [[left, top, left + 60, top + 80] for left in range(0, 180, 30) for top in range(0, 80, 16)]
    assert len(crowd) == 30
    results = people_of(inferencer(frames[:3], images_are_video=True, bboxes=[crowd] * 3, batch_size=16, stream=stream))
    for people in results:
        assert [person['bbox'][0] for person in people] == crowd
        assert len({person['track_id'] for person in people}) == 30


@pytest.mark.parametrize('stream', [False, True])
def test_broken_frame_is_bridged(inferencer, frames, boxes, tmp_path, stream):
    for index, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f'{index}.png'), frame)
    options = dict(images_are_video=True, bboxes=boxes, batch_size=3, stream=stream)
    whole = people_of(inferencer(str(tmp_path), **options))
    (tmp_path / '4.png').write_bytes(b'broken')
    bridged = people_of(inferencer(str(tmp_path), out_dir=str(tmp_path / 'out'), **options))
    assert [len(people) for people in bridged] == [len(people) for people in whole]
    assert bridged[0] == whole[0]  # too far away to notice
    assert bridged[4] != whole[4]
    assert len(read_video(tmp_path / f'out/visualizations/{tmp_path.name}.mp4')[0]) == len(frames)


def test_the_video_with_skeletons_is_as_long_as_a_damaged_one(inferencer, frames, tmp_path):
    """Clips have five frames: of seven broken ones in a row three are in the dark, and of three in front the first."""
    for index in range(17):
        if index < 3 or 6 <= index < 13:
            (tmp_path / f'{index}.png').write_bytes(b'broken')
        else:
            cv2.imwrite(str(tmp_path / f'{index}.png'), frames[index % len(frames)])
    options = dict(images_are_video=True, bboxes=[[BOX]] * 17, vis_out_dir=str(tmp_path / 'walk.avi'))
    results = people_of(inferencer(str(tmp_path), **options))
    assert [index for index, people in enumerate(results) if not people] == [0, 8, 9, 10]
    pictures, _ = read_video(tmp_path / 'walk.avi')
    assert len(pictures) == 17
    assert pictures[0].max() < 20 < pictures[1].max()
    for index in (8, 9, 10):
        np.testing.assert_array_equal(pictures[index], pictures[7])


@pytest.mark.parametrize('stream', [False, True])
def test_pictures_of_changing_size_are_scenes_of_their_own(inferencer, frames, tmp_path, stream):
    images = [*frames[:3], *(np.ascontiguousarray(frame[:100, :150]) for frame in frames[3:5])]
    options = dict(images_are_video=True, batch_size=5, stream=stream)
    results = people_of(inferencer(images, bboxes=[[BOX]] * 5, vis_out_dir=str(tmp_path / 'walk.mp4'), **options))
    scenes = [
        people_of(inferencer(scene, bboxes=[[BOX]] * len(scene), **options)) for scene in (images[:3], images[3:])
    ]
    for people, expected in zip(results, scenes[0] + scenes[1], strict=True):
        np.testing.assert_allclose(people[0]['keypoints'], expected[0]['keypoints'], atol=1e-4)
    pictures, _ = read_video(tmp_path / 'walk.mp4')
    assert [picture.shape for picture in pictures] == [frames[0].shape] * 5


@pytest.mark.parametrize('stream', [False, True])
def test_memory_does_not_grow_with_the_video(inferencer, tmp_path, monkeypatch, stream):
    """300 frames of which never more are held than a clip, a batch and the frame at hand."""
    alive, most = 0, 0

    def vanish():
        nonlocal alive
        alive -= 1

    def read():
        nonlocal alive, most
        for index in range(300):
            image = np.full((32, 24, 3), index % 256, np.uint8)
            weakref.finalize(image, vanish)
            alive += 1
            most = max(most, alive)
            yield Frame(index, image, f'{index}.jpg')
            del image

    source = FrameSource('long', read, is_video=True, num_frames=300)
    monkeypatch.setattr('mmpose_diffusion.apis.video_pose_inferencer.open_frames', lambda *_: source)
    results = inferencer('long', bboxes=[[[2, 2, 20, 30]]] * 300, batch_size=4, stream=stream, pred_out_dir=tmp_path)
    num_results = sum(1 for _ in results)
    assert num_results == 300
    assert most <= len(inferencer.frame_offsets) + 3 * 4


def test_results_come_while_the_video_is_read(inferencer, monkeypatch):
    """With a batch of one, a result waits for the two frames after it and no more."""
    read = []

    def frames():
        for index in range(20):
            read.append(index)
            yield Frame(index, np.full((32, 24, 3), index, np.uint8), f'{index}.jpg')

    source = FrameSource('live', frames, is_video=True)
    monkeypatch.setattr('mmpose_diffusion.apis.video_pose_inferencer.open_frames', lambda *_: source)
    for index, _ in enumerate(inferencer('live', bboxes=[[[2, 2, 20, 30]]] * 20)):
        assert len(read) == min(index + 3, 20)


def test_options_that_cannot_be_meant_are_refused_at_once(inferencer, config, frames):
    with pytest.raises(ValueError, match='HeatmapHead does not sample'):
        inferencer(frames, num_steps=2)
    with pytest.raises(ValueError, match='unknown argument'):
        inferencer(frames, batchsize=2)
    with pytest.raises(ValueError, match='stream=True is for videos'):
        inferencer(frames, stream=True, bboxes=[])
    with pytest.raises(ValueError, match='batch_size'):
        inferencer(frames, batch_size=0)
    with pytest.raises(FileNotFoundError, match='support_fusion_tiny_synthetic'):
        VideoPoseInferencer('support_fusion_tiny_synthetik')
    config = deepcopy(config)
    config.test_dataloader.dataset.pipeline = [dict(type='LoadImage')]
    with pytest.raises(ValueError, match='MMPoseInferencer'):
        VideoPoseInferencer(config, device='cpu')


def test_hypotheses_become_ellipses(diffusion_inferencer, frames):
    options = dict(images_are_video=True, bboxes=[[BOX]] * 2, return_vis=True, kpt_thr=-10, num_hypotheses=4)
    plain, uncertain = (
        list(diffusion_inferencer(frames[:2], show_uncertainty=show, **options)) for show in (False, True)
    )
    assert 'keypoint_covariances' not in plain[0]['predictions'][0][0]
    assert np.shape(uncertain[0]['predictions'][0][0]['keypoint_covariances']) == (17, 2, 2)
    assert plain[0]['predictions'][0][0]['keypoints'] == uncertain[0]['predictions'][0][0]['keypoints']
    assert (plain[0]['visualization'][0] != uncertain[0]['visualization'][0]).any()
    with pytest.raises(ValueError, match='num_hypotheses'):
        diffusion_inferencer(frames, show_uncertainty=True, num_hypotheses=1, bboxes=[])
