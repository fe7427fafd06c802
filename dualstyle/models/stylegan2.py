"""StyleGAN2 (Karras et al., CVPR 2020): mapping, synthesis, generator. The intrinsic path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from dualstyle import native
from dualstyle.config import FIRST_SIZE, TRUNK_SIZE, GeneratorConfig
from dualstyle.ops import (
    EqualLinear,
    layer_of,
    modulated_conv2d,
    modulated_conv2d_reference,
    pixel_norm,
    styled_conv,
    styled_conv_reference,
    upsample_rgb,
)

MAPPING_LR = 0.01  # learning-rate multiplier of the mapping network (StyleGAN, section 2)

Residual = Callable[[int, Tensor], Tensor]
"""Called as residual(layer, features) after each of the first seven convolutions."""


class Stage(NamedTuple):
    """What synthesis has made when one resolution is finished."""

    size: int  # side [px]
    features: Tensor  # [N, C, size, size]; [N, 0] of the last one where they are not made
    rgb: Tensor  # [N, 3, size, size], a valid picture, not clamped


class Trunk(NamedTuple):
    """What the structure layers have made: the start of every picture that differs in colour."""

    features: Tensor  # [N, C, 32, 32]
    rgb: Tensor  # [N, 3, 16, 16]; the picture at 32 px reads the first colour code already

    @classmethod
    def of(cls, stages: Iterable[Stage]) -> Self:
        """Take it from a drawing, which is followed no further than it must be."""
        rgb = None
        for stage in stages:
            if stage.size == TRUNK_SIZE and rgb is not None:
                return cls(stage.features, rgb)
            rgb = stage.rgb
        raise ValueError(f"the trunk is taken from a drawing of all sizes up to {TRUNK_SIZE} px")


class Mapping(nn.Module):
    """The network from z to w: pixel norm, then fully connected layers with leaky ReLU."""

    def __init__(self, style_dim: int, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EqualLinear(style_dim, style_dim, lr_mul=MAPPING_LR, activate=True)
            for _ in range(num_layers)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map z [N, D] to w [N, D], or z+ [N, L, D] to w+ [N, L, D], each layer on its own."""
        w = pixel_norm(z.reshape(-1, z.shape[-1]))
        for layer in self.layers:
            w = layer(w)
        return w.reshape(z.shape)


class StyledConv(nn.Module):
    """One synthesis layer: modulated 3x3 convolution, noise, bias, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, *, up: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.modulation = EqualLinear(style_dim, in_channels, bias_init=1.0)
        self.noise_weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.up = up

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Draw one layer: x [N, I, H, W], w [N, D], noise [1 or N, 1, H', W']."""
        style = self.modulation(w)
        return styled_conv(x, self.weight, style, noise, self.noise_weight, self.bias, up=self.up)

    def layer(self, w: Tensor, noise: Tensor) -> native.Layer:
        """What the compiled kernels read of it, for w [N, D]."""
        return layer_of(self.weight, self.modulation(w), noise, self.noise_weight, self.bias)

    def reference(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Draw the same by the plain formula."""
        style = self.modulation(w)
        return styled_conv_reference(
            x, self.weight, style, noise, self.noise_weight, self.bias, up=self.up
        )


class ToRGB(nn.Module):
    """1x1 convolution to a picture, without demodulation, added to the doubled earlier one."""

    def __init__(self, in_channels: int, style_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, in_channels, 1, 1))
        self.modulation = EqualLinear(style_dim, in_channels, bias_init=1.0)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None) -> Tensor:
        """Map features [N, I, H, W] to RGB [N, 3, H, W], float32."""
        layer = self.layer(w)
        if native.draws(x):
            return native.picture(x, layer, skip)
        out = modulated_conv2d(x, self.weight, layer.style, demodulate=False)
        return self._add(out.float(), skip)

    def layer(self, w: Tensor) -> native.ToRGB:
        """What the compiled kernels read of it, for w [N, D]."""
        return native.ToRGB(self.weight, self.modulation(w), self.bias)

    def reference(self, x: Tensor, w: Tensor, skip: Tensor | None) -> Tensor:
        """Draw the same by the plain formula."""
        out = modulated_conv2d_reference(x, self.weight, self.modulation(w), demodulate=False)
        return self._add(out, skip)

    def _add(self, rgb: Tensor, skip: Tensor | None) -> Tensor:
        rgb = rgb + self.bias[None, :, None, None]
        return rgb if skip is None else rgb + upsample_rgb(skip)


class StyleGAN2(nn.Module):
    """The generator of StyleGAN2 with skip outputs (config-f at the official sizes).

    ``convs[0]`` writes 4x4; ``convs[2k-1]`` (doubling) and ``convs[2k]`` write the k-th further
    resolution. Convolution j reads code j; the picture of resolution k reads code 2k+1, which is
    also the code of the next doubling convolution.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.style_dim
        self.mapping = Mapping(dim, config.mapping_layers)
        self.constant = nn.Parameter(torch.randn(1, config.channels[0], FIRST_SIZE, FIRST_SIZE))
        self.convs = nn.ModuleList(
            [StyledConv(config.channels[0], config.channels[0], dim, up=False)]
        )
        self.to_rgbs = nn.ModuleList([ToRGB(config.channels[0], dim)])
        for before, after in zip(config.channels[:-1], config.channels[1:], strict=True):
            self.convs.append(StyledConv(before, after, dim, up=True))
            self.convs.append(StyledConv(after, after, dim, up=False))
            self.to_rgbs.append(ToRGB(after, dim))
        for layer in range(config.num_noises):
            size = config.layer_resolution(layer)
            self.register_buffer(f"noise_{layer}", torch.randn(1, 1, size, size))

    @property
    def stored_noise(self) -> list[Tensor]:
        """The noise maps kept with the weights, [1, 1, r, r] per convolution."""
        return [self.get_buffer(f"noise_{i}") for i in range(self.config.num_noises)]

    def random_noise(self, generator: torch.Generator) -> list[Tensor]:
        """Fresh noise maps N(0, 1); the same generator state gives the same maps.

        Drawn where the generator lives, then moved, so that a seed means one picture everywhere.
        """
        return [
            torch.randn(noise.shape, generator=generator, device=generator.device).to(noise.device)
            for noise in self.stored_noise
        ]

    def to_w_plus(self, z: Tensor) -> Tensor:
        """Map z [N, D] or z+ [N, L, D] to w+ [N, L, D]."""
        return self.repeat_layers(self.mapping(z))

    def repeat_layers(self, w: Tensor) -> Tensor:
        """Give every layer the same code: w [N, D] to w+ [N, L, D]; w+ is returned as it is."""
        if w.dim() == 2:  # noqa: PLR2004  [N, D]
            w = w[:, None].expand(-1, self.config.num_layers, -1)
        if w.shape[1:] != (self.config.num_layers, self.config.style_dim):
            raise ValueError(
                f"expected codes [N, {self.config.num_layers}, {self.config.style_dim}], "
                f"got {tuple(w.shape)}"
            )
        return w

    def forward(self, w_plus: Tensor, *, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Draw w+ [N, L, D] as RGB [N, 3, size, size]; stored noise unless maps are given."""
        *_, last = self.synthesize(w_plus, noise=noise)
        return last.rgb

    def synthesize(
        self,
        w_plus: Tensor,
        *,
        noise: Sequence[Tensor] | None = None,
        residual: Residual | None = None,
        dtype: torch.dtype = torch.float32,
        fine_dtype: torch.dtype | None = None,
        trunk: Trunk | None = None,
        reference: bool = False,
    ) -> Iterator[Stage]:
        """Draw resolution after resolution; every stage's RGB is a valid picture.

        Args:
            w_plus: Codes [N, L, D].
            noise: One map [1 or N, 1, r, r] per convolution; None: the stored ones.
            residual: Changes the features after a convolution (the extrinsic path).
            dtype: Of the feature maps; modulation and pictures stay float32.
            fine_dtype: Of the maps above 32 px; None: as the others.
            trunk: What the codes, noise and residuals of the structure layers have drawn already.
            reference: Use the plain formulas.

        Yields:
            Stages at 4, 8, ..., image_size px; with a trunk those from 32 px on.
        """
        maps = self.stored_noise if noise is None else list(noise)
        if len(maps) != self.config.num_noises:
            raise ValueError(f"expected {self.config.num_noises} noise maps, got {len(maps)}")
        x = self.constant.expand(w_plus.shape[0], -1, -1, -1).to(dtype)
        if not reference:
            x = x.contiguous(memory_format=torch.channels_last)
        rgb = None
        for k, size in enumerate(self.config.resolutions):
            if trunk is not None and size <= TRUNK_SIZE:
                x, rgb = trunk
                if size < TRUNK_SIZE:
                    continue
            else:
                if size > TRUNK_SIZE and fine_dtype is not None:
                    x = x.to(fine_dtype)
                if not reference and rgb is not None and self._has_level(k, x):
                    x, rgb = self._level(k, x, w_plus, maps, rgb)
                    yield Stage(size, x, rgb)
                    continue
                for layer in (2 * k - 1, 2 * k) if k else (0,):
                    conv = cast("StyledConv", self.convs[layer])
                    draw = conv.reference if reference else conv
                    x = draw(x, w_plus[:, layer], maps[layer])
                    if residual is not None:
                        x = residual(layer, x)
            to_rgb = cast("ToRGB", self.to_rgbs[k])
            rgb = (to_rgb.reference if reference else to_rgb)(x, w_plus[:, 2 * k + 1], rgb)
            yield Stage(size, x, rgb)

    def _has_level(self, k: int, x: Tensor) -> bool:
        """Tell whether the k-th resolution is drawn at once; no residual comes in between."""
        up = cast("StyledConv", self.convs[2 * k - 1])
        return self.config.resolutions[k] > TRUNK_SIZE and native.draws_level(x, up.weight)

    def _level(
        self, k: int, x: Tensor, w_plus: Tensor, maps: Sequence[Tensor], rgb: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw it: features [N, C, size, size], or [N, 0] of the last resolution, and RGB."""
        up, same = (
            cast("StyledConv", self.convs[layer]).layer(w_plus[:, layer], maps[layer])
            for layer in (2 * k - 1, 2 * k)
        )
        to_rgb = cast("ToRGB", self.to_rgbs[k]).layer(w_plus[:, 2 * k + 1])
        kept = k + 1 < len(self.config.resolutions)
        return native.level(x, up, same, to_rgb, rgb, kept=kept)


def truncate(w: Tensor, psi: float, center: Tensor | float = 0.0) -> Tensor:
    """Pull codes towards a centre: center + psi * (w - center).

    Official inference uses the centre 0, a plain number, and not the mean code.
    """
    return center + psi * (w - center)


def mix_styles(first: Tensor, second: Tensor, inject_index: int) -> Tensor:
    """Take the layers below inject_index from one w+ [N, L, D] and the rest from another."""
    return torch.cat([first[:, :inject_index], second[:, inject_index:]], dim=1)
