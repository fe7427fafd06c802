"""Official weight files are checked, translated and converted to ours, once.

Every tensor of an official file is accounted for: one that is missing, left over or of another
shape is named in the error, together with what the file seems to be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from dualstyle.checkpoints import (
    Codes,
    Network,
    base_path,
    content_hash,
    difference,
    on_meta,
    read_header,
    save_codes,
    save_network,
)
from dualstyle.config import EncoderConfig, Space
from dualstyle.errors import CheckpointError
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.sampler import Sampler
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.official_names import (
    EXTRINSIC,
    PSP_ENCODER,
    SAMPLER,
    STYLEGAN2,
    Table,
    rename,
    translate,
)
from dualstyle.pickles import read_codes_npy, read_official
from dualstyle.recognition import (
    DUAL_GENERATOR,
    ENCODER,
    SAMPLING_NETWORK,
    encoder_config,
    first_tensor,
    generator_config,
    sampler_configs,
    seems_to_be,
)

Facts = Mapping[str, Any]

_INTRINSIC = "generator."  # before the names of the StyleGAN2 inside an official generator
_ENCODER, _DECODER = "encoder.", "decoder."  # before those of the halves of an official pSp
_HALVES = ("structure", "color")  # of a sampling network


def convert_generator(
    path: Path, base_folder: Path, extrinsic_out: Path, *, source: Facts | None = None
) -> Path:
    """Convert an official generator; a StyleGAN2 that is already there is not stored again.

    Args:
        path: ``generator.pt``.
        base_folder: Where the StyleGAN2 is kept, as ``base-HASH.safetensors``.
        extrinsic_out: File for what is the domain's own.
        source: Facts about `path` to be recorded in the file, here and in the functions below.

    Returns:
        The file of the StyleGAN2.

    Raises:
        CheckpointError: The file is not what it should be, or the disk refuses.
    """
    base, extrinsic = official_generator(read_official(path), path)
    digest = content_hash(base.state_dict())
    base_out = base_path(base_folder, digest)
    try:
        there = read_header(base_out).base == digest
    except CheckpointError:
        there = False
    if not there:
        save_network(base, base_out)
    save_network(extrinsic, extrinsic_out, base=digest, extra=_recorded(source))
    return base_out


def convert_encoder(path: Path, out: Path, space: Space, *, source: Facts | None = None) -> None:
    """Convert an official encoder, which does not say itself in which space its codes are.

    The hash of the StyleGAN2 in the file is recorded as its base. The StyleGAN2 itself is not
    taken over: the generators have one.
    """
    content = read_official(path)
    network = official_encoder(content, path)
    decoder = translate(content["state_dict"], STYLEGAN2, prefix=_DECODER)
    base = content_hash({name: _plain(tensor) for name, tensor in decoder.items()})
    save_network(network, out, space=space, base=base if decoder else None, extra=_recorded(source))


def convert_sampler(path: Path, out: Path, *, source: Facts | None = None) -> None:
    """Convert an official sampling network."""
    save_network(official_sampler(read_official(path), path), out, extra=_recorded(source))


def convert_codes(path: Path, out: Path, *, source: Facts | None = None) -> None:
    """Convert the official codes of exemplars, which are z+."""
    codes = read_codes_npy(path)
    values = torch.stack(list(codes.values()))
    save_codes(Codes(tuple(codes), values, "z+"), out, extra=_recorded(source))


def official_generator(content: Facts, path: Path) -> tuple[StyleGAN2, ExtrinsicPath]:
    """Build both halves of an official generator, its tensors being used as they are.

    Args:
        content: What `read_official` found; tensors may be on the meta device.
        path: For messages.

    Raises:
        CheckpointError: It is no such file; names its first wrong tensor.
    """
    report = _Report(path, DUAL_GENERATOR, content)
    state = report.tensors("g_ema")
    own = {name: tensor for name, tensor in state.items() if not name.startswith(_INTRINSIC)}
    if len(own) == len(state) or not any(name.startswith("res.") for name in own):
        report.fail(f"its first tensor is {first_tensor(content)}")
    base = report.translated(state, STYLEGAN2, _INTRINSIC)
    extrinsic = report.translated(own, EXTRINSIC)
    config = generator_config(base, extrinsic)
    return (
        report.filled(on_meta(StyleGAN2, config), base),
        report.filled(on_meta(ExtrinsicPath, config), extrinsic),
    )


def official_encoder(content: Facts, path: Path) -> PSPEncoder:
    """Build an official encoder, obeying the options in its file; see `official_generator`."""
    report = _Report(path, ENCODER, content)
    state = report.tensors("state_dict")
    own = {name: tensor for name, tensor in state.items() if not name.startswith(_DECODER)}
    strangers = {name: tensor for name, tensor in own.items() if not name.startswith(_ENCODER)}
    encoder = report.translated(own, PSP_ENCODER, _ENCODER) | strangers
    options = content.get("opts")
    options = options if isinstance(options, Mapping) else getattr(options, "__dict__", {})
    size = options.get("output_size")  # None in files that predate the option
    if size is not None and (not isinstance(size, int) or size < 1):
        report.fail(f"its option output_size is {size!r}")
    config = encoder_config(encoder, size)
    encoder["code_offset"] = _code_offset(config, options, content, report)
    return report.filled(on_meta(PSPEncoder, config), encoder)


def official_sampler(content: Facts, path: Path) -> Sampler:
    """Build an official sampling network; see `official_generator`."""
    report = _Report(path, SAMPLING_NETWORK, content)
    halves = {half: report.tensors(half) for half in _HALVES}
    named = {f"{half}.{name}": t for half, state in halves.items() for name, t in state.items()}
    state = report.translated(named, SAMPLER)
    return report.filled(on_meta(Sampler, *sampler_configs(state)), state)


def _code_offset(config: EncoderConfig, options: Facts, content: Facts, report: _Report) -> Tensor:
    """What the options say is added to every code, [L, D].

    With ``learn_in_w`` the official code repeats one average code, without it one per layer; for
    an encoder that writes one code per layer both are the same broadcast.
    """
    shape = (config.num_layers, config.style_dim)
    if "start_from_latent_avg" not in options:
        report.fail("its opts do not say whether codes start from the average (latent_avg)")
    if not options["start_from_latent_avg"]:
        return torch.zeros(shape)
    average = content.get("latent_avg")
    if not isinstance(average, Tensor):
        report.fail("its tensor latent_avg is missing, from which its opts let codes start")
    if average.shape not in {shape, (1, *shape), shape[1:], (1, *shape[1:])}:
        report.fail(f"its tensor latent_avg is {list(average.shape)} and should be {list(shape)}")
    return _plain(average).expand(1, *shape)[0].contiguous()


def _plain(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _recorded(source: Facts | None) -> dict[str, str]:
    return {} if source is None else {"source": json.dumps(dict(source))}


class _Report:
    """Takes an official file apart, and says what is wrong with it."""

    def __init__(self, path: Path, wanted: str, content: Facts) -> None:
        self._path, self._wanted, self._content = path, wanted, content
        self._official: dict[str, str] = {}  # our names -> those in the file

    def fail(self, trouble: str) -> NoReturn:
        """Raise: what was wanted, what is wrong, what the file seems to be, what to do."""
        guess = seems_to_be(self._content)
        if guess == self._wanted:
            guess += ", but a damaged one or another version"
        raise CheckpointError(
            f"{self._path} is not {self._wanted}: {trouble}. It seems to be {guess}. "
            "Put the right file in its place."
        )

    def tensors(self, key: str) -> dict[str, Tensor]:
        """The state dict under a key of the file."""
        state = self._content.get(key)
        if not isinstance(state, Mapping) or not state:
            first = first_tensor(self._content) or "not there"
            self.fail(f"it has no entry {key!r}, and its first tensor is {first}")
        for name, tensor in state.items():
            if not isinstance(tensor, Tensor) or not isinstance(name, str):
                self.fail(f"{key}/{name} is not a tensor")
        return dict(state)

    def translated(
        self, state: Mapping[str, Tensor], table: Table, prefix: str = ""
    ) -> dict[str, Tensor]:
        """Our names and float32 tensors; remembers the official names for messages."""
        for name in state:
            if not name.startswith(prefix):
                continue
            ours = rename(name.removeprefix(prefix), table)
            if self._official.setdefault(ours, name) != name:
                self.fail(f"tensor {name} is there twice, also as {self._official[ours]}")
        ours = translate(state, table, prefix=prefix)
        return {name: _plain(tensor) for name, tensor in ours.items()}

    def filled(self, network: Network, state: Mapping[str, Tensor]) -> Network:
        """Give a network its tensors, all of them and no others."""
        if trouble := difference(network, state, self._official):
            self.fail(trouble)
        network.load_state_dict(dict(state), assign=True)
        return network
