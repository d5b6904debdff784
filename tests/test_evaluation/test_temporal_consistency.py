"""The registered metric of steadiness along annotated tracks."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample


def make_sample(frame, predicted_x, true_x=0.0, track_id=0, visible=1, identity=None, video='000001_mpii_test'):
    """One keypoint moving along x in a box of diagonal 50, with a head of size 30; a second one is not annotated."""
    sample = PoseDataSample(
        metainfo={
            'id': 1000 * track_id + frame if identity is None else identity,
            'video': video,
            'track_id': track_id,
            'key_frame_index': frame,
            'raw_ann_info': {'bbox_head': [0, 0, 30, 40]},
        }
    )
    sample.gt_instances = InstanceData(
        bboxes=np.array([[0, 0, 30, 40]], dtype=np.float32),
        keypoints=np.array([[[true_x, 0], [7, 7]]], dtype=np.float32),
        keypoints_visible=np.array([[visible, 0]], dtype=np.float32),
    )
    sample.pred_instances = InstanceData(
        keypoints=np.array([[[predicted_x, 0], [99 * (frame % 2), 0]]], dtype=np.float32)
    )
    return sample


def evaluate(samples, **arguments):
    evaluator = Evaluator([METRICS.build({'type': 'TemporalConsistency', **arguments})])
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


@pytest.mark.parametrize(('normalize', 'size'), [('bbox', 50), ('head', 30), ('none', 1)])
def test_known_motion_in_the_unit_asked_for(normalize, size):
    """Predicted t^3 has third difference 6; against 2 t^2 its second differences 6 t are off by |6 t - 4|."""
    samples = [make_sample(frame, frame**3, 2 * frame**2) for frame in range(5)]
    expected = {
        'temporal/jitter': 6 / size,
        'temporal/jitter_ground_truth': 0,
        'temporal/acceleration_error': (2 + 8 + 14) / 3 / size,
    }
    assert evaluate(samples, normalize=normalize) == pytest.approx(expected)


class DeviceTensor(torch.Tensor):
    """Like a tensor on another device, NumPy cannot read it before it is brought back."""

    def __array__(self, *_, **__):
        raise TypeError("can't convert a device tensor to numpy")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_tensors_of_another_device_are_read():
    samples = [make_sample(frame, frame**3) for frame in range(4)]
    for sample in samples:
        for instances in (sample.pred_instances, sample.gt_instances):
            for key, value in instances.items():
                instances.set_field(torch.from_numpy(value).as_subclass(DeviceTensor), key)
    assert evaluate(samples, normalize='none')['temporal/jitter'] == 6


def test_order_repeats_and_other_people_do_not_disturb_a_track():
    """Two people in two videos; the steady ones add zeros to the mean."""
    shaky = [make_sample(frame, frame**3) for frame in range(4)]
    steady = [make_sample(frame, frame, track_id=1) for frame in range(4)]
    elsewhere = [make_sample(frame, 5, video='000002_mpii_test') for frame in range(4)]
    mixed = [*elsewhere, *shaky[::-1], *steady, shaky[0], steady[3]]
    assert evaluate(mixed, normalize='none')['temporal/jitter'] == 2


def test_gap_and_missing_annotation_break_a_track():
    frames = (0, 1, 2, 3, 5, 6, 7)
    assert evaluate([make_sample(frame, frame**3) for frame in frames], normalize='none')['temporal/jitter'] == 6
    samples = [make_sample(frame, frame**3, visible=frame != 1) for frame in range(4)]
    assert np.isnan(evaluate(samples)['temporal/jitter'])


def test_too_short_tracks_give_nan():
    assert all(np.isnan(value) for value in evaluate([make_sample(frame, 0) for frame in range(2)]).values())
    assert all(np.isnan(value) for value in evaluate([]).values())


@pytest.mark.parametrize('key', ['video', 'track_id', 'key_frame_index', 'raw_ann_info'])
def test_samples_outside_annotated_tracks_are_refused(key):
    sample = make_sample(0, 0)
    delattr(sample, key)
    with pytest.raises(ValueError, match=f'has no {key}: TemporalConsistency follows annotated tracks'):
        evaluate([sample])


def test_two_people_in_one_place_of_a_track_are_refused():
    samples = [make_sample(3, 0, identity=5), make_sample(3, 0, identity=6)]
    with pytest.raises(ValueError, match='frame 3: samples 5 and 6 both belong to track 0'):
        evaluate(samples)


def test_unusable_sizes_and_predictions_are_refused():
    sample = make_sample(0, 0)
    sample.gt_instances.bboxes = np.zeros((1, 4))
    with pytest.raises(ValueError, match=r'the size of the person \(bbox\) is 0.0'):
        evaluate([sample])
    sample = make_sample(0, 0)
    sample.raw_ann_info.clear()
    with pytest.raises(ValueError, match="no bbox_head in raw_ann_info: use normalize='bbox'"):
        evaluate([sample], normalize='head')
    with pytest.raises(ValueError, match='predicted keypoints are not finite'):
        evaluate([make_sample(0, np.nan)])
    with pytest.raises(ValueError, match="normalize must be one of .* got 'torso'"):
        evaluate([], normalize='torso')
