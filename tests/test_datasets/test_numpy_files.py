import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmpose_diffusion.datasets.numpy_files import read_npy, read_npz, read_pickle


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_dictionaries_of_arrays_are_read_as_numpy_reads_them(tmp_path):
    poses = {'S1': {'Walking 1': np.arange(6.0, dtype=np.float32).reshape(2, 3), 'views': [np.zeros(2), np.float64(3)]}}
    np.savez_compressed(tmp_path / 'a.npz', poses=poses, plain=np.arange(3), names=np.array(['a', 'bc'], dtype=object))
    read = read_npz(str(tmp_path / 'a.npz'), ('poses', 'plain'), ('names', 'absent'))
    np.testing.assert_array_equal(read['poses']['S1']['Walking 1'], poses['S1']['Walking 1'])
    assert read['poses']['S1']['Walking 1'].dtype == np.float32
    assert read['poses']['S1']['views'][1] == 3
    assert read['plain'].tolist() == [0, 1, 2]
    assert read['names'].tolist() == ['a', 'bc']
    assert 'absent' not in read


@pytest.mark.parametrize('protocol', range(6))
def test_every_pickle_protocol_is_read(tmp_path, protocol):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {'descr': '|O', 'fortran_order': False, 'shape': ()})
    content = np.array({'S1': {'Eating': np.linspace(0, 1, 5)}}, dtype=object)
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('data.npy', header.getvalue() + pickle.dumps(content, protocol=protocol))
    read = read_npz(str(tmp_path / 'a.npz'), ('data',))['data']
    np.testing.assert_array_equal(read['S1']['Eating'], np.linspace(0, 1, 5))


def test_code_in_a_file_is_not_run(tmp_path):
    victim = tmp_path / 'victim'
    np.savez(tmp_path / 'a.npz', data=np.array({'S1': Attack(victim)}, dtype=object))
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(Attack(victim)))
    with pytest.raises(ValueError, match=r'a\.npz, data, was refused: .*could run code'):
        read_npz(str(tmp_path / 'a.npz'), ('data',))
    with pytest.raises(ValueError, match=r'a\.pkl was refused'):
        read_pickle(str(tmp_path / 'a.pkl'))
    assert not victim.exists()
    pickle.loads((tmp_path / 'a.pkl').read_bytes())
    assert victim.exists()


def test_getattr_which_checkpoints_may_use_is_refused(tmp_path):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(getattr))
    with pytest.raises(ValueError, match=r'builtins\.getattr'):
        read_pickle(str(tmp_path / 'a.pkl'))


def test_missing_keys_and_damaged_files_are_named(tmp_path):
    np.savez(tmp_path / 'a.npz', first=np.zeros(300), second=np.zeros(2))
    with pytest.raises(ValueError, match=r'a\.npz has no third; its keys are: first, second'):
        read_npz(str(tmp_path / 'a.npz'), ('first', 'third'))
    with pytest.raises(FileNotFoundError, match='there is no file'):
        read_npz(str(tmp_path / 'b.npz'), ('first',))
    (tmp_path / 'cut.npz').write_bytes((tmp_path / 'a.npz').read_bytes()[:500])
    with pytest.raises(ValueError, match=r'cut\.npz cannot be read; .* get or make it again'):
        read_npz(str(tmp_path / 'cut.npz'), ('first',))
    with zipfile.ZipFile(tmp_path / 'short.npz', 'w') as archive, zipfile.ZipFile(tmp_path / 'a.npz') as whole:
        archive.writestr('first.npy', whole.read('first.npy')[:400])
    with pytest.raises(ValueError, match=r'short\.npz, first, cannot be read'):
        read_npz(str(tmp_path / 'short.npz'), ('first',))


def damaged(content, seed):
    """The bytes cut off somewhere, or four of them changed."""
    random = np.random.default_rng(seed)
    place = int(random.integers(len(content)))
    return content[:place] if seed % 3 == 0 else content[:place] + random.bytes(4) + content[place + 4 :]


def test_damage_of_any_kind_is_reported_with_the_name_of_the_file_and_not_as_an_attack(tmp_path):
    poses = {'S1': {'Walking': np.random.default_rng(0).normal(size=(50, 3))}}
    np.savez_compressed(tmp_path / 'a.npz', poses=np.array(poses, dtype=object), plain=np.arange(50.0))
    np.save(tmp_path / 'a.npy', np.arange(50.0))
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(poses))
    readers = {'a.npz': lambda path: read_npz(path, ('poses', 'plain')), 'a.npy': read_npy, 'a.pkl': read_pickle}
    for name, read in readers.items():
        content, errors = (tmp_path / name).read_bytes(), []
        for seed in range(60):
            (tmp_path / name).write_bytes(damaged(content, seed))
            try:
                read(str(tmp_path / name))  # a changed number is not noticed
            except ValueError as error:
                errors.append(str(error))
        assert len(errors) > 20
        assert all(name in error for error in errors)
        assert all('refused' not in error or 'asks for' in error for error in errors)
