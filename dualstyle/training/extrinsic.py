"""Stage two of a bundled model: one domain's extrinsic path and the codes of its exemplars.

Paper, section on progressive fine-tuning, with one departure. There, the target domain is learnt
from unpaired portraits by an adversary, on eight GPUs. Here a deterministic teacher draws each
photo in an exemplar's manner, so that the path learns from pairs; the exemplars themselves are
learnt beside them, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dualstyle.config import GeneratorConfig
from dualstyle.models.dualstylegan import SMALL_INIT, DualStyleGAN, ExtrinsicPath
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.training.autoencoder import MAX_NORM, fast_dtype, psnr
from dualstyle.training.base import FULL_STRENGTH
from dualstyle.training.data import PictureSet
from dualstyle.training.loop import Part, Phase, Rates, Stage
from dualstyle.training.losses import detail_l1, face_weight, reconstruction, ssim
from dualstyle.training.optim import Muon, split_parameters

SECOND_INIT = 0.1  # of a block's second convolution: it starts as a gentle change

Teacher = Callable[[Tensor, Tensor, Tensor], Tensor]
"""teacher(photos [N, 3, S, S], rows of the photos [N], rows of the exemplars [N]) -> targets."""


@dataclass(frozen=True, kw_only=True)
class ExtrinsicRecipe:
    """Numbers of one domain of the bundled model; 15 to 30 minutes of one CPU core."""

    batch_size: int = 14  # pairs of a photo and its drawing
    exemplars_per_batch: int = 2  # exemplars drawn from their own codes
    plain_share: float = 0.5  # of the samples see the encoder's code of the exemplar, unrefined
    conv_rate: float = 0.02  # relative, see Muon
    rate: float = 2e-3  # Adam, the path's other weights
    code_rate: float = 4e-3  # Adam, the codes' refinement
    detail: float = 4.0  # of `losses.detail_l1` in the total


class CodeTable(nn.Module):
    """Extrinsic codes of K exemplars: what the encoder says, and a learnt refinement."""

    def __init__(self, encoded: Tensor) -> None:
        super().__init__()
        self.register_buffer("encoded", encoded)  # [K, L, D]
        self.refinement = nn.Parameter(torch.zeros_like(encoded))

    def forward(self, rows: Tensor, refined: Tensor) -> Tensor:
        """Codes [N, L, D] of some rows; `refined` [N] of 0 and 1 says which get the refinement."""
        base = self.get_buffer("encoded")[rows]
        return base + refined[:, None, None] * self.refinement[rows]


@dataclass(frozen=True)
class EncodedPictures:
    """Pictures and the codes the frozen encoder gives them."""

    pictures: PictureSet
    w_plus: Tensor  # [K, L, D]


def encode_pictures(encoder: nn.Module, pictures: PictureSet) -> EncodedPictures:
    """Encode a whole set once."""
    with torch.no_grad():
        rows = torch.arange(len(pictures)).split(64)
        codes = torch.cat([encoder(pictures.batch(part)) for part in rows])
    return EncodedPictures(pictures, codes)


def _new_path(config: GeneratorConfig, seed: int) -> ExtrinsicPath:
    with torch.random.fork_rng():  # the layers' own initialization draws from the global state
        torch.manual_seed(seed)
        path = ExtrinsicPath(config)
    with torch.no_grad():  # there is no pre-trained path to protect: start at useful sizes
        for name, weight in path.residuals.named_parameters():
            if name.endswith("convs.0.weight"):
                weight.div_(SMALL_INIT)
            elif name.endswith("convs.1.weight"):
                weight.mul_(SECOND_INIT / SMALL_INIT)
    return path


class ExtrinsicStage(Stage):
    """Photo's code and exemplar's code in, the photo drawn in the exemplar's manner out."""

    def __init__(
        self,
        recipe: ExtrinsicRecipe,
        generator: StyleGAN2,
        photos: EncodedPictures,
        test_photos: EncodedPictures,
        exemplars: EncodedPictures,
        teacher: Teacher,
        test_teacher: Teacher,
        schedule: Rates,
        *,
        start: ExtrinsicPath | None = None,
        seed: int = 0,
    ) -> None:
        path = _new_path(generator.config, seed) if start is None else start
        path.requires_grad_(True).train()
        path.structure_mapping.requires_grad_(False)  # T_s is shared and frozen after stage 2
        self.path, self.codes = path, CodeTable(exemplars.w_plus)
        super().__init__(nn.ModuleDict({"path": path, "codes": self.codes}), schedule)
        self.recipe = recipe
        self.generator = generator.eval().requires_grad_(False)
        self.photos, self.test_photos, self.exemplars = photos, test_photos, exemplars
        self.teacher, self.test_teacher = teacher, test_teacher
        convs, rest = split_parameters(path)
        optimizers = [
            Muon(convs, lr=recipe.conv_rate),
            torch.optim.Adam(
                [
                    {"params": rest, "lr": recipe.rate},
                    {"params": [self.codes.refinement], "lr": recipe.code_rate},
                ],
                betas=(0.9, 0.99),
            ),
        ]
        self.phases = [Phase(name="draw", optimizers=optimizers, loss=self.loss, max_norm=MAX_NORM)]
        self.weight = face_weight(generator.config.image_size)

    def loss(self, part: Part) -> dict[str, Tensor]:
        """Likeness of the drawings to the teacher's, and of the exemplars to themselves."""
        batch = part.share(self.recipe.batch_size)
        rows = part.rows(batch, len(self.photos.pictures))
        portraits = part.share(self.recipe.exemplars_per_batch)
        styles = part.rows(batch + portraits, len(self.exemplars.pictures))
        own = styles[batch:]
        refined = torch.rand(len(styles), generator=part.generator) >= self.recipe.plain_share
        refined[batch:] = True
        intrinsic = torch.cat([self.photos.w_plus[rows], self.exemplars.w_plus[own]])
        with torch.no_grad():
            drawn = self.teacher(self.photos.pictures.batch(rows), rows, styles[:batch])
            target = torch.cat([drawn, self.exemplars.pictures.batch(own)])
        extrinsic = self.codes(styles, refined.float())
        rgb = self.draw(self.path, intrinsic, extrinsic, dtype=fast_dtype())
        likeness, detail = reconstruction(rgb, target, self.weight), detail_l1(rgb, target)
        return {"total": likeness + self.recipe.detail * detail, "detail": detail}

    def draw(
        self,
        path: ExtrinsicPath,
        intrinsic: Tensor,
        extrinsic: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Render codes [N, L, D] at full strength as [N, 3, S, S]."""
        dual = DualStyleGAN.of(self.generator, path)
        *_, last = dual.synthesize(intrinsic, extrinsic, FULL_STRENGTH, dtype=dtype)
        return last.rgb

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Held-out photos, then a row per exemplar: exemplar, teacher and drawing in turn."""
        photos = torch.arange(6)
        styles = torch.linspace(0, len(self.exemplars.pictures) - 1, 5).long()
        pictures = self.test_photos.pictures.batch(photos)
        rows = [torch.cat([torch.ones_like(pictures[:1]), pictures.repeat_interleave(2, dim=0)])]
        for style in styles:
            which = style.expand(len(photos))
            drawn = self._test_drawings(networks, photos, which)
            taught = self.test_teacher(pictures, photos, which)
            pairs = torch.stack([taught, drawn], dim=1).flatten(0, 1)
            rows.append(torch.cat([self.exemplars.pictures.batch(style[None]), pairs]))
        sheet = torch.stack(rows)  # [R, C, 3, S, S]
        return sheet.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)

    def _test_drawings(self, networks: nn.ModuleDict, photos: Tensor, styles: Tensor) -> Tensor:
        codes = networks["codes"](styles, torch.ones(len(styles)))
        path = cast("ExtrinsicPath", networks["path"])
        return self.draw(path, self.test_photos.w_plus[photos], codes)

    def measure(self, networks: nn.ModuleDict) -> dict[str, float]:
        """PSNR [dB] and SSIM against the teacher's drawings of held-out photos."""
        photos = torch.arange(min(48, len(self.test_photos.pictures)))
        styles = photos * 7 % len(self.exemplars.pictures)
        taught = self.test_teacher(self.test_photos.pictures.batch(photos), photos, styles)
        drawn = self._test_drawings(networks, photos, styles).clamp(-1, 1)
        return {
            "psnr": float(psnr(drawn, taught).mean()),
            "ssim": float(ssim(drawn, taught).mean()),
        }
