"""Progressive fine-tuning, stages 1 and 2: the extrinsic path learns on the source domain.

Paper, section on progressive fine-tuning. Stage 1, colour transfer, needs no training: a new
`ExtrinsicPath` has residual blocks near zero and colour transforms near the identity, so the
network starts as StyleGAN2 with style mixing. Stage 2, structure transfer: the path learns to do
by its residuals what style mixing at layer l does by codes, for l = 7, 6, 5, so that each block
moves from colours to ever more structure while the photographs' generator stays frozen.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from dualstyle.models.discriminator import Discriminator
from dualstyle.models.dualstylegan import DualStyleGAN, ExtrinsicPath
from dualstyle.models.stylegan2 import mix_styles
from dualstyle.training.base import FULL_STRENGTH, Base, Faces, Pictures, noise_maps, pooled, sheet
from dualstyle.training.features import FeatureNetwork
from dualstyle.training.gan import Adversary, draw_real, lazy_adam, path_phase
from dualstyle.training.loop import Constant, Part, Phase, Stage
from dualstyle.training.losses import PathLength, perceptual_l1
from dualstyle.training.recipes import StructureTransferRecipe

PREVIEW_COLUMNS = 8


class StructureTransferStage(Stage):
    """A face and another one in, their style mixture out, drawn by the extrinsic path.

    Departures from the released code: T_s is averaged like the rest of the path, and the mixture is
    drawn with the same noise as the path's picture, so that noise is no error.

    Args:
        recipe: Numbers.
        base: Frozen.
        path: Trained in place; a new one is stage 1.
        discriminator: Of photographs, trained in place.
        pictures: Photographs of the generator's size.
        faces: Where both faces come from; without style mixing in the paper.
        features: Network of the perceptual loss.
    """

    def __init__(
        self,
        recipe: StructureTransferRecipe,
        base: Base,
        path: ExtrinsicPath,
        discriminator: Discriminator,
        pictures: Pictures,
        faces: Faces,
        features: FeatureNetwork,
    ) -> None:
        self.recipe, self.base, self.pictures = recipe, base, pictures
        self.faces, self.features = faces, features
        self.path = path.train()
        for network in (base.generator, base.encoder):
            network.eval().requires_grad_(False)
        self.adversary = Adversary(
            discriminator,
            recipe.gan,
            real=self._real,
            fake=lambda part: self._pair(part)[0],
            weight=recipe.adversarial,
        )
        running = PathLength()
        super().__init__(
            nn.ModuleDict({"path": path}),
            Constant(recipe.steps),
            others=nn.ModuleDict({**self.adversary.modules, "path_length": running}),
            frozen=[base.generator, base.encoder, features],
            averaging=recipe.gan.averaging,
        )
        optimizer = lazy_adam(path.parameters(), recipe.gan.rate, recipe.gan.path_every)
        main = Phase(name="generator", optimizers=[optimizer], loss=self._generator_loss)
        regularizer = path_phase(recipe.gan, optimizer, running, self._draw_for_lengths)
        self.phases = [*self.adversary.phases, main, regularizer]

    def layer_at(self, step: int) -> int:
        """The layer l in a step: codes from l on are the exemplar's."""
        for layer, steps in self.recipe.layer_steps:
            if step < steps:
                return layer
            step -= steps
        return self.recipe.layer_steps[-1][0]

    def _real(self, part: Part) -> Tensor:
        return draw_real(self.pictures, part, part.share(self.recipe.gan.batch_size))

    def _pair(self, part: Part) -> tuple[Tensor, Tensor]:
        """What the path draws of two faces, and the mixture it should have drawn."""
        count = part.share(self.recipe.gan.batch_size)
        generator = self.base.generator
        noise = noise_maps(generator.config, count, part.large)
        with torch.no_grad():
            first, second = self.faces.draw(part, count), self.faces.draw(part, count)
            target = generator(mix_styles(first, second, self.layer_at(part.step)), noise=noise)
            if part.step % self.recipe.encoder_every == 0:
                exemplar = generator(second, noise=noise)
                second = self.base.to_w_plus(self.base.encode(exemplar))
        return self._draw(self.path, first, second, noise), target

    def _draw(
        self, path: ExtrinsicPath, intrinsic: Tensor, extrinsic: Tensor, noise: list[Tensor] | None
    ) -> Tensor:
        dual = DualStyleGAN.of(self.base.generator, path)
        return dual(intrinsic, extrinsic, FULL_STRENGTH, noise=noise)

    def _draw_for_lengths(self, part: Part, count: int) -> tuple[Tensor, Tensor]:
        noise = noise_maps(self.base.generator.config, count, part.large)
        first = self.faces.draw(part, count).detach().requires_grad_()
        return self._draw(self.path, first, self.faces.draw(part, count), noise), first

    def _generator_loss(self, part: Part) -> dict[str, Tensor]:
        recipe = self.recipe
        fake, target = self._pair(part)
        ours = self.features(pooled(fake, recipe.feature_size))
        theirs = self.features(pooled(target, recipe.feature_size))
        terms = {
            "adversarial": recipe.adversarial * self.adversary.generator_loss(fake, part),
            "perceptual": perceptual_l1(ours, theirs, recipe.perceptual),
        }
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """First faces, second faces, their mixtures at the last layer l, the path's drawings."""
        generator, path = self.base.generator, cast("ExtrinsicPath", networks["path"])
        part = Part.fixed(generator.constant.device)
        first, second = (self.faces.draw(part, PREVIEW_COLUMNS) for _ in range(2))
        mixture = mix_styles(first, second, self.recipe.layer_steps[-1][0])
        rows = [generator(w_plus) for w_plus in (first, second, mixture)]
        return sheet([*rows, self._draw(path, first, second, None)])
