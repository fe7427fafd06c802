"""The pSp encoder learns to invert a frozen StyleGAN2, into w+ or into z+.

pixel2style2pixel (Richardson et al., CVPR 2021), section on losses, for w+. DualStyleGAN's variant
reads the heads' codes as z+: they go through the frozen mapping network row by row before they are
drawn.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from dualstyle.models.arcface import ArcFace
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.training.base import Base, Pictures, pooled, sheet
from dualstyle.training.features import IdentityFeatures, PerceptualDistance
from dualstyle.training.gan import draw_real
from dualstyle.training.inversion import mapped_spread
from dualstyle.training.loop import Averaging, Constant, Part, Phase, Stage
from dualstyle.training.losses import identity, w_norm
from dualstyle.training.ranger import Ranger
from dualstyle.training.recipes import PSPRecipe

PREVIEW_FACES = 8
NO_AVERAGE = Averaging(decay=0.0)  # the published encoder is the last one, not an average


class PSPStage(Stage):
    """Faces in, the same faces out of the frozen generator.

    Args:
        recipe: Numbers.
        base: The frozen generator, the encoder to train in place, and the space of its codes.
        pictures: Faces to train on, of any size that both networks can be compared at.
        test_pictures: Faces that are not trained on.
        distance: Perceptual distance.
        recognition: Face embeddings.
    """

    def __init__(
        self,
        recipe: PSPRecipe,
        base: Base,
        pictures: Pictures,
        test_pictures: Pictures,
        distance: PerceptualDistance,
        recognition: IdentityFeatures,
    ) -> None:
        self.recipe, self.base = recipe, base
        self.pictures, self.test_pictures = pictures, test_pictures
        self.distance, self.recognition = distance, recognition
        self.encoder = base.encoder.train()
        base.generator.eval().requires_grad_(False)
        super().__init__(
            nn.ModuleDict({"encoder": self.encoder}),
            Constant(recipe.steps),
            frozen=[base.generator, distance, recognition],
            averaging=NO_AVERAGE,
        )
        optimizer = Ranger(self.encoder.parameters(), lr=recipe.rate)
        self.phases = [Phase(name="encoder", optimizers=[optimizer], loss=self._loss)]

    def redraw(self, encoder: PSPEncoder, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Draw faces [N, 3, S, S] again at the target size; also their codes [N, L, D]."""
        codes = encoder(faces)
        drawn = self.base.generator(self.base.to_w_plus(codes))
        return pooled(drawn, self.recipe.target_size), codes

    def _loss(self, part: Part) -> dict[str, Tensor]:
        recipe = self.recipe
        faces = draw_real(self.pictures, part, part.share(recipe.batch_size))
        drawn, codes = self.redraw(self.encoder, faces)
        target = pooled(faces, drawn.shape[-1])
        terms = {
            "pixel": recipe.pixel * (drawn - target).square().mean(),
            "perceptual": recipe.perceptual * self.distance(drawn, target).mean(),
            "identity": recipe.identity
            * identity(self.recognition(drawn), self.recognition(target)),
        }
        if recipe.code_norm:
            terms["code"] = recipe.code_norm * w_norm(codes, self.encoder.get_buffer("code_offset"))
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    def _shown(self) -> Tensor:
        count = min(PREVIEW_FACES, len(self.test_pictures))
        return self.test_pictures.batch(torch.arange(count)).to(self.base.generator.constant)

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Faces that are not trained on above their reconstructions."""
        faces = self._shown()
        return sheet([faces, self.redraw(cast("PSPEncoder", networks["encoder"]), faces)[0]])

    def measure(self, networks: nn.ModuleDict) -> dict[str, float]:
        """Squared error and perceptual distance of these reconstructions."""
        faces = self._shown()
        drawn, _ = self.redraw(cast("PSPEncoder", networks["encoder"]), faces)
        target = pooled(faces, drawn.shape[-1])
        return {
            "test/pixel": float((drawn - target).square().mean()),
            "test/perceptual": float(self.distance(drawn, target).mean()),
        }


def start_from_mean(encoder: PSPEncoder, base: Base) -> None:
    """Let the heads learn differences to the generator's mean code (`start_from_latent_avg`)."""
    with torch.no_grad():
        encoder.get_buffer("code_offset").copy_(mapped_spread(base.generator).mean)


def start_from_recognition(encoder: PSPEncoder, recognition: ArcFace) -> None:
    """Begin with the body of IR-SE50, trained to tell people apart.

    Raises:
        RuntimeError: The encoder's body has other sizes.
    """
    encoder.stem.load_state_dict(recognition.stem.state_dict())
    encoder.stages.load_state_dict(recognition.stages.state_dict())
