"""Tiny files in the official and in the converted layout, with numbers made from names alone.

The official networks at 64 px, but narrow: codes of 32 numbers, 32 channels, and an encoder of the
published depth. The numbers follow the rules of the golden cases.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch

from dualstyle.checkpoints import Codes, save_codes, save_network
from dualstyle.config import EncoderConfig, GeneratorConfig, SamplerConfig
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.sampler import CodeMLP, Sampler
from dualstyle.models.stylegan2 import StyleGAN2
from tests.golden_rules import entries, made, rule_convolutional, rule_generator, state

SIZE = 64  # [px]
LAYERS = 10  # style inputs of a 64 px generator
DIM = 32  # numbers in one layer's code
CHANNELS = 32
GENERATOR = GeneratorConfig(image_size=SIZE, style_dim=DIM, channels=(CHANNELS,) * 5)
ENCODER = EncoderConfig(
    num_layers=LAYERS,
    style_dim=DIM,
    stem_channels=16,
    widths=(16, 32, 48, 64),
    head_channels=64,
)
STRUCTURE = SamplerConfig(num_layers=7, style_dim=DIM)
COLOR = SamplerConfig(num_layers=LAYERS - 7, style_dim=DIM)
NAMES = ("b_second.jpg", "a_first.jpg", "c_third.png")  # an order that sorting would change

_NARROW = {512: CHANNELS, 1024: 2 * CHANNELS}
# The widths must differ, because a unit of unequal widths has a shortcut of its own; the small
# numbers are those of squeeze-and-excitation, a sixteenth.
_NARROW_ENCODER = {64: 16, 128: 32, 256: 48, 512: 64, 4: 1, 8: 2, 16: 3, 32: 4}


def _narrowed(keys, widths):
    return [[key, [widths.get(n, n) for n in shape], *rest] for key, shape, *rest in keys]


@functools.cache
def generator_state(flavour="", base=""):
    """Official names of a DualStyleGAN generator.

    Args:
        flavour: Another word makes other numbers for what is a domain's own.
        base: Another word makes other numbers for the StyleGAN2.
    """
    keys = _narrowed(entries("keys_dsg64.json"), _NARROW)
    inner = [entry for entry in keys if entry[0].startswith("generator.")]
    own = [entry for entry in keys if not entry[0].startswith("generator.")]
    kernel = {"generator.convs.0.conv.blur.kernel": torch.ones(4, 4) / 4}
    return (
        state(own, rule_generator, prefix=flavour)
        | state(inner, rule_generator, prefix=base)
        | kernel
    )


@functools.cache
def encoder_state(base=""):
    """Official names of a pSp: encoder and decoder, the latter with the generators' numbers."""
    keys = []
    for name, shape, *rest in entries("keys/psp_zplus.json"):
        if not name.startswith("encoder."):
            continue
        key = name.removeprefix("encoder.")
        head = int(key.split(".")[1]) if key.startswith("styles.") else -1
        shape = [_NARROW_ENCODER.get(n, n) for n in shape]
        if ".linear." in key:
            shape[0] = DIM
        if head < LAYERS:
            keys.append([key, shape, *rest])
    encoder = state(keys, rule_convolutional)
    decoder = {
        key.removeprefix("generator."): tensor
        for key, tensor in generator_state("", base).items()
        if key.startswith("generator.")
    }
    return {f"encoder.{key}": t for key, t in encoder.items()} | {
        f"decoder.{key}": t for key, t in decoder.items()
    }


@functools.cache
def sampler_state():
    """Official names of both halves of a sampling network, "color." and "structure." before."""
    outputs = {7 * 512: 7 * DIM, 11 * 512: COLOR.num_layers * DIM}
    return state(_narrowed(entries("keys/sampler.json"), outputs), rule_convolutional)


def write_generator(path: Path, *, flavour="", base="") -> Path:
    """Write a ``generator.pt``; see `generator_state`."""
    return write_pt(path, {"g_ema": generator_state(flavour, base)})


def write_encoder(path: Path, *, options=None, average="512", base="") -> Path:
    """Write an ``encoder.pt``.

    Args:
        path: Of the file.
        options: Changes to its options; a value of None takes one out.
        average: Shape of ``latent_avg``: "512" for one code, "18,512" for one per layer, or None.
        base: As in `generator_state`, of the decoder.
    """
    opts = {"output_size": SIZE, "start_from_latent_avg": True, "learn_in_w": False}
    opts |= {"encoder_type": "GradualStyleEncoder", "input_nc": 3, **(options or {})}
    opts = {key: value for key, value in opts.items() if value is not None}
    content = {"state_dict": encoder_state(base), "opts": opts}
    if average is not None:
        content["latent_avg"] = latent_average(average)
    return write_pt(path, content)


def latent_average(kind):
    """Average code: "512" is [DIM], "18,512" is [LAYERS, DIM]."""
    return 0.1 * made("latent_avg", *((DIM,) if kind == "512" else (LAYERS, DIM)))


def write_sampler(path: Path) -> Path:
    """Write a ``sampler.pt``."""
    halves = {"color": {}, "structure": {}}
    for key, tensor in sampler_state().items():
        half, _, name = key.partition(".")
        halves[half][name] = tensor
    return write_pt(path, halves)


def codes(names=NAMES, *, layers=LAYERS):
    """Codes as they lie in the official file, [1, L, D] each."""
    return {name: made(f"code {name}", 1, layers, DIM).numpy() for name in names}


def write_codes(path: Path, names=NAMES) -> Path:
    """Write an ``exstyle_code.npy``: a dictionary in an array of objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(codes(names), dtype=object), allow_pickle=True)
    return path


def write_pt(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def write_official(folder: Path, domain="cartoon", *, refined=True, sampler=True, base="") -> Path:
    """Write a domain and the encoders into a folder, as the authors publish them."""
    own = folder / "models" / domain
    write_generator(own / "generator.pt", flavour=domain, base=base)
    write_codes(own / ("refined_exstyle_code.npy" if refined else "exstyle_code.npy"))
    if sampler:
        write_sampler(own / "sampler.pt")
    write_encoder(folder / "models/encoder.pt", base=base)
    write_encoder(folder / "models/encoder_wplus.pt", average="18,512", base=base)
    return folder


def write_pocket(folder: Path, domains=("cartoon",), *, dtype=torch.float16, space="w+") -> Path:
    """Write a bundled model of untrained networks in the converted layout."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        base = save_network(StyleGAN2(GENERATOR), folder / "base.safetensors", dtype=dtype)
        encoder, faces = (
            PSPEncoder(ENCODER),
            CodeMLP(SamplerConfig(num_layers=LAYERS, style_dim=DIM)),
        )
        save_network(encoder, folder / "encoder.safetensors", dtype=dtype, space=space, base=base)
        drawn = folder / "intrinsic_sampler.safetensors"
        save_network(faces, drawn, dtype=dtype, space=space, base=base)
        for domain in domains:
            own = folder / domain
            path, sampler = ExtrinsicPath(GENERATOR), Sampler(STRUCTURE, COLOR)
            save_network(path, own / "extrinsic.safetensors", dtype=dtype, base=base)
            save_network(sampler, own / "sampler.safetensors", dtype=dtype)
            values = torch.from_numpy(np.concatenate(list(codes().values())))
            save_codes(Codes(NAMES, values, space), own / "codes.safetensors", dtype=dtype)
    return folder


TITLES = 'title = { en = "Title", ko = "제목" }\n'
LICENCE = 'licence = { name = "MIT", url = "https://example.org", commercial = true }\n'
FILES = """
[files]
generator = "models/{name}/generator.pt"
sampler = "models/{name}/sampler.pt"
[files.codes]
refined = "models/{name}/refined_exstyle_code.npy"
plain = "models/{name}/exstyle_code.npy"
[files.encoders]
"z+" = "models/encoder.pt"
"w+" = "models/encoder_wplus.pt"
"""


def write_catalogue(
    folder: Path,
    *,
    refined=("cartoon",),
    plain=("comic",),
    pocket=("cartoon",),
    repos=("first/weights", "second/weights"),
) -> Path:
    """Write the domain files of a small catalogue, and the bundled model beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for choice, names in (("refined", refined), ("plain", plain)):
        for name in names:
            listed = ", ".join(f'"{repo}"' for repo in repos)
            styles = f'[styles]\ncount = {len(NAMES)}\ndefault = 0\ncodes = "{choice}"\n'
            styles += "sampler = true\n"
            text = f"{TITLES}{LICENCE}repos = [{listed}]\n{styles}{FILES}"
            (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    for name in pocket:
        text = f'{TITLES}{LICENCE}bundled = "pocket"\n[styles]\ndefault = 0\n'
        (folder / f"pocket-{name}.toml").write_text(text, encoding="utf-8")
    if pocket:
        write_pocket(folder / "pocket", pocket)
    return folder
