"""How many images an evaluation decodes: every frame once, with workers or without."""

import pytest
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import DataLoader

OFFSETS = (-2, -1, 0, 1, 2)
NUM_FRAMES, NUM_PEOPLE, NUM_VIDEOS = 30, 3, 2


@pytest.fixture
def evaluation(world, make_video):
    for number in range(1, NUM_VIDEOS + 1):
        content = make_video(number, num_frames=NUM_FRAMES, labelled=range(NUM_FRAMES), people=NUM_PEOPLE)
        world.write(content, f'{number:06d}_mpii_test')

    def build(cache_megabytes):
        return DATASETS.build(
            {
                'type': 'PoseTrackVideoDataset',
                'data_root': str(world.root),
                'ann_file': 'annotations/val',
                'test_mode': True,
                'pipeline': [
                    {'type': 'SampleClip', 'offsets': OFFSETS},
                    {'type': 'LoadClip', 'cache_megabytes': cache_megabytes},
                    {'type': 'GetBBoxCenterScale', 'padding': 1.25},
                    {'type': 'TopdownAffine', 'input_size': (24, 32)},
                    {'type': 'PackClipInputs', 'meta_keys': ('img_id', 'id', 'num_decoded_frames')},
                ],
            }
        )

    return build


def decodes_per_frame(dataset, num_workers, contiguous):
    sampler = DATA_SAMPLERS.build({'type': 'ContiguousSampler', 'dataset': dataset})
    if contiguous:
        batches = {
            'batch_sampler': DATA_SAMPLERS.build(
                {'type': 'ContiguousBatchSampler', 'sampler': sampler, 'batch_size': 8, 'num_workers': num_workers}
            )
        }
    else:
        batches = {'sampler': sampler, 'batch_size': 8}
    loader = DataLoader(dataset, num_workers=num_workers, collate_fn=pseudo_collate, **batches)
    samples = [sample for batch in loader for sample in batch['data_samples']]
    assert len({sample.metainfo['id'] for sample in samples}) == len(dataset) == len(samples)
    decoded = sum(sample.metainfo['num_decoded_frames'] for sample in samples)
    return decoded / (NUM_VIDEOS * NUM_FRAMES)


def test_one_process_decodes_each_frame_exactly_once(evaluation):
    assert decodes_per_frame(evaluation(cache_megabytes=16), num_workers=0, contiguous=True) == 1


@pytest.mark.parametrize('num_workers', [1, 2])
def test_workers_decode_at_most_a_tenth_more(evaluation, num_workers):
    assert decodes_per_frame(evaluation(cache_megabytes=16), num_workers, contiguous=True) <= 1.1


def test_cache_and_contiguous_batches_are_what_makes_the_difference(evaluation):
    naive = (NUM_PEOPLE * (5 * NUM_FRAMES - 2 * 3)) / NUM_FRAMES  # border repeats need no decoding of their own
    assert decodes_per_frame(evaluation(cache_megabytes=0), num_workers=0, contiguous=True) == pytest.approx(naive)
    assert decodes_per_frame(evaluation(cache_megabytes=16), num_workers=2, contiguous=False) > 1.3


def test_a_cache_of_six_frames_is_enough(evaluation):
    six_frames = 6 * (96 * 64 * 3 + 256) / 2**20
    assert decodes_per_frame(evaluation(cache_megabytes=six_frames), num_workers=0, contiguous=True) == 1
