"""Figures of a bundled model on people who were not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from dualstyle.faces import FACE_SIZE, FaceFinder
from dualstyle.images import to_picture
from dualstyle.training.autoencoder import psnr
from dualstyle.training.losses import ssim, to_grey

SAME_PERSON = 0.6  # dlib's own threshold for its descriptors
EDGE = 2  # [px] cut-off of what counts as fine detail


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How well pictures of faces were redrawn."""

    count: int
    psnr: float  # mean [dB]
    ssim: float  # mean of `losses.ssim`
    sharpness: float  # fine detail, as a share of the photos'
    identity: float  # mean distance of dlib descriptors
    recognised: float  # share of distances below SAME_PERSON
    nearest: float  # share whose nearest photo of all is the right one


def likeness(drawn: Tensor, photos: Tensor, finder: FaceFinder) -> Likeness:
    """Compare redrawn pictures with their photos, both [K, 3, S, S] in [-1, 1].

    Descriptors are taken of both pictures enlarged to 256 px.
    """
    drawn = drawn.clamp(-1, 1)
    first, second = descriptors(drawn, finder), descriptors(photos, finder)
    distances = np.linalg.norm(first[:, None] - second[None], axis=-1)
    own = np.diag(distances)
    return Likeness(
        count=len(photos),
        psnr=float(psnr(drawn, photos).mean()),
        ssim=float(ssim(drawn, photos).mean()),
        sharpness=fine_detail(drawn) / fine_detail(photos),
        identity=float(own.mean()),
        recognised=float((own < SAME_PERSON).mean()),
        nearest=float((distances.argmin(axis=1) == np.arange(len(own))).mean()),
    )


def descriptors(pictures: Tensor, finder: FaceFinder) -> NDArray[np.float64]:
    """Identity descriptors [K, 128] of pictures [K, 3, S, S]; far away where there is no face."""
    rows = []
    for picture in tqdm(pictures, desc="describing"):
        large = to_picture(picture).resize((FACE_SIZE, FACE_SIZE), Image.Resampling.BICUBIC)
        found = finder.identity(large)
        rows.append(np.full(128, np.inf) if found is None else found)
    return np.nan_to_num(np.stack(rows), posinf=9.0)


def fine_detail(pictures: Tensor) -> float:
    """Standard deviation of what a 5x5 mean takes away, averaged over [K, 3, S, S]."""
    grey = to_grey(pictures)
    window = 2 * EDGE + 1
    smooth = torch.nn.functional.avg_pool2d(grey, window, stride=1)
    inner = grey[:, :, EDGE:-EDGE, EDGE:-EDGE]
    return float((inner - smooth).square().mean(dim=(1, 2, 3)).sqrt().mean())
