"""The stages that learn: the extrinsic path with its codes, and the codes alone.

Paper, sections on progressive fine-tuning (stage 3) and latent optimization, with the departure of
`dualstyle.training.extrinsic`: pairs instead of an adversary. The teacher of any style draws two
kinds of faces in the manner of an exemplar. People who do not exist keep the path able to draw
anybody; the other exemplars, whose intrinsic code is that of the ordinary face behind them, bring
the shapes and strokes of the style. Beside the pairs, every exemplar is learnt as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dualstyle.config import NUM_STRUCTURE_LAYERS
from dualstyle.models.dualstylegan import DualStyleGAN, ExtrinsicPath
from dualstyle.training.base import sheet
from dualstyle.training.data import PictureSet
from dualstyle.training.extrinsic import (
    FULL_STRENGTH,
    EncodedPictures,
    ExtrinsicStage,
)
from dualstyle.training.generic import GenericLook, GenericTeacher
from dualstyle.training.loop import Averaging, Part, Phase, Schedule, Stage
from dualstyle.training.losses import face_weight, reconstruction
from dualstyle.training.own.recipes import OwnRecipe
from dualstyle.training.own.start import Start
from dualstyle.training.regions import PhotoRegions

SHOWN = 12  # exemplars on a sheet of the refinement


@dataclass(frozen=True)
class Sitters:
    """Pictures of faces with what a teacher must know of them."""

    pictures: PictureSet
    w_plus: Tensor  # [N, L, D], intrinsic
    regions: PhotoRegions

    def drawn_like(self, looks: GenericLook) -> GenericTeacherOf:
        """The teacher that draws these sitters."""
        return GenericTeacherOf(self.regions, looks)


class GenericTeacherOf:
    """`GenericTeacher` for known sitters and exemplars, as a stage asks for it."""

    def __init__(self, regions: PhotoRegions, looks: GenericLook) -> None:
        self.regions, self.looks, self.teacher = regions, looks, GenericTeacher()

    def __call__(self, photos: Tensor, rows: Tensor, styles: Tensor) -> Tensor:
        """Draw photos [N, 3, S, S], the sitters `rows`, in the manner of the exemplars `styles`."""
        return self.teacher(photos, self.regions.select(rows), self.looks.select(styles))


@dataclass(frozen=True)
class Style:
    """The exemplars of a style."""

    pictures: PictureSet  # K
    extrinsic: Tensor  # w+ [K, L, D], what the encoder says of them
    intrinsic: Tensor  # w+ [K, L, D], of the ordinary faces behind them
    looks: GenericLook


class OwnStage(ExtrinsicStage):
    """Pairs of a face and its drawing, and the exemplars themselves.

    Args:
        recipe: Numbers.
        start: Frozen base.
        path: The extrinsic path to go on from; not changed.
        sitters: Who is drawn: people who do not exist and the exemplars.
        tests: People who do not exist, and are only drawn on the sheet.
        style: The exemplars.
    """

    def __init__(
        self,
        recipe: OwnRecipe,
        start: Start,
        path: ExtrinsicPath,
        sitters: Sitters,
        tests: Sitters,
        style: Style,
    ) -> None:
        super().__init__(
            recipe.extrinsic,
            start.base.generator,
            EncodedPictures(sitters.pictures, sitters.w_plus),
            EncodedPictures(tests.pictures, tests.w_plus),
            EncodedPictures(style.pictures, style.extrinsic),
            sitters.drawn_like(style.looks),
            tests.drawn_like(style.looks),
            Schedule(steps=recipe.steps, warmup=min(20, recipe.steps)),
        )
        self.path.load_state_dict(path.state_dict())
        self.averaging = Averaging(decay=0.98)
        self.intrinsic = style.intrinsic
        self.frozen = [self.generator]

    def loss(self, part: Part) -> dict[str, Tensor]:
        """Likeness of the drawings to the teacher's, and of the exemplars to themselves."""
        batch, count = part.share(self.recipe.batch_size), len(self.exemplars.pictures)
        own = part.rows(part.share(self.recipe.exemplars_per_batch), count)
        rows, styles = part.rows(batch, len(self.photos.pictures)), part.rows(batch, count)
        refined = torch.rand(batch, generator=part.generator) >= self.recipe.plain_share
        with torch.no_grad():
            drawn = self.teacher(self.photos.pictures.batch(rows), rows, styles)
        losses = {}
        for name, intrinsic, extrinsic, target in (
            ("pairs", self.photos.w_plus[rows], self.codes(styles, refined.float()), drawn),
            (
                "exemplars",
                self.intrinsic[own],
                self.codes(own, torch.ones(len(own))),
                self.exemplars.pictures.batch(own),
            ),
        ):
            rgb = self.draw(self.path, intrinsic.to(part.device), extrinsic)
            losses[name] = reconstruction(rgb, target.to(rgb), self.weight.to(rgb))
        shares = torch.tensor([len(styles), len(own)]) / (len(styles) + len(own))
        return {"total": shares[0] * losses["pairs"] + shares[1] * losses["exemplars"], **losses}


class RefinementStage(Stage):
    """Latent optimization: codes move until each draws its own exemplar; all networks stay.

    Args:
        recipe: Numbers.
        start: Frozen base.
        path: As fine-tuning left it.
        style: The exemplars.
        codes: As fine-tuning left them; trained in place.
    """

    def __init__(
        self, recipe: OwnRecipe, start: Start, path: ExtrinsicPath, style: Style, codes: Tensor
    ) -> None:
        parts = codes.tensor_split([NUM_STRUCTURE_LAYERS], dim=1)
        self.rows = nn.ParameterList(nn.Parameter(part.clone()) for part in parts)
        super().__init__(
            nn.ModuleDict({"codes": self.rows}),
            Schedule(steps=recipe.refinement_steps, warmup=min(5, recipe.refinement_steps)),
            frozen=[start.base.generator, path],
            averaging=Averaging(decay=0.0),
        )
        self.recipe, self.style = recipe, style
        self.dual = DualStyleGAN.of(start.base.generator, path).eval().requires_grad_(False)
        self.before = codes
        rates = recipe.structure_rate, recipe.color_rate
        groups = [{"params": [p], "lr": rate} for p, rate in zip(self.rows, rates, strict=True)]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        self.phases = [Phase(name="codes", optimizers=[optimizer], loss=self.loss)]
        self.weight = face_weight(start.size)

    def loss(self, part: Part) -> dict[str, Tensor]:
        """Likeness of some exemplars to themselves."""
        batch = part.share(self.recipe.refinement_batch)
        rows = part.rows(batch, len(self.style.pictures))
        rgb = self.draw(self.codes(self.rows)[rows], rows)
        target = self.style.pictures.batch(rows).to(rgb)
        return {"total": reconstruction(rgb, target, self.weight.to(rgb))}

    def draw(self, extrinsic: Tensor, rows: Tensor) -> Tensor:
        """Draw codes [N, L, D], each on the face behind its exemplar."""
        intrinsic = self.style.intrinsic[rows].to(extrinsic)
        return self.dual(intrinsic, extrinsic, FULL_STRENGTH)

    @staticmethod
    def codes(rows: nn.Module) -> Tensor:
        """Codes [K, L, D] out of their two halves."""
        return torch.cat(list(rows.parameters()), dim=1)

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Exemplars; how their codes drew them before; how they draw them now."""
        count = len(self.style.pictures)
        rows = torch.linspace(0, count - 1, min(SHOWN, count)).long()
        now = self.codes(networks["codes"]).cpu()
        drawn = [self.draw(codes[rows], rows).cpu() for codes in (self.before, now)]
        return sheet([self.style.pictures.batch(rows), *drawn])
