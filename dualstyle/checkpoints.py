"""Our weight files: saved whole or not at all, loaded by memory map, always strictly.

They are safetensors whose metadata say what is inside:

    format    "dualstyle-1"
    network   "stylegan2", "extrinsic", "encoder", "sampler", "code-sampler" or "codes"
    config    sizes, as JSON (not for codes)
    hash      of a StyleGAN2: SHA-256 over names, types, shapes and bytes of its tensors
    base      of an extrinsic path: the hash of the StyleGAN2 it was made for;
              of an encoder: the hash of the StyleGAN2 that lay in the official file
    space     of codes and of networks that write codes: "z+" or "w+"
    names     of codes: what the exemplars are called, as a JSON list
    source    of a converted file: the official file it was made from, as JSON
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dualstyle.config import EncoderConfig, GeneratorConfig, SamplerConfig, Space
from dualstyle.errors import CheckpointError
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.sampler import CodeMLP, Sampler
from dualstyle.models.stylegan2 import StyleGAN2

FORMAT = "dualstyle-1"
CODES = "codes"
KINDS: dict[type[nn.Module], str] = {
    StyleGAN2: "stylegan2",
    ExtrinsicPath: "extrinsic",
    PSPEncoder: "encoder",
    Sampler: "sampler",
    CodeMLP: "code-sampler",
}
HASH_DIGITS = 16  # of a StyleGAN2's hash, in its file name

# [bytes] At its first use the meta device makes PyTorch import 800 modules, for more than a second;
# the first numbers of a small network are drawn, and thrown away, in a tenth of that.
_SMALL_FILE = 64_000_000
_CODES_DIMS = 3  # [K, L, D]
_SPACES = ("z+", "w+")

Network = TypeVar("Network", bound=nn.Module)
T = TypeVar("T")
Ours = StyleGAN2 | ExtrinsicPath | PSPEncoder | Sampler | CodeMLP
Metadata = Mapping[str, str]


@dataclass(frozen=True)
class Header:
    """What one of our files says about itself."""

    path: Path
    network: str
    metadata: Metadata

    @property
    def space(self) -> Space | None:
        """Of the codes in the file, or of those its network writes; None where there are none."""
        space = self.metadata.get("space")
        return cast("Space", space) if space in _SPACES else None

    @property
    def base(self) -> str | None:
        """Hash of the StyleGAN2 that this file is, or that it was made for."""
        return self.metadata.get("hash") or self.metadata.get("base")

    @property
    def source(self) -> dict[str, Any]:
        """Of which official file this is the conversion; empty for weights of our own."""
        return _parsed(self.path, self.metadata.get("source", "{}"), dict)


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder, and the space of the codes it writes."""

    network: PSPEncoder
    space: Space


@dataclass(frozen=True, eq=False)
class Codes:
    """The extrinsic codes of a domain's exemplars, in the order of their style numbers."""

    names: tuple[str, ...]
    values: Tensor  # [K, L, D], float32
    space: Space


# ---- loading ----


def read_header(path: Path) -> Header:
    """Read what a file says about itself, and none of its tensors.

    Raises:
        CheckpointError: It is not there, damaged, or not ours.
    """
    return _open(path)[0]


def load_stylegan2(path: Path) -> StyleGAN2:
    """Load the intrinsic path that several domains share."""
    return _load(path, StyleGAN2, _of_generator(StyleGAN2))[0]


def load_extrinsic(path: Path) -> ExtrinsicPath:
    """Load what one domain adds to the StyleGAN2."""
    return _load(path, ExtrinsicPath, _of_generator(ExtrinsicPath))[0]


def load_encoder(path: Path) -> LoadedEncoder:
    """Load an encoder and the space of its codes."""
    network, header = _load(path, PSPEncoder, lambda sizes: PSPEncoder(EncoderConfig(**sizes)))
    return LoadedEncoder(network, _space(header))


def load_sampler(path: Path) -> Sampler:
    """Load the sampling network N, which draws extrinsic codes."""

    def build(sizes: dict[str, Any]) -> Sampler:
        return Sampler(*(SamplerConfig(**sizes[half]) for half in ("structure", "color")))

    return _load(path, Sampler, build)[0]


def load_code_sampler(path: Path) -> CodeMLP:
    """Load a network that draws intrinsic codes, in the space that its header names."""
    network, header = _load(path, CodeMLP, lambda sizes: CodeMLP(SamplerConfig(**sizes)))
    _space(header)
    return network


def load_codes(path: Path) -> Codes:
    """Load the extrinsic codes of a domain's exemplars."""
    header, tensors = _open(path, CODES)
    names = _parsed(path, header.metadata.get("names", "[]"), list)
    values = tensors.get(CODES, torch.empty(0))
    if values.dim() != _CODES_DIMS or len(names) != len(values):
        raise CheckpointError(
            f"{path}: {len(names)} names stand beside codes {list(values.shape)}; "
            "get the file again."
        )
    return Codes(tuple(map(str, names)), values.float(), _space(header))


def _of_generator(kind: type[Network]) -> Callable[[dict[str, Any]], Network]:
    return lambda sizes: kind(GeneratorConfig(**sizes))


def on_meta(build: Callable[..., Network], *sizes: Any) -> Network:
    """Build a network without memory for its numbers."""
    with torch.device("meta"):
        return build(*sizes)


def _load(
    path: Path, kind: type[Network], build: Callable[[dict[str, Any]], Network]
) -> tuple[Network, Header]:
    """Build a network and hand it the mapped tensors; errors as `read_header`."""
    header, tensors = _open(path, KINDS[kind])
    sizes = _parsed(path, header.metadata.get("config", ""), dict)
    try:
        if path.stat().st_size < _SMALL_FILE:
            with torch.random.fork_rng(devices=()):  # nobody else's chance is changed
                network = build(sizes)
        else:
            network = on_meta(build, sizes)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} names sizes that no network here can have ({error}); get the file again."
        ) from error
    if trouble := difference(network, tensors):
        raise CheckpointError(
            f"{path} is not the {header.network!r} that it says it is: {trouble}. "
            "Get the file again."
        )
    state = {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False), header


def _open(path: Path, kind: str | None = None) -> tuple[Header, dict[str, Tensor]]:
    """Open one of our files: its header and, if a kind is wanted, its tensors, mapped, not read."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            header = Header(path, metadata.get("network", ""), metadata)
            names = list(file.keys())
            _check(header, kind, names)
            return header, {name: file.get_tensor(name) for name in names if kind is not None}
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is not there; check the folder.") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is no safetensors file, or it is damaged ({error}); get it again, or delete "
            "it if it lies in a cache."
        ) from error


def _check(header: Header, kind: str | None, names: Sequence[str]) -> None:
    """Refuse a file of another format, or of another kind than the wanted one."""
    if (found := header.metadata.get("format")) != FORMAT:
        first = names[0] if names else "not there"
        raise CheckpointError(
            f"{header.path} is not of the format {FORMAT!r} but of {found or 'an unknown one'} "
            f"(its first tensor is {first}); convert it again from the official file."
        )
    if kind not in (None, header.network):
        first = names[0] if names else "not there"
        raise CheckpointError(
            f"{header.path} should hold {kind!r} but its first tensor is {first}; it seems to be "
            f"a file of {header.network!r}. Put the right file in its place."
        )


def _space(header: Header) -> Space:
    if header.space is None:
        raise CheckpointError(
            f"{header.path} does not say in which space its codes are; get the file again."
        )
    return header.space


def _parsed(path: Path, text: str, kind: type[T]) -> T:
    """JSON out of a header."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{path} has a damaged header; get the file again.") from error
    if not isinstance(value, kind):
        raise CheckpointError(f"{path} has a damaged header; get the file again.")
    return value


def difference(
    network: nn.Module, state: Mapping[str, Tensor], called: Mapping[str, str] | None = None
) -> str | None:
    """Describe the first tensor of a state that a network cannot take; None if it takes all.

    Args:
        network: May be on the meta device.
        state: Tensors under the network's names.
        called: Other names, for the message.
    """
    wanted, called = network.state_dict(), called or {}
    wrong: list[str] = []
    for name, tensor in wanted.items():
        if name not in state:
            wrong.append(f"tensor {name} is missing")
        elif state[name].shape != tensor.shape:
            shapes = f"{list(state[name].shape)} and should be {list(tensor.shape)}"
            wrong.append(f"tensor {called.get(name, name)} is {shapes}")
        elif state[name].is_floating_point() != tensor.is_floating_point():
            kinds = f"{state[name].dtype} and should be {tensor.dtype}"
            wrong.append(f"tensor {called.get(name, name)} is {kinds}")
    wrong += [
        f"tensor {called.get(name, name)} is not known" for name in state if name not in wanted
    ]
    if not wrong:
        return None
    return f"{wrong[0]} (the first of {len(wrong)} that are wrong; {len(wanted)} are wanted)"


def base_path(folder: Path, content: str) -> Path:
    """Where the StyleGAN2 of that hash is kept."""
    return folder / f"base-{content[:HASH_DIGITS]}.safetensors"


def content_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, whatever their order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


# ---- saving ----


def save_network(
    network: Ours,
    path: Path,
    *,
    dtype: torch.dtype = torch.float32,
    space: Space | None = None,
    base: str | None = None,
    extra: Metadata | None = None,
) -> str:
    """Write a network with its sizes, all at once or not at all.

    Args:
        network: Of what kind it is, and its sizes, are read off it.
        path: Of the file, ``.safetensors``.
        dtype: torch.float16 halves the file; it is float32 again when loaded.
        space: Of the codes it writes; needed for an encoder and for a CodeMLP.
        base: Hash of the StyleGAN2 that an extrinsic path was made for.
        extra: More metadata.

    Returns:
        Hash of what was written; that of a StyleGAN2 is the `base` of the others.

    Raises:
        ValueError: The space is missing, or a number does not fit into `dtype`.
        CheckpointError: The disk refuses.
    """
    if isinstance(network, PSPEncoder | CodeMLP) and space not in _SPACES:
        raise ValueError(f"say in which space it writes codes, {' or '.join(_SPACES)}")
    state = {name: _cast(name, tensor, dtype) for name, tensor in network.state_dict().items()}
    digest = content_hash(state)
    facts = {"config": _sizes_json(network)} | dict(extra or {})
    if isinstance(network, StyleGAN2):
        facts["hash"] = digest
    if space is not None:
        facts["space"] = space
    if base is not None:
        facts["base"] = base
    _write(path, state, KINDS[type(network)], facts)
    return digest


def save_codes(
    codes: Codes, path: Path, *, dtype: torch.dtype = torch.float32, extra: Metadata | None = None
) -> None:
    """Write the codes of a domain's exemplars.

    Raises:
        ValueError: Names and codes differ in number, or a number does not fit into `dtype`.
        CheckpointError: The disk refuses.
    """
    if codes.values.dim() != _CODES_DIMS or len(codes.names) != len(codes.values):
        raise ValueError(f"{len(codes.names)} names for codes {list(codes.values.shape)}")
    facts = {"names": json.dumps(list(codes.names)), "space": codes.space} | dict(extra or {})
    _write(path, {CODES: _cast(CODES, codes.values, dtype)}, CODES, facts)


def _cast(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor
    changed = tensor.to(dtype)
    if tensor.dtype != dtype and not changed.isfinite().all():
        raise ValueError(f"{name} has numbers that are not finite in {dtype}")
    return changed


def _write(path: Path, state: Mapping[str, Tensor], kind: str, facts: Metadata) -> None:
    """Write a file that appears whole: two processes may write it at once, the later one wins.

    Raises:
        CheckpointError: The disk refuses.
    """
    metadata = {"format": FORMAT, "network": kind, **facts}
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.touch()
        rights = fresh.stat().st_mode  # those the user gives to new files; save_file is stricter
        save_file({name: t.contiguous() for name, t in state.items()}, fresh, metadata=metadata)
        fresh.chmod(rights)
        fresh.replace(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be written ({error}). Make room, or name another folder in "
            "DUALSTYLE_CACHE."
        ) from error
    finally:
        with suppress(OSError):
            fresh.unlink()


def _sizes_json(network: Ours) -> str:
    """Sizes of a network, which may be on the meta device, as they stand in the header."""
    if isinstance(network, Sampler):
        halves = {"structure": network.structure, "color": network.color}
        return json.dumps({name: asdict(half.config) for name, half in halves.items()})
    return json.dumps(asdict(network.config))
