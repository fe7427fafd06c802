"""DualStyleGAN (Yang et al., CVPR 2022): StyleGAN2 with a second, extrinsic style path.

Paper, section "DualStyleGAN": structure is controlled by modulative residual blocks (ModRes) after
the seven convolutions up to 32x32, colour by transforms of the extrinsic code that are mixed with
the intrinsic code in the layers above.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self, cast

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from dualstyle.config import NUM_STRENGTHS, NUM_STRUCTURE_LAYERS, GeneratorConfig
from dualstyle.models.stylegan2 import Mapping, Stage, StyleGAN2, Trunk
from dualstyle.ops import EqualConv2d, EqualLinear, instance_norm, leaky_relu

SMALL_INIT = 0.01  # residual and colour weights start near "change nothing" (paper, stage 1)
ALL_LAYERS = NUM_STRENGTHS  # a fuse index that leaves every layer its extrinsic style


class AdaIN(nn.Module):
    """Adaptive instance normalization; an ordinary linear layer makes scale and shift."""

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.style = nn.Linear(style_dim, 2 * channels)
        with torch.no_grad():
            self.style.bias.copy_(torch.cat([torch.ones(channels), torch.zeros(channels)]))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Normalize x [N, C, H, W], then scale and shift it as the code [N, D] says."""
        weight, bias = self.style.weight.to(code.dtype), self.style.bias.to(code.dtype)
        style = F.linear(code, weight, bias)  # weights may be kept in half
        gamma, beta = style.to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(beta, gamma, instance_norm(x))


class ModRes(nn.Module):
    """Modulative residual block: bends feature maps towards the exemplar's shapes.

    Paper: the extrinsic style path, structure control. Differs from the released code in one
    point: the strength is a tensor per sample, so one batch can mix several strengths.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(AdaIN(channels, style_dim) for _ in range(2))
        self.convs = nn.ModuleList(EqualConv2d(channels, channels, 3) for _ in range(2))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(channels)) for _ in range(2))
        with torch.no_grad():
            for weight in self.convs.parameters():
                weight.mul_(SMALL_INIT)

    def forward(self, x: Tensor, code: Tensor, strength: Tensor) -> Tensor:
        """Return x + strength * residual(x, code); x [N, C, H, W], code [N, D], strength [N]."""
        h = x
        for norm, conv, bias in zip(self.norms, self.convs, self.biases, strict=True):
            h = leaky_relu(conv(norm(h, code)) + bias.to(x.dtype)[None, :, None, None])
        return torch.addcmul(x, h, strength.to(x.dtype)[:, None, None, None])


class ExtrinsicPath(nn.Module):
    """What one domain adds to the shared StyleGAN2: T_s, seven ModRes blocks, colour transforms.

    A domain's structure half and its colour half are separate modules; `with_color_of` puts the
    colour half of another domain beside this one's structure half, sharing all weights.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.style_dim
        self.structure_mapping = Mapping(dim, config.structure_mapping_layers)  # T_s
        self.residuals = nn.ModuleList(
            ModRes(config.width(config.layer_resolution(i)), dim)
            for i in range(NUM_STRUCTURE_LAYERS)
        )
        self.color_transforms = nn.ModuleList(
            EqualLinear(dim, dim) for _ in range(config.num_color_layers)
        )  # T_c
        with torch.no_grad():
            for transform in self.color_transforms:
                cast("EqualLinear", transform).weight.mul_(SMALL_INIT).add_(
                    torch.eye(dim) * dim**0.5
                )

    def mix_colors(
        self, w_plus: Tensor, extrinsic: Tensor, strengths: Tensor, fuse_index: int
    ) -> Tensor:
        """Mix transformed extrinsic codes into the colour layers of w+ [N, L, D].

        Layer j in 7 .. fuse_index becomes s_j T_c(e_j) + (1 - s_j) w_j.
        """
        codes = list(w_plus.unbind(dim=1))
        last = min(fuse_index, self.config.num_layers - 1)
        for layer in range(NUM_STRUCTURE_LAYERS, last + 1):
            transform = self.color_transforms[layer - NUM_STRUCTURE_LAYERS]
            strength = strengths[:, layer, None]
            mixed = strength * transform(extrinsic[:, layer]) + (1 - strength) * codes[layer]
            codes[layer] = mixed
        return torch.stack(codes, dim=1)

    def with_color_of(self, other: ExtrinsicPath) -> ExtrinsicPath:
        """Build a path with this one's structure and the other's colours; weights are shared.

        Raises:
            ValueError: The two were made for different generators.
        """
        if self.config != other.config:
            raise ValueError("the two domains were made for different generators")
        path = ExtrinsicPath.__new__(ExtrinsicPath)
        nn.Module.__init__(path)
        path.config = self.config
        path.structure_mapping = self.structure_mapping
        path.residuals = self.residuals
        path.color_transforms = other.color_transforms
        return path


class DualStyleGAN(nn.Module):
    """The dual-path generator: a shared StyleGAN2 and the extrinsic path of one domain."""

    def __init__(
        self,
        config: GeneratorConfig,
        *,
        intrinsic: StyleGAN2 | None = None,
        extrinsic: ExtrinsicPath | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.intrinsic = StyleGAN2(config) if intrinsic is None else intrinsic
        self.extrinsic = ExtrinsicPath(config) if extrinsic is None else extrinsic

    @classmethod
    def of(cls, intrinsic: StyleGAN2, extrinsic: ExtrinsicPath) -> Self:
        """Put two existing halves together; nothing is copied."""
        return cls(intrinsic.config, intrinsic=intrinsic, extrinsic=extrinsic)

    def forward(
        self,
        w_plus: Tensor,
        extrinsic_w_plus: Tensor,
        strengths: Tensor,
        *,
        noise: Sequence[Tensor] | None = None,
        fuse_index: int = ALL_LAYERS,
    ) -> Tensor:
        """Draw RGB [N, 3, size, size]; see `synthesize`."""
        *_, last = self.synthesize(
            w_plus, extrinsic_w_plus, strengths, noise=noise, fuse_index=fuse_index
        )
        return last.rgb

    def synthesize(
        self,
        w_plus: Tensor,
        extrinsic_w_plus: Tensor,
        strengths: Tensor,
        *,
        noise: Sequence[Tensor] | None = None,
        fuse_index: int = ALL_LAYERS,
        dtype: torch.dtype = torch.float32,
        fine_dtype: torch.dtype | None = None,
        trunk: Trunk | None = None,
        reference: bool = False,
    ) -> Iterator[Stage]:
        """Draw resolution after resolution in the exemplar's manner.

        Args:
            w_plus: Intrinsic codes [N, L, D], already mapped and truncated.
            extrinsic_w_plus: Extrinsic codes [N, L, D], already mapped, never truncated.
            strengths: [N, 18] or [18]; the first L are read. 0: the photo, 1: the exemplar. Best
                on the CPU, where layers without strength are found and left out.
            noise: As in `StyleGAN2.synthesize`.
            fuse_index: Layers above it get no extrinsic style; 0 switches all of it off.
            dtype: Of the feature maps.
            fine_dtype: Of those above 32 px; None: as the others.
            trunk: What these codes, strengths and noise have drawn up to 32 px; only the colour
                layers (7 and up) may differ.
            reference: Use the plain formulas.

        Yields:
            Stages at 4, 8, ..., image_size px; with a trunk those from 32 px on.
        """
        # Layers without strength are left out, but a GPU is not asked: it would be waited for.
        is_known = strengths.device.type == "cpu"
        active = [
            layer <= fuse_index
            and fuse_index > 0
            and not (is_known and bool((strengths[..., layer] == 0).all()))
            for layer in range(NUM_STRUCTURE_LAYERS)
        ]
        strengths = strengths.to(w_plus).expand(w_plus.shape[0], -1)
        structure_codes = self.extrinsic.structure_mapping(extrinsic_w_plus)

        def residual(layer: int, x: Tensor) -> Tensor:
            if layer >= NUM_STRUCTURE_LAYERS or not active[layer]:
                return x
            block = self.extrinsic.residuals[layer]
            return block(x, structure_codes[:, layer], strengths[:, layer])

        codes = self.extrinsic.mix_colors(w_plus, extrinsic_w_plus, strengths, fuse_index)
        return self.intrinsic.synthesize(
            codes,
            noise=noise,
            residual=residual,
            dtype=dtype,
            fine_dtype=fine_dtype,
            trunk=trunk,
            reference=reference,
        )
