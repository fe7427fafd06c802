"""The bundled model's figures, measured on its exported files and on people not trained on."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dualstyle.checkpoints import (
    load_code_sampler,
    load_codes,
    load_encoder,
    load_extrinsic,
    load_stylegan2,
)
from dualstyle.config import NUM_STRENGTHS
from dualstyle.faces import DlibFaceFinder
from dualstyle.models.dualstylegan import DualStyleGAN
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.training import judge, prepare
from dualstyle.training.autoencoder import redraw
from dualstyle.training.data import load_pictures
from dualstyle.training.evaluate import descriptors, likeness

logger = logging.getLogger(__name__)

FACES, STYLES = 24, 8  # of the grid that drawings are judged by
PEOPLE = 100  # drawn by the sampler of intrinsic codes


def exported(folder: Path) -> nn.ModuleDict:
    """Encoder and generator of a bundled model's folder."""
    encoder = load_encoder(folder / "encoder.safetensors").network
    generator = load_stylegan2(folder / "base.safetensors")
    return nn.ModuleDict({"encoder": encoder, "generator": generator})


def evaluate(data: Path, run: Path, folder: Path) -> None:
    """Log the likeness of reconstructions, made from the exported files."""
    finder = DlibFaceFinder()
    _, test, _ = prepare.split_faces(data, run, finder)
    networks = exported(folder)
    photos = test.batch(torch.arange(len(test)))
    with torch.no_grad():
        drawn = torch.cat([redraw(networks, part) for part in photos.split(32)])
    for name, value in asdict(likeness(drawn, photos, finder)).items():
        logger.info("%-12s %.3f", name, value)


def judge_drawings(data: Path, run: Path, folder: Path) -> None:
    """Log, per domain: recognised styles, what exemplars change, and how well the pose stays.

    Then, of people drawn by chance: the nearest two, and the nearest photo of all.
    """
    finder = DlibFaceFinder()
    _, test, _ = prepare.split_faces(data, run, finder)
    names = sorted(path.parent.name for path in folder.glob("*/extrinsic.safetensors"))
    sets = [load_pictures(data / "styles" / name, size=prepare.SIZE) for name in names]
    judged = judge.StyleJudge(sets, torch.Generator().manual_seed(0))
    logger.info("judge: %.3f of hidden exemplars right", judged.accuracy)
    encoder = load_encoder(folder / "encoder.safetensors").network
    base = load_stylegan2(folder / "base.safetensors")
    photos = test.batch(torch.linspace(0, len(test) - 1, FACES).long())
    for label, name in enumerate(names):
        grid = draw_grid(folder / name, encoder, base, photos)
        flat = grid.flatten(0, 1)
        across, between = judge.exemplar_spread(encoder, grid)
        error, found = judge.landmark_error(
            photos.repeat_interleave(grid.shape[1], dim=0), flat, finder
        )
        logger.info(
            "%-10s recognised %.3f, exemplars %.3f, faces %.3f, landmarks %.3f (found %.2f)",
            *(name, float((judged(flat) == label).float().mean()), across, between, error, found),
        )
    _judge_people(data, run, folder, base, finder)


@torch.no_grad()
def draw_grid(domain: Path, encoder: PSPEncoder, base: StyleGAN2, photos: Tensor) -> Tensor:
    """Draw photos [K, 3, S, S] in exemplars spread over a domain: [K, STYLES, 3, S, S]."""
    dual = DualStyleGAN.of(base, load_extrinsic(domain / "extrinsic.safetensors"))
    codes = load_codes(domain / "codes.safetensors").values
    styles = codes[torch.linspace(0, len(codes) - 1, STYLES).long()]
    w_plus, rows = encoder(photos), []
    for one in w_plus.split(1):
        *_, last = dual.synthesize(one.expand(STYLES, -1, -1), styles, torch.ones(NUM_STRENGTHS))
        rows.append(last.rgb.clamp(-1, 1))
    return torch.stack(rows)


def _judge_people(
    data: Path, run: Path, folder: Path, base: StyleGAN2, finder: DlibFaceFinder
) -> None:
    sampler = load_code_sampler(folder / "intrinsic_sampler.safetensors")
    noise = torch.randn(
        PEOPLE, sampler.config.noise_dim, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        drawn = torch.cat([base(part) for part in sampler(noise).split(20)]).clamp(-1, 1)
    people = descriptors(drawn, finder)
    photos = prepare.descriptors(data / "faces", run, finder)
    nearest = np.linalg.norm(people[:, None] - photos[None], axis=-1).min(axis=1)
    logger.info(
        "%d people of chance: nearest pair %.3f, nearest photo %.3f (median %.3f)",
        *(PEOPLE, judge.nearest_pair(people), nearest.min(), np.median(nearest)),
    )
