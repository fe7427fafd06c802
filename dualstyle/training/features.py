"""Networks that say how alike two pictures or two faces are: from files, or else a discriminator.

The paper's networks (VGG19, VGG16 with the weights of LPIPS, ArcFace) are not ours to ship. Files
of them are used where they lie on this machine. Without them the discriminator's features serve for
training, and dlib's descriptor for measuring (`evaluate.descriptors`): it has no gradient.

| network | file | published by |
|---|---|---|
| VGG19 | `vgg19-dcbb9e9d.pth` | torchvision |
| VGG16, AlexNet | `vgg16-397923af.pth`, `alexnet-owt-7be5be79.pth` | torchvision |
| LPIPS weights v0.1 | `vgg.pth`, `alex.pth` | LPIPS |
| ArcFace IR-SE50 | `model_ir_se50.pth` | InsightFace in PyTorch, pSp |
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from dualstyle.checkpoints import difference, on_meta
from dualstyle.errors import CheckpointError
from dualstyle.models import backbones
from dualstyle.models.arcface import ArcFace
from dualstyle.models.backbones import Backbone
from dualstyle.models.discriminator import Discriminator
from dualstyle.official_names import ARCFACE, translate
from dualstyle.pickles import read_official
from dualstyle.training.losses import lpips

VGG19_FILE = "vgg19-dcbb9e9d.pth"
ARCFACE_FILE = "model_ir_se50.pth"
LPIPS_FILES = {  # backbone, its file, that of the weights of its channels
    "VGG16": (backbones.vgg16, "vgg16-397923af.pth", "vgg.pth"),
    "AlexNet": (backbones.alexnet, "alexnet-owt-7be5be79.pth", "alex.pth"),
}
FACE_SIZE = 256  # [px] of the faces ArcFace looks at
DISCRIMINATOR_MAPS = 5  # as many as of VGG19, at the same sizes where pictures are of its own size

# of ImageNet's pictures, for values in [-1, 1]
IMAGENET_MEAN = tuple(2 * mean - 1 for mean in (0.485, 0.456, 0.406))
IMAGENET_SPREAD = tuple(2 * spread for spread in (0.229, 0.224, 0.225))
LPIPS_MEAN = (-0.030, -0.088, -0.188)
LPIPS_SPREAD = (0.458, 0.448, 0.450)

LPIPSBackbone = Literal["VGG16", "AlexNet"]

_log = logging.getLogger(__name__)


class Judge(nn.Module):
    """A network that is asked and never trained: always in evaluation mode."""

    name: str  # which network it is, for logs and results

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, whatever is wanted."""
        del mode
        return super().train(False)


class FeatureNetwork(Judge):
    """Five feature maps of a picture, finest first. The base of those below."""

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Maps [N, C, H, W] of pictures [N, 3, S, S] in [-1, 1]."""
        raise NotImplementedError


class PerceptualDistance(Judge):
    """How different two pictures look. The base of those below."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances [N] of pictures [N, 3, S, S] in [-1, 1]."""
        raise NotImplementedError


class IdentityFeatures(Judge):
    """Embeddings whose cosine says how alike two faces are. The base of those below."""

    def forward(self, faces: Tensor) -> Tensor:
        """Embeddings [N, D] of aligned faces [N, 3, S, S] in [-1, 1]."""
        raise NotImplementedError


class VGG19Features(FeatureNetwork):
    """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of VGG19."""

    name = "VGG19"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.backbone = load_backbone(path, backbones.vgg19)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Maps of normalized pictures."""
        return self.backbone(_normalized(pictures, IMAGENET_MEAN, IMAGENET_SPREAD))


class DiscriminatorFeatures(FeatureNetwork):
    """The first maps of a discriminator of such pictures, for want of VGG19.

    Args:
        discriminator: Trained; frozen in place.
    """

    name = "discriminator"

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Maps of the from-RGB layer and of the residual blocks after it."""
        maps = [self.discriminator.from_rgb(pictures)]
        for block in self.discriminator.blocks[: DISCRIMINATOR_MAPS - 1]:
            maps.append(block(maps[-1]))
        return maps


class LPIPS(PerceptualDistance):
    """LPIPS v0.1 (Zhang et al., CVPR 2018) with VGG16 or AlexNet.

    Args:
        backbone: Which network's maps are compared.
        path: Its file.
        weights_path: Weights of the maps' channels.
    """

    def __init__(self, backbone: LPIPSBackbone, path: Path, weights_path: Path) -> None:
        super().__init__()
        self.name = f"LPIPS {backbone}"
        self.backbone = load_backbone(path, LPIPS_FILES[backbone][0])
        self.linear = nn.ParameterList(_linear_weights(weights_path, self.backbone))
        self.linear.requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Weighted difference of unit feature vectors."""
        first, second = (self.backbone(_normalized(x, LPIPS_MEAN, LPIPS_SPREAD)) for x in (a, b))
        return lpips(first, second, list(self.linear))


class FeatureDistance(PerceptualDistance):
    """LPIPS's formula with equal weights for all channels, on any feature network."""

    def __init__(self, features: FeatureNetwork) -> None:
        super().__init__()
        self.name = f"{features.name}, unweighted"
        self.features = features

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean over maps of the difference of unit feature vectors, from 0 to 4."""
        first, second = self.features(a), self.features(b)
        equal = [torch.full((x.shape[1],), 1 / len(first)) for x in first]
        return lpips(first, second, equal)


class ArcFaceFeatures(IdentityFeatures):
    """ArcFace (Deng et al., CVPR 2019) with the IR-SE50 backbone."""

    name = "ArcFace"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.network = on_meta(ArcFace)
        state = translate(read_official(path), ARCFACE)
        _fill(self.network, state, path, "an ArcFace face recogniser (IR-SE50)")

    def forward(self, faces: Tensor) -> Tensor:
        """Unit vectors [N, 512]; faces of another size than 256 px are resized."""
        if faces.shape[-1] > FACE_SIZE:
            faces = F.adaptive_avg_pool2d(faces, FACE_SIZE)
        elif faces.shape[-1] < FACE_SIZE:
            faces = F.interpolate(faces, size=FACE_SIZE, mode="bicubic", align_corners=False)
        return self.network(faces)


class DiscriminatorIdentity(IdentityFeatures):
    """A discriminator's coarsest map of a face, for want of ArcFace.

    It was never told who is who: it holds a face to its shape and colours, not to its identity.
    """

    name = "discriminator"

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator.eval().requires_grad_(False)

    def forward(self, faces: Tensor) -> Tensor:
        """Flattened maps [N, D]."""
        return self.discriminator.features(faces)[-1].flatten(1)


@dataclass(frozen=True)
class Judges:
    """The networks that training asks: for features, for likeness, for identity."""

    features: FeatureNetwork
    distance: PerceptualDistance
    recognition: IdentityFeatures


def find_judges(
    discriminator: Discriminator,
    folders: Sequence[Path] | None = None,
    *,
    backbone: LPIPSBackbone = "VGG16",
) -> Judges:
    """Take the published networks whose files are here, and the discriminator for the others.

    The log says which.

    Args:
        discriminator: Trained on such pictures; copied, so it may be trained further.
        folders: Where files may lie; None: where torch keeps those it has fetched.
        backbone: Of LPIPS; the paper's is VGG16, pSp's AlexNet.

    Raises:
        CheckpointError: A file is not what its name says.
    """
    discriminator = copy.deepcopy(discriminator)
    vgg, arcface = find_file(VGG19_FILE, folders), find_file(ARCFACE_FILE, folders)
    features = VGG19Features(vgg) if vgg else DiscriminatorFeatures(discriminator)
    recognition = ArcFaceFeatures(arcface) if arcface else DiscriminatorIdentity(discriminator)
    distance = find_lpips(folders, backbone) or FeatureDistance(features)
    _log.info("features: %s", features.name)
    _log.info("perceptual distance: %s", distance.name)
    _log.info("identity: %s", recognition.name)
    return Judges(features, distance, recognition)


def find_lpips(folders: Sequence[Path] | None, backbone: LPIPSBackbone) -> LPIPS | None:
    """LPIPS, if both of its files are in the folders; for None see `find_file`."""
    _, network_file, weights_file = LPIPS_FILES[backbone]
    network, weights = find_file(network_file, folders), find_file(weights_file, folders)
    return LPIPS(backbone, network, weights) if network and weights else None


def find_file(name: str, folders: Sequence[Path] | None = None) -> Path | None:
    """Look for a file in the folders, or where torch keeps weights that it has fetched."""
    places = [Path(torch.hub.get_dir()) / "checkpoints"] if folders is None else folders
    return next((place / name for place in places if (place / name).is_file()), None)


def load_backbone(path: Path, build: Callable[[], Backbone]) -> Backbone:
    """Load a backbone out of torchvision's file; layers that are not needed are passed over.

    Raises:
        CheckpointError: The file cannot be read, or is of another network.
    """
    network = on_meta(build)
    wanted = network.state_dict().keys()
    state = {name: tensor for name, tensor in read_official(path).items() if name in wanted}
    _fill(network, state, path, "a network of torchvision that fits here")
    return network


def _linear_weights(path: Path, backbone: Backbone) -> list[nn.Parameter]:
    """Weights [C] of each map's channels."""
    content = read_official(path)
    rows = []
    for position, channels in enumerate(backbone.widths):
        weight = content.get(f"lin{position}.model.1.weight")  # [1, C, 1, 1]
        if not isinstance(weight, Tensor) or weight.numel() != channels:
            raise CheckpointError(
                f"{path} does not hold the weights of LPIPS v0.1 for this network: "
                f"lin{position} should have {channels} numbers. Get the file again."
            )
        rows.append(nn.Parameter(weight.float().flatten()))
    return rows


def _fill(network: nn.Module, state: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Give a network on the meta device its numbers, and freeze it."""
    if trouble := difference(network, state):
        raise CheckpointError(f"{path} is not {what}: {trouble}. Put the right file in its place.")
    plain = {n: t.float() if t.is_floating_point() else t for n, t in state.items()}
    network.load_state_dict(plain, assign=True)
    network.eval().requires_grad_(False)


def _normalized(pictures: Tensor, mean: Sequence[float], spread: Sequence[float]) -> Tensor:
    center, scale = (pictures.new_tensor(values)[:, None, None] for values in (mean, spread))
    return (pictures - center) / scale
