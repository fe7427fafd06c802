"""One frozen recipe per stage: the published numbers are the defaults.

Paper: Pastiche Master (Yang et al., CVPR 2022), section on progressive fine-tuning, and the
released code's options where the paper is silent. A batch is that of a whole step, however many
processes and rounds of accumulation share it. Recipes of the bundled model that have no
counterpart in the paper stand beside their stages (`autoencoder`, `extrinsic`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from dualstyle.training.loop import Averaging

PUBLISHED_AVERAGE = Averaging(decay=0.5 ** (32 / 10_000), warmup=1)  # half-life 10,000 pictures


@dataclass(frozen=True, kw_only=True)
class GanRecipe:
    """What all adversarial stages share (StyleGAN2, appendix B)."""

    batch_size: int = 32
    rate: float = 0.002  # Adam, generator and discriminator
    r1: float = 10.0  # weight of the discriminator's gradient penalty
    r1_every: int = 16  # steps
    path: float = 2.0  # weight of the path length regularizer
    path_every: int = 4  # steps
    path_shrink: int = 2  # its batch is smaller by this factor
    mixing: float = 0.9  # share of batches with two styles each
    augment: bool = False  # adaptive discriminator augmentation (Karras et al., NeurIPS 2020)
    trained_blocks: int | None = None  # FreezeD (Mo et al., 2020): last residual blocks of D
    averaging: Averaging = PUBLISHED_AVERAGE


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Recipe:
    """StyleGAN2 from scratch, or fine-tuned on the portraits of a style."""

    steps: int = 800_000
    gan: GanRecipe = field(default_factory=GanRecipe)


STYLEGAN2_TRANSFER = StyleGAN2Recipe(steps=600, gan=GanRecipe(augment=True))
"""FFHQ to a style: few steps, so that the face stays where destylization expects it."""

STYLEGAN2_FREEZE_D = StyleGAN2Recipe(steps=600, gan=GanRecipe(augment=True, trained_blocks=3))
"""The same with FreezeD: the early layers of the discriminator keep what photos taught them."""


@dataclass(frozen=True, kw_only=True)
class DestylizationRecipe:
    """Facial destylization (paper, section of that name, equation 1)."""

    steps: int = 300
    rate: float = 0.1  # Adam, codes and noise; it rises and falls, see `LatentRates`
    batch_size: int = 4  # pictures that are optimized together
    perceptual: float = 1.0
    identity: float = 0.1
    spread: float = 1.0  # of the codes over the layers
    noise: float = 1e5
    truncation: float = 0.7  # of the destylized face; 0.5 for styles far from photographs


@dataclass(frozen=True, kw_only=True)
class StructureTransferRecipe:
    """Progressive fine-tuning, stage 2: structure transfer on the source domain."""

    layer_steps: tuple[tuple[int, int], ...] = ((7, 300), (6, 300), (5, 3000))  # (l, steps)
    encoder_every: int = 4  # steps; in the others the exemplar's code is the mapping's
    adversarial: float = 0.1
    perceptual: tuple[float, ...] = (0.5, 0.5, 0.5, 0.0, 0.0)  # per feature map
    feature_size: int = 256  # [px] what the feature network sees
    gan: GanRecipe = field(default_factory=lambda: GanRecipe(batch_size=4))

    @property
    def steps(self) -> int:
        """Of all layers together."""
        return sum(steps for _, steps in self.layer_steps)


@dataclass(frozen=True, kw_only=True)
class FineTuningRecipe:
    """Progressive fine-tuning, stage 3: style transfer on the target domain."""

    steps: int
    identity: float  # lambda_ID
    residual: float  # lambda_reg
    adversarial: float = 1.0
    perceptual: float = 1.0
    perceptual_maps: tuple[float, ...] = (0.0, 0.5, 1.0, 0.0, 0.0)  # per feature map
    contextual: float = 0.25
    matching: float = 0.25
    jitter: float = 0.1  # deviation added to extrinsic w+ codes
    feature_size: int = 256  # [px] what the feature networks see
    gan: GanRecipe = field(default_factory=lambda: GanRecipe(augment=True))


FINE_TUNING = MappingProxyType(
    {
        "cartoon": FineTuningRecipe(steps=1400, identity=1.0, residual=0.015),
        "caricature": FineTuningRecipe(steps=1000, identity=4.0, residual=0.005),
        "anime": FineTuningRecipe(steps=2100, identity=1.0, residual=0.02),
    }
)
"""The paper's three styles; a new style starts from the nearest and is judged by its pictures."""


@dataclass(frozen=True, kw_only=True)
class RefinementRecipe:
    """Latent optimization of the extrinsic codes (paper, section on latent optimization)."""

    steps: int = 100
    batch_size: int = 1  # pictures that are optimized together
    structure_rate: float = 0.005  # Adam, code rows 0 to 6
    color_rate: float = 0.01  # Adam, code rows 7 and up; 0.1 for cartoon
    noise_rate: float = 0.1  # Adam
    perceptual: float = 1.0
    contextual: float = 1.0
    noise: float = 1e5
    feature_size: int = 256  # [px]


REFINEMENT_CARTOON = RefinementRecipe(color_rate=0.1)


@dataclass(frozen=True, kw_only=True)
class CodeSamplingRecipe:
    """N, the sampling network, on whole codes (GLANN, Hoshen et al., CVPR 2019)."""

    rows_seen: int = 500_000  # known codes, repetitions included, over all epochs
    rows: int = 1000  # codes are repeated, jittered, up to this number at least
    jitter: float = 0.05  # deviation
    batch_size: int = 128
    rate: float = 1e-3  # Adam, halved every 50 epochs
    halving: int = 50  # epochs
    weight_decay: float = 1e-5
    candidates: int = 2  # drawn per known code


@dataclass(frozen=True, kw_only=True)
class PSPRecipe:
    """The pSp encoder (Richardson et al., CVPR 2021): inversion of faces into z+ or w+."""

    steps: int = 500_000
    batch_size: int = 8
    rate: float = 1e-4  # Ranger
    pixel: float = 1.0
    perceptual: float = 0.8  # LPIPS
    identity: float = 0.1
    code_norm: float = 0.0  # distance to the mean code
    target_size: int = 256  # [px] where pictures are compared


@dataclass(frozen=True, kw_only=True)
class InversionRecipe:
    """GAN inversion by optimization (StyleGAN2, appendix D)."""

    steps: int = 1000
    rate: float = 0.1  # Adam, rising and falling
    code: Literal["w", "w+"] = "w+"
    with_noise: bool = True  # the noise maps are optimized too
    noise: float = 1e5  # weight of their regularizer
    perceptual: float = 1.0
    pixel: float = 0.0  # weight of the squared error
    exploration: float = 0.05  # deviation added to codes at first, as a share of w's own
    exploration_share: float = 0.75  # of the steps, until it has gone
    feature_size: int = 256  # [px]
