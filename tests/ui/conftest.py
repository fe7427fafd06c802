"""A page on a tiny real model: untrained networks that draw 256 px, so that results grow."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from dualstyle import native
from dualstyle.catalogue import load_catalogue
from dualstyle.checkpoints import Codes, save_codes, save_network
from dualstyle.config import EncoderConfig, GeneratorConfig, SamplerConfig
from dualstyle.faces import Face
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.sampler import Sampler
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.sources import Library
from dualstyle.stylizer import Stylizer
from dualstyle.ui.layout import build_demo, launch_options

STYLES = Path(__file__).parents[2] / "styles"
SIZE, LAYERS, DIM = 256, 14, 16
GENERATOR = GeneratorConfig(image_size=SIZE, style_dim=DIM, channels=(8,) * 7)
ENCODER = EncoderConfig(
    input_size=64,
    num_layers=LAYERS,
    style_dim=DIM,
    stem_channels=16,
    widths=(16, 16, 16, 16),
    units=(1, 1, 1, 1),
    head_channels=16,
)
EXEMPLARS = 8
SAMPLER_OF = "cartoon"  # the toon heads have no sampling network


class WideMeansTwo:
    """Finds two faces in wide pictures, one in square ones, and none in tall ones."""

    def detect(self, picture: Image.Image) -> list[Face]:
        if picture.height > picture.width:
            return []
        shares = (0.25, 0.75) if picture.width > 1.5 * picture.height else (0.5,)
        return [_face(picture, share) for share in shares]

    def identity(self, picture: Image.Image) -> None:
        return None


def _face(picture: Image.Image, share: float) -> Face:
    size, middle = picture.height / 3, np.array([picture.width * share, picture.height / 2])
    points = np.tile(middle, (68, 1))
    points[36:42] += (-0.3 * size, -0.2 * size)
    points[42:48] += (0.3 * size, -0.2 * size)
    points[48] += (-0.2 * size, 0.3 * size)
    points[54] += (0.2 * size, 0.3 * size)
    return Face(box=(0, 0, size, size), score=1.0, landmarks=points)


def picture(width: int = 300, height: int = 300, seed: int = 0) -> Image.Image:
    """Smooth blotches; the same seed gives the same ones."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def files_in(folder: Path) -> set[Path]:
    # os.walk bears that a visitor who has left is being forgotten meanwhile.
    return {Path(root, name) for root, _, names in os.walk(folder) for name in names}


def wait_for(condition: Callable[[], object], patience: float = 60) -> None:
    """Wait until something holds; fail after `patience` [s]."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it has not come to pass"
        time.sleep(0.02)


def write_model(folder: Path) -> None:
    """Write a bundled model of untrained networks with two domains."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        base = save_network(StyleGAN2(GENERATOR), folder / "base.safetensors")
        save_network(PSPEncoder(ENCODER), folder / "encoder.safetensors", space="w+", base=base)
        for domain in ("cartoon", "toonhead"):
            own = folder / domain
            save_network(ExtrinsicPath(GENERATOR), own / "extrinsic.safetensors", base=base)
            names = tuple(f"{index}.jpg" for index in range(EXEMPLARS))
            values = torch.randn(EXEMPLARS, LAYERS, DIM)
            save_codes(Codes(names, values, "w+"), own / "codes.safetensors")
        halves = (SamplerConfig(num_layers=n, style_dim=DIM) for n in (7, LAYERS - 7))
        save_network(Sampler(*halves).eval(), folder / SAMPLER_OF / "sampler.safetensors")


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """Domain files, the published one among them without its weights, and the tiny model."""
    folder = tmp_path_factory.mktemp("styles")
    names = ["_presets", "_pocket", "_published", "cartoon", "pocket-cartoon", "pocket-toonhead"]
    for name in names:
        shutil.copy(STYLES / f"{name}.toml", folder)
    write_model(folder / "pocket")
    return folder


@pytest.fixture(scope="session", autouse=True)
def uploads(tmp_path_factory) -> Path:
    """Keep Gradio's files of these tests apart."""
    folder = tmp_path_factory.mktemp("gradio")
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(folder))
    yield folder
    patch.undo()


def make_stylizer(home: Path, cache: Path, finder=None) -> Stylizer:
    library = Library(load_catalogue(home), cache=cache, offline=True)
    return Stylizer(library, finder=finder or WideMeansTwo())


@pytest.fixture(scope="session")
def stylizer(home, tmp_path_factory) -> Stylizer:
    native.kernels()  # loaded before, not while a visitor clicks
    return make_stylizer(home, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def thumbnails(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("thumbnails")


@pytest.fixture(scope="session")
def demo(stylizer, thumbnails) -> gr.Blocks:
    return build_demo(stylizer, stylizer.library.catalogue, thumbnails=thumbnails)


@pytest.fixture(scope="session")
def address(demo, stylizer):
    """The page, served on this machine until the tests end."""
    options = launch_options(stylizer, stylizer.library.catalogue)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _, url, _ = demo.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port, **options
    )
    yield url
    demo.close()
