"""StyleGAN2, from scratch or fine-tuned on the portraits of a style (with FreezeD as an option).

StyleGAN2 (Karras et al., CVPR 2020). DualStyleGAN fine-tunes the one of photographs for a few
hundred steps on a style, to have a generator of that style (section on facial destylization).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from dualstyle.models.discriminator import Discriminator
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.training.base import MappedNoise, Pictures, noise_maps, sheet
from dualstyle.training.gan import Adversary, draw_real, lazy_adam, path_phase
from dualstyle.training.loop import Constant, Part, Phase, Stage
from dualstyle.training.losses import PathLength
from dualstyle.training.recipes import StyleGAN2Recipe

PREVIEW_COLUMNS, PREVIEW_ROWS = 8, 4


class StyleGAN2Stage(Stage):
    """Noise in, portraits out, as real as the discriminator can tell.

    Args:
        recipe: `STYLEGAN2_TRANSFER` and its like, or `StyleGAN2Recipe()` from scratch.
        generator: Trained in place; untrained, or that of the source domain.
        discriminator: Trained in place; untrained, or the one that came with the generator.
        pictures: Portraits of the generator's size.
    """

    def __init__(
        self,
        recipe: StyleGAN2Recipe,
        generator: StyleGAN2,
        discriminator: Discriminator,
        pictures: Pictures,
    ) -> None:
        self.recipe, self.pictures = recipe, pictures
        self.generator = generator.train()
        self.adversary = Adversary(discriminator, recipe.gan, real=self._real, fake=self._fake)
        running = PathLength()
        super().__init__(
            nn.ModuleDict({"generator": generator}),
            Constant(recipe.steps),
            others=nn.ModuleDict({**self.adversary.modules, "path_length": running}),
            averaging=recipe.gan.averaging,
        )
        self.faces = MappedNoise(generator, recipe.gan.mixing)
        optimizer = lazy_adam(generator.parameters(), recipe.gan.rate, recipe.gan.path_every)
        main = Phase(name="generator", optimizers=[optimizer], loss=self._generator_loss)
        path = path_phase(recipe.gan, optimizer, running, self._draw)
        self.phases = [*self.adversary.phases, main, path]

    def _real(self, part: Part) -> Tensor:
        return draw_real(self.pictures, part, part.share(self.recipe.gan.batch_size))

    def _fake(self, part: Part) -> Tensor:
        return self._draw(part, part.share(self.recipe.gan.batch_size))[0]

    def _draw(self, part: Part, count: int) -> tuple[Tensor, Tensor]:
        w_plus = self.faces.draw(part, count)
        noise = noise_maps(self.generator.config, count, part.large)
        return self.generator(w_plus, noise=noise), w_plus

    def _generator_loss(self, part: Part) -> dict[str, Tensor]:
        return {"total": self.adversary.generator_loss(self._fake(part), part)}

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Portraits of the same codes each time."""
        generator = cast("StyleGAN2", networks["generator"])
        chance = torch.Generator().manual_seed(0)
        shape = (PREVIEW_ROWS, PREVIEW_COLUMNS, generator.config.style_dim)
        rows = torch.randn(shape, generator=chance).to(generator.constant)
        return sheet([generator(generator.to_w_plus(z)) for z in rows])
