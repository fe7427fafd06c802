"""What all adversarial stages share: the discriminator's phases and the path length phase.

StyleGAN2 (Karras et al., CVPR 2020), section 3 and appendix B: logistic loss, R1 and path length
regularization every few steps only, with Adam's constants corrected for the skipped ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.torch_version import TorchVersion

from dualstyle.errors import TrainingError
from dualstyle.models.discriminator import Discriminator
from dualstyle.training.ada import AdaptiveAugmentation
from dualstyle.training.base import Pictures
from dualstyle.training.loop import Part, Phase
from dualstyle.training.losses import (
    PathLength,
    discriminator_logistic,
    generator_logistic,
    path_lengths,
    r1_penalty,
)
from dualstyle.training.recipes import GanRecipe

AUGMENTS = "2.12"  # the first PyTorch with second derivatives of grid_sample
SECOND_MOMENT = 0.99  # Adam's second constant; the first is 0: no momentum


def lazy_adam(parameters: Iterable[nn.Parameter], rate: float, every: int) -> torch.optim.Adam:
    """Adam for a network that takes one more step, of a regularizer, after every `every` steps."""
    ratio = every / (every + 1)
    return torch.optim.Adam(parameters, lr=rate * ratio, betas=(0.0, SECOND_MOMENT**ratio))


def trained_parameters(discriminator: Discriminator, blocks: int | None) -> list[nn.Parameter]:
    """Parameters of the last residual blocks and of all that comes after them (FreezeD).

    Mo, Cho, Shin, "Freeze the Discriminator" (2020): the layers near the picture keep what the
    source domain taught them. None: everything is trained.
    """
    if blocks is None:
        return list(discriminator.parameters())
    first = len(discriminator.blocks) - blocks
    modules = (
        *discriminator.blocks[max(first, 0) :],
        discriminator.final_conv,
        discriminator.final_linear,
        discriminator.score,
    )
    return [parameter for module in modules for parameter in module.parameters()]


class Adversary:
    """A discriminator with its optimizer, its augmentation and its two phases of a step.

    Args:
        discriminator: Changed in place.
        recipe: Numbers of the adversarial part.
        real: Draws real pictures [N, 3, S, S] of a part.
        fake: Draws the generator's pictures of the same part, as many.
        weight: Of the discriminator's logistic loss.

    Raises:
        TrainingError: Pictures are to be augmented, and PyTorch is too old for that.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        recipe: GanRecipe,
        *,
        real: Callable[[Part], Tensor],
        fake: Callable[[Part], Tensor],
        weight: float = 1.0,
    ) -> None:
        self.discriminator, self.recipe = discriminator, recipe
        self.real, self.fake, self.weight = real, fake, weight
        if recipe.augment and TorchVersion(torch.__version__) < AUGMENTS:
            raise TrainingError(
                f"R1 through ADA's warps needs PyTorch {AUGMENTS} or newer, this is "
                f"{torch.__version__}; upgrade it, or set augment=False in the recipe."
            )
        self.augmentation = AdaptiveAugmentation() if recipe.augment else None
        trained = trained_parameters(discriminator, recipe.trained_blocks)
        discriminator.requires_grad_(False)
        self.optimizer = lazy_adam(trained, recipe.rate, recipe.r1_every)
        self.phases = (
            Phase(name="discriminator", optimizers=[self.optimizer], loss=self._logistic),
            Phase(
                name="r1",
                optimizers=[self.optimizer],
                loss=self._r1,
                every=recipe.r1_every,
                full_precision=True,
            ),
        )

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What has to be saved with the stage."""
        modules: dict[str, nn.Module] = {"discriminator": self.discriminator}
        if self.augmentation is not None:
            modules["augmentation"] = self.augmentation
        return modules

    def score(self, pictures: Tensor, part: Part) -> Tensor:
        """Realness [N, 1] of augmented pictures."""
        if self.augmentation is not None:
            with torch.autocast(pictures.device.type, enabled=False):  # it moves by pixels
                pictures = self.augmentation(pictures, part.generator)
        return self.discriminator(pictures)

    def generator_loss(self, fake: Tensor, part: Part) -> Tensor:
        """How little the generator's pictures look real."""
        return generator_logistic(self.score(fake, part))

    def _logistic(self, part: Part) -> dict[str, Tensor]:
        real = self.real(part)
        with torch.no_grad():
            fake = self.fake(part)
        real_score, fake_score = self.score(real, part), self.score(fake, part)
        numbers = {
            "total": self.weight * discriminator_logistic(real_score, fake_score),
            "real": real_score.mean(),
            "fake": fake_score.mean(),
        }
        if self.augmentation is not None:
            self.augmentation.tune(real_score.detach())
            numbers["augmented"] = self.augmentation.p  # share of pictures, per kind of change
        return numbers

    def _r1(self, part: Part) -> dict[str, Tensor]:
        real = self.real(part).requires_grad_()
        penalty = r1_penalty(self.score(real, part), real)
        return {
            "total": self.recipe.r1 / 2 * self.recipe.r1_every * penalty,
            "penalty": penalty,
        }


def path_phase(
    recipe: GanRecipe,
    optimizer: torch.optim.Optimizer,
    running: PathLength,
    draw: Callable[[Part, int], tuple[Tensor, Tensor]],
) -> Phase:
    """Path length regularization of a generator, lazily.

    Args:
        recipe: Numbers of the adversarial part.
        optimizer: Of the generator.
        running: Keeps the running mean.
        draw: Gives so many pictures [N, 3, S, S] and the w+ codes [N, L, D] they were drawn from,
            which require gradients.
    """

    def loss(part: Part) -> dict[str, Tensor]:
        count = max(1, part.share(recipe.batch_size) // recipe.path_shrink)
        pictures, w_plus = draw(part, count)
        noise = torch.randn(pictures.shape, generator=part.large, device=part.device)
        lengths = path_lengths(pictures, w_plus, noise)
        total = recipe.path * recipe.path_every * running(lengths)
        return {"total": total, "length": lengths.mean()}

    return Phase(
        name="path",
        optimizers=[optimizer],
        loss=loss,
        every=recipe.path_every,
        full_precision=True,
    )


def draw_real(pictures: Pictures, part: Part, count: int) -> Tensor:
    """Choose some pictures, mirror half of them: [count, 3, S, S]."""
    chosen = pictures.batch(part.rows(count, len(pictures)))
    return mirrored(chosen, part).to(part.device)


def mirrored(pictures: Tensor, part: Part) -> Tensor:
    """Flip each picture [N, 3, S, S] from left to right with probability one half."""
    flips = part.rows(len(pictures), 2).bool().to(pictures.device)
    return torch.where(flips[:, None, None, None], pictures.flip(3), pictures)
