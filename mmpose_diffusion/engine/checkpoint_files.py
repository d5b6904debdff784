"""Checkpoints that load, that cannot attack, and that are never half-written.

mmengine 0.10 writes numpy arrays and its ``HistoryBuffer`` into checkpoints, which ``torch.load`` refuses since
torch 2.6. The usual way out is unrestricted pickle, which runs whatever code a file asks for. Here the few harmless
types are allowed by name instead, for every way in which mmengine and MMPose load a file (``load_from``,
``resume``, ``init_cfg``, the inferencers).
"""

from __future__ import annotations

import codecs
import difflib
import os
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlparse

import numpy as np
import safetensors.torch
import torch
from mmengine.dist import barrier
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

try:
    from numpy._core import multiarray  # numpy >= 2
except ImportError:
    from numpy.core import multiarray

# What is said of a file that asks for more than it may have; of a damaged one, something else is said.
REFUSALS = ('GLOBAL', 'asks for', 'unrecognized', 'Can only')
CAN_ALLOW_BY_NAME = tuple(int(part) for part in torch.__version__.split('.')[:2]) >= (2, 6)


def history_method(cls: type, name: str) -> Any:
    """Stand-in for ``getattr`` in checkpoints: HistoryBuffer pickles its statistics methods through it."""
    if cls is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'the checkpoint asks for {cls}.{name}')
    return getattr(cls, name)


def empty_bytes() -> bytes:
    """Stand-in for ``bytes`` in checkpoints: an empty array, such as the sigmas of Human3.6M, calls it with nothing."""
    return b''


def allowed_types() -> dict[str, Any]:
    """Full name in a file -> what it stands for; nothing else than tensors and these is loaded."""
    allowed = {
        'mmengine.logging.history_buffer.HistoryBuffer': HistoryBuffer,
        'builtins.getattr': history_method,
        'builtins.bytes': empty_bytes,
        'numpy.ndarray': np.ndarray,
        'numpy.dtype': np.dtype,
    }
    for module in ('numpy._core.multiarray', 'numpy.core.multiarray'):  # files written under numpy 2 and numpy 1
        allowed[f'{module}._reconstruct'] = multiarray._reconstruct
        allowed[f'{module}.scalar'] = multiarray.scalar
    dtypes = getattr(np, 'dtypes', None)
    for name in getattr(dtypes, '__all__', []):
        allowed[f'numpy.dtypes.{name}'] = getattr(dtypes, name)
    return allowed


class _RestrictedUnpickler(pickle.Unpickler):
    """For torch < 2.6, whose own allow-list cannot be extended: the same types, and what tensors are made of."""

    TENSOR_PARTS = {
        'collections.OrderedDict': OrderedDict,
        '_codecs.encode': codecs.encode,  # bytes of numpy arrays
        'torch._utils._rebuild_tensor_v2': torch._utils._rebuild_tensor_v2,
        'torch._utils._rebuild_parameter': torch._utils._rebuild_parameter,
        'torch.Size': torch.Size,
        'torch.device': torch.device,
    }

    def find_class(self, module: str, name: str) -> Any:
        full_name = f'{module}.{name}'.replace('__builtin__.', 'builtins.')  # its name in older pickle protocols
        allowed = {**allowed_types(), **self.TENSOR_PARTS}
        if full_name in allowed:
            return allowed[full_name]
        # Storages (torch.FloatStorage ...) and dtypes (torch.float32 ...) hold numbers only.
        if module in ('torch', 'torch.storage') and (
            name.endswith('Storage') or isinstance(getattr(torch, name, None), torch.dtype)
        ):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f'the checkpoint asks for {full_name}')


def load_checkpoint_file(filename: str, map_location: Any = None) -> dict:
    """Load a checkpoint (of PyTorch or `.safetensors`) without ever running code from it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or asks for more than tensors, numbers and training statistics.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'There is no checkpoint {filename}')
    try:
        if path.suffix == '.safetensors':
            return safetensors.torch.load_file(path, device=str(map_location or 'cpu'))
        if CAN_ALLOW_BY_NAME:
            return torch.load(path, map_location=map_location, weights_only=True)
        restricted = SimpleNamespace(
            Unpickler=_RestrictedUnpickler,
            load=lambda file, **options: _RestrictedUnpickler(file, **options).load(),
            __name__='restricted_pickle',
        )
        return torch.load(path, map_location=map_location, pickle_module=restricted, weights_only=False)
    except Exception as error:  # of a damaged file pickle raises almost anything
        reason = f'{type(error).__name__}: {error}'
        if isinstance(error, pickle.UnpicklingError):
            reason = 'it is no pickle of weights'  # torch would advise to load it whatever it does
            lines = [line.strip() for line in str(error).splitlines() if any(word in line for word in REFUSALS)]
            if lines:
                raise ValueError(
                    f'{filename} was refused: it holds more than weights and training statistics, and loading it could '
                    f'run code ({lines[0]}). If you trust its author, ask for a file with nothing but the state dict.'
                ) from error
        raise ValueError(
            f'{filename} is not a readable checkpoint; perhaps it is cut off, or another kind of file: {reason}'
        ) from error


def load_from_allow_list(filename: str, map_location: Any = None) -> dict:
    """mmengine's loader for local files (its name is logged from the tenth letter on)."""
    return load_checkpoint_file(filename, map_location)


def load_from_http_allow_list(url: str, map_location: Any = None) -> dict:
    """mmengine's loader for addresses: download once per machine, then load as any other file."""
    path = Path(torch.hub.get_dir()) / 'checkpoints' / Path(urlparse(url).path).name
    if int(os.environ.get('LOCAL_RANK', 0)) == 0 and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=os.isatty(2))
    barrier()
    return load_checkpoint_file(str(path), map_location)


def load_from_zoo_allow_list(filename: str, map_location: Any = None) -> dict:
    """mmengine's loader for the names of its model zoos: `torchvision://resnet18`, `mmcls://...`, `openmmlab://...`."""
    scheme, name = filename.split('://', 1)
    if scheme in ('open-mmlab', 'openmmlab'):
        name = mmengine_checkpoint.get_deprecated_model_names().get(name, name)
        addresses = mmengine_checkpoint.get_external_models()
    elif scheme == 'mmcls':
        addresses = mmengine_checkpoint.get_mmcls_models()
    else:
        addresses = mmengine_checkpoint.get_torchvision_models()
    if name not in addresses:
        close = difflib.get_close_matches(name, addresses, n=3) or sorted(addresses)[:3]
        raise ValueError(f'{scheme}:// has no model {name}; it has, for example, {", ".join(close)}')
    if '://' in addresses[name]:
        checkpoint = load_from_http_allow_list(addresses[name], map_location)
    else:  # a file that the user listed in open_mmlab.json
        home = Path(mmengine_checkpoint._get_mmengine_home())
        checkpoint = load_checkpoint_file(str(home / addresses[name]), map_location)
    return mmengine_checkpoint._process_mmcls_checkpoint(checkpoint) if scheme == 'mmcls' else checkpoint


def load_from_storage_allow_list(filename: str, map_location: Any = None) -> dict:
    """In place of mmengine's loaders for storage services, which unpickle whatever they are sent."""
    raise ValueError(
        f'{filename} was refused: checkpoints are not loaded straight from storage services; '
        'download the file and give its path'
    )


LOADERS = {
    load_from_allow_list: ('',),
    load_from_http_allow_list: ('http://', 'https://'),
    load_from_zoo_allow_list: ('torchvision://', 'modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://'),
    load_from_storage_allow_list: ('pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'),
}


def install_allow_list() -> None:
    """Let torch know the harmless types, and mmengine load from everywhere through `load_checkpoint_file`."""
    if CAN_ALLOW_BY_NAME:
        torch.serialization.add_safe_globals([(kind, name) for name, kind in allowed_types().items()])
    for loader, prefixes in LOADERS.items():
        CheckpointLoader.register_scheme(prefixes, loader, force=True)


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The checkpoint to resume from: the one that mmengine noted in `last_checkpoint`, else the newest that is there.

    A run that was killed leaves the note empty, missing, or naming a file that has been removed since.
    """
    note = Path(folder) / 'last_checkpoint'
    noted = Path(note.read_text().strip()) if note.is_file() else Path()
    if noted.is_file():
        return noted
    numbered = [(path, re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name)) for path in Path(folder).glob('*.pth')]
    return max(
        (path for path, match in numbered if match),
        key=lambda path: (path.stat().st_mtime_ns, int(path.stem.split('_')[1])),
        default=None,
    )


class AtomicLocalBackend(LocalBackend):
    """Local files that appear whole or not at all: written aside, then renamed.

    Asked for through ``backend_args=dict(backend='atomic_local')``. What a killed process leaves aside,
    ``.<name>.partial``, is overwritten by the next that writes the file.
    """

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write bytes aside, flush them to the disk and rename the file to its name."""
        target = Path(filepath)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f'.{target.name}.partial')
        try:
            with aside.open('wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """As `put`, for text."""
        self.put(obj.encode(encoding), filepath)


register_backend('atomic_local', AtomicLocalBackend, force=True)
