from pathlib import Path

import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS

from mmpose_diffusion.datasets.human36m_layout import H36M_KEPT
from mmpose_diffusion.datasets.mpi_inf_3dhp_sequence import OUTDOORS, STUDIO, intrinsic_of_sensor
from mmpose_diffusion.datasets.pose_sequence_dataset import mirror_poses
from mmpose_diffusion.datasets.synthetic.dataset_writer import WorldSettings
from mmpose_diffusion.datasets.synthetic.videopose3d import make_motions, write_motions
from mmpose_diffusion.evaluation.functional.camera_projection import project
from mmpose_diffusion.evaluation.functional.pose_tracks import join_chunks

OFFICIAL = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'h36m_sample'
needs_official = pytest.mark.skipif(not OFFICIAL.exists(), reason='four frames of Human3.6M lie outside the project')
TOTAL = 23


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Motions of two people as a synthetic world writes them."""
    root = tmp_path_factory.mktemp('world')
    write_motions(root, WorldSettings(videos=0, split='val', motion_subjects=2, motion_frames=TOTAL))
    return root


def load(root, **arguments):
    files = {'ann_file': 'videopose3d_val.npz', 'keypoints_2d_file': 'videopose3d_val.npz'}
    return DATASETS.build({
        'type': 'Human36mSequenceDataset', 'data_root': str(root), 'num_frames': 9, **files, **arguments
    })  # fmt: skip


def stored(root, name='videopose3d_val.npz'):
    return {key: value.item() for key, value in np.load(root / name, allow_pickle=True).items()}


def test_3d_poses_under_their_camera_give_the_2d_poses(world):
    for sequence in load(world).sequences:
        seen = project(sequence.positions_3d.astype(np.float64), sequence.camera)
        np.testing.assert_allclose(seen, sequence.keypoints_2d, atol=2e-6)


def test_sequences_are_all_subjects_actions_and_cameras(world):
    content, dataset = stored(world), load(world, keypoints_2d_file='videopose3d_val_detected.npz')
    sequences = {sequence.name: sequence for sequence in dataset.sequences}
    assert len(sequences) == len(dataset.sequences) == 2 * 13 * 4
    sequence = sequences['S11 Walking 1, camera 3']
    assert (sequence.subject, sequence.action, sequence.camera_index) == ('S11', 'Walking', 3)
    assert sequence.image_size == (1000, 1002)
    world_poses, camera = content['positions_3d']['S11']['Walking 1'], content['cameras']['S11'][3]
    distances = np.linalg.norm(world_poses[:, H36M_KEPT] - camera['translation'], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(sequence.positions_3d, axis=-1), distances, rtol=1e-6)
    detected = stored(world, 'videopose3d_val_detected.npz')['positions_2d']['S11']['Walking 1'][3]
    np.testing.assert_allclose(sequence.keypoints_2d, detected / 500 - [1, 1.002], atol=1e-6)


def test_a_sample_is_a_chunk_of_root_relative_poses(world):
    dataset = load(world, test_mode=True, pipeline=[{'type': 'PackPoseSequence'}])
    assert len(dataset) == 2 * 13 * 4 * 3
    packed = dataset[2]
    sample, sequence = packed['data_samples'], dataset.sequences[0]
    frames = np.arange(TOTAL - 9, TOTAL)
    assert packed['inputs'].dtype == torch.float32
    np.testing.assert_array_equal(packed['inputs'], sequence.keypoints_2d[frames])
    truth = sample.gt_instances
    np.testing.assert_array_equal(truth.keypoints_2d, sequence.keypoints_2d[frames])
    np.testing.assert_allclose(truth.lifting_target + truth.root_trajectory, sequence.positions_3d[frames], atol=1e-6)
    assert (truth.lifting_target[:, 0] == 0).all()
    assert truth.root_trajectory.shape == (9, 1, 3)
    assert truth.frame_valid.tolist() == [False] * 4 + [True] * 5
    assert truth.frame_annotated.all()
    np.testing.assert_array_equal(sample.gt_instance_labels.lifting_target, truth.lifting_target)
    assert sample.gt_instance_labels.lifting_target.dtype == torch.float32
    assert sample.metainfo['frame_ids'].tolist() == frames.tolist()
    assert sample.metainfo['camera'].shape == (9,)
    expected = {'action': 'Walking', 'subject': 'S9', 'camera_index': 0, 'person': 0, 'id': 2, 'root_index': 0}
    assert expected.items() <= sample.metainfo.items()
    assert (sample.metainfo['num_keypoints'], sample.metainfo['category_id']) == (17, 1)
    assert sample.metainfo['flip_indices'] == [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]


def test_in_training_every_chunk_is_there_as_it_is_and_mirrored(world):
    dataset = load(world)
    assert len(dataset) == 2 * 13 * 4 * 3 * 2
    assert sorted(dataset[index]['id'] for index in range(len(dataset))) == list(range(len(dataset)))
    plain, mirrored = dataset[4], dataset[5]
    assert (plain['mirrored'], mirrored['mirrored']) == (False, True)
    assert plain['frame_ids'].tolist() == mirrored['frame_ids'].tolist() == [*range(16, 23), 22, 22]
    assert plain['frame_valid'].tolist() == [True] * 7 + [False] * 2
    left, right = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]
    for key in ('keypoints_2d', 'lifting_target'):
        expected = plain[key].copy()
        expected[:, left], expected[:, right] = plain[key][:, right], plain[key][:, left]
        expected[..., 0] = -expected[..., 0]
        np.testing.assert_allclose(mirrored[key], expected, atol=1e-6)
    # The mirrored person seen by the mirrored camera.
    seen = project((mirrored['lifting_target'] + mirrored['root_trajectory']).astype(float), mirrored['camera'])
    np.testing.assert_allclose(seen, mirrored['keypoints_2d'], atol=2e-6)
    assert len(load(world, mirror=False)) == len(dataset) // 2
    assert len(load(world, stride=4)) == 2 * len(dataset)


def test_mirroring_twice_changes_nothing():
    poses = np.random.default_rng(0).normal(size=(4, 17, 3))
    flip_indices = [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]
    np.testing.assert_array_equal(mirror_poses(mirror_poses(poses, flip_indices), flip_indices), poses)


def test_samples_do_not_share_memory_with_the_data_set(world):
    dataset = load(world, test_mode=True)
    dataset[0]['keypoints_2d'][:] = dataset[0]['lifting_target'][:] = 5
    assert np.abs(dataset[0]['keypoints_2d']).max() < 2
    assert np.abs(dataset[0]['lifting_target']).max() < 2


def write(root, name, **content):
    np.savez(root / name, **{key: np.array(value, dtype=object) for key, value in content.items()})


@pytest.fixture(scope='module')
def motions():
    return make_motions(1, 'val', subjects=1, frames=12)


@pytest.fixture
def files(tmp_path, motions):
    """Npz files of one take of S9, to be spoilt: keys are the names of the files."""
    poses, views = motions['positions_3d']['S9']['Boxing'], motions['positions_2d']['S9']['Boxing']
    content = {
        '3d.npz': {'positions_3d': {'S9': {'Boxing 2': poses}}, 'cameras': motions['cameras']},
        '2d.npz': {'positions_2d': {'S9': {'Boxing 2': views}}, 'metadata': motions['metadata']},
    }

    def write_and_load(**arguments):
        for name, arrays in content.items():
            write(tmp_path, name, **arrays)
        return load(tmp_path, ann_file='3d.npz', keypoints_2d_file='2d.npz', **arguments)

    return content, write_and_load


def test_2d_poses_without_3d_poses_are_cut_off(files):
    content, load_files = files
    take = content['3d.npz']['positions_3d']['S9']
    take['Boxing 2'] = take['Boxing 2'][:10]
    assert {len(sequence.keypoints_2d) for sequence in load_files().sequences} == {10}


def test_17_joints_are_taken_as_they_are(files):
    content, load_files = files
    expected = load_files().sequences[0].positions_3d
    take = content['3d.npz']['positions_3d']['S9']
    take['Boxing 2'] = take['Boxing 2'][:, H36M_KEPT]
    np.testing.assert_array_equal(load_files().sequences[0].positions_3d, expected)


def test_several_people_are_lifted_one_by_one_and_stacked_again(files):
    content, load_files = files
    take = content['3d.npz']['positions_3d']['S9']
    alone = load_files().sequences
    take['Boxing 2'] = np.stack([take['Boxing 2'], take['Boxing 2'] + [0.1, 0, 0]], axis=1)
    views = content['2d.npz']['positions_2d']['S9']
    views['Boxing 2'] = [np.stack([view, view + 3], axis=1) for view in views['Boxing 2']]
    dataset = load_files(num_frames=5, test_mode=True, subjects=['S9'])
    assert [(sequence.name, sequence.person) for sequence in dataset.sequences[:3]] == [
        ('S9 Boxing 2, camera 0', 0), ('S9 Boxing 2, camera 0', 1), ('S9 Boxing 2, camera 1', 0)
    ]  # fmt: skip
    chunks = [chunk for chunk in map(dataset.get_data_info, range(len(dataset))) if chunk['camera_index'] == 0]
    people = []
    for person in (0, 1):
        own = [chunk for chunk in chunks if chunk['person'] == person]
        absolute = [chunk['lifting_target'] + chunk['root_trajectory'] for chunk in own]
        people.append(join_chunks([chunk['frame_ids'] for chunk in own], absolute)[1])
    together = np.stack(people, axis=1)
    assert together.shape == (12, 2, 17, 3)
    np.testing.assert_allclose(together[:, 0], alone[0].positions_3d, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together[:, 1] - together[:, 0], axis=-1), 0.1, atol=1e-6)


def test_bad_files_are_named(files):
    content, load_files = files
    poses, views, cameras = content['3d.npz']['positions_3d'], content['2d.npz']['positions_2d'], content['3d.npz']
    with pytest.raises(ValueError, match='S9 Boxing 2, camera 0 has 12 frames, fewer than a chunk of 13'):
        load_files(num_frames=13)
    padded = load_files(num_frames=13, pad_short_sequences=True, test_mode=True)
    assert padded[0]['frame_ids'].tolist() == [*range(12), 11]
    assert padded[0]['frame_valid'].sum() == 12
    with pytest.raises(ValueError, match=r'3d\.npz has no subject S1; it has S9'):
        load_files(subjects=['S1'])
    with pytest.raises(ValueError, match='stride from 1 to num_frames'):
        load_files(stride=10)
    with pytest.raises(ValueError, match='mirror=True is for training'):
        load_files(test_mode=True, mirror=True)
    with pytest.raises(FileNotFoundError, match=r'there is no camera file .*make_human36m_cameras'):
        load_files(camera_file='cameras.json')

    views['S9']['Boxing 2'] = [view[:11] for view in views['S9']['Boxing 2']]
    with pytest.raises(ValueError, match=r'S9 Boxing 2, camera 0: 2D poses \(11, 17, 2\) do not fit 3D poses \(12, '):
        load_files()
    views['S9'] = {}
    with pytest.raises(ValueError, match=r'2d\.npz has no 2D poses of S9 Boxing 2, .*3d\.npz has 3D poses'):
        load_files()
    cameras['cameras'] = {'S1': cameras['cameras']['S9']}
    with pytest.raises(ValueError, match=r'3d\.npz has no cameras of subject S9; it has S1'):
        load_files()
    del cameras['cameras']
    with pytest.raises(ValueError, match='no cameras: give camera_file'):
        load_files()
    content['2d.npz'] = {'positions_2d': np.zeros(3)}
    with pytest.raises(ValueError, match=r'2d\.npz: expected a dictionary of subjects under positions_2d, got ndarray'):
        load_files()
    content['2d.npz'] = {'positions': poses}
    with pytest.raises(ValueError, match=r'2d\.npz has no positions_2d; its keys are: positions'):
        load_files()
    content['3d.npz'] = {'poses': poses}
    with pytest.raises(ValueError, match=r'neither positions_3d .* nor imgname and S .*; its keys are: poses'):
        load_files()


def test_poses_that_are_not_finite_are_named(files):
    content, load_files = files
    take = content['2d.npz']['positions_2d']['S9']
    take['Boxing 2'] = [view.copy() for view in take['Boxing 2']]
    take['Boxing 2'][1][7, 3, 0] = np.nan
    with pytest.raises(ValueError, match='S9 Boxing 2, camera 1: the 2D pose of frame 7 is not finite'):
        load_files()


@needs_official
def test_mmpose_layout_with_its_cameras_and_without():
    arguments = {'ann_file': 'test_h36m_body3d.npz', 'num_frames': 1, 'test_mode': True, 'keypoints_2d_file': None}
    dataset = load(OFFICIAL, camera_file='cameras.pkl', **arguments)
    assert [sequence.action for sequence in dataset.sequences] == ['Directions', 'SittingDown', 'Greeting', 'WalkDog']
    first = dataset.sequences[0]
    assert (first.subject, first.camera_index, first.frame_ids.tolist()) == ('S1', 0, [1])
    for sequence in dataset.sequences:
        seen = project(sequence.positions_3d.astype(np.float64), sequence.camera)
        np.testing.assert_allclose(seen, sequence.keypoints_2d, atol=3e-7)  # 0.0002 pixels: also the tangential order
    without = load(OFFICIAL, **arguments)
    assert {sequence.camera is None for sequence in without.sequences} == {True}
    assert [sequence.image_size for sequence in without.sequences] == [s.image_size for s in dataset.sequences]
    detected = load(OFFICIAL, **{**arguments, 'keypoints_2d_file': 'test_h36m_2d_detection.npy'})
    distance = np.abs(detected.sequences[0].keypoints_2d - first.keypoints_2d).max()
    assert 0 < distance < 0.05


def mmpose_arrays(frames=(21, 1, 11), camera='54138969'):
    random = np.random.default_rng(0)
    names = [f'S5/S5_TakingPhoto_1.{camera}/S5_TakingPhoto_1.{camera}_{frame:06d}.jpg' for frame in frames]
    positions = np.concatenate([random.normal(0, 1, (len(frames), 17, 3)), np.ones((len(frames), 17, 1))], axis=-1)
    positions[..., 2] = np.array(frames)[:, None]
    return {'imgname': np.array(names), 'S': positions, 'part': random.uniform(0, 1000, (len(frames), 17, 3))}


def test_mmpose_layout_is_put_in_order_of_frames(tmp_path):
    np.savez(tmp_path / 'h36m.npz', **mmpose_arrays())
    sequence, *others = load(tmp_path, ann_file='h36m.npz', keypoints_2d_file=None, num_frames=3).sequences
    assert others == []
    assert (sequence.name, sequence.action) == ('S5_TakingPhoto_1.54138969', 'Photo')
    assert sequence.frame_ids.tolist() == sequence.positions_3d[:, 0, 2].tolist() == [1, 11, 21]


def test_mmpose_layout_names_what_is_wrong(tmp_path, files):
    arguments = {'ann_file': 'h36m.npz', 'keypoints_2d_file': None, 'num_frames': 3}
    np.savez(tmp_path / 'h36m.npz', **mmpose_arrays(camera='99'))
    with pytest.raises(ValueError, match='size of the pictures of camera 99 is not known'):
        load(tmp_path, **arguments)
    write(tmp_path, 'cameras.npz', cameras=files[0]['3d.npz']['cameras'])
    with pytest.raises(ValueError, match='has no camera 99 of subject S5'):
        load(tmp_path, camera_file='cameras.npz', **arguments)
    np.savez(tmp_path / 'h36m.npz', **{**mmpose_arrays(), 'S': np.zeros((2, 17, 4))})
    with pytest.raises(ValueError, match='3 images, 2 3D poses and 3 2D poses'):
        load(tmp_path, **arguments)
    np.savez(tmp_path / 'h36m.npz', **{**mmpose_arrays(), 'imgname': np.array(['a.jpg'] * 3)})
    with pytest.raises(ValueError, match=r'image a\.jpg is not called like'):
        load(tmp_path, **arguments)


def load_3dhp(root, data, **arguments):
    write(root, 'data.npz', data=data)
    files = {'data_root': str(root), 'ann_file': 'data.npz'}
    return DATASETS.build({'type': 'MPIINF3DHPSequenceDataset', 'num_frames': 4, **files, **arguments})


def arrays_3dhp(frames=6, **others):
    random = np.random.default_rng(0)
    positions = random.normal(0, 300, (frames, 17, 3)) + [0, 0, 4000]
    return {'data_3d': positions, 'data_2d': random.uniform(0, 1000, (frames, 17, 2)), **others}


def test_3dhp_training_files(tmp_path):
    data = {'S1 Seq1': [{0: arrays_3dhp(), 'cam_8': arrays_3dhp()}], 'S2 Seq1': [{0: arrays_3dhp()}]}
    dataset = load_3dhp(tmp_path, data, subjects=['S1'])
    assert [(s.name, s.camera_index, s.camera) for s in dataset.sequences] == [
        ('S1 Seq1, camera 0', 0, None), ('S1 Seq1, camera cam_8', 8, None)
    ]  # fmt: skip
    sample = dataset[0]
    assert (sample['root_index'], sample['action']) == (14, None)
    assert (sample['lifting_target'][:, 14] == 0).all()
    expected = arrays_3dhp()['data_3d'][0] / 1000
    np.testing.assert_allclose(sample['lifting_target'][1], expected - expected[14], atol=1e-6)
    np.testing.assert_allclose(sample['keypoints_2d'][1], arrays_3dhp()['data_2d'][0] / 1024 - 1, atol=1e-6)
    left, right = [5, 6, 7, 11, 12, 13], [2, 3, 4, 8, 9, 10]
    assert [sample['flip_indices'][joint] for joint in left] == right


def test_3dhp_test_files_have_cameras_and_frames_that_do_not_count(tmp_path):
    valid = np.array([1, 1, 0, 1, 1, 1])
    data = {'TS1': arrays_3dhp(valid=valid), 'TS6': arrays_3dhp(valid=valid[:, None])}
    dataset = load_3dhp(tmp_path, data, test_mode=True)
    first, last = dataset[0], dataset[3]
    assert first['frame_valid'].tolist() == [True, True, False, True]
    assert last['frame_annotated'].tolist() == [False, True, True, True]
    assert last['frame_valid'].tolist() == [False, False, True, True]
    assert (first['image_size'], last['image_size']) == ((2048, 2048), (1920, 1080))
    data['TS1']['data_3d'][2] = np.nan
    assert np.isnan(load_3dhp(tmp_path, data, test_mode=True)[0]['lifting_target'][2]).all()
    with pytest.raises(ValueError, match='TS1: the 3D pose of frame 2 is not finite'):
        load_3dhp(tmp_path, data)
    # Twice the focal length over the width of the sensor; the centre as a share of half the width, from the middle.
    np.testing.assert_allclose(first['camera'][:4], [1.465012, 1.465012, -0.00645768, 0.01858592])
    np.testing.assert_allclose(last['camera'][:4], [1.754149437, 1.754149437, -0.020981729, 0.0209799408])
    assert (intrinsic_of_sensor(*STUDIO)[4:] == 0).all()
    assert intrinsic_of_sensor(*OUTDOORS).shape == (9,)


def test_3dhp_names_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match='TS1 has no data_2d'):
        load_3dhp(tmp_path, {'TS1': {'data_3d': np.zeros((5, 17, 3))}})
    with pytest.raises(ValueError, match='TS1 has 3D poses .* and 4 marks of validity'):
        load_3dhp(tmp_path, {'TS1': arrays_3dhp(valid=np.ones(4))})
    with pytest.raises(ValueError, match='camera of test sequence TS7 is not known; known: TS1, TS2, .*TS6'):
        load_3dhp(tmp_path, {'TS7': arrays_3dhp()})
    with pytest.raises(ValueError, match="S1 Seq1 has a camera 'left', without a number"):
        load_3dhp(tmp_path, {'S1 Seq1': [{'left': arrays_3dhp()}]})
    with pytest.raises(ValueError, match='S1 Seq1 is neither a dictionary'):
        load_3dhp(tmp_path, {'S1 Seq1': []})
    with pytest.raises(ValueError, match='expected a dictionary of sequences under data, got ndarray'):
        load_3dhp(tmp_path, [{}, {}])
    with pytest.raises(ValueError, match='TS1 has 6 frames, fewer than a chunk of 7'):
        load_3dhp(tmp_path, {'TS1': arrays_3dhp()}, num_frames=7)
