"""What the inferencer estimates: the same as the evaluation, in batches of any size, streamed or not."""

import json
from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmpose_diffusion.apis import VideoPoseInferencer

from .conftest import people_of


def keypoints_of(results):
    return [np.array([person['keypoints'] for person in people]) for people in people_of(results)]


def evaluated(model, dataset, num_frames):
    """Keypoints [P, K, 2] and scores [P, K] of each frame, as tools/test.py gets them: sample by sample."""
    found = [([], []) for _ in range(num_frames)]
    for index in range(len(dataset)):
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[index]]))
        keypoints, scores = found[sample.metainfo['key_frame_index']]
        keypoints.append(sample.pred_instances.keypoints[0])
        scores.append(sample.pred_instances.keypoint_scores[0])
    return [(np.array(keypoints), np.array(scores)) for keypoints, scores in found]


def test_gives_what_the_evaluation_gives_for_the_same_boxes(inferencer, dataset, frames_folder, boxes):
    expected = evaluated(inferencer.model, dataset, len(boxes))
    results = inferencer(str(frames_folder), images_are_video=True, bboxes=boxes, batch_size=4)
    found = people_of(results)
    assert len(found) == len(expected) == 9
    for people, (keypoints, scores) in zip(found, expected, strict=True):
        np.testing.assert_allclose([person['keypoints'] for person in people], keypoints, atol=1e-4)
        np.testing.assert_allclose([person['keypoint_scores'] for person in people], scores, atol=1e-5)
    assert len({tuple(np.ravel(keypoints)) for keypoints, _ in expected}) == 9  # the answer depends on the frame


def test_same_seed_gives_the_same_json_whatever_the_batch_size(diffusion_inferencer, video_file, boxes, tmp_path):
    """Everything but the last digits of scores: sums of floats depend a little on how many clips are in a batch."""

    def written(name, **options):
        list(diffusion_inferencer(video_file, bboxes=boxes, pred_out_dir=tmp_path / name, **options))
        entries = json.loads((tmp_path / f'{name}/walk.json').read_text())
        scores = [person.pop('keypoint_scores') for entry in entries for person in entry['instances']]
        return entries, np.array(scores)

    alone, scores = written('alone', batch_size=1)
    for batch_size in (3, 16):
        entries, others = written(str(batch_size), batch_size=batch_size)
        assert entries == alone
        np.testing.assert_allclose(others, scores, atol=1.01e-5)
    assert written('again', batch_size=1)[1].tolist() == scores.tolist()
    assert written('other', batch_size=1, seed=1)[0] != alone


def test_options_hold_for_one_call(diffusion_inferencer, frames):
    options = dict(images_are_video=True, bboxes=[[[20, 20, 90, 150]]] * 2)
    alone = people_of(diffusion_inferencer(frames[:2], **options))
    more = dict(num_steps=1, num_hypotheses=4, seed=5, show_uncertainty=True, draw_heatmap=True)
    assert people_of(diffusion_inferencer(frames[:2], **options, **more)) != alone
    assert people_of(diffusion_inferencer(frames[:2], **options)) == alone


def test_batches_hold_people_of_several_frames(inferencer, frames, boxes, monkeypatch):
    sizes = []
    test_step = inferencer.model.test_step
    monkeypatch.setattr(
        inferencer.model, 'test_step', lambda data: sizes.append(len(data['inputs'])) or test_step(data)
    )
    num_people = sum(len(people) for people in boxes)
    list(inferencer(frames, images_are_video=True, bboxes=boxes, batch_size=len(frames)))
    assert sizes[0] == len(frames)
    assert sum(sizes) == num_people


@pytest.mark.parametrize('flip_test', [False, True])
def test_streaming_equals_the_sliding_window_while_boxes_stand_still(config, weights, frames, flip_test):
    config = deepcopy(config)
    config.model.test_cfg = dict(flip_test=flip_test)
    inferencer = VideoPoseInferencer(config, weights, device='cpu')
    boxes = [[[20, 20, 90, 150], [100, 10, 180, 150]]] * len(frames)
    options = dict(images_are_video=True, bboxes=boxes, batch_size=4)
    np.testing.assert_allclose(
        keypoints_of(inferencer(frames, stream=True, **options)), keypoints_of(inferencer(frames, **options)), atol=1e-4
    )


def count_passes(inferencer, monkeypatch, frames, **options):
    """Images that pass the backbone."""
    counts = []
    handle = inferencer.model.backbone.register_forward_pre_hook(lambda _, inputs: counts.append(len(inputs[0])))
    results = people_of(inferencer(frames, images_are_video=True, **options))
    handle.remove()
    return sum(counts), results


def test_streaming_passes_each_frame_once_and_the_sliding_window_five_times(inferencer, frames, monkeypatch):
    still = [[[20, 20, 90, 150]]] * 9
    assert count_passes(inferencer, monkeypatch, frames, bboxes=still)[0] == 9 * 5
    assert count_passes(inferencer, monkeypatch, frames, bboxes=still, stream=True)[0] == 9
    walking = [[[20 + 10 * frame, 20, 90 + 10 * frame, 150 - frame]] for frame in range(9)]
    count, results = count_passes(inferencer, monkeypatch, frames, bboxes=walking, stream=True)
    assert count == 9
    assert [people[0]['bbox'][0] for people in results] == [people[0] for people in walking]
    # Somebody who comes in frame 4 and goes in frame 7 is looked for in two frames before and after.
    coming = [[]] * 4 + [[[20, 20, 90, 150]]] * 2 + [[]] * 3
    assert count_passes(inferencer, monkeypatch, frames, bboxes=coming, stream=True)[0] == 2 + 2 + 2


def test_streaming_with_crops_that_move_gives_nearly_the_same(inferencer, frames):
    """Only the neighbours' maps are resampled: far less than looking at another place would change."""
    walking = [[[20 + 6 * frame, 20, 90 + 6 * frame, 150]] for frame in range(9)]
    options = dict(images_are_video=True, return_datasamples=True, draw_heatmap=True)

    def heatmaps(**more):
        results = people_of(inferencer(frames, **options, **more))
        return np.stack([sample.pred_fields.heatmaps for sample in results])

    exact, streamed = heatmaps(bboxes=walking), heatmaps(bboxes=walking, stream=True)
    elsewhere = heatmaps(bboxes=[walking[0]] * 9)
    assert np.abs(streamed - exact).mean() < 0.5 * np.abs(elsewhere - exact).mean()


def test_streaming_gives_each_of_two_people_their_own_crop(inferencer, frames):
    crossing = [
        [[20 + 15 * frame, 20, 90 + 15 * frame, 150], [150 - 15 * frame, 20, 220 - 15 * frame, 150]]
        for frame in range(9)
    ]
    results = people_of(inferencer(frames, images_are_video=True, bboxes=crossing, stream=True))
    assert [len(people) for people in results] == [2] * 9
    for people, boxes in zip(results, crossing, strict=True):
        assert [person['bbox'][0] for person in people] == boxes


@pytest.mark.parametrize('offsets', [(0,), (-2, -1, 0, 1, 2)])
def test_streaming_does_not_depend_on_the_batch_size(config, weights, frames, offsets):
    """Neither when clips are single frames, nor when somebody is away for a while."""
    config = deepcopy(config)
    config.test_dataloader.dataset.pipeline[0].offsets = offsets
    inferencer = VideoPoseInferencer(config, weights, device='cpu')
    trembling = [[[20 + frame, 20, 90 + frame, 150]] if frame not in (3, 4, 5) else [] for frame in range(9)]
    options = dict(images_are_video=True, bboxes=trembling, stream=True)
    alone = keypoints_of(inferencer(frames, batch_size=1, **options))
    for batch_size in (2, 3, 16):
        for one, other in zip(alone, keypoints_of(inferencer(frames, batch_size=batch_size, **options)), strict=True):
            np.testing.assert_allclose(other, one, atol=1e-4)
