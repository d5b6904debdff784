import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_diffusion.datasets.synthetic import generate_video
from mmpose_diffusion.datasets.synthetic.contact_sheet import write_action_sheet, write_contact_sheet
from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings, video_name, write_videos
from mmpose_diffusion.datasets.synthetic.posetrack18 import labelled_frames, posetrack_annotations

SETTINGS = WorldSettings(videos=3, frames=4, people=2, width=128, height=96, unlabeled_share=0.25)
SAMPLE = Path(__file__).parents[4] / 'shared/data/posetrack18_sample/annotations/val/009473_mpii_test.json'


def write(root, settings=SETTINGS, workers=1):
    return list(write_videos(root, settings, workers))


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob('*') if path.is_file()}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    assert write(root) == [4, 4, 4]
    return root


def official(world, index=0):
    path = world / 'annotations' / SETTINGS.split / f'{video_name(SETTINGS, index)}.json'
    return json.loads(path.read_text())


def test_bytes_do_not_depend_on_the_number_of_workers(world, tmp_path):
    write(tmp_path, workers=2)
    assert contents(tmp_path) == contents(world)


def test_videos_do_not_depend_on_how_many_there_are(world, tmp_path):
    write(tmp_path, replace(SETTINGS, videos=1))
    first = {name: content for name, content in contents(tmp_path).items() if '000001' in name}
    assert len(first) == 5
    assert all(contents(world)[name] == content for name, content in first.items())


def test_interrupted_run_is_finished_and_leaves_no_half_video(world, tmp_path):
    write(tmp_path)
    name = video_name(SETTINGS, 1)
    (tmp_path / 'annotations/train' / f'{name}.json').unlink()
    (tmp_path / 'images/train' / name / '000002.jpg').unlink()
    leftover = tmp_path / 'images/train' / f'.{name}'
    leftover.mkdir()
    (leftover / '000000.jpg').write_bytes(b'half')
    assert sorted(write(tmp_path)) == [0, 0, 4]
    assert contents(tmp_path) == contents(world)


def test_folder_of_another_world_is_refused(world, tmp_path):
    with pytest.raises(ValueError, match='other settings'):
        write(world, replace(SETTINGS, seed=1))
    (tmp_path / 'annotations/train').mkdir(parents=True)
    with pytest.raises(ValueError, match='not written by this tool'):
        write(tmp_path)


def test_layout_is_official(world):
    assert sorted(path.name for path in (world / 'annotations/train').iterdir()) == [
        '000001_mpii_train.json', '000002_mpii_train.json', '000003_mpii_train.json']  # fmt: skip
    for image in official(world)['images']:
        picture = cv2.imread(str(world / image['file_name']))
        assert picture.shape == (image['height'], image['width'], 3) == (96, 128, 3)
        assert image['nframes'] == 4
        assert image['vid_id'] == '000001'
        assert image['id'] == image['frame_id']


@pytest.mark.skipif(not SAMPLE.exists(), reason='needs the real PoseTrack18 sample')
def test_keys_and_types_are_those_of_the_real_data(world):
    real, ours = json.loads(SAMPLE.read_text()), official(world)
    assert set(real) == set(ours)
    assert real['categories'] == ours['categories']
    for part, extra in (('images', set()), ('annotations', {'synthetic'})):
        assert set(ours[part][0]) == set(real[part][0]) | extra
        for key, value in real[part][0].items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            assert isinstance(ours[part][0][key], int | float if number else type(value)), key
    assert len(str(real['images'][0]['id'])) == len(str(ours['images'][0]['id']))
    assert len(str(real['annotations'][0]['id'])) == len(str(ours['annotations'][0]['id']))


def test_annotations_agree_with_the_truth(world):
    for entry in official(world)['annotations']:
        keypoints = np.reshape(entry['keypoints'], (17, 3))
        known = keypoints[:, 2] > 0
        assert entry['num_keypoints'] == known.sum()
        assert not known[[3, 4]].any(), 'ears are never annotated'
        assert (keypoints[~known] == 0).all()
        exact, occlusion = np.array(entry['synthetic']['keypoints_exact']), np.array(entry['synthetic']['occlusion'])
        np.testing.assert_array_equal(keypoints[known, :2], exact[known])
        assert (occlusion[known] <= 1).all(), 'visible, or hidden by the own body'
        hidden = np.delete(occlusion[~known], np.flatnonzero(np.isin(np.flatnonzero(~known), [3, 4])))
        assert (hidden >= 2).all(), 'hidden by others or outside'
        assert entry['bbox'][0] >= 0
        assert entry['bbox'][0] + entry['bbox'][2] <= 127.01
        assert min(entry['bbox'][2:] + entry['bbox_head'][2:]) > 0


def test_track_ids_persist_and_ids_are_unique():
    video = generate_video(0, 'easy', frames=6, people=3, size=(160, 120))
    official = posetrack_annotations(video, '000001_mpii_train', 'train', 0.0)
    actions = {}
    for entry in official['annotations']:
        assert actions.setdefault(entry['track_id'], entry['synthetic']['action']) == entry['synthetic']['action']
    ids = [entry['id'] for entry in official['annotations']]
    assert len(set(ids)) == len(ids)
    for track in actions:
        centres = np.array([
            np.add(entry['bbox'][:2], np.divide(entry['bbox'][2:], 2))
            for entry in official['annotations'] if entry['track_id'] == track
        ])  # fmt: skip
        assert np.abs(np.diff(centres, axis=0)).max(initial=0) < 12, 'a track does not jump'


def test_unlabelled_frames_have_no_annotations(world):
    content = official(world)
    unlabelled = {image['id'] for image in content['images'] if not image['is_labeled']}
    assert len(unlabelled) == 1
    assert not unlabelled & {entry['image_id'] for entry in content['annotations']}


@pytest.mark.parametrize(('count', 'share'), [(30, 0.2), (100, 0.5), (1, 0.5), (8, 0.0)])
def test_labelled_frames_surround_the_middle(count, share):
    labelled = labelled_frames(count, share)
    assert (~labelled).sum() == min(round(count * share), (~(np.arange(count) % 4 == 0)).sum())
    assert labelled[::4].all()
    assert labelled[count // 2] or share > 0.7


def test_people_hardly_seen_are_ignored_without_touching_others():
    found = 0
    for seed in (3, 4, 8):
        video = generate_video(seed, 'hard', frames=1, people=4, size=(160, 96), keep_labels=True)
        official = posetrack_annotations(video, '000001_mpii_train', 'train', 0.0)
        tracks = {entry['track_id'] for entry in official['annotations']}
        polygons = [polygon.astype(np.float32) for polygon in video.ignore_regions[0]]
        assert official['images'][0]['ignore_regions_x'] == [polygon[:, 0].tolist() for polygon in polygons]
        for person in video.people:
            if person.track_id not in tracks:
                rows, columns = np.nonzero(video.labels[0][::2, ::2] // 16 == person.track_id + 1)
                for x, y in zip(columns.tolist(), rows.tolist(), strict=True):
                    assert any(cv2.pointPolygonTest(polygon, (x, y), False) >= 0 for polygon in polygons)
                found += len(rows) > 0
        for entry in official['annotations']:
            occlusion = np.array(entry['synthetic']['occlusion'])
            for x, y in np.array(entry['synthetic']['keypoints_exact'])[occlusion == 0].tolist():
                label = video.labels[0][round(2 * y), round(2 * x)]
                if label // 16 == entry['track_id'] + 1:
                    assert all(cv2.pointPolygonTest(polygon, (x, y), True) < 1.5 for polygon in polygons)
    assert found, 'no video of this test has a person that is hardly seen'


@pytest.mark.parametrize(('change', 'message'), [
    ({'split': 'training'}, 'train, val, test'),
    ({'videos': -1}, 'videos'),
    ({'frames': 20_000}, 'at most 10000'),
    ({'people': 0}, 'between 1 and 12'),
    ({'motion_subjects': 0}, 'motion subjects'),
    ({'seed': -1}, 'negative'),
    ({'unlabeled_share': 1.0}, 'between 0 and 0.75'),
    ({'difficulty': 'none'}, 'easy, medium, hard'),
])  # fmt: skip
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **change)


def test_splits_have_different_names_and_pictures(world, tmp_path):
    val = replace(SETTINGS, videos=1, frames=1, split='val')
    write(tmp_path, val)
    image = json.loads((tmp_path / 'annotations/val/100001_mpii_test.json').read_text())['images'][0]
    assert image['file_name'] == 'images/val/100001_mpii_test/000000.jpg'
    train = cv2.imread(str(world / official(world)['images'][0]['file_name']))
    assert (cv2.imread(str(tmp_path / image['file_name'])) != train).mean() > 0.5


def test_contact_sheets_are_written(world, tmp_path):
    write_contact_sheet(tmp_path / 'sheets/frames.png', world, SETTINGS, rows=2, columns=2)
    assert cv2.imread(str(tmp_path / 'sheets/frames.png')).shape == (192, 256, 3)
    write_action_sheet(tmp_path / 'actions.jpg', 0, columns=1, cell=(32, 40))
    assert cv2.imread(str(tmp_path / 'actions.jpg')).shape == (240, 64, 3)
