import numpy as np
import pytest
from mmengine.dataset.utils import worker_init_fn
from torch import Generator
from torch.utils.data import DataLoader, Dataset

from mmpose_diffusion.datasets.transforms import SampleClip
from mmpose_diffusion.datasets.transforms.sample_clip import WorkerGenerator


def test_window_around_a_key_frame_of_a_video():
    results = SampleClip(offsets=(-2, 0, 1)).transform({'video_frames': ['a', 'b', 'c'], 'key_frame_index': 1})
    assert results['clip_frame_indices'] == (0, 1, 2)
    assert results['frame_offsets'] == (-2, 0, 1)
    assert results['frame_is_real'] == (False, True, True)
    assert results['clip_key_index'] == 1


@pytest.mark.parametrize('single', [{'img': np.zeros((4, 4, 3), np.uint8)}, {'img_path': 'a.jpg'}])
def test_single_image_is_a_clip_of_itself_with_only_the_key_frame_real(single):
    results = SampleClip(offsets=(-1, 0, 1)).transform(dict(single))
    assert results['clip_frame_indices'] == (0, 0, 0)
    assert results['frame_is_real'] == (False, True, False)


def test_given_arrays_come_before_paths():
    results = SampleClip(offsets=(0, 1)).transform({'frames': [0, 0, 0], 'img_path': 'a.jpg', 'key_frame_index': 1})
    assert results['clip_frame_indices'] == (1, 2)


def test_sample_without_any_frame_is_refused():
    with pytest.raises(ValueError, match='video_frames, img or img_path'):
        SampleClip(offsets=(0,)).transform({'bbox': 1})


def test_video_without_key_frame_index_is_refused():
    with pytest.raises(ValueError, match='needs key_frame_index'):
        SampleClip(offsets=(0,)).transform({'video_frames': ['a']})


def test_key_frame_outside_the_video_names_the_video():
    with pytest.raises(ValueError, match='000001_x: key frame index 5'):
        SampleClip(offsets=(0,)).transform({'video': '000001_x', 'video_frames': ['a'], 'key_frame_index': 5})


@pytest.mark.parametrize(
    'arguments',
    [
        {},
        {'offsets': (0,), 'num_before': 1},
        {'num_before': 1, 'num_after': 1},
        {'num_before': 3, 'num_after': 1, 'max_distance': 2},
        {'num_before': -1, 'num_after': 1, 'max_distance': 2},
    ],
)
def test_arguments_that_do_not_say_which_frames_are_refused(arguments):
    with pytest.raises(ValueError, match='SampleClip (takes|draws)'):
        SampleClip(**arguments)


class DrawnOffsets(Dataset):
    """What SampleClip draws for sample `index` of a long video."""

    def __init__(self):
        self.sample_clip = SampleClip(num_before=2, num_after=2, max_distance=9)

    def __len__(self):
        return 12

    def __getitem__(self, index):
        sample = {'video_frames': range(100), 'key_frame_index': 50}
        return self.sample_clip.transform(sample)['frame_offsets']


def draw_two_epochs(seed, persistent_workers, rank=0):
    from functools import partial

    loader = DataLoader(
        DrawnOffsets(),
        batch_size=3,
        num_workers=2,
        collate_fn=list,
        persistent_workers=persistent_workers,
        # as MMEngine's runner does it: every worker gets the same seed whenever it starts
        worker_init_fn=partial(worker_init_fn, num_workers=2, rank=rank, seed=seed),
        generator=Generator().manual_seed(seed),
    )
    return [[offsets for batch in loader for offsets in batch] for _ in range(2)]


@pytest.mark.parametrize('persistent_workers', [False, True])
def test_epochs_differ_and_a_seed_repeats_them(persistent_workers):
    first, second = draw_two_epochs(0, persistent_workers)
    assert first != second
    assert len(set(first)) > 6  # samples of an epoch differ too
    assert draw_two_epochs(0, persistent_workers) == [first, second]
    assert draw_two_epochs(1, persistent_workers) != [first, second]


def test_ranks_draw_differently(monkeypatch):
    class Worker:
        seed = 5

    monkeypatch.setattr('mmpose_diffusion.datasets.transforms.sample_clip.get_worker_info', lambda: Worker)
    draws = []
    for rank in (0, 1, 0):
        monkeypatch.setattr('mmpose_diffusion.datasets.transforms.sample_clip.get_rank', lambda rank=rank: rank)
        draws.append(WorkerGenerator().get().random())
    assert draws[0] == draws[2] != draws[1]


def test_without_workers_the_global_seed_of_the_run_decides():
    sample = {'video_frames': range(100), 'key_frame_index': 50}
    transform = SampleClip(num_before=2, num_after=2, max_distance=9)
    runs = []
    for seed in (0, 0, 1):
        np.random.seed(seed)  # noqa: NPY002  what MMEngine's set_random_seed does
        runs.append([transform.transform(dict(sample))['frame_offsets'] for _ in range(5)])
    assert runs[0] == runs[1] != runs[2]
    assert len(set(runs[0])) > 1


def clip_of(neighbours, key_frame_index, length=100, offsets=(-3, -1, 0, 2, 5), **extra):
    sample = {'video_frames': range(length), 'key_frame_index': key_frame_index, **extra}
    return SampleClip(offsets=offsets, neighbours=neighbours).transform(sample)


@pytest.mark.parametrize('neighbours', ['repeated', 'shuffled'])
@pytest.mark.parametrize('key_frame_index', [0, 40, 99])
def test_replaced_neighbours_pass_for_the_true_ones(neighbours, key_frame_index):
    replaced, true = clip_of(neighbours, key_frame_index), clip_of('true', key_frame_index)
    for key in ('frame_offsets', 'frame_is_real', 'clip_key_index'):
        assert replaced[key] == true[key]
    assert replaced['clip_frame_indices'][2] == key_frame_index
    assert len(replaced['clip_frame_indices']) == 5


def test_repeated_key_frame_stands_everywhere():
    assert clip_of('repeated', 40)['clip_frame_indices'] == (40,) * 5


def test_shuffled_neighbours_leave_their_places_and_are_the_same_each_time():
    orders = set()
    for key_frame_index in range(10, 60):
        indices = clip_of('shuffled', key_frame_index)['clip_frame_indices']
        true = clip_of('true', key_frame_index)['clip_frame_indices']
        assert sorted(indices) == sorted(true)
        assert [place for place in range(5) if indices[place] == true[place]] == [2]
        assert clip_of('shuffled', key_frame_index)['clip_frame_indices'] == indices
        orders.add(tuple(index - key_frame_index for index in indices))
    assert len(orders) == 9  # all orders of four frames in which none keeps its place


def test_two_neighbours_change_places_and_none_stay_as_they_are():
    assert clip_of('shuffled', 7, offsets=(-1, 0, 1))['clip_frame_indices'] == (8, 7, 6)
    for neighbours in ('true', 'repeated', 'shuffled'):
        assert clip_of(neighbours, 7, offsets=(0,))['clip_frame_indices'] == (7,)


def test_neighbours_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="'true', 'repeated', 'shuffled'.*'none'"):
        SampleClip(offsets=(-1, 0, 1), neighbours='none')
    with pytest.raises(ValueError, match="single support frame .*'repeated'"):
        SampleClip(offsets=(-1, 0), neighbours='shuffled')
    with pytest.raises(ValueError, match='single support frame'):
        SampleClip(num_before=1, num_after=0, max_distance=3, neighbours='shuffled')
