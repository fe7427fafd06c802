"""Stage one of a bundled model: encoder and generator learn together to redraw portraits.

It stands in for the StyleGAN2 pre-training and the pSp training of the paper: at this size and
with a few thousand photos a joint autoencoder reaches likeness in an hour of two CPU cores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from dualstyle.config import EncoderConfig, GeneratorConfig
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.training.data import PictureSet, augment
from dualstyle.training.loop import Part, Phase, Rates, Stage
from dualstyle.training.losses import detail_l1, face_weight, reconstruction, ssim
from dualstyle.training.optim import Muon, split_parameters

PREVIEW_FACES = 8
MAX_NORM = 5.0  # of the gradients


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe:
    """The bundled model's numbers; about fifty minutes of two CPU cores."""

    generator: GeneratorConfig = field(
        default_factory=lambda: GeneratorConfig(
            image_size=128,
            style_dim=256,
            mapping_layers=2,
            channels=(256, 256, 192, 96, 64, 32),
        )
    )
    encoder: EncoderConfig = field(
        default_factory=lambda: EncoderConfig(
            input_size=64,
            num_layers=12,
            style_dim=256,
            stem_channels=32,
            widths=(32, 64, 128, 128),
            units=(2, 3, 6, 2),
            head_channels=128,
        )
    )
    batch_size: int = 16
    drawings_per_batch: int = 4  # of them, where the stage was given drawings
    small_share: float = 0.2  # of the steps at half the resolution
    conv_rate: float = 0.02  # relative, see Muon
    rate: float = 3e-3  # Adam, the generator's other weights
    encoder_rate: float = 1.5e-3  # Adam, the encoder's other weights
    detail: float = 4.0  # of `losses.detail_l1` in the total


REFINED = AutoencoderRecipe(
    small_share=0.0, conv_rate=0.008, rate=1.2e-3, encoder_rate=6e-4
)  # from finished networks on, at lower rates


class AutoencoderStage(Stage):
    """Photos in, the same photos out; the code between them is w+ [N, L, D].

    Exemplars of all styles may be learnt beside the photos: extrinsic paths leave the layers above
    32 px as they are, so these must be able to draw a flat area and a black line.
    """

    def __init__(
        self,
        recipe: AutoencoderRecipe,
        train: PictureSet,
        test: PictureSet,
        schedule: Rates,
        *,
        drawings: PictureSet | None = None,
        start: nn.ModuleDict | None = None,
        seed: int = 0,
    ) -> None:
        networks = self.build(recipe, seed=seed).train()
        if start is not None:
            networks.load_state_dict(start.state_dict())
        super().__init__(networks, schedule)
        self.recipe = recipe
        self.train, self.test, self.drawings = train, test, drawings
        convs, rest = split_parameters(self.networks["generator"])
        encoder_convs, encoder_rest = split_parameters(self.networks["encoder"])
        groups = [
            {"params": rest, "lr": recipe.rate},
            {"params": encoder_rest, "lr": recipe.encoder_rate},
        ]
        optimizers = [
            Muon(convs + encoder_convs, lr=recipe.conv_rate),
            torch.optim.Adam(groups, betas=(0.9, 0.99)),
        ]
        self.phases = [
            Phase(name="redraw", optimizers=optimizers, loss=self.loss, max_norm=MAX_NORM)
        ]
        self.weights = {s: face_weight(s) for s in recipe.generator.resolutions}

    @staticmethod
    def build(recipe: AutoencoderRecipe, *, seed: int = 0) -> nn.ModuleDict:
        """Make the untrained networks; the mapping and the noise are not to be trained."""
        with torch.random.fork_rng():  # the layers' own initialization draws from the global state
            torch.manual_seed(seed)
            generator, encoder = StyleGAN2(recipe.generator), PSPEncoder(recipe.encoder)
        generator.mapping.requires_grad_(False)  # codes are w+
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_weight"):  # noise only adds error to an autoencoder
                parameter.requires_grad_(False)
        return nn.ModuleDict({"encoder": encoder, "generator": generator})

    def loss(self, part: Part) -> dict[str, Tensor]:
        """Reconstruction loss of one batch, at half the resolution in the first steps."""
        photos = augment(self._batch(part), part.generator)
        size = self.recipe.generator.image_size
        if part.step < self.recipe.small_share * self.schedule.steps:
            size //= 2
        drawn = redraw(self.networks, photos, size=size, dtype=fast_dtype())
        target = F.adaptive_avg_pool2d(photos, size)
        likeness = reconstruction(drawn, target, self.weights[size])
        detail = detail_l1(drawn, target)
        return {"total": likeness + self.recipe.detail * detail, "detail": detail}

    def _batch(self, part: Part) -> Tensor:
        drawn = 0 if self.drawings is None else part.share(self.recipe.drawings_per_batch)
        photos = self.train.batch(
            part.rows(part.share(self.recipe.batch_size) - drawn, len(self.train))
        )
        if self.drawings is None:
            return photos
        return torch.cat([photos, self.drawings.batch(part.rows(drawn, len(self.drawings)))])

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Held-out photos above their reconstructions."""
        photos = self.test.batch(torch.arange(PREVIEW_FACES))
        if self.drawings is not None:
            chosen = torch.linspace(0, len(self.drawings) - 1, PREVIEW_FACES).long()
            photos = torch.cat([photos, self.drawings.batch(chosen)])
        rows = torch.stack([photos, redraw(networks, photos)])  # [2, K, 3, S, S]
        return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)

    def measure(self, networks: nn.ModuleDict) -> dict[str, float]:
        """PSNR [dB] and SSIM on held-out photos."""
        photos = self.test.batch(torch.arange(min(len(self.test), 128)))
        drawn = torch.cat([redraw(networks, part) for part in photos.split(32)]).clamp(-1, 1)
        return {
            "psnr": float(psnr(drawn, photos).mean()),
            "ssim": float(ssim(drawn, photos).mean()),
        }


def redraw(
    networks: nn.ModuleDict,
    photos: Tensor,
    *,
    size: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Encode photos [N, 3, S, S] and draw them again at `size` px (None: the generator's own)."""
    encoder, generator = cast("PSPEncoder", networks["encoder"]), generator_of(networks)
    size = generator.config.image_size if size is None else size
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        w_plus = encoder(photos)
    stages = generator.synthesize(w_plus, dtype=dtype)
    return next(stage.rgb for stage in stages if stage.size == size)


def fast_dtype() -> torch.dtype:
    """Bfloat16 where the CPU has units for it; elsewhere its emulation is slower than float32."""
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def generator_of(networks: nn.ModuleDict) -> StyleGAN2:
    """The generator of an autoencoder."""
    return cast("StyleGAN2", networks["generator"])


def psnr(actual: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [dB] per sample [N], pictures in [-1, 1]."""
    return 10 * torch.log10(4 / (actual - target).square().mean(dim=(1, 2, 3)))
