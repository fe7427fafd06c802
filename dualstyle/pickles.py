"""Official files are pickles; they are read here without running any code that lies in them."""

from __future__ import annotations

import argparse
import pickle
import re
import threading
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from dualstyle.errors import CheckpointError

# What reading a file that is no pickle, a damaged one or a hostile one can raise.
_UNREADABLE = (
    pickle.UnpicklingError, EOFError, RuntimeError, ValueError, TypeError, LookupError,
    AttributeError, ImportError, AssertionError, OverflowError, MemoryError, SafetensorError,
)  # fmt: skip

_ARRAY_PARTS = {
    # numpy 2 renamed its inner modules; the published files were written by numpy 1
    (module, name)
    for package in ("numpy.core", "numpy._core")
    for module, name in (
        (f"{package}.multiarray", "_reconstruct"),
        (f"{package}.numeric", "_frombuffer"),  # from pickle protocol 5 on
    )
} | {("numpy", "ndarray"), ("numpy", "dtype")}
_CODE_DIMS = 2  # [L, D]
_FOREIGN = re.compile(r"GLOBAL ([\w.]+)")
_NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

# torch keeps its list of allowed classes for the whole process; two readers would undo each other.
_allowing = threading.Lock()


class _ForeignError(pickle.UnpicklingError):
    """The pickle names something that has no place in a file of numbers."""


def read_official(path: Path) -> dict[str, Any]:
    """Read an official ``.pt`` file; its tensors stay on the disk until they are used.

    Only tensors, plain Python values and ``argparse.Namespace`` are built.

    Raises:
        CheckpointError: It is not there, damaged, no dictionary, or wants to run code.
    """
    try:
        with _allowing, torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(
                path,
                map_location="cpu",
                weights_only=True,
                mmap=zipfile.is_zipfile(path),  # files of torch before 1.6 are not zip files
            )
    except OSError as error:
        raise _cannot_open(path, error) from error
    except _UNREADABLE as error:
        if foreign := _FOREIGN.search(str(error)):
            raise _refusal(path, foreign[1]) from error
        raise CheckpointError(
            f"{path} is no checkpoint of PyTorch, or it is damaged; get the file again."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, not a dictionary of weights; "
            "it is not one of the published files, get the right one."
        )
    return content


def read_codes_npy(path: Path) -> dict[str, Tensor]:
    """Read the codes of a domain's exemplars from an official ``.npy`` file.

    Returns:
        Codes [L, D], float32, by the name of the picture. The order is that of the file: a style's
        number is its place in it.

    Raises:
        CheckpointError: It is not there, damaged, no dictionary of codes, or wants to run code.
    """
    try:
        with path.open("rb") as stream:
            content = _read_object(path, stream)
    except OSError as error:
        raise _cannot_open(path, error) from error
    except _ForeignError as error:
        raise _refusal(path, str(error)) from error
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{path} is no codes file of NumPy, or it is damaged; get the file again."
        ) from error
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path} holds no dictionary of codes; get the file again.")
    codes = {name: _code(path, name, array) for name, array in content.items()}
    shapes = {tuple(code.shape) for code in codes.values()}
    if len(shapes) > 1:
        raise CheckpointError(
            f"{path}: its codes differ in shape ({sorted(shapes)}); get the file again."
        )
    return codes


class _ArrayUnpickler(pickle.Unpickler):
    """Builds arrays and plain Python values, and refuses to look anything else up."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAY_PARTS:
            raise _ForeignError(f"{module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _read_object(path: Path, stream: BinaryIO) -> Any:
    version = np.lib.format.read_magic(stream)
    if version not in _NPY_HEADERS:
        raise ValueError(f"version {version}")
    shape, _, dtype = _NPY_HEADERS[version](stream)
    if not dtype.hasobject or shape != ():
        raise CheckpointError(
            f"{path} holds a plain array {list(shape)} of {dtype}, where exemplars' names and "
            "codes are wanted; put exstyle_code.npy or refined_exstyle_code.npy in its place."
        )
    content = _ArrayUnpickler(stream).load()
    if isinstance(content, np.ndarray) and content.shape == ():
        content = content.item()
    return content


def _code(path: Path, name: object, array: object) -> Tensor:
    """Check one entry and drop its leading 1."""
    if not isinstance(name, str) or not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise CheckpointError(f"{path}: entry {name!r} is no code of numbers; get the file again.")
    code = torch.from_numpy(array.astype(np.float32))
    if code.dim() == _CODE_DIMS + 1 and len(code) == 1:
        code = code[0]
    if code.dim() != _CODE_DIMS or not code.isfinite().all():
        raise CheckpointError(
            f"{path}: the code of {name!r} is no finite array of layers x numbers "
            f"(its shape is {list(array.shape)}); get the file again."
        )
    return code


def _cannot_open(path: Path, error: OSError) -> CheckpointError:
    reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
    return CheckpointError(f"{path} cannot be read: {reason}; check the folder and its rights.")


def _refusal(path: Path, name: str) -> CheckpointError:
    return CheckpointError(
        f"{path} was refused and nothing in it was run: it asks for {name}, which weights never "
        "need. Delete it and get the file from its publisher again."
    )
