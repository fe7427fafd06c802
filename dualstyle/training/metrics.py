"""Figures of drawn pictures; each says which network it was measured with, and on how many.

None of them can be compared with published figures unless the network is the same: those of FID are
taken with Inception, whose weights are not ours to ship. What judges by default is the best that is
on this machine: VGG19 where its file is, else dlib's descriptor of faces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dualstyle.errors import FaceError
from dualstyle.faces import FACE_SIZE, DlibFaceFinder, FaceFinder, identity_distance
from dualstyle.images import to_picture
from dualstyle.training.autoencoder import psnr
from dualstyle.training.base import Pictures, pooled
from dualstyle.training.features import (
    ARCFACE_FILE,
    VGG19_FILE,
    ArcFaceFeatures,
    FeatureNetwork,
    IdentityFeatures,
    PerceptualDistance,
    VGG19Features,
    find_file,
)
from dualstyle.training.losses import ssim

LOOK_SIZE = 256  # [px] of the pictures that networks look at
NEIGHBOURS = 3  # k of precision and recall (Kynkäänniemi et al., section 3)
PATH_STEP = 1e-4  # of an interpolation, for the path length
PATH_OUTLIERS = 0.01  # share of path lengths that is left out at either end
ROWS = 1024  # of a matrix of distances that are made at once


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A figure, and what it depends on."""

    value: float
    network: str  # whose features it was measured with; "" where none are needed
    count: int  # pictures, or pairs of them


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """How well pictures were redrawn, each figure a mean over pictures."""

    psnr: Measured  # [dB]
    ssim: Measured  # of the lumas, see `losses.ssim`
    distance: Measured  # LPIPS where its files are here


def default_judge(folders: Sequence[Path] | None = None) -> FeatureNetwork | FaceFinder:
    """VGG19 if its file is in the folders (None: where torch keeps its own), else dlib."""
    path = find_file(VGG19_FILE, folders)
    return DlibFaceFinder() if path is None else VGG19Features(path)


def name_of(judge: FeatureNetwork | IdentityFeatures | FaceFinder) -> str:
    """What results call it."""
    return judge.name if isinstance(judge, FeatureNetwork | IdentityFeatures) else "dlib"


def embed(pictures: Pictures, judge: FeatureNetwork | FaceFinder, *, batch: int = 16) -> Tensor:
    """Features [K, C] of pictures, in double precision, on the CPU.

    Args:
        pictures: K of them; fewer rows come back where a face finder finds no face.
        judge: A network, of whose coarsest map the mean over places is taken, or what describes
            faces.
        batch: Pictures at once.
    """
    rows = []
    for indices in torch.arange(len(pictures)).split(batch):
        some = pictures.batch(indices)
        if isinstance(judge, FeatureNetwork):
            with torch.no_grad():
                looked_at = pooled(some.to(next(judge.parameters()).device), LOOK_SIZE)
                rows.append(judge(looked_at)[-1].mean(dim=(2, 3)).double().cpu())
        else:
            found = [
                described for face in some if (described := _describe(face, judge)) is not None
            ]
            rows += [torch.from_numpy(described).double()[None] for described in found]
    if not rows:
        raise FaceError(
            "No face was found in any of the pictures; judge them by a network instead."
        )
    return torch.cat(rows)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Fréchet distance of the Gaussians with the moments of features [K, D] and [M, D].

    Heusel et al., NeurIPS 2017, equation 6: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)).
    """
    a, b = a.double(), b.double()
    shift = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    first, second = (torch.cov(features.T) for features in (a, b))
    # The roots of the eigenvalues of C C' are the singular values of sqrt(C) sqrt(C'); taken this
    # way, what rounding leaves of a zero is not enlarged by the root.
    common = torch.linalg.svdvals(_root(first) @ _root(second)).sum()
    return float(shift + first.trace() + second.trace() - 2 * common)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a covariance [C, C]."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def fid(
    real: Pictures, drawn: Pictures, judge: FeatureNetwork | FaceFinder | None = None
) -> Measured:
    """Fréchet distance of drawn pictures from real ones; 0 is best.

    There should be more pictures than features have numbers (VGG19: 512, dlib: 128).
    """
    judge = judge or default_judge()
    a, b = embed(real, judge), embed(drawn, judge)
    return Measured(value=frechet_distance(a, b), network=name_of(judge), count=len(b))


def share_inside(points: Tensor, of: Tensor, *, neighbours: int = NEIGHBOURS) -> float:
    """Share of points [K, D] that lie within the manifold spanned by others [M, D].

    Kynkäänniemi et al., NeurIPS 2019, section 3: a point is inside if it is not farther from one
    of the others than that one's k-th nearest neighbour among its own.
    """
    if len(of) <= neighbours:
        raise ValueError(f"{len(of)} points have no {neighbours} neighbours each")
    radii = torch.cat(
        [torch.cdist(rows, of).kthvalue(neighbours + 1, dim=1).values for rows in of.split(ROWS)]
    )  # [M]; the nearest is the point itself
    inside = [(torch.cdist(rows, of) <= radii).any(dim=1) for rows in points.split(ROWS)]
    return float(torch.cat(inside).double().mean())


def precision_and_recall(
    real: Pictures, drawn: Pictures, judge: FeatureNetwork | FaceFinder | None = None
) -> tuple[Measured, Measured]:
    """How many of the drawn pictures look real, and how much of what is real can be drawn."""
    judge = judge or default_judge()
    a, b = embed(real, judge), embed(drawn, judge)
    return (
        Measured(value=share_inside(b, a), network=name_of(judge), count=len(b)),
        Measured(value=share_inside(a, b), network=name_of(judge), count=len(a)),
    )


def path_length(
    draw: Callable[[Tensor], Tensor],
    starts: Tensor,
    ends: Tensor,
    distance: PerceptualDistance,
    *,
    batch: int = 8,
) -> Measured:
    """Perceptual path length, PPL, as StyleGAN2 defines it (appendix A); lower is smoother.

    The distance of two pictures one ten-thousandth of the way apart, at the start of the way,
    divided by the square of that step; without the lowest and the highest hundredth.

    Args:
        draw: Codes [N, ...] to pictures [N, 3, S, S]; it must use the same noise at every call.
        starts: Codes [K, ...] in w or w+.
        ends: Codes on the ways to which the steps are taken.
        distance: LPIPS where its files are here.
        batch: Ways at once.
    """
    lengths = []
    with torch.no_grad():
        for start, end in zip(starts.split(batch), ends.split(batch), strict=True):
            first, second = (
                pooled(draw(codes), LOOK_SIZE)
                for codes in (start, torch.lerp(start, end, PATH_STEP))
            )
            lengths.append(distance(first, second).double().cpu() / PATH_STEP**2)
    ordered = torch.cat(lengths).sort().values
    cut = int(len(ordered) * PATH_OUTLIERS)
    kept = ordered[cut : len(ordered) - cut]
    return Measured(value=float(kept.mean()), network=distance.name, count=len(kept))


def reconstruction(
    drawn: Tensor, photos: Tensor, distance: PerceptualDistance, *, batch: int = 8
) -> Reconstruction:
    """Compare redrawn pictures [K, 3, S, S] in [-1, 1] with their photos."""
    drawn, count = drawn.clamp(-1, 1), len(photos)
    with torch.no_grad():
        pairs = zip(drawn.split(batch), photos.split(batch), strict=True)
        distances = torch.cat(
            [distance(pooled(a, LOOK_SIZE), pooled(b, LOOK_SIZE)) for a, b in pairs]
        )
    return Reconstruction(
        psnr=Measured(value=float(psnr(drawn, photos).mean()), network="", count=count),
        ssim=Measured(value=float(ssim(drawn, photos).mean()), network="", count=count),
        distance=Measured(value=float(distances.mean()), network=distance.name, count=count),
    )


def identity_difference(
    drawn: Tensor,
    photos: Tensor,
    judge: IdentityFeatures | FaceFinder | None = None,
    *,
    batch: int = 8,
) -> Measured:
    """How far drawn faces [K, 3, S, S] are from those of their photos, as a mean over pairs.

    Args:
        drawn: Aligned faces in [-1, 1].
        photos: The faces they should be of.
        judge: Embeddings, of which 1 - cosine is taken; or a face finder, of whose descriptors the
            distance is (below 0.6: dlib takes them for one person) where both faces are found.
            None: ArcFace where its file is, else dlib.
        batch: Pairs at once.
    """
    if judge is None:
        path = find_file(ARCFACE_FILE)
        judge = DlibFaceFinder() if path is None else ArcFaceFeatures(path)
    drawn = drawn.clamp(-1, 1)
    if isinstance(judge, IdentityFeatures):
        pairs = zip(drawn.split(batch), photos.split(batch), strict=True)
        with torch.no_grad():
            parts = [1 - torch.cosine_similarity(judge(a), judge(b), dim=1) for a, b in pairs]
        values = torch.cat(parts).tolist()
    else:
        pairs = (
            (_describe(a, judge), _describe(b, judge)) for a, b in zip(drawn, photos, strict=True)
        )
        values = [identity_distance(a, b) for a, b in pairs if a is not None and b is not None]
    if not values:
        raise FaceError(
            "No face was found in any of the pictures; judge them by a network instead."
        )
    return Measured(value=float(np.mean(values)), network=name_of(judge), count=len(values))


def _describe(face: Tensor, finder: FaceFinder) -> NDArray[np.float64] | None:
    """Descriptor [128] of an aligned face [3, S, S], looked at in the size dlib expects."""
    picture = to_picture(face).resize((FACE_SIZE, FACE_SIZE), Image.Resampling.BICUBIC)
    return finder.identity(picture)
