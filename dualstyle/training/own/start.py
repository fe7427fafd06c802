"""What a style of one's own starts from: base and extrinsic path of a domain that is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor

from dualstyle.checkpoints import (
    load_code_sampler,
    load_encoder,
    load_extrinsic,
    load_stylegan2,
)
from dualstyle.config import NUM_STRENGTHS
from dualstyle.models.dualstylegan import DualStyleGAN, ExtrinsicPath
from dualstyle.models.sampler import CodeMLP
from dualstyle.sources import DomainFiles, Library
from dualstyle.training.base import Base
from dualstyle.training.losses import face_weight, reconstruction

BATCH = 16  # pictures that are encoded or drawn at once
VARIETY = 1.25  # how far people who do not exist are moved from the average: samples lie near it
JUDGED = 16  # exemplars by which a path to start from is chosen


@dataclass(frozen=True)
class Start:
    """A domain's base and where its ordinary faces come from; all codes here are w+."""

    files: DomainFiles
    base: Base
    face_sampler: CodeMLP | None  # of a bundled base; an official one maps noise

    @property
    def size(self) -> int:
        """Side of the pictures [px]."""
        return self.base.generator.config.image_size

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Codes [N, L, D] of aligned pictures [N, 3, S, S] in [-1, 1]."""
        side = self.base.encoder.config.input_size
        parts = [F.adaptive_avg_pool2d(part, side) for part in pictures.split(BATCH)]
        return torch.cat([self.base.to_w_plus(self.base.encode(part)) for part in parts])

    @torch.no_grad()
    def draw(self, w_plus: Tensor) -> Tensor:
        """What codes [N, L, D] look like as photographs: [N, 3, S, S]."""
        return torch.cat([self.base.generator(p).clamp(-1, 1) for p in w_plus.split(BATCH)])

    @torch.no_grad()
    def stylize(self, path: ExtrinsicPath, intrinsic: Tensor, extrinsic: Tensor) -> Tensor:
        """Draw codes [N, L, D] at full strength: [N, 3, S, S]."""
        dual, strengths = DualStyleGAN.of(self.base.generator, path), torch.ones(NUM_STRENGTHS)
        pairs = zip(intrinsic.split(BATCH), extrinsic.split(BATCH), strict=True)
        return torch.cat([dual(*pair, strengths).clamp(-1, 1) for pair in pairs])

    @torch.no_grad()
    def nobodies(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw codes [count, L, D] of people who do not exist."""
        if self.face_sampler is None:
            z = torch.randn(count, self.base.generator.config.style_dim, generator=generator)
            return self.base.generator.to_w_plus(z)
        noise = torch.randn(count, self.face_sampler.config.noise_dim, generator=generator)
        w_plus = self.base.to_w_plus(self.face_sampler(noise))
        mean = w_plus.mean(dim=0)
        return mean + VARIETY * (w_plus - mean)


def open_start(library: Library, domain: str) -> Start:
    """Load what a domain is built on, fetching it if need be.

    Raises:
        CatalogueError: There is no such domain.
        HubError: Its files are not here and cannot be fetched.
        CheckpointError: A file is not what it should be.
    """
    files = library.files(domain)
    encoder = load_encoder(files.encoders[library.default_space(domain)])
    faces = files.intrinsic_sampler
    return Start(
        files=files,
        base=Base(load_stylegan2(files.base), encoder.network, encoder.space),
        face_sampler=None if faces is None else load_code_sampler(faces),
    )


def nearest_start(library: Library, starts: Sequence[str], pictures: Tensor, codes: Tensor) -> str:
    """Choose the domain whose path already draws a style's exemplars best, from their own codes.

    Args:
        library: Where the domains are.
        starts: Names of domains with one base.
        pictures: Exemplars [N, 3, S, S].
        codes: Their codes [N, L, D].
    """
    rows = torch.linspace(0, len(pictures) - 1, min(JUDGED, len(pictures))).long()
    pictures, codes = pictures[rows], codes[rows]
    weight = face_weight(pictures.shape[-1])
    base = open_start(library, starts[0])
    losses = {}
    for name in starts:
        path = load_extrinsic(library.files(name).extrinsic)
        drawn = base.stylize(path, codes, codes)
        losses[name] = float(reconstruction(drawn, pictures, weight))
    return min(losses, key=lambda name: losses[name])
