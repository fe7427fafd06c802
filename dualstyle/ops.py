"""The StyleGAN2 operations: each with its formula, and the slow reference twin it must equal.

Weights carry the equalized learning rate: they are stored near N(0, 1) and multiplied at run time
by ``1/sqrt(fan_in)`` (StyleGAN2, appendix B). Feature maps are [N, C, H, W]; the fast forms keep
them channels-last, which is what the CPU's and the GPU's convolutions want.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from dualstyle import native

LEAK = 0.2  # slope of the leaky ReLU below zero
GAIN = math.sqrt(2)  # keeps the variance after the leaky ReLU
EPSILON = 1e-8
BLUR_TAPS = (1.0, 3.0, 3.0, 1.0)
MAP_RANK = 4  # dimensions of a batch of feature maps


def pixel_norm(z: Tensor) -> Tensor:
    """Scale every row of z [M, D] to unit mean square.

    Only rows: a [N, L, D] tensor would silently be normalized over its layers, so it is refused.

    Raises:
        ValueError: z is not two-dimensional.
    """
    if z.dim() != 2:  # noqa: PLR2004  rows of numbers
        raise ValueError(f"pixel_norm takes [M, D], got {tuple(z.shape)}; flatten the layers first")
    return z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + EPSILON)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU with the gain that keeps the variance: sqrt(2) * max(x, 0.2 x)."""
    return F.leaky_relu(x, LEAK) * GAIN


def blur_kernel(gain: float = 1.0) -> Tensor:
    """The [4, 4] low-pass of StyleGAN2: outer product of (1, 3, 3, 1), summing to `gain`."""
    taps = torch.tensor(BLUR_TAPS)
    kernel = torch.outer(taps, taps)
    return kernel * (gain / kernel.sum())


@cache
def _low_pass(gain: float, channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`blur_kernel` for each channel [C, 1, 4, 4], kept: a GPU would be waited for at each copy."""
    with torch.inference_mode(False):  # training uses it too
        kernel = blur_kernel(gain).to(device, dtype)
        return kernel.expand(channels, 1, -1, -1).contiguous()


class EqualLinear(nn.Module):
    """Fully connected layer with equalized learning rate (StyleGAN2, appendix B).

    Args:
        in_dim: Numbers in.
        out_dim: Numbers out.
        lr_mul: Learning-rate multiplier; the weight is stored divided by it.
        activate: Follow with the leaky ReLU and its gain.
        bias_init: First value of the bias.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        lr_mul: float = 1.0,
        activate: bool = False,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim) / lr_mul)
        self.bias = nn.Parameter(torch.full((out_dim,), bias_init))
        self.lr_mul = lr_mul
        self.scale = lr_mul / math.sqrt(in_dim)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., in_dim] to [..., out_dim]."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)  # may be kept in half
        out = F.linear(x * self.scale, weight, bias * self.lr_mul)
        return leaky_relu(out) if self.activate else out


class EqualConv2d(nn.Module):
    """Convolution with equalized learning rate, "same" padding unless told otherwise."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.scale = 1 / math.sqrt(in_channels * kernel * kernel)
        self.stride = stride
        self.padding = kernel // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [N, in, H, W]."""
        if (self.stride, self.padding) == (1, 1) and native.takes(x, self.weight):
            return native.conv3x3(x, self.weight, self.scale)
        weight = (self.weight.float() * self.scale).to(x.dtype)
        return F.conv2d(x, weight, stride=self.stride, padding=self.padding)


def blur(x: Tensor, *, padding: int, gain: float = 1.0, bias: Tensor | None = None) -> Tensor:
    """Low-pass every channel of [N, C, H, W] by itself; grows the sides by 2*padding - 3.

    A bias [C] is added before the result is rounded.
    """
    channels = x.shape[1]
    kernel = _low_pass(gain, channels, x.dtype, x.device)
    return F.conv2d(x, kernel, bias, padding=padding, groups=channels)


def upsample_rgb(rgb: Tensor) -> Tensor:
    """Double a picture [N, 3, H, W] as the skip path does: zero-insertion, then the x4 low-pass.

    A transposed convolution with the low-pass is the same sum without the inserted zeros.
    """
    channels = rgb.shape[1]
    kernel = _low_pass(4.0, channels, rgb.dtype, rgb.device)
    return F.conv_transpose2d(rgb, kernel, stride=2, padding=1, groups=channels)


def upfirdn_reference(x: Tensor, kernel: Tensor, *, up: int, pads: tuple[int, int]) -> Tensor:
    """Zero-insertion, padding and filtering, step by step: the twin of `blur` and `upsample_rgb`.

    Each sample is followed by `up - 1` zeros on both axes, the map is padded by `pads` (before,
    after), and every plane is convolved by itself ("valid") with the flipped `kernel`, as the
    published operation does on a CPU.
    """
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, height, up, width, up)
    spread[:, :, :, 0, :, 0] = x
    spread = spread.reshape(batch, channels, height * up, width * up)
    spread = F.pad(spread, (*pads, *pads))
    planes = spread.reshape(batch * channels, 1, *spread.shape[2:])
    filtered = F.conv2d(planes, kernel.flip(0, 1).to(x)[None, None])
    return filtered.reshape(batch, channels, *filtered.shape[2:])


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    *,
    demodulate: bool = True,
    up: bool = False,
    gain: float = 1.0,
    bias: Tensor | None = None,
) -> Tensor:
    """Convolve each sample with weights scaled by its own style (StyleGAN2, section 2.2).

    One sample: the style goes into the weights, so that one dense convolution is left. Several:
    the same sum with the style on the input channels and the demodulation on the output
    channels, so that all samples share the weights. Modulation is computed in float32.

    Args:
        x: Feature maps [N, I, H, W].
        weight: [O, I, K, K], near N(0, 1).
        style: One factor per input channel [N, I].
        demodulate: Bring every output channel back to unit expected variance.
        up: Double the resolution (transposed convolution, then the low-pass).
        gain: Factor on the result.
        bias: [O], added after that; for one sample before the result is rounded to its dtype.

    Returns:
        [N, O, H, W], or [N, O, 2H, 2W] with `up`.
    """
    scaled = weight.float() * (1 / math.sqrt(weight[0].numel()))
    if x.shape[0] == 1:
        own = scaled * style[0, None, :, None, None]
        if demodulate:
            demod = torch.rsqrt(own.square().sum(dim=(1, 2, 3), keepdim=True) + EPSILON)
            own = own * (demod * gain)
        elif gain != 1:
            own = own * gain
        return _convolve(x, own.to(x.dtype), up, None if bias is None else bias.to(x.dtype))
    out = _convolve(x * style.to(x.dtype)[:, :, None, None], scaled.to(x.dtype), up, None)
    if demodulate:
        energy = scaled.square().sum(dim=(2, 3))  # [O, I]
        demod = torch.rsqrt(F.linear(style.square(), energy) + EPSILON) * gain  # [N, O]
        out = out * demod.to(x.dtype)[:, :, None, None]
    elif gain != 1:
        out = out * gain
    return out if bias is None else out + bias.to(x.dtype)[None, :, None, None]


def _convolve(x: Tensor, weight: Tensor, up: bool, bias: Tensor | None) -> Tensor:
    weight = weight.contiguous(memory_format=torch.channels_last)
    if up:
        return blur(_grow(x, weight), padding=1, gain=4.0, bias=bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def _grow(x: Tensor, weight: Tensor) -> Tensor:
    """Transposed convolution of stride 2: [N, I, H, W] and [O, I, 3, 3] to [N, O, 2H+1, 2W+1]."""
    if torch.is_grad_enabled() and x.dtype == torch.bfloat16 and x.device.type == "cpu":
        # its bfloat16 gradient is ten times slower than float32's
        return _grow(x.float(), weight.float()).to(x.dtype)
    return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)


def modulated_conv2d_reference(
    x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True, up: bool = False
) -> Tensor:
    """Write the formula out sample by sample: the twin of `modulated_conv2d`."""
    outputs = []
    for sample, factors in zip(x, style, strict=True):
        own = weight / math.sqrt(weight[0].numel()) * factors[None, :, None, None]
        if demodulate:
            own = own * torch.rsqrt(own.square().sum(dim=(1, 2, 3), keepdim=True) + EPSILON)
        if up:
            grown = F.conv_transpose2d(sample[None], own.transpose(0, 1), stride=2)
            out = upfirdn_reference(grown, blur_kernel(4.0), up=1, pads=(1, 1))
        else:
            out = F.conv2d(sample[None], own, padding=own.shape[-1] // 2)
        outputs.append(out)
    return torch.cat(outputs)


def styled_conv(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    noise: Tensor,
    noise_weight: Tensor,
    bias: Tensor,
    *,
    up: bool,
) -> Tensor:
    """Draw one synthesis layer: modulated convolution, noise, bias, leaky ReLU with its gain.

    The leaky ReLU commutes with positive factors, so its gain is applied to the summands instead
    of in one more pass over the map. Without gradients the map is changed in place.

    Args:
        x: Feature maps [N, I, H, W].
        weight: [O, I, 3, 3], near N(0, 1).
        style: One factor per input channel [N, I].
        noise: [1 or N, 1, H', W'].
        noise_weight: One number.
        bias: [O].
        up: Double the resolution.

    Returns:
        [N, O, H', W'].
    """
    layer = layer_of(weight, style, noise, noise_weight, bias)
    if native.takes(x, weight):
        return native.styled_conv(x, layer, up=up)
    out = modulated_conv2d(x, weight, style, up=up, gain=GAIN, bias=layer.bias)
    shift = layer.noise.to(out.dtype)
    if torch.is_grad_enabled():
        return F.leaky_relu(out + shift, LEAK)
    return F.leaky_relu_(out.add_(shift), LEAK)


def layer_of(
    weight: Tensor, style: Tensor, noise: Tensor, noise_weight: Tensor, bias: Tensor
) -> native.Layer:
    """Multiply the gain of the leaky ReLU into all that `styled_conv` adds up."""
    return native.Layer(weight, style, noise * (noise_weight * GAIN), bias * GAIN, GAIN)


def styled_conv_reference(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    noise: Tensor,
    noise_weight: Tensor,
    bias: Tensor,
    *,
    up: bool,
) -> Tensor:
    """Write the formula out: the twin of `styled_conv`, for tests and benchmarks."""
    out = modulated_conv2d_reference(x, weight, style, up=up)
    return leaky_relu(out + noise_weight * noise + bias[None, :, None, None])


def instance_norm(x: Tensor) -> Tensor:
    """Zero mean and unit variance per sample and channel of [N, C, H, W], eps 1e-5."""
    if x.dim() != MAP_RANK:
        raise ValueError(f"instance_norm takes [N, C, H, W], got {tuple(x.shape)}")
    values = x.float()
    centred = values - values.mean(dim=(2, 3), keepdim=True)
    variance = centred.square().mean(dim=(2, 3), keepdim=True)
    return (centred * torch.rsqrt(variance + 1e-5)).to(x.dtype)
