"""Numpy and pickle files with Python objects in them, read without ever running code from them.

The npz files of VideoPose3D hold dictionaries of arrays, for which `np.load` asks for unrestricted pickle. Here, as for
checkpoints (`engine/checkpoint_files.py`), nothing but plain values and arrays is unpickled.
"""

from __future__ import annotations

import codecs
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..engine.checkpoint_files import allowed_types

ENCODINGS = ('latin1', 'latin-1')


class Refused(pickle.UnpicklingError):
    """A file asks for more than arrays and plain values."""


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles numbers, texts, lists, dictionaries and numpy arrays; refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the file stands for."""
        full_name = f'{module}.{name}'
        if full_name == '_codecs.encode':
            return _bytes_of_text  # how pickle protocol 2 writes the bytes of an array
        if full_name in ('numpy._core.numeric._frombuffer', 'numpy.core.numeric._frombuffer'):
            return _array_of_buffer  # how pickle protocol 5 writes an array
        kind = allowed_types().get(full_name)
        if kind is None or not full_name.startswith('numpy.'):
            raise Refused(f'it asks for {full_name}')
        return kind


@contextmanager
def reading(label: str) -> Iterator[None]:
    """Say of a file that cannot be read which one it is and why."""
    try:
        yield
    except Refused as error:
        raise ValueError(
            f'{label} was refused: it holds more than arrays and plain values, and loading it could run code ({error})'
        ) from error
    except Exception as error:  # of damaged files pickle, zip and zlib raise almost anything
        raise ValueError(
            f'{label} cannot be read; perhaps it is damaged, cut off, or another kind of file: get or make it again '
            f'({type(error).__name__}: {error})'
        ) from error


def read_npz(path: str, wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read arrays from an npz file; an array that holds one Python object is taken as that object.

    Args:
        path: of the file.
        wanted: keys that must be there.
        optional: keys that are read where they are there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a key is missing, or the file is damaged or asks for more than arrays and plain values.
    """
    present = npz_keys(path)
    missing = [key for key in wanted if key not in present]
    if missing:
        raise ValueError(f'{path} has no {" and no ".join(missing)}; its keys are: {", ".join(sorted(present))}')
    values = {}
    with zipfile.ZipFile(path) as archive:
        for key in (*wanted, *(key for key in optional if key in present)):
            with reading(f'{path}, {key},'), archive.open(f'{key}.npy') as file:
                values[key] = _read_array(file)
    return values


def npz_keys(path: str) -> set[str]:
    """Names of the arrays in an npz file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no file {path}')
    with reading(path), zipfile.ZipFile(path) as archive:
        return {name.removesuffix('.npy') for name in archive.namelist()}


def read_pickle(path: str) -> Any:
    """Read a pickle file of arrays and plain values."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no file {path}')
    with reading(path), Path(path).open('rb') as file:
        return ArrayUnpickler(file, encoding='latin1').load()


def read_npy(path: str) -> np.ndarray:
    """Read the array of an npy file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no file {path}')
    with reading(path), Path(path).open('rb') as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _read_array(file: IO[bytes]) -> Any:
    """One array of an npz file, or the object that it wraps."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        _, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        _, _, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        array = ArrayUnpickler(file, encoding='latin1').load()
        return array.item() if array.ndim == 0 else array
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _bytes_of_text(text: str, encoding: str) -> bytes:
    if encoding not in ENCODINGS:
        raise Refused(f'it asks for the codec {encoding}')
    return codecs.encode(text, encoding)


def _array_of_buffer(buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)
