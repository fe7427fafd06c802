"""AnimeGANv2, the second engine: whole photos, or faces, redrawn by one small network.

There are no exemplars here: a checkpoint is a style. Four are published by bryandlee:
``paprika`` for scenes; ``face_paint_512_v2``, ``face_paint_512_v1``, ``celeba_distill`` for faces.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from dualstyle import hub
from dualstyle.checkpoints import difference, on_meta
from dualstyle.config import WeightFile
from dualstyle.errors import CheckpointError, HubError, ImageError
from dualstyle.faces import AlignedFace, Face, aligned_as_is, ffhq_quad
from dualstyle.images import sample_quad, to_picture, to_tensor
from dualstyle.models.animegan import AnimeGAN
from dualstyle.pickles import read_official
from dualstyle.recognition import seems_to_be
from dualstyle.store import default_cache

SCENE, FACE = "paprika", "face_paint_512_v2"  # what is taken when nothing is said
CHECKPOINTS = (SCENE, FACE, "face_paint_512_v1", "celeba_distill")
ADDRESS = "https://github.com/bryandlee/animegan2-pytorch/raw/main/weights"  # + /NAME.pt
FOLDER = "animegan"  # in the cache

LONGEST_SIDE = 1024  # [px] of a photo, unless asked otherwise; 1.7 GB of memory at 4:3
FACE_SIZE = 512  # [px] of the faces that a checkpoint was trained on ...
FACE_SIZES = {"celeba_distill": 256}  # ... with this exception
EXPANSION = 1.3  # side of a face's crop, in sides of the FFHQ crop
SMALLEST_SIDE = 16  # [px] below it the network's borders are larger than its maps


class PhotoPainter:
    """Redraws pictures with one checkpoint; nothing about a picture is kept.

    The network's normalization looks at the whole picture, so a photo cannot be drawn in tiles
    without seams. Large photos are reduced instead, see `paint`.

    Args:
        network: In evaluation mode.
        device: Where it runs.
    """

    def __init__(self, network: AnimeGAN, *, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device)

    def paint(self, picture: Image.Image, *, longest_side: int = LONGEST_SIDE) -> Image.Image:
        """Redraw an RGB picture.

        Args:
            picture: Any shape.
            longest_side: Pictures with a longer side are reduced to it [px]. Memory grows with the
                number of pixels: 2.2 kB for each.

        Raises:
            ImageError: A side has fewer than SMALLEST_SIDE pixels.
        """
        share = min(1.0, longest_side / max(picture.size))
        width, height = (max(round(side * share), 1) for side in picture.size)
        if min(width, height) < SMALLEST_SIDE:
            raise ImageError(
                f"The picture would be drawn at {width} x {height} px, which is too small: no side "
                f"may have fewer than {SMALLEST_SIDE}."
            )
        if share < 1:
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        with torch.inference_mode():
            return to_picture(self.network(to_tensor(picture).to(self.device)))

    def paint_face(
        self, picture: Image.Image, face: Face | None, *, size: int = FACE_SIZE
    ) -> AlignedFace:
        """Redraw one face of a picture, cut out upright and wider than FFHQ's crop.

        Args:
            picture: RGB.
            face: A face that was found in it; None: the picture is a crop, its centre is taken.
            size: Side of the result [px].

        Returns:
            The drawing, and the place to paste it back to.
        """
        if face is None:
            crop = aligned_as_is(picture, size=size)
        else:
            quad = ffhq_quad(face.landmarks)
            center = quad.mean(axis=0)
            quad = center + (quad - center) * EXPANSION
            crop = AlignedFace(sample_quad(picture, quad, size), quad)
        return AlignedFace(self.paint(crop.picture, longest_side=size), crop.quad)


def usual_face_size(weights: str) -> int:
    """Side of the faces [px] that a checkpoint was trained on, by its name."""
    return FACE_SIZES.get(weights, FACE_SIZE)


def load_animegan(path: Path) -> AnimeGAN:
    """Load a checkpoint, which is a bare state dict.

    Raises:
        CheckpointError: The file cannot be read, or is of another network.
    """
    state = read_official(path)
    network = on_meta(AnimeGAN)
    if trouble := difference(network, state):
        raise CheckpointError(
            f"{path} is not a generator of AnimeGANv2: {trouble}. It seems to be "
            f"{seems_to_be(state)}. Name another file."
        )
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return network.eval().requires_grad_(False)


def find_checkpoint(
    weights: str,
    *,
    folder: Path | None = None,
    cache: Path | None = None,
    offline: bool = False,
    progress: hub.Progress | None = None,
    address: str = ADDRESS,
) -> Path:
    """Give the local path of a checkpoint, downloading it if it is not there yet.

    The publisher states no hash, so what is downloaded is checked by loading it alone.

    Args:
        weights: A published name, or the path of a file.
        folder: Looked into first, for ``NAME.pt`` or ``weights/NAME.pt``.
        cache: Where downloads are kept; None: the user's own.
        offline: Use only what is here.
        progress: Called while downloading, see `hub.Progress`.
        address: Where NAME.pt can be fetched.

    Raises:
        HubError: It is not here and cannot be fetched.
        CheckpointError: There is no such file, and no checkpoint of that name.
    """
    if weights not in CHECKPOINTS:
        path = Path(weights).expanduser()
        if path.is_file():
            return path
        raise CheckpointError(
            f"There is no file {weights}, and no checkpoint of AnimeGANv2 of that name; those are "
            f"{', '.join(CHECKPOINTS)}."
        )
    file = WeightFile(name=f"{weights}.pt")
    for place in (folder, folder and folder / "weights"):
        if place is not None and (place / file.name).is_file():
            return place / file.name
    cache = default_cache() if cache is None else cache
    url = f"{address}/{file.name}"
    try:
        return hub.fetch_address(file, url, cache / FOLDER, offline=offline, progress=progress)
    except HubError as error:
        raise HubError(
            f"{error} Without a network: get {url} on another machine and name the file "
            f"(--weights FILE.pt)."
        ) from error
