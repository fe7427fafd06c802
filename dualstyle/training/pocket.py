"""The bundled model's training, stage by stage: ``python -m dualstyle.training.pocket STAGE``.

    autoencoder         encoder and generator on photos
    domain NAME         extrinsic path and codes of "cartoon", "engraving", "oil" or "toonhead"
    samplers            N of every finished domain, and the sampler of intrinsic codes
    export FOLDER       the files of the bundled model, in the converted layout
    evaluate FOLDER     how well its files redraw people who were not trained on
    judge FOLDER        how good its drawings of them, and its people of chance, are

Every stage resumes what the run's folder holds, so it can be stopped at any moment.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dualstyle.checkpoints import load_extrinsic
from dualstyle.config import NUM_STRUCTURE_LAYERS, SamplerConfig
from dualstyle.faces import DlibFaceFinder
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.sampler import CodeMLP, Sampler
from dualstyle.training.autoencoder import (
    REFINED,
    AutoencoderRecipe,
    AutoencoderStage,
    generator_of,
)
from dualstyle.training.data import load_pictures
from dualstyle.training.domains import exemplar_names, open_domain
from dualstyle.training.export import FinishedDomain, export
from dualstyle.training.extrinsic import ExtrinsicRecipe, ExtrinsicStage, encode_pictures
from dualstyle.training.figures import evaluate, exported, judge_drawings
from dualstyle.training.loop import STATE_FILE, Run, Schedule
from dualstyle.training.prepare import SIZE, landmarks, photo_regions, split_faces
from dualstyle.training.sampling import SamplingRecipe, fit_sampler

logger = logging.getLogger(__name__)

DOMAINS = ("cartoon", "engraving", "oil", "toonhead")
SAMPLER_FILE = "sampler.pt"


def train_autoencoder(data: Path, run: Path, steps: int, start: Path | None) -> None:
    """Train encoder and generator, from nothing or from the exported files in `start`."""
    train, test, _ = split_faces(data, run, DlibFaceFinder())
    logger.info("%d photos to train on, %d held out", len(train), len(test))
    if start is None:
        stage = AutoencoderStage(AutoencoderRecipe(), train, test, Schedule(steps=steps))
    else:
        drawings = load_pictures(data / "styles", size=SIZE)
        schedule = Schedule(steps=steps, decay_share=0.7)
        stage = AutoencoderStage(
            REFINED, train, test, schedule, drawings=drawings, start=exported(start)
        )
    Run(stage, run / "autoencoder", accelerator=Accelerator(cpu=True)).train()


def averaged_autoencoder(run: Path) -> nn.ModuleDict:
    """Encoder and generator as the first stage left them, averaged."""
    recipe = AutoencoderRecipe()
    networks = AutoencoderStage.build(recipe)
    state = torch.load(run / "autoencoder" / STATE_FILE, weights_only=True)
    networks.load_state_dict(state["average"])
    return networks.eval().requires_grad_(False)


def train_domain(name: str, data: Path, run: Path, steps: int, start: Path | None) -> None:
    """Train one domain's extrinsic path and codes on top of the finished autoencoder.

    With `start`, the folder of an exported domain, its path is where this one begins; it may be
    that of another domain or of an earlier version.
    """
    finder = DlibFaceFinder()
    train, test, away = split_faces(data, run, finder)
    points = landmarks(data / "faces", run, finder)
    train_regions = photo_regions(train, points[~away], run, "train")
    test_regions = photo_regions(test, points[away], run, "test")
    networks = averaged_autoencoder(run)
    encoder = networks["encoder"]
    domain = open_domain(name, data, run, encoder)
    logger.info("%s: %d exemplars", name, len(domain.names))
    stage = ExtrinsicStage(
        ExtrinsicRecipe(),
        generator_of(networks),
        encode_pictures(encoder, train),
        encode_pictures(encoder, test),
        domain.exemplars,
        domain.teacher_for(train_regions),
        domain.teacher_for(test_regions),
        Schedule(steps=steps),
        start=None if start is None else load_extrinsic(start / "extrinsic.safetensors"),
    )
    Run(stage, run / name, accelerator=Accelerator(cpu=True)).train()


def trained_path(name: str, run: Path) -> tuple[ExtrinsicPath, Tensor]:
    """A trained path and its final codes [K, L, D]."""
    state = torch.load(run / name / STATE_FILE, weights_only=True)["average"]
    path = ExtrinsicPath(AutoencoderRecipe().generator)
    path.load_state_dict(
        {k.removeprefix("path."): v for k, v in state.items() if k.startswith("path.")}
    )
    return path.eval(), state["codes.encoded"] + state["codes.refinement"]


def train_samplers(data: Path, run: Path) -> None:
    """Fit N for every trained domain, and a sampler of intrinsic codes; a few minutes."""
    config = AutoencoderRecipe().generator
    generator = torch.Generator().manual_seed(0)
    recipe = SamplingRecipe()
    for name in trained_domains(run):
        _, codes = trained_path(name, run)
        network = new_sampler()
        parts = codes.split((NUM_STRUCTURE_LAYERS, config.num_color_layers), dim=1)
        for mlp, part in zip((network.structure, network.color), parts, strict=True):
            error = fit_sampler(mlp, part, recipe, generator)
            logger.info("%s: match error %.2f", name, error)
        torch.save(network.state_dict(), run / name / SAMPLER_FILE)
    train, _, _ = split_faces(data, run, DlibFaceFinder())
    codes = encode_pictures(averaged_autoencoder(run)["encoder"], train).w_plus
    network = new_face_sampler()
    logger.info("intrinsic codes: match error %.2f", fit_sampler(network, codes, recipe, generator))
    torch.save(network.state_dict(), run / SAMPLER_FILE)


def trained_domains(run: Path) -> list[str]:
    """Names of the domains whose training has left a state."""
    return [name for name in DOMAINS if (run / name / STATE_FILE).exists()]


def new_sampler() -> Sampler:
    """An untrained N of the bundled model's sizes."""
    config = AutoencoderRecipe().generator
    sizes = (NUM_STRUCTURE_LAYERS, config.num_color_layers)
    return Sampler(*(SamplerConfig(num_layers=n, style_dim=config.style_dim) for n in sizes))


def new_face_sampler() -> CodeMLP:
    """An untrained sampler of intrinsic codes."""
    config = AutoencoderRecipe().generator
    return CodeMLP(SamplerConfig(num_layers=config.num_layers, style_dim=config.style_dim))


def export_model(data: Path, run: Path, folder: Path) -> None:
    """Write the bundled model's files from what the run has finished."""
    domains = []
    for name in trained_domains(run):
        path, codes = trained_path(name, run)
        sampler = new_sampler()
        sampler.load_state_dict(torch.load(run / name / SAMPLER_FILE, weights_only=True))
        domains.append(FinishedDomain(name, path, exemplar_names(name, data), codes, sampler))
    faces = new_face_sampler()
    faces.load_state_dict(torch.load(run / SAMPLER_FILE, weights_only=True))
    export(folder, averaged_autoencoder(run), faces, domains)


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "stage",
        choices=["autoencoder", "domain", "samplers", "export", "evaluate", "judge"],
    )
    parser.add_argument("what", nargs="?", help="a domain's name, or the folder to export to")
    parser.add_argument("--data", type=Path, required=True, help="folder with faces/ and styles/")
    parser.add_argument("--run", type=Path, required=True, help="folder for state and previews")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--start", type=Path, help="refine the exported files in this folder")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(options.threads)
    if options.stage == "autoencoder":
        train_autoencoder(options.data, options.run, options.steps, options.start)
    elif options.stage == "domain":
        train_domain(options.what, options.data, options.run, options.steps, options.start)
    elif options.stage == "samplers":
        train_samplers(options.data, options.run)
    elif options.stage == "export":
        export_model(options.data, options.run, Path(options.what))
    elif options.stage == "evaluate":
        evaluate(options.data, options.run, Path(options.what))
    else:
        judge_drawings(options.data, options.run, Path(options.what))


if __name__ == "__main__":
    main()
