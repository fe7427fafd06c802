"""Progressive fine-tuning, stage 3: the extrinsic path learns a style from its portraits.

Paper, section on progressive fine-tuning. Steps alternate between two halves. Paired: an
exemplar's own intrinsic and extrinsic code must draw the exemplar. Unpaired: any face with an
exemplar's extrinsic code must look like the style, like the exemplar in colours and texture, and
still like the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dualstyle.models.discriminator import Discriminator
from dualstyle.models.dualstylegan import DualStyleGAN, ExtrinsicPath
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.training.base import (
    COLOR_ROWS,
    FULL_STRENGTH,
    Faces,
    Pictures,
    noise_maps,
    pooled,
    sheet,
)
from dualstyle.training.features import FeatureNetwork, IdentityFeatures
from dualstyle.training.gan import Adversary, draw_real, lazy_adam, path_phase
from dualstyle.training.loop import Constant, Part, Phase, Stage
from dualstyle.training.losses import (
    PathLength,
    contextual,
    feature_matching,
    identity,
    perceptual_l1,
    residual_norm,
)
from dualstyle.training.recipes import FineTuningRecipe

CONTEXTUAL_MAP = 2  # relu3_1 of VGG19
MATCHED_MAPS = slice(1, 3)  # relu2_1 and relu3_1
PREVIEW_EXEMPLARS, PREVIEW_FACES = 4, 6


@dataclass(frozen=True)
class Exemplars:
    """The portraits of a style with the codes that destylization found, on the CPU."""

    pictures: Pictures  # K, of the generator's size
    intrinsic: Tensor  # w+ [K, L, D]
    extrinsic: Tensor  # w+ [K, L, D]


@dataclass(frozen=True)
class Drawing:
    """One batch of a step."""

    fake: Tensor  # [N, 3, S, S], what the path draws
    intrinsic: Tensor  # w+ [N, L, D]
    noise: list[Tensor]
    rows: Tensor  # [N], of the exemplars


class FineTuningStage(Stage):
    """Faces and exemplars in, portraits in the exemplars' style out.

    Departures from the released code: T_s is averaged like the rest of the path; the face that the
    identity term compares with is drawn from the very codes and noise of the stylized one; the
    discriminator sees exemplars mirrored in its paired half too.

    Args:
        recipe: One of `FINE_TUNING`, or of its kind.
        generator: Of photographs, frozen.
        path: Trained in place; as stage 2 left it.
        discriminator: Trained in place; as stage 2 left it.
        exemplars: The style.
        faces: Where the faces of the unpaired half come from.
        features: Network of the perceptual, contextual and feature matching losses.
        recognition: Face embeddings.
    """

    def __init__(
        self,
        recipe: FineTuningRecipe,
        generator: StyleGAN2,
        path: ExtrinsicPath,
        discriminator: Discriminator,
        exemplars: Exemplars,
        faces: Faces,
        features: FeatureNetwork,
        recognition: IdentityFeatures,
    ) -> None:
        self.recipe, self.exemplars, self.faces = recipe, exemplars, faces
        self.features, self.recognition = features, recognition
        self.generator = generator.eval().requires_grad_(False)
        self.path = path.train()
        self.adversary = Adversary(
            discriminator, recipe.gan, real=self._real, fake=lambda part: self._drawing(part).fake
        )
        running = PathLength()
        super().__init__(
            nn.ModuleDict({"path": path}),
            Constant(recipe.steps),
            others=nn.ModuleDict({**self.adversary.modules, "path_length": running}),
            frozen=[generator, features, recognition],
            averaging=recipe.gan.averaging,
        )
        optimizer = lazy_adam(path.parameters(), recipe.gan.rate, recipe.gan.path_every)
        main = Phase(name="generator", optimizers=[optimizer], loss=self._generator_loss)
        regularizer = path_phase(recipe.gan, optimizer, running, self._draw_for_lengths)
        self.phases = [*self.adversary.phases, main, regularizer]

    @staticmethod
    def is_paired(step: int) -> bool:
        """Whether a step is of the paired half."""
        return step % 2 == 1

    def _real(self, part: Part) -> Tensor:
        return draw_real(self.exemplars.pictures, part, part.share(self.recipe.gan.batch_size))

    def _drawing(self, part: Part) -> Drawing:
        count = part.share(self.recipe.gan.batch_size)
        rows, extrinsic = self._extrinsic(part, count)
        if self.is_paired(part.step):
            own = self.exemplars.intrinsic[rows].to(part.device)
            colors = self.faces.draw_colors(part, count)
            intrinsic = torch.cat([own[:, :COLOR_ROWS], colors[:, COLOR_ROWS:]], dim=1)
        else:
            intrinsic = self.faces.draw(part, count)
        noise = noise_maps(self.generator.config, count, part.large)
        fake = self.draw(self.path, intrinsic, extrinsic, noise)
        return Drawing(fake, intrinsic, noise, rows)

    def _extrinsic(self, part: Part, count: int) -> tuple[Tensor, Tensor]:
        """Exemplars [count] and their extrinsic codes, jittered: a neighbourhood is learnt."""
        rows = part.rows(count, len(self.exemplars.pictures))
        w_plus = self.exemplars.extrinsic[rows].to(part.device)
        return rows, w_plus + self.recipe.jitter * part.normal(*w_plus.shape)

    def draw(
        self, path: ExtrinsicPath, intrinsic: Tensor, extrinsic: Tensor, noise: list[Tensor] | None
    ) -> Tensor:
        """Draw w+ codes [N, L, D] at full strength."""
        dual = DualStyleGAN.of(self.generator, path)
        return dual(intrinsic, extrinsic, FULL_STRENGTH, noise=noise)

    def _draw_for_lengths(self, part: Part, count: int) -> tuple[Tensor, Tensor]:
        intrinsic = self.faces.draw(part, count).detach().requires_grad_()
        _, extrinsic = self._extrinsic(part, count)
        noise = noise_maps(self.generator.config, count, part.large)
        return self.draw(self.path, intrinsic, extrinsic, noise), intrinsic

    def _generator_loss(self, part: Part) -> dict[str, Tensor]:
        recipe, size = self.recipe, self.recipe.feature_size
        drawing = self._drawing(part)
        with torch.no_grad():
            face = pooled(self.generator(drawing.intrinsic, noise=drawing.noise), size)
        exemplar = self.exemplars.pictures.batch(drawing.rows).to(part.device)
        fake = pooled(drawing.fake, size)
        ours, theirs = self.features(fake), self.features(pooled(exemplar, size))
        style = contextual(ours[CONTEXTUAL_MAP], theirs[CONTEXTUAL_MAP])
        matching = feature_matching(ours[MATCHED_MAPS], theirs[MATCHED_MAPS])
        likeness = identity(self.recognition(fake), self.recognition(face))
        changed = (*self.path.residuals.parameters(), *self.path.color_transforms.parameters())
        terms = {
            "adversarial": recipe.adversarial * self.adversary.generator_loss(drawing.fake, part),
            "contextual": recipe.contextual * style,
            "matching": recipe.matching * matching,
            "identity": recipe.identity * likeness,
            "residual": recipe.residual * residual_norm(changed),
        }
        if self.is_paired(part.step):
            perceptual = perceptual_l1(ours, theirs, recipe.perceptual_maps)
            terms["perceptual"] = recipe.perceptual * perceptual
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Faces across, exemplars down: the same ones each time; the corner is empty."""
        path, device = cast("ExtrinsicPath", networks["path"]), self.generator.constant.device
        intrinsic = self.faces.draw(Part.fixed(device), PREVIEW_FACES)
        faces = self.generator(intrinsic)
        rows = [torch.cat([torch.ones_like(faces[:1]), faces])]
        count = min(PREVIEW_EXEMPLARS, len(self.exemplars.pictures))
        for row in torch.linspace(0, len(self.exemplars.pictures) - 1, count).long():
            extrinsic = self.exemplars.extrinsic[row].to(device).expand(PREVIEW_FACES, -1, -1)
            exemplar = self.exemplars.pictures.batch(row[None]).to(device)
            rows.append(torch.cat([exemplar, self.draw(path, intrinsic, extrinsic, None)]))
        return sheet(rows)
