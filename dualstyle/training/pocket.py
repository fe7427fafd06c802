"""The bundled model's training, stage by stage: ``python -m dualstyle.training.pocket STAGE``.

    autoencoder         encoder and generator on photos
    domain NAME         extrinsic path and codes of "cartoon", "engraving" or "comic"
    samplers            N of every finished domain, and the sampler of intrinsic codes
    export FOLDER       the files of the bundled model, in the converted layout
    evaluate            figures on people who were not trained on

Every stage resumes what the run's folder holds, so it can be stopped at any moment.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from torch import nn

from dualstyle.config import NUM_STRUCTURE_LAYERS, SamplerConfig
from dualstyle.faces import DlibFaceFinder
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.sampler import CodeMLP, Sampler
from dualstyle.training.autoencoder import AutoencoderRecipe, AutoencoderStage
from dualstyle.training.domains import open_domain
from dualstyle.training.extrinsic import ExtrinsicRecipe, ExtrinsicStage, encode_pictures
from dualstyle.training.loop import STATE_FILE, Run, Schedule
from dualstyle.training.prepare import landmarks, photo_regions, split_faces
from dualstyle.training.sampling import SamplingRecipe, fit_sampler

logger = logging.getLogger(__name__)

DOMAINS = ("cartoon", "engraving", "comic")


def train_autoencoder(data: Path, run: Path, steps: int) -> None:
    """Train encoder and generator."""
    train, test, _ = split_faces(data, run, DlibFaceFinder())
    logger.info("%d photos to train on, %d held out", len(train), len(test))
    stage = AutoencoderStage(AutoencoderRecipe(), train, test, Schedule(steps=steps))
    Run(stage, run / "autoencoder").train()


def averaged_autoencoder(run: Path) -> nn.ModuleDict:
    """Encoder and generator as the first stage left them, averaged."""
    recipe = AutoencoderRecipe()
    networks = AutoencoderStage.build(recipe)
    state = torch.load(run / "autoencoder" / STATE_FILE, weights_only=True)
    networks.load_state_dict(state["average"])
    return networks.eval().requires_grad_(False)


def train_domain(name: str, data: Path, run: Path, steps: int) -> None:
    """Train one domain's extrinsic path and codes on top of the finished autoencoder."""
    finder = DlibFaceFinder()
    train, test, away = split_faces(data, run, finder)
    points = landmarks(data / "faces", run, finder)
    train_regions = photo_regions(train, points[~away], run, "train")
    test_regions = photo_regions(test, points[away], run, "test")
    networks = averaged_autoencoder(run)
    encoder = networks["encoder"]
    domain = open_domain(name, data, run, encoder, train, train_regions)
    logger.info("%s: %d exemplars", name, len(domain.names))
    stage = ExtrinsicStage(
        ExtrinsicRecipe(),
        networks["generator"],
        encode_pictures(encoder, train),
        encode_pictures(encoder, test),
        domain.exemplars,
        domain.teacher_for(train_regions),
        domain.teacher_for(test_regions),
        Schedule(steps=steps),
        self_portraits=domain.self_portraits,
    )
    Run(stage, run / name).train()


def finished_domain(name: str, run: Path) -> tuple[ExtrinsicPath, torch.Tensor]:
    """A trained path and its final codes [K, L, D]."""
    state = torch.load(run / name / STATE_FILE, weights_only=True)["average"]
    path = ExtrinsicPath(AutoencoderRecipe().generator)
    path.load_state_dict(
        {k.removeprefix("path."): v for k, v in state.items() if k.startswith("path.")}
    )
    return path.eval(), state["codes.encoded"] + state["codes.refinement"]


def train_samplers(data: Path, run: Path) -> None:
    """Fit N for every finished domain, and one for intrinsic codes; a few minutes."""
    config = AutoencoderRecipe().generator
    generator = torch.Generator().manual_seed(0)
    recipe = SamplingRecipe()
    for name in DOMAINS:
        if not (run / name / STATE_FILE).exists():
            continue
        _, codes = finished_domain(name, run)
        halves = (NUM_STRUCTURE_LAYERS, config.num_layers - NUM_STRUCTURE_LAYERS)
        configs = [SamplerConfig(num_layers=n, style_dim=config.style_dim) for n in halves]
        network = Sampler(*configs)
        for mlp, part in zip(
            (network.structure, network.color), codes.split(halves, 1), strict=True
        ):
            error = fit_sampler(mlp, part, recipe, generator)
            logger.info("%s: match error %.2f", name, error)
        torch.save(network.state_dict(), run / name / "sampler.pt")
    train, _, _ = split_faces(data, run, DlibFaceFinder())
    codes = encode_pictures(averaged_autoencoder(run)["encoder"], train).w_plus
    network = CodeMLP(SamplerConfig(num_layers=config.num_layers, style_dim=config.style_dim))
    logger.info("intrinsic codes: match error %.2f", fit_sampler(network, codes, recipe, generator))
    torch.save(network.state_dict(), run / "intrinsic_sampler.pt")


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "stage", choices=["autoencoder", "domain", "samplers", "export", "evaluate"]
    )
    parser.add_argument("what", nargs="?", help="a domain's name, or the folder to export to")
    parser.add_argument("--data", type=Path, required=True, help="folder with faces/ and styles/")
    parser.add_argument("--run", type=Path, required=True, help="folder for state and previews")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(options.threads)
    if options.stage == "autoencoder":
        train_autoencoder(options.data, options.run, options.steps)
    elif options.stage == "domain":
        train_domain(options.what, options.data, options.run, options.steps)
    elif options.stage == "samplers":
        train_samplers(options.data, options.run)


if __name__ == "__main__":
    main()
