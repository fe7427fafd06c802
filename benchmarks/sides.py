"""One side of one comparison, in a process of its own, so that allocators and peaks are its own.

    python -m benchmarks.sides generator_fp32 ours OUT.npy [PHOTO]

Cases of whole requests take all cores, the others one. Says "ready", then works once for every
line it reads, and answers with CPU seconds, wall seconds and the memory that was added on the way
(Linux only). At the end of the input it writes its result.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from PIL import Image
from torch import Tensor

from benchmarks.alignment import enlarged, reference_finder
from dualstyle import native, ops
from dualstyle.cli.console import Console, shared_cores
from dualstyle.config import EncoderConfig, GeneratorConfig
from dualstyle.faces import DlibFaceFinder, align
from dualstyle.images import open_untrusted, png_bytes, to_picture
from dualstyle.memory import keep_freed_memory
from dualstyle.models.dualstylegan import DualStyleGAN
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.stylegan2 import Trunk
from dualstyle.precision import DTYPES

PUBLISHED = torch.tensor([0.6] * 7 + [1.0] * 11)
FIRST_SHOWN = 128  # [px]
WHOLE = ("restyle", "photo", "folder")  # requests, timed by the clock on all cores
FOLDER = 4  # photos
Work = Callable[[], Any]


def generator_work(side: str, kind: str) -> Work:
    """Draw 1024 px with random weights; time does not depend on them."""
    network = DualStyleGAN(GeneratorConfig()).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.01)
    codes = network.intrinsic.to_w_plus(torch.randn(1, 18, 512))
    exemplar = network.intrinsic.to_w_plus(torch.randn(1, 18, 512))
    options: dict[str, Any] = {}
    if kind == "mixed":
        network.to(DTYPES["mixed"].weights)
        options = {"dtype": DTYPES["mixed"].trunk, "fine_dtype": DTYPES["mixed"].fine}
    if side in ("twin", "depthwise"):
        options = {"reference": True}
    if side == "depthwise":
        ops.upfirdn_reference = depthwise_blur
    if side == "colour":
        options["trunk"] = Trunk.of(network.synthesize(codes, exemplar, PUBLISHED))

    def draw() -> Tensor:
        for stage in network.synthesize(codes, exemplar, PUBLISHED, **options):
            rgb = stage.rgb
            if side == "preview" and stage.size == FIRST_SHOWN:
                break
            del stage  # as `Drawing` does
        return rgb

    return draw


def depthwise_blur(x: Tensor, kernel: Tensor, *, up: int, pads: tuple[int, int]) -> Tensor:
    """Filter NCHW maps by one depthwise convolution, quicker than the published plane by plane."""
    assert up == 1
    weight = kernel.flip(0, 1).to(x).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(F.pad(x, (*pads, *pads)), weight, groups=x.shape[1])


def encoder_work(side: str, kind: str) -> Work:
    """Encode 256 px; the twin is the plain form that training uses, where gradients could flow."""
    network = PSPEncoder(EncoderConfig()).eval().requires_grad_(False)
    if kind == "bf16":
        network.to(torch.bfloat16)
    face = torch.rand(1, 3, 256, 256) * 2 - 1

    def encode() -> Tensor:
        with torch.set_grad_enabled(side == "twin"):
            return network(face)

    return encode


def alignment_work(side: str, photo: Path) -> Work:
    """Detect and cut in a 12 Mpixel photo, with loaded models; the result is the quad."""
    picture, cut = enlarged(photo), cutter(side)
    return lambda: torch.from_numpy(cut(picture))


def cutter(side: str) -> Callable[[Image.Image], np.ndarray]:
    """What finds a face and cuts it out, and tells the quad."""
    if side == "twin":
        find = reference_finder()
        return lambda picture: align(picture, find(picture), parity=True).quad
    finder = DlibFaceFinder()
    return lambda picture: align(picture, finder.detect(picture)[0]).quad


def png_work(side: str, photo: Path) -> Work:
    """Encode a 1024 px picture; the twin is Pillow's default."""
    small = enlarged(photo).resize((1024, 1024))
    if side == "ours":
        return lambda: torch.tensor(len(png_bytes(small)))

    def default() -> Tensor:
        buffer = BytesIO()
        small.save(buffer, format="PNG")
        return torch.tensor(buffer.tell())

    return default


def restyle_work(side: str) -> Work:
    """Draw 1024 px and make a picture of it, as a click on another style does."""
    draw = generator_work("ours" if side == "one_core" else side, "fp32")

    def restyle() -> Tensor:
        return torch.from_numpy(np.array(to_picture(draw())))

    return restyle


def photo_work(side: str, photo: Path) -> Work:
    """From the file of a 12 Mpixel photo to a PNG of 1024 px: read, find, cut, encode, draw.

    The published demonstration draws the reconstruction as well, by the StyleGAN2 decoder, which
    is the generator without its extrinsic path and takes as long (4.0 s beside 4.3 s on two cores).
    """
    file = BytesIO()
    enlarged(photo).save(file, format="JPEG", quality=92)
    jpeg, cut = file.getvalue(), cutter(side)
    encode, draw = encoder_work(side, "fp32"), generator_work(side, "fp32")

    def published() -> Tensor:
        cut(Image.open(BytesIO(jpeg)).convert("RGB"))
        encode()
        draw()
        result = BytesIO()
        to_picture(draw()).save(result, format="PNG")
        return torch.tensor(result.tell())

    def ours() -> Tensor:
        cut(open_untrusted(jpeg))
        encode()
        return torch.tensor(len(png_bytes(to_picture(draw()))))

    return published if side == "twin" else ours


def folder_work(photo: Path) -> Work:
    """Do that with some photos, as ``stylize FOLDER`` does, on all cores or on one."""
    work = photo_work("ours", photo)
    photos = [photo] * FOLDER

    def draw(_: Path) -> None:
        with torch.inference_mode():  # it is of a thread
            work()

    def each() -> Tensor:
        with shared_cores(torch.device("cpu"), FOLDER) as at_once:
            Console().each(photos, draw, lambda *_: None, at_once)
        return torch.tensor(FOLDER)

    return each


def work_of(case: str, side: str, photo: Path | None) -> Work:
    """Find the work of one side of a case."""
    name, _, kind = case.partition("_")
    if name == "generator":
        return generator_work(side, kind)
    if name == "encoder":
        return encoder_work(side, kind)
    if name == "restyle":
        return restyle_work(side)
    assert photo is not None
    if name == "folder":
        return folder_work(photo)
    if name == "photo":
        return photo_work(side, photo)
    return (alignment_work if name == "alignment" else png_work)(side, photo)


def memory(entry: str) -> int | None:
    """A figure of /proc/self/status [bytes]; None where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(entry))


def measured(work: Work) -> tuple[dict[str, Any], Any]:
    """Do it once: CPU and wall seconds, memory beyond what was resident before, and the result."""
    before = memory("VmRSS")
    if before is not None:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    seconds = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    peak = memory("VmHWM")
    extra = None if before is None or peak is None else peak - before
    return {**seconds, "extra": extra}, result


def main() -> None:
    """Answer every line of the input with one measurement."""
    case, side, out, *photo = sys.argv[1:]
    if case not in WHOLE or side == "one_core":
        torch.set_num_threads(1)
    torch.manual_seed(0)
    if side not in ("twin", "depthwise"):
        keep_freed_memory()  # as app.py and `python -m dualstyle` do; the published code does not
        native.kernels()  # compiled and loaded before memory is measured, as the app does
    with torch.inference_mode():
        work = work_of(case, side, Path(photo[0]) if photo else None)
        facts, result = measured(work)  # memory is that of the first time
        first = facts["extra"]
        print("ready", flush=True)
        for _ in sys.stdin:
            facts, result = measured(work)
            print(json.dumps({**facts, "extra": first}), flush=True)
    np.save(out, result.float().numpy())


if __name__ == "__main__":
    main()
