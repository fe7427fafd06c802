"""Frozen records: the sizes of the networks, weight files, options and recipes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import groupby
from typing import Any, Literal, Self, get_args

VERSION = "0.1.0"  # of the code; written into every recipe

NUM_STRENGTHS = 18  # one per style input at 1024 px; a smaller generator reads the first ones
NUM_STRUCTURE_LAYERS = 7  # style inputs 0 to 6, 4x4 to 32x32: pose and the shapes of the face
SMALLEST_GENERATOR = 64  # [px] below this there would be no colour layers
TRUNK_SIZE = 32  # [px] of the feature maps that the structure layers end with
FIRST_SIZE = 4  # [px] side of the learned constant every picture grows from
MAX_STRENGTH = 2.0  # beyond twice the exemplar's manner pictures fall apart
MAX_TRUNCATION = 2.0
MAX_SEED = 2**63 - 1  # what torch.Generator.manual_seed takes

_STRENGTH = re.compile(r"(\d{1,9}(?:\.\d{0,15})?|\.\d{1,15})(?:\*(\d{1,2}))?")

Space = Literal["z", "z+", "w+"]
NoiseMode = Literal["stored", "random"]
Precision = Literal["fp32", "mixed", "half"]  # see `dualstyle.precision`


def is_power_of_two(value: int) -> bool:
    """Tell whether a positive number is 1, 2, 4, 8 and so on."""
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Sizes of StyleGAN2 and of the extrinsic path around it (official: 1024 px, config-f)."""

    image_size: int = 1024  # side [px], a power of two
    style_dim: int = 512  # numbers in one layer's code
    mapping_layers: int = 8  # of the network from z to w
    structure_mapping_layers: int = 2  # of T_s, the structure transform
    channels: tuple[int, ...] = ()  # per resolution from 4x4 up; () means the official widths

    def __post_init__(self) -> None:
        """Refuse impossible sizes and fill in the official widths."""
        if not is_power_of_two(self.image_size) or self.image_size < SMALLEST_GENERATOR:
            raise ValueError(
                f"image_size must be a power of two of at least {SMALLEST_GENERATOR}, "
                f"got {self.image_size}"
            )
        if not self.channels:
            widths = tuple(min(512, 32768 // size) for size in self.resolutions)
            object.__setattr__(self, "channels", widths)
        object.__setattr__(self, "channels", tuple(self.channels))
        if len(self.channels) != len(self.resolutions):
            raise ValueError(
                f"channels needs one width per resolution {self.resolutions}, got {self.channels}"
            )

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Sides of the feature maps [px]: 4, 8, ..., image_size."""
        return tuple(2**i for i in range(2, int(math.log2(self.image_size)) + 1))

    @property
    def num_layers(self) -> int:
        """Style inputs L: two per resolution, 18 at 1024 px."""
        return 2 * len(self.resolutions)

    @property
    def num_noises(self) -> int:
        """Noise inputs: one at 4x4, two per further resolution; 17 at 1024 px."""
        return self.num_layers - 1

    @property
    def num_color_layers(self) -> int:
        """Style inputs of the colour half; 11 at 1024 px."""
        return self.num_layers - NUM_STRUCTURE_LAYERS

    def layer_resolution(self, layer: int) -> int:
        """Side [px] of the feature map that convolution `layer` writes (0: 4x4, 1 and 2: 8x8)."""
        return self.resolutions[(layer + 1) // 2]

    def width(self, resolution: int) -> int:
        """Channels of the feature map of that side."""
        return self.channels[self.resolutions.index(resolution)]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes of the pSp encoder (official: IR-SE50 on 256 px with 18 heads of 512)."""

    input_size: int = 256  # side of the face it reads [px]
    num_layers: int = 18  # heads, one per style input of the generator
    style_dim: int = 512
    stem_channels: int = 64
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of the four stages of the body
    units: tuple[int, ...] = (3, 4, 14, 3)  # bottlenecks per stage
    head_channels: int = 512  # of the feature pyramid and of the heads' convolutions

    def __post_init__(self) -> None:
        """Refuse impossible sizes."""
        if len(self.widths) != len(self.units):
            raise ValueError(f"widths {self.widths} and units {self.units} must be of one length")
        if not is_power_of_two(self.input_size) or self.input_size < SMALLEST_GENERATOR:
            raise ValueError(f"input_size must be a power of two, got {self.input_size}")
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "units", tuple(self.units))


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """Sizes of one MLP of the sampling network N."""

    noise_dim: int = 128
    hidden_dim: int = 128
    num_layers: int  # codes it writes: 7 for structure, 11 for colour at 1024 px
    style_dim: int = 512


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Sizes of the StyleGAN2 discriminator; channels per resolution from 4x4 up as above."""

    image_size: int = 1024
    channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Fill in the official widths."""
        generator = GeneratorConfig(image_size=self.image_size, channels=self.channels)
        object.__setattr__(self, "channels", generator.channels)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Sides of the feature maps [px]: 4, 8, ..., image_size."""
        return GeneratorConfig(image_size=self.image_size).resolutions


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file of weights: where it lies in a source, and what it must be."""

    name: str  # path inside the repository or folder, such as "models/cartoon/generator.pt"
    sha256: str | None = None  # 64 hex digits; None: not pinned yet
    size: int | None = None  # [bytes]

    def __post_init__(self) -> None:
        """Refuse names that leave the folder and hashes that are not hashes."""
        parts = self.name.split("/")
        if not self.name or self.name.startswith("/") or "\\" in self.name or ".." in parts:
            raise ValueError(f"a weight file's name must stay inside its folder, got {self.name!r}")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 must be 64 hex digits, got {self.sha256!r}")


def _check_range(name: str, value: object, low: float, high: float) -> None:
    if not (isinstance(value, (int, float)) and math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")


def read_strengths(text: str) -> tuple[float, ...]:
    """Read layer strengths such as ``0.75*7 + 1*11`` or ``0 0 0, 0.5, 1``.

    Raises:
        ValueError: A part is neither a number nor NUMBER*TIMES, or there are not 18 in all.
    """
    values: list[float] = []
    for part in re.split(r"[\s,;+]+", re.sub(r"\s*\*\s*", "*", text.strip())):
        found = _STRENGTH.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is neither a number nor NUMBER*TIMES")
        values += [float(found[1])] * int(found[2] or 1)
    if len(values) != NUM_STRENGTHS:
        raise ValueError(f"strengths needs {NUM_STRENGTHS} numbers, got {len(values)}")
    return tuple(values)


def write_strengths(strengths: Iterable[float]) -> str:
    """Write layer strengths so that `read_strengths` understands them: ``0.75*7+1*11``."""
    runs = ((value, len(list(run))) for value, run in groupby(strengths))
    return "+".join(f"{value:.12g}*{times}" for value, times in runs)


@dataclass(frozen=True, kw_only=True)
class StylizeOptions:
    """How strongly, and with which chance, a style is applied; checked at birth.

    Raises:
        ValueError: A value is out of its range.
    """

    strengths: tuple[float, ...] = (0.6,) * 7 + (1.0,) * 11  # 18, 0 (photo) to 1 (exemplar)
    truncation: float = 0.7  # psi; 1 leaves the intrinsic code as it is
    noise: NoiseMode = "random"  # seeded noise, or the maps stored with the weights
    seed: int = 0  # of the noise
    preserve_color: bool = False  # colours of the photo
    image_size: int | None = None  # side of the result [px]; None: the model's own

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        object.__setattr__(self, "strengths", tuple(self.strengths))
        if len(self.strengths) != NUM_STRENGTHS:
            raise ValueError(f"strengths needs {NUM_STRENGTHS} numbers, got {len(self.strengths)}")
        for value in self.strengths:
            _check_range("a strength", value, 0.0, MAX_STRENGTH)
        _check_range("truncation", self.truncation, 0.0, MAX_TRUNCATION)
        _check_range("seed", self.seed, 0, MAX_SEED)
        if self.noise not in ("stored", "random"):
            raise ValueError(f"noise must be 'stored' or 'random', got {self.noise!r}")
        if self.image_size is not None and not is_power_of_two(self.image_size):
            raise ValueError(f"size must be a power of two, got {self.image_size}")

    @classmethod
    def blend(cls, *, structure: float = 0.6, color: float = 1.0, **others: Any) -> Self:
        """Options from two strengths: structure for layers 0 to 6, colour for 7 to 17."""
        rest = NUM_STRENGTHS - NUM_STRUCTURE_LAYERS
        return cls(strengths=(structure,) * NUM_STRUCTURE_LAYERS + (color,) * rest, **others)

    @property
    def structure(self) -> float:
        """Mean strength of the structure layers."""
        return sum(self.strengths[:NUM_STRUCTURE_LAYERS]) / NUM_STRUCTURE_LAYERS

    @property
    def color(self) -> float:
        """Mean strength of the colour layers."""
        return sum(self.strengths[NUM_STRUCTURE_LAYERS:]) / (NUM_STRENGTHS - NUM_STRUCTURE_LAYERS)

    def with_(self, **changes: Any) -> Self:
        """Copy with some values changed, checked again."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that makes the same picture again, but for the photo itself.

    It is written into the PNG as JSON under the key ``dualstyle`` and read back by
    ``stylize --recipe``. It never holds the photo, its name, or any code computed from a face.
    """

    domain: str
    revision: str  # commit, content hash or "bundled": which weights drew it
    style: str  # exemplar name, "random:SEED", "picture", "mix:..." or "blend:..."; see `codes`
    encoder: str = "z+"
    face: str = "best"
    paste_back: bool = False  # the whole photo was given, with the drawn faces in their places
    options: StylizeOptions = field(default_factory=StylizeOptions)
    version: str = ""  # of the code
    precision: Precision = "fp32"  # recipes that do not say it are older than the others

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a recipe back.

        Raises:
            ValueError: The text is no recipe, or a value in it is out of range.
        """
        try:
            values = json.loads(text)
            options = StylizeOptions(**values.pop("options"))
        except (TypeError, KeyError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"this is not a DualStyle recipe ({error})") from error
        names = {f.name for f in fields(cls)}
        if not {"domain", "revision", "style"} <= set(values) <= names:
            raise ValueError("this is not a DualStyle recipe (its fields are not ours)")
        flags = {"paste_back"}
        if not all(isinstance(values[name], bool if name in flags else str) for name in values):
            raise ValueError("this is not a DualStyle recipe (a field is of another kind)")
        if values.get("precision", "fp32") not in get_args(Precision):
            raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}")
        return cls(options=options, **values)
