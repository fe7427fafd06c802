"""The bundled model's training, stage by stage: ``python -m dualstyle.training.pocket STAGE``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dualstyle.faces import DlibFaceFinder
from dualstyle.images import open_untrusted
from dualstyle.training.autoencoder import AutoencoderRecipe, AutoencoderStage
from dualstyle.training.data import PictureSet, held_out, identity_groups, load_pictures
from dualstyle.training.loop import Run, Schedule

logger = logging.getLogger(__name__)

SIZE = 128  # [px]
HELD_OUT_SHARE = 0.1  # of the people


def descriptors(folder: Path, run: Path) -> NDArray[np.float32]:
    """Identity descriptors [K, 128] of all photos under a folder, kept in the run's folder."""
    cache = run / "descriptors.npy"
    if not cache.exists():
        finder = DlibFaceFinder()
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
        logger.info("describing %d photos", len(paths))
        rows = [finder.identity(open_untrusted(p)) for p in paths]
        np.save(cache, np.stack([np.full(128, 9.0) if r is None else r for r in rows]))
    return np.load(cache).astype(np.float32)


def split_faces(data: Path, run: Path) -> tuple[PictureSet, PictureSet]:
    """Photos to train on, and photos of other people to measure on."""
    run.mkdir(parents=True, exist_ok=True)
    faces = load_pictures(data / "faces", size=SIZE)
    away = held_out(identity_groups(descriptors(data / "faces", run)), share=HELD_OUT_SHARE, seed=0)
    return faces.subset(~away), faces.subset(away)


def train_autoencoder(data: Path, run: Path, steps: int) -> None:
    """Train encoder and generator; resumes what the run's folder holds."""
    train, test = split_faces(data, run)
    logger.info("%d photos to train on, %d held out", len(train), len(test))
    stage = AutoencoderStage(AutoencoderRecipe(), train, test, Schedule(steps=steps))
    Run(stage, run / "autoencoder").train()


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["autoencoder"])
    parser.add_argument("--data", type=Path, required=True, help="folder with faces/ and styles/")
    parser.add_argument("--run", type=Path, required=True, help="folder for state and previews")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(options.threads)
    train_autoencoder(options.data, options.run, options.steps)


if __name__ == "__main__":
    main()
