import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_torchvision_models, save_checkpoint

from mmpose_diffusion.engine import AtomicLocalBackend, checkpoint_files, load_checkpoint_file
from mmpose_diffusion.engine.checkpoint_files import latest_checkpoint


class RunsCode:
    """Pickled as a call of os.system."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class AsksForMethod:
    """Pickled as getattr(cls, name), the door that HistoryBuffer needs open."""

    def __init__(self, cls, name):
        self.arguments = cls, name

    def __reduce__(self):
        return getattr, self.arguments


def training_state():
    """What mmengine's Runner writes beside the weights."""
    hub = MessageHub('allow_list_test')
    hub.update_scalar('train/loss', np.float32(0.5))
    hub.update_scalar('train/loss', torch.tensor(0.25))
    hub.update_info('epoch', 3)
    return dict(
        state_dict=torch.nn.Linear(3, 2).state_dict(),
        message_hub=hub.state_dict(),
        meta=dict(
            epoch=3,
            seed=np.int64(7),
            sigmas=np.array([0.5, 0.25], dtype=np.float32),
            no_sigmas=np.array([], dtype=np.float32),  # as MMPose describes Human3.6M
            name='x',
        ),
    )


@pytest.fixture(params=[True, False], ids=['allowed_by_name', 'restricted_pickle'])
def either_mechanism(request, monkeypatch):
    """The path for torch >= 2.6 and the one for older versions; both work on a new torch."""
    monkeypatch.setattr(checkpoint_files, 'CAN_ALLOW_BY_NAME', request.param and checkpoint_files.CAN_ALLOW_BY_NAME)


@pytest.mark.usefixtures('either_mechanism')
def test_training_checkpoint_loads_with_everything_in_it(tmp_path):
    state = training_state()
    save_checkpoint(state, str(tmp_path / 'epoch_3.pth'))
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_3.pth'), map_location='cpu')
    torch.testing.assert_close(loaded['state_dict'], state['state_dict'])
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert history.mean() == pytest.approx(0.375)
    np.testing.assert_array_equal(loaded['meta']['sigmas'], state['meta']['sigmas'])
    assert loaded['meta']['no_sigmas'].shape == (0,)
    assert loaded['meta']['seed'] == 7


@pytest.mark.usefixtures('either_mechanism')
@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
def test_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path, legacy):
    trace = tmp_path / 'it_ran'
    path = tmp_path / 'hostile.pth'
    torch.save(
        dict(state_dict={}, message_hub=RunsCode(f'touch {trace}')), path, _use_new_zipfile_serialization=not legacy
    )
    with pytest.raises(ValueError, match=r'hostile\.pth was refused'):
        CheckpointLoader.load_checkpoint(str(path))
    assert not trace.exists()


@pytest.mark.usefixtures('either_mechanism')
@pytest.mark.parametrize(('cls', 'name'), [(HistoryBuffer, '__class__'), (np.ndarray, 'tofile')])
def test_getattr_serves_history_buffers_only(tmp_path, cls, name):
    file = tmp_path / 'method.pth'
    torch.save(dict(trick=AsksForMethod(cls, name)), file)
    with pytest.raises(ValueError, match=r'method\.pth was refused'):
        load_checkpoint_file(str(file))


@pytest.mark.usefixtures('either_mechanism')
def test_cut_off_checkpoint_is_named(tmp_path):
    path = tmp_path / 'epoch_9.pth'
    torch.save(training_state(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r'epoch_9\.pth'):
        load_checkpoint_file(str(path))


@pytest.mark.usefixtures('either_mechanism')
@pytest.mark.parametrize(
    'content', [b'', b'hello', b'<html>not found</html>', b'\x80\x02}q\x00X\x02\x00\x00\x00\xff\xfe']
)
def test_another_kind_of_file_is_named_and_not_taken_for_an_attack(tmp_path, content):
    path = tmp_path / 'weights.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'weights\.pth is not a readable checkpoint; .*another kind') as refusal:
        load_checkpoint_file(str(path))
    assert 'Re-running' not in str(refusal.value)


@pytest.mark.parametrize('hostile', [False, True])
def test_downloaded_checkpoint_is_as_safe_as_a_local_one(tmp_path, monkeypatch, hostile):
    state = dict(state_dict={}, extra=RunsCode('true') if hostile else 1)
    torch.save(state, tmp_path / 'weights.pth')
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.func.log_message = lambda *_: None
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_address[1]}/weights.pth'
        if hostile:
            with pytest.raises(ValueError, match=r'weights\.pth was refused'):
                CheckpointLoader.load_checkpoint(url)
        else:
            assert CheckpointLoader.load_checkpoint(url) == state
        server.shutdown()


# A name in each of mmengine's zoos, and where it leads.
ZOO = {
    'torchvision://': ('resnet18', Path(get_torchvision_models()['resnet18']).name),
    'modelzoo://': ('resnet18', Path(get_torchvision_models()['resnet18']).name),
    'open-mmlab://': ('vgg16_caffe', 'vgg16_caffe-292e1171.pth'),
    'openmmlab://': ('vgg16_caffe', 'vgg16_caffe-292e1171.pth'),
    'mmcls://': ('vgg11', 'vgg11_batch256_imagenet_20210208-4271cd6c.pth'),
    'https://': ('example.org/weights.pth', 'weights.pth'),
    'http://': ('example.org/weights.pth', 'weights.pth'),
    '': ('{folder}/weights.pth', 'weights.pth'),
}
STORAGE = {'pavi://': 'pavi://x', r'(\S+\:)?s3://': 'cluster:s3://x', r'(\S+\:)?petrel://': 'petrel://x'}


def name_in_zoo(scheme, folder, content):
    """What to ask for so that the file with this content is loaded; it lies where a download would have put it."""
    name, file = ZOO[scheme]
    torch.save(content, folder / file)
    return scheme + name.format(folder=folder)


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    (tmp_path / 'hub/checkpoints').mkdir(parents=True)
    return tmp_path / 'hub/checkpoints'


@pytest.mark.usefixtures('either_mechanism')
@pytest.mark.parametrize('scheme', sorted(set(CheckpointLoader._schemes) - set(STORAGE)))
def test_no_scheme_runs_code_of_a_file(scheme, downloads):
    trace = downloads / 'it_ran'
    filename = name_in_zoo(scheme, downloads, dict(state_dict={}, extra=RunsCode(f'touch {trace}')))
    with pytest.raises(ValueError, match=r'\.pth was refused'):
        CheckpointLoader.load_checkpoint(filename)
    assert not trace.exists()
    weights = {'backbone.weight': torch.ones(2)}
    loaded = CheckpointLoader.load_checkpoint(name_in_zoo(scheme, downloads, dict(state_dict=weights)))
    assert list(loaded['state_dict']) == (['weight'] if scheme == 'mmcls://' else ['backbone.weight'])


@pytest.mark.usefixtures('either_mechanism')
def test_model_listed_as_file_in_the_zoo_runs_no_code(tmp_path, monkeypatch):
    trace = tmp_path / 'it_ran'
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    (tmp_path / 'open_mmlab.json').write_text('{"mine": "mine.pth"}')
    torch.save(dict(state_dict={}, extra=RunsCode(f'touch {trace}')), tmp_path / 'mine.pth')
    with pytest.raises(ValueError, match=r'mine\.pth was refused'):
        CheckpointLoader.load_checkpoint('openmmlab://mine')
    assert not trace.exists()


@pytest.mark.parametrize('scheme', STORAGE)
def test_storage_services_are_refused(scheme):
    assert scheme in CheckpointLoader._schemes
    with pytest.raises(ValueError, match='download the file'):
        CheckpointLoader.load_checkpoint(STORAGE[scheme])


def test_unknown_name_in_a_zoo_gets_suggestions():
    with pytest.raises(ValueError, match='torchvision:// has no model resnet18x; .* resnet18'):
        CheckpointLoader.load_checkpoint('torchvision://resnet18x')


def test_missing_checkpoint_is_named():
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth'):
        CheckpointLoader.load_checkpoint('nowhere.pth')


def test_file_is_replaced_whole_or_not_at_all(tmp_path):
    """A process that dies while writing leaves the old file as it was."""
    target = tmp_path / 'epoch_1.pth'
    AtomicLocalBackend().put(b'old', target)
    script = (
        'import os, sys\n'
        'from mmpose_diffusion.engine import AtomicLocalBackend\n'
        'os.fsync = lambda handle: os._exit(1)\n'
        f'AtomicLocalBackend().put(b"new" * 1000, {str(target)!r})\n'
    )
    assert subprocess.run([sys.executable, '-W', 'ignore', '-c', script], check=False).returncode == 1
    assert target.read_bytes() == b'old'
    AtomicLocalBackend().put(b'new', target)
    assert target.read_bytes() == b'new'
    assert list(tmp_path.iterdir()) == [target]


def test_failed_write_leaves_no_litter(tmp_path):
    with pytest.raises(TypeError):
        AtomicLocalBackend().put('not bytes', tmp_path / 'epoch_1.pth')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('umask', 'mode'), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_written_file_has_the_rights_the_user_wants(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        AtomicLocalBackend().put_text('text', tmp_path / 'metrics.json')
    finally:
        os.umask(before)
    assert (tmp_path / 'metrics.json').stat().st_mode & 0o777 == mode
    assert (tmp_path / 'metrics.json').read_text() == 'text'


def test_latest_checkpoint_is_the_noted_one_else_the_newest(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    for number, name in enumerate(['epoch_2.pth', 'epoch_10.pth', 'epoch_9.pth', 'best_AP_epoch_9.pth']):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (number, number))
    assert latest_checkpoint(tmp_path) == tmp_path / 'epoch_9.pth'
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    assert latest_checkpoint(tmp_path) == tmp_path / 'epoch_2.pth'
