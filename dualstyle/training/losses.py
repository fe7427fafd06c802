"""Losses, one function each; pictures are [N, 3, S, S] in [-1, 1] unless said otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from dualstyle.training.filters import luma

SSIM_WINDOW = 8  # [px]
SSIM_STRIDE = 4  # [px] a dense map costs a third of a training step and adds nothing
SSIM_C1 = 0.01**2  # for a value range of 1
SSIM_C2 = 0.03**2
CONTEXTUAL_EPSILON = 1e-5
LPIPS_EPSILON = 1e-10
SMALLEST_NOISE = 8  # [px] side below which a noise map is too small to carry a picture

Maps = Sequence[Tensor]
"""Feature maps [N, C, H, W] of one network, finest first."""


def face_weight(size: int, *, extra: float = 2.0) -> Tensor:
    """Weights [1, 1, size, size] of mean 1 that favour eyes, nose and mouth of an aligned face."""
    line = (torch.arange(size) + 0.5) / size
    y, x = line[:, None], line[None, :]
    bump = torch.exp(-(((x - 0.5) / 0.2) ** 2) - (((y - 0.56) / 0.24) ** 2))
    weight = 1 + extra * bump
    return (weight / weight.mean())[None, None]


def weighted_l1(actual: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference, weighted per pixel."""
    return ((actual - target).abs() * weight).mean()


def weighted_mse(actual: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared difference, weighted per pixel."""
    return ((actual - target).square() * weight).mean()


def laplacian_l1(actual: Tensor, target: Tensor, weight: Tensor, *, levels: int = 3) -> Tensor:
    """Absolute difference of the Laplacian pyramids: edges count as much as areas."""
    difference = actual - target  # the pyramid is linear
    total = difference.new_zeros(())
    for _ in range(levels):
        smaller = F.avg_pool2d(difference, 2)
        detail = difference - F.interpolate(smaller, scale_factor=2, mode="nearest")
        total = total + (detail.abs() * weight).mean()
        difference, weight = smaller, F.avg_pool2d(weight, 2)
    return total + (difference.abs() * weight).mean()


def to_grey(rgb: Tensor) -> Tensor:
    """Luma [N, 1, S, S] in [0, 1]."""
    return luma(rgb) / 2 + 0.5


def ssim(actual: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity of the lumas over 8x8 windows (Wang et al., 2004), per sample [N].

    Windows are uniform and 4 px apart.
    """
    a, b = to_grey(actual), to_grey(target)
    stack = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    means = F.avg_pool2d(stack, SSIM_WINDOW, SSIM_STRIDE)
    mean_a, mean_b, aa, bb, ab = means.unbind(dim=1)
    covariance = ab - mean_a * mean_b
    variances = aa - mean_a.square() + bb - mean_b.square()
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a.square() + mean_b.square() + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variances + SSIM_C2)
    return (luminance * structure).mean(dim=(1, 2))


def detail_l1(actual: Tensor, target: Tensor, *, levels: int = 2) -> Tensor:
    """Absolute difference of how much fine detail there is around each place.

    Per level of the Laplacian pyramid of the luma, the root mean square over 8x8 windows is
    compared. Pixel losses answer uncertain detail with its mean, which is nothing; this one asks
    for its amount, wherever it lies exactly.
    """
    a, b = to_grey(actual), to_grey(target)
    total = a.new_zeros(())
    for _ in range(levels):
        amounts, smaller = [], []
        for picture in (a, b):
            small = F.avg_pool2d(picture, 2)
            detail = picture - F.interpolate(small, scale_factor=2, mode="nearest")
            amount = F.avg_pool2d(detail.square(), SSIM_WINDOW, SSIM_STRIDE)
            amounts.append((amount + SSIM_C1).sqrt())
            smaller.append(small)
        total = total + (amounts[0] - amounts[1]).abs().mean()
        a, b = smaller
    return total


def reconstruction(actual: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Likeness of two pictures: squared and absolute error, edges, structure.

    The mixture of the bundled model's first version; the discriminator-free part of pSp's idea of
    pixel, perceptual and identity terms.
    """
    return (
        4 * weighted_mse(actual, target, weight)
        + 0.5 * weighted_l1(actual, target, weight)
        + laplacian_l1(actual, target, weight)
        + 0.5 * (1 - ssim(actual, target).mean())
    )


def discriminator_logistic(real: Tensor, fake: Tensor) -> Tensor:
    """Adversarial loss of the discriminator from its scores [N, 1] each (Goodfellow et al., 2014).

    DualStyleGAN, section on progressive fine-tuning: L_adv.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_logistic(fake: Tensor) -> Tensor:
    """Non-saturating adversarial loss of the generator from the scores [N, 1] of its pictures."""
    return F.softplus(-fake).mean()


def r1_penalty(score_of_augmented: Tensor, real: Tensor) -> Tensor:
    """R1: mean squared norm of the score's gradient by the picture (Mescheder et al., ICML 2018).

    Lazy regularization (StyleGAN2, section 3.1) means that the caller takes a step with
    ``weight / 2 * interval * r1_penalty(...)`` every `interval` steps only.

    Args:
        score_of_augmented: Scores [N, 1] of the pictures, augmented or not.
        real: The pictures [N, 3, S, S] before augmentation; they must require gradients and the
            scores must come from them.
    """
    [gradient] = torch.autograd.grad(score_of_augmented.sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def path_lengths(pictures: Tensor, w_plus: Tensor, noise: Tensor) -> Tensor:
    """How far a picture moves with its code, per sample [N] (StyleGAN2, section 3.2).

    The length of the gradient of a random projection of the picture: root of the mean over
    layers of the squared norm.

    Args:
        pictures: [N, 3, S, S], drawn from `w_plus`.
        w_plus: Codes [N, L, D] that require gradients.
        noise: N(0, 1), shaped like the pictures.
    """
    projection = (pictures * noise).sum() / math.sqrt(pictures.shape[2] * pictures.shape[3])
    [gradient] = torch.autograd.grad(projection, w_plus, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


class PathLength(nn.Module):
    """Path length regularization: all lengths should be near their running mean.

    StyleGAN2, section 3.2, equation 4. The mean is a buffer, so it is saved and resumed with the
    training state (the official code starts from 0 at every call).
    """

    mean: Tensor

    def __init__(self, *, decay: float = 0.01) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, lengths: Tensor) -> Tensor:
        """Penalty of lengths [N] from `path_lengths`; moves the running mean first."""
        self.mean.lerp_(lengths.detach().mean().to(self.mean), self.decay)
        return (lengths - self.mean).square().mean()


def perceptual_l1(a: Maps, b: Maps, weights: Sequence[float]) -> Tensor:
    """Weighted mean absolute difference of feature maps (Johnson et al., ECCV 2016).

    DualStyleGAN, section on progressive fine-tuning: L_perc, on the five maps relu1_1 to relu5_1
    of VGG19.

    Args:
        a: Maps [N, C, H, W], finest first.
        b: Maps of the other pictures; detach them where they are the target.
        weights: One per map. Those of maps that a small network lacks must be 0.
    """
    if any(weights[len(a) :]):
        raise ValueError(f"{len(a)} maps are not enough for the weights {tuple(weights)}")
    pairs = zip(a, b, weights[: len(a)], strict=True)
    terms = [weight * (x - y).abs().mean() for x, y, weight in pairs if weight]
    return torch.stack(terms).sum()


def feature_matching(a: Maps, b: Maps) -> Tensor:
    """Squared difference of the maps' spatial means, summed over maps (Huang & Belongie, 2017).

    DualStyleGAN, section on progressive fine-tuning: L_FM, part of the style loss, on relu2_1 and
    relu3_1 of VGG19.
    """
    pairs = zip(a, b, strict=True)
    terms = [F.mse_loss(x.mean(dim=(2, 3)), y.mean(dim=(2, 3))) for x, y in pairs]
    return torch.stack(terms).sum()


def contextual(x: Tensor, y: Tensor, bandwidth: float = 0.2) -> Tensor:
    """Contextual loss CX: every place of y should have a like in x (Mechrez et al., ECCV 2018).

    DualStyleGAN, section on progressive fine-tuning: L_CX, part of the style loss, on relu3_1 of
    VGG19. Memory grows with (H W)^2: 64 MiB per matrix and sample at 64x64 positions.

    Args:
        x: Feature map [N, C, H, W] of the picture that is trained.
        y: Feature map [N, C, H, W] of the target.
        bandwidth: h; smaller means that only the best match counts.
    """
    center = y.mean(dim=(0, 2, 3), keepdim=True)
    x_unit = F.normalize(x - center, dim=1).flatten(2)  # [N, C, P]
    y_unit = F.normalize(y - center, dim=1).flatten(2)  # [N, C, Q]
    distance = 1 - x_unit.mT @ y_unit  # [N, P, Q]
    relative = distance / (distance.amin(dim=2, keepdim=True) + CONTEXTUAL_EPSILON)
    # a softmax over y's places is exp((1 - d) / h) divided by its sum
    likeness = torch.softmax(-relative / bandwidth, dim=2)
    best = likeness.amax(dim=1).mean(dim=1)  # [N]
    return -torch.log(best + CONTEXTUAL_EPSILON).mean()


def lpips(a: Maps, b: Maps, linear: Sequence[Tensor]) -> Tensor:
    """Learned perceptual distance per sample [N] (LPIPS v0.1, Zhang et al., CVPR 2018).

    Channels are brought to unit length at every place, squared differences are weighted per
    channel, averaged over places and summed over maps.

    Args:
        a: Maps [N, C, H, W] of VGG16 or AlexNet.
        b: Maps of the other pictures.
        linear: Weights [C] per map, at least 0.
    """
    total = a[0].new_zeros(len(a[0]))
    for x, y, weight in zip(a, b, linear, strict=True):
        difference = (_unit_channels(x) - _unit_channels(y)).square()
        total = total + (difference * weight.to(x)[:, None, None]).sum(dim=1).mean(dim=(1, 2))
    return total


def _unit_channels(x: Tensor) -> Tensor:
    # where a ReLU left nothing, the root of the sum of squares would have no gradient
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + LPIPS_EPSILON)


def identity(actual: Tensor, target: Tensor) -> Tensor:
    """Identity loss: 1 - cosine of face embeddings [N, D], mean; the target gets no gradient.

    DualStyleGAN, section on facial destylization (equation 1) and on progressive fine-tuning:
    L_ID with ArcFace (Deng et al., CVPR 2019).
    """
    return (1 - F.cosine_similarity(actual, target.detach(), dim=1)).mean()


def noise_regularizer(noises: Sequence[Tensor]) -> Tensor:
    """Keep noise maps [N, 1, S, S] from carrying a picture: neighbours must not correlate.

    StyleGAN2, appendix D: squared mean products with the left and upper neighbour, on every map
    and its halvings down to 8x8. Weight 1e5 in facial destylization and latent optimization.
    """
    terms = []
    for noise in noises:
        level = noise
        while True:
            for axis in (3, 2):
                terms.append((level * level.roll(1, dims=axis)).mean().square())
            if level.shape[2] <= SMALLEST_NOISE:
                break
            level = F.avg_pool2d(level, 2)
    return torch.stack(terms).sum()


@torch.no_grad()
def normalize_noises(noises: Sequence[Tensor]) -> None:
    """Bring every noise map to mean 0 and deviation 1 in place, over the whole tensor.

    StyleGAN2, appendix D: done after every step of an optimization that changes noise.
    """
    for noise in noises:
        noise.sub_(noise.mean()).div_(noise.std())


def spread(z_plus: Tensor) -> Tensor:
    """Standard deviation of codes [N, L, D] over their layers, mean of the rest.

    DualStyleGAN, section on facial destylization: the regularizer L_reg of equation 1. It pulls
    the layers together, towards a well-behaved z code and thus a natural face.
    """
    return z_plus.std(dim=1).mean()


def residual_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Sum of the Euclidean norms, not squared, of the extrinsic path's parameters.

    DualStyleGAN, section on progressive fine-tuning: L_reg, which keeps the residual features of
    ModRes small and thus the photo's shapes.
    """
    return torch.stack([torch.linalg.vector_norm(p) for p in parameters]).sum()


def w_norm(w_plus: Tensor, average: Tensor) -> Tensor:
    """Mean distance of codes [N, L, D] from the average code (pSp, section 3.2, L_reg)."""
    return torch.linalg.vector_norm(w_plus - average, dim=(1, 2)).mean()
