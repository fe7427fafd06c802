"""Official weight files are checked, translated and converted to ours, once.

Every tensor of an official file is accounted for: one that is missing, left over or of another
shape is named in the error, together with what the file seems to be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from dualstyle.checkpoints import (
    Codes,
    base_path,
    content_hash,
    difference,
    on_meta,
    read_header,
    save_codes,
    sizes_of,
    write,
)
from dualstyle.config import EncoderConfig, GeneratorConfig, SamplerConfig, Space
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
    encoder_config,
    first_tensor,
    generator_config,
    sampler_configs,
    seems_to_be,
)

_INTRINSIC = "generator."  # before the names of the StyleGAN2 inside an official generator
_ENCODER, _DECODER = "encoder.", "decoder."  # the halves of an official pSp


def convert_generator(
    path: Path, base_folder: Path, extrinsic_out: Path, *, source: Mapping[str, Any] | None = None
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
    parts = split_generator(read_official(path), path)
    config = _config_json(parts.config)
    base = content_hash(parts.base)
    base_out = base_path(base_folder, base)
    try:
        there = read_header(base_out).base == base
    except CheckpointError:
        there = False
    if not there:
        write(base_out, parts.base, "stylegan2", {"config": config, "hash": base})
    facts = {"config": config, "base": base} | _source(source)
    write(extrinsic_out, parts.extrinsic, "extrinsic", facts)
    return base_out


def convert_encoder(
    path: Path, out: Path, space: Space, *, source: Mapping[str, Any] | None = None
) -> None:
    """Convert an official encoder, which does not say itself in which space its codes are."""
    config, state, base = split_encoder(read_official(path), path)
    facts = {"config": _config_json(config), "space": space} | ({"base": base} if base else {})
    write(out, state, "encoder", facts | _source(source))


def convert_sampler(path: Path, out: Path, *, source: Mapping[str, Any] | None = None) -> None:
    """Convert an official sampling network."""
    configs, state = split_sampler(read_official(path), path)
    write(out, state, "sampler", {"config": _sampler_json(*configs)} | _source(source))


def convert_codes(path: Path, out: Path, *, source: Mapping[str, Any] | None = None) -> None:
    """Convert the official codes of exemplars, which are z+."""
    codes = read_codes_npy(path)
    values = torch.stack(list(codes.values()))
    save_codes(Codes(tuple(codes), values, "z+"), out, extra=_source(source))


def _source(source: Mapping[str, Any] | None) -> dict[str, str]:
    return {} if source is None else {"source": json.dumps(dict(source))}


@dataclass(frozen=True)
class GeneratorParts:
    """An official generator, taken apart: what all domains share, and what is one domain's own."""

    config: GeneratorConfig
    base: dict[str, Tensor]  # of a StyleGAN2
    extrinsic: dict[str, Tensor]  # of an ExtrinsicPath


def split_generator(content: Mapping[str, Any], path: Path) -> GeneratorParts:
    """Translate an official ``generator.pt`` and check every tensor of it.

    Raises:
        CheckpointError: It is no such file; names its first wrong tensor.
    """
    report = _Report(path, "a DualStyleGAN generator (generator.pt)", content)
    state = report.tensors("g_ema")
    own = {name: tensor for name, tensor in state.items() if not name.startswith(_INTRINSIC)}
    if len(own) == len(state) or not any(name.startswith("res.") for name in own):
        report.fail(f"its first wrong tensor is {first_tensor(content) or 'not there'}")
    base = report.translated(state, STYLEGAN2, _INTRINSIC)
    extrinsic = report.translated(own, EXTRINSIC)
    config = generator_config(base, extrinsic)
    report.compare(on_meta(StyleGAN2, config), base)
    report.compare(on_meta(ExtrinsicPath, config), extrinsic)
    return GeneratorParts(config, base, extrinsic)


def split_encoder(
    content: Mapping[str, Any], path: Path
) -> tuple[EncoderConfig, dict[str, Tensor], str | None]:
    """Translate an official ``encoder.pt``, obeying the options that lie in it.

    Returns:
        Sizes, tensors of a PSPEncoder, and the hash of the StyleGAN2 in the file (which is not
        taken over: the generators have the same) or None.

    Raises:
        CheckpointError: It is no such file; names its first wrong tensor.
    """
    report = _Report(path, "a pSp encoder (encoder.pt or encoder_wplus.pt)", content)
    state = report.tensors("state_dict")
    options = content.get("opts")
    options = dict(options) if isinstance(options, Mapping) else vars(options or object)
    decoder = {name: t for name, t in state.items() if name.startswith(_DECODER)}
    rest = {name: tensor for name, tensor in state.items() if name not in decoder}
    strangers = {name: tensor for name, tensor in rest.items() if not name.startswith(_ENCODER)}
    encoder = report.translated(rest, PSP_ENCODER, _ENCODER) | strangers
    size = options.get("output_size") or None  # None, too, in files that predate the option
    if size is not None and (not isinstance(size, int) or size < 1):
        report.fail(f"its option output_size is {size!r}")
    config = encoder_config(encoder, size)
    encoder["code_offset"] = _code_offset(config, options, content, report)
    report.compare(on_meta(PSPEncoder, config), encoder)
    base = translate(decoder, STYLEGAN2, prefix=_DECODER)
    on_meta = any(tensor.is_meta for tensor in base.values())
    return config, encoder, content_hash(base) if base and not on_meta else None


def split_sampler(
    content: Mapping[str, Any], path: Path
) -> tuple[tuple[SamplerConfig, SamplerConfig], dict[str, Tensor]]:
    """Translate an official ``sampler.pt``: sizes of the two halves, and tensors of a Sampler.

    Raises:
        CheckpointError: It is no such file; names its first wrong tensor.
    """
    report = _Report(path, "a sampling network (sampler.pt)", content)
    state = {
        f"{half}.{name}": tensor
        for half in ("structure", "color")
        for name, tensor in report.tensors(half).items()
    }
    state = report.translated(state, SAMPLER)
    configs = sampler_configs(state)
    report.compare(on_meta(Sampler, *configs), state)
    return configs, state


def _code_offset(
    config: EncoderConfig, options: dict[str, Any], content: Mapping[str, Any], report: _Report
) -> Tensor:
    """What the options say is added to every code, [L, D].

    With ``learn_in_w`` the official code repeats a single average, without it one per layer; for
    an encoder that writes one code per layer both are the same broadcast.
    """
    shape = (config.num_layers, config.style_dim)
    if "start_from_latent_avg" not in options:
        report.fail("its options do not say whether codes start from the average code")
    if not options["start_from_latent_avg"]:
        return torch.zeros(shape)
    average = content.get("latent_avg")
    if not isinstance(average, Tensor):
        report.fail("its tensor latent_avg is missing, from which its codes should start")
    if average.shape not in {shape, (1, *shape), shape[1:], (1, *shape[1:])}:
        report.fail(f"its tensor latent_avg is {list(average.shape)} and should be {list(shape)}")
    return average.float().expand(1, *shape)[0].contiguous()


class _Report:
    """Says what is wrong with an official file."""

    def __init__(self, path: Path, wanted: str, content: Mapping[str, Any]) -> None:
        self._path, self._wanted, self._content = path, wanted, content
        self._official: dict[str, str] = {}  # our names -> those in the file

    def fail(self, trouble: str) -> NoReturn:
        """Raise: what was wanted, what is wrong, what the file seems to be, what to do."""
        guess = seems_to_be(self._content)
        whole = f"{guess}, but damaged or another version" if guess == self._wanted else guess
        raise CheckpointError(
            f"{self._path} is not {self._wanted}: {trouble}. It seems to be {whole}. "
            "Put the right file in its place."
        )

    def tensors(self, key: str) -> dict[str, Tensor]:
        """The state dict under a key of the file."""
        state = self._content.get(key)
        if not isinstance(state, Mapping) or not state:
            self.fail(
                f"it has no entry {key!r}, and its first wrong tensor is "
                f"{first_tensor(self._content) or 'not there'}"
            )
        for name, tensor in state.items():
            if not isinstance(tensor, Tensor):
                self.fail(f"{key}/{name} is not a tensor")
        return dict(state)

    def translated(
        self, state: Mapping[str, Tensor], table: Table, prefix: str = ""
    ) -> dict[str, Tensor]:
        """Our names and float32 tensors; remembers the official names for messages."""
        for name in state:
            self._official[rename(name.removeprefix(prefix), table)] = name
        ours = translate(state, table, prefix=prefix)
        return {name: t.float() if t.is_floating_point() else t for name, t in ours.items()}

    def compare(self, network: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Refuse a state that is not exactly the network's, naming the first wrong tensor."""
        if trouble := difference(network, state, self._official):
            self.fail(trouble)
