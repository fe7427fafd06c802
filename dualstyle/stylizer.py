"""The product object: photos and exemplars go in, portraits and their recipes come out.

The line is photo -> face -> `IntrinsicCode`, exemplar -> `ExtrinsicCode`, both -> pictures. A code
says in which space its numbers are and which StyleGAN2 they belong to, so that it cannot be drawn
as something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  the field's name for it
from PIL import Image

from dualstyle import codes
from dualstyle.catalogue import Exemplar
from dualstyle.codes import PICTURE, RANDOM, ExtrinsicCode, IntrinsicCode
from dualstyle.config import TRUNK_SIZE, VERSION, Precision, Recipe, Space, StylizeOptions
from dualstyle.drawing import Drawing, draw_plain
from dualstyle.errors import CatalogueError
from dualstyle.faces import (
    FACE_SIZE,
    AlignedFace,
    DlibFaceFinder,
    Face,
    FaceFinder,
    align,
    aligned_as_is,
    choose,
)
from dualstyle.images import open_untrusted, to_tensor
from dualstyle.precision import Wish, choose_precision
from dualstyle.sources import Library
from dualstyle.structure import Structure, structure_key
from dualstyle.weights import Weights

ALIGNED = "aligned"  # in a recipe: the photo was taken as a crop of a face
SMALLEST_SHOWN = 128  # [px] of the first preview; below it nobody recognises a face
LARGEST_CROP = 1024  # [px] a crop that is handed in is first reduced to this side

# One seed feeds several draws; without these the face would repeat the numbers of the style.
STYLE_SALT = 0x5354594C45
FACE_SALT = 0x46414345


@dataclass(frozen=True, eq=False)
class Portrait:
    """One finished picture, how to make it again, and what it was made of."""

    picture: Image.Image  # RGB, square
    recipe: Recipe
    face: AlignedFace  # its quad is the place to paste the picture back to
    reconstruction: Image.Image | None = None  # the face as the encoder understood it


class Stylizer:
    """Draws photos in the manner of exemplars.

    Weights are loaded when first needed and kept. Nothing about a photo is kept: codes are handed
    out and handed in again. All methods may be called from several threads.

    Args:
        library: Where weights come from.
        device: Where networks run; codes and pictures always come back to the CPU.
        precision: "fp32" for the official numbers, "mixed", "half", or "auto" for what is fast on
            the device.
        finder: Finds faces; dlib unless another is given.
    """

    def __init__(
        self,
        library: Library,
        *,
        device: str | torch.device = "cpu",
        precision: Wish = "fp32",
        finder: FaceFinder | None = None,
    ) -> None:
        self.library = library
        self.device = torch.device(device)
        self.finder = DlibFaceFinder() if finder is None else finder
        self.precision: Precision = choose_precision(precision, self.device)
        self._weights = Weights(library, self.device, self.precision)

    # ---- what there is ----

    @property
    def domains(self) -> list[str]:
        """Names of all domains of the catalogue, usable or not."""
        return list(self.library.catalogue.names)

    def styles(self, domain: str) -> list[Exemplar]:
        """Exemplars of a domain in the order of their numbers."""
        names = self._weights.codes(domain).names
        return [Exemplar(index=index, name=name) for index, name in enumerate(names)]

    def default_options(self, domain: str) -> StylizeOptions:
        """Good options for a domain, as its file says."""
        return self.library.catalogue[domain].options

    def default_style(self, domain: str) -> int:
        """Number of the exemplar to begin with."""
        wanted = self.library.catalogue[domain].default_style
        return wanted if wanted < len(self.styles(domain)) else 0  # a folder may hold fewer

    def image_size(self, domain: str) -> int:
        """Side of the pictures a domain's model draws [px]."""
        return self._weights.config(domain).image_size

    def base_of(self, domain: str) -> str:
        """Name of the StyleGAN2 a domain is built on; codes are only good for their own."""
        return self._weights.base_name(domain)

    # ---- photos to intrinsic codes ----

    def detect(self, picture: Image.Image) -> list[Face]:
        """All faces of an RGB picture, best first; empty when there is none."""
        return self.finder.detect(picture)

    def align(self, picture: Image.Image, face: Face) -> AlignedFace:
        """Cut a face out upright."""
        return align(picture, face)

    def encode(
        self,
        faces: Sequence[AlignedFace | Image.Image],
        *,
        domain: str,
        space: Space | None = None,
    ) -> IntrinsicCode:
        """Encode aligned faces, RGB, for the generator of a domain.

        Crops of another size than the encoder reads are averaged down to it, as published.

        Args:
            faces: Aligned crops.
            domain: For whose generator.
            space: Of the codes, which chooses the encoder; None: the domain's usual one.
        """
        space = self.library.default_space(domain) if space is None else space
        loaded = self._weights.encoder(domain, space)
        size = loaded.network.config.input_size
        found = []
        with torch.inference_mode():
            # One by one: a face's numbers, to the last bit, must not depend on its neighbours.
            for face in faces:
                picture = face.picture if isinstance(face, AlignedFace) else face
                pixels = F.adaptive_avg_pool2d(to_tensor(picture), size)
                found.append(loaded.network(pixels.to(self.device)).cpu())
        values = torch.cat(found)
        self._weights.check_layers(values, domain, "encoder")
        return IntrinsicCode(values, loaded.space, self.base_of(domain))

    def random_face(self, domain: str, seed: int) -> IntrinsicCode:
        """Draw the code of a person who does not exist; the same seed gives the same person."""
        chance = torch.Generator().manual_seed(seed ^ FACE_SALT)
        config, sampler = self._weights.config(domain), self._weights.face_sampler(domain)
        if sampler is None:
            z = torch.randn(1, 1, config.style_dim, generator=chance)
            return IntrinsicCode(z.repeat(1, config.num_layers, 1), "z", self.base_of(domain))
        network, space = sampler
        noise = torch.randn(1, network.config.noise_dim, generator=chance)
        with torch.inference_mode():
            values = network(noise.to(self.device)).cpu()
        self._weights.check_layers(values, domain, "sampler of faces")
        return IntrinsicCode(values.clone(), space, self.base_of(domain))

    # ---- exemplars, chance and pictures to extrinsic codes ----

    def style(self, domain: str, style: int | str | None, *, seed: int = 0) -> ExtrinsicCode:
        """Find a style by whatever names it, also by what a recipe says.

        Args:
            domain: The domain; a mix names its own.
            style: Number of an exemplar, its name, "random", "random:SEED",
                "mix:DOMAIN/STYLE+DOMAIN/STYLE", "blend:SHARE:DOMAIN/STYLE+DOMAIN/STYLE", or None
                for the domain's own choice.
            seed: For "random".

        Raises:
            CatalogueError: There is no such style.
        """
        if style is None:
            style = self.default_style(domain)
        if isinstance(style, int):
            return self.exemplar(domain, style)
        if style == RANDOM:
            return self.random_style(domain, seed)
        if (drawn := codes.seed_of(style)) is not None:
            return self.random_style(domain, drawn)
        if mixed := codes.parts_of_mix(style):
            return self.mix(self.style(*mixed[:2]), self.style(*mixed[2:]))
        if blended := codes.parts_of_blend(style):
            share, *parts = blended
            return codes.blend(self.style(*parts[:2]), self.style(*parts[2:]), share)
        if style == PICTURE:
            raise CatalogueError(
                "This style was taken from somebody's own picture; hand that picture in again."
            )
        return self.exemplar(domain, style)

    def exemplar(self, domain: str, style: int | str) -> ExtrinsicCode:
        """Give the code of an exemplar, by number or by name (with or without its suffix).

        Raises:
            CatalogueError: There is no such exemplar.
        """
        known = self._weights.codes(domain)
        index = codes.index_of(known.names, style, domain)
        values = known.values[index : index + 1].clone()
        return ExtrinsicCode(values, known.space, domain, known.names[index])

    def random_style(self, domain: str, seed: int) -> ExtrinsicCode:
        """Draw a style that no exemplar has; the same seed gives the same style.

        Raises:
            CatalogueError: The domain has no sampling network.
        """
        network = self._weights.sampler(domain)
        with torch.inference_mode():
            chance = torch.Generator().manual_seed(seed ^ STYLE_SALT)
            values = network.sample(1, generator=chance).cpu()
        self._weights.check_layers(values, domain, "sampler")
        space = self._weights.codes(domain).space  # N imitates the exemplars' codes
        return ExtrinsicCode(values.clone(), space, domain, f"{RANDOM}:{seed}")

    def picture_style(self, face: AlignedFace | Image.Image, domain: str) -> ExtrinsicCode:
        """Take the style of one's own picture, encoded as the exemplars were."""
        code = self.encode([face], domain=domain, space=self._weights.codes(domain).space)
        return ExtrinsicCode(code.values, code.space, domain, PICTURE)

    def mix(self, structure: ExtrinsicCode, color: ExtrinsicCode) -> ExtrinsicCode:
        """Take shapes (layers 0 to 6) from one style and colours (7 and up) from another.

        Raises:
            ValueError: The two belong to different StyleGAN2s, or are in different spaces.
        """
        colors_of, _ = color.half(color=True)
        self._check_base(structure.domain, self.base_of(colors_of), f"a style of {colors_of}")
        return codes.mix(structure, color)

    # ---- codes to pictures ----

    def render(
        self,
        intrinsic: IntrinsicCode,
        extrinsic: ExtrinsicCode,
        options: StylizeOptions,
        *,
        smallest: int = SMALLEST_SHOWN,
        structure: Structure | None = None,
    ) -> Iterator[list[Image.Image]]:
        """Draw faces in the manner of styles, the picture growing.

        StyleGAN2's skip outputs are valid pictures at every size, so all sizes come out of one
        pass. Of several samples all but the last are drawn before the first size is shown: one
        after another keeps memory flat, and a batch gains nothing on a CPU.

        Args:
            intrinsic: N faces, or one.
            extrinsic: N styles, or one.
            options: How to draw; every sample gets the same noise.
            smallest: First size to show [px].
            structure: From `structure`, for one face and one style; saves that part of the work.

        Yields:
            N pictures of each size, doubling up to ``options.image_size`` or the model's own.

        Raises:
            ValueError: The codes do not fit the domain or each other, the structure does not fit
                them, or the model cannot draw pictures of that size. Raised at the call, before
                anything is drawn.
        """
        sizes = self._weights.config(extrinsic.domain).resolutions
        if options.image_size is not None and options.image_size not in sizes:
            raise ValueError(
                f"The model of {extrinsic.domain} draws pictures of up to {sizes[-1]} px, "
                f"not of {options.image_size} px."
            )
        final = options.image_size or sizes[-1]
        self._check_base(extrinsic.domain, intrinsic.base, "the code of the face")
        count = max(len(intrinsic), len(extrinsic))
        if {len(intrinsic), len(extrinsic)} - {1, count}:
            raise ValueError(
                f"{len(intrinsic)} faces cannot be paired with {len(extrinsic)} styles"
            )
        if structure is not None and not self.fits(structure, intrinsic, extrinsic, options):
            raise ValueError("The structure was drawn of another face, style or options.")
        trunk = structure.trunk if structure is not None and final >= TRUNK_SIZE else None
        shown = range(min(smallest, final), final + 1)
        return self._drawing(intrinsic, extrinsic, options).pictures(shown, trunk)

    def structure(
        self, intrinsic: IntrinsicCode, extrinsic: ExtrinsicCode, options: StylizeOptions
    ) -> Structure:
        """Draw one face in one style up to 32 px, for several `render`s that differ in colour."""
        self._check_base(extrinsic.domain, intrinsic.base, "the code of the face")
        key = self._structure_key(intrinsic, extrinsic, options)
        return Structure(self._drawing(intrinsic, extrinsic, options).trunk(), key)

    def fits(
        self,
        structure: Structure,
        intrinsic: IntrinsicCode,
        extrinsic: ExtrinsicCode,
        options: StylizeOptions,
    ) -> bool:
        """Tell whether a structure is what these would draw up to 32 px."""
        return structure.key == self._structure_key(intrinsic, extrinsic, options)

    def _structure_key(
        self, intrinsic: IntrinsicCode, extrinsic: ExtrinsicCode, options: StylizeOptions
    ) -> str:
        if len(intrinsic) != 1 or len(extrinsic) != 1:
            raise ValueError("A structure is that of one face in one style.")
        revision = self._weights.files(extrinsic.domain).revision
        drawn_by = f"{revision} {intrinsic.base} {self.precision}"
        return structure_key(intrinsic, extrinsic, options, drawn_by)

    def _drawing(
        self, intrinsic: IntrinsicCode, extrinsic: ExtrinsicCode, options: StylizeOptions
    ) -> Drawing:
        generator = self._weights.generator(extrinsic.domains)
        return Drawing(generator, intrinsic, extrinsic, options, self._weights.dtypes)

    def reconstruct(self, intrinsic: IntrinsicCode, domain: str) -> list[Image.Image]:
        """Draw faces as the encoder understood them: no style, no truncation, stored noise."""
        self._check_base(domain, intrinsic.base, "the code of the face")
        return draw_plain(self._weights.intrinsic(domain), intrinsic, self._weights.dtypes)

    # ---- all of it ----

    def stylize(
        self,
        photo: Image.Image | Path | str,
        *,
        domain: str | None = None,
        style: int | str | ExtrinsicCode | None = None,
        options: StylizeOptions | None = None,
        encoder: Space | None = None,
        face: str = "best",
        aligned: bool = False,
        reconstruct: bool = False,
    ) -> list[Portrait]:
        """Draw the faces of a photo in the manner of a style.

        Args:
            photo: A file from anybody, or an RGB picture.
            domain: None: that of a style code that is handed in, otherwise the library's choice.
            style: As in `style`, or a code.
            options: None: the domain's defaults. Their seed is also that of style "random".
            encoder: Space of the intrinsic code; None: the domain's usual one.
            face: "best", "all", or a number from 1 on, best first.
            aligned: Take the photo as a crop of a face instead of looking for faces.
            reconstruct: Also draw the face as the encoder understood it.

        Returns:
            One portrait for every face that was chosen.

        Raises:
            DualStyleError: The photo, the face, the style or the weights cannot be had.
            ValueError: See `render`.
        """
        if isinstance(style, ExtrinsicCode):
            domain, extrinsic = style.domain, style
        else:
            domain = domain or self.library.default_domain()
            seed = (options or self.default_options(domain)).seed
            extrinsic = self.style(domain, style, seed=seed)
            domain = extrinsic.domain
        options = options or self.default_options(domain)
        picture = photo if isinstance(photo, Image.Image) else open_untrusted(photo)
        portraits = []
        for shown, crop, wish in self._crops(picture, face, aligned):
            intrinsic = self.encode([crop], domain=domain, space=encoder)
            *_, [drawn] = self.render(intrinsic, extrinsic, options)
            plain = self.reconstruct(intrinsic, domain)[0] if reconstruct else None
            recipe = self.recipe(intrinsic, extrinsic, options, face=wish)
            portraits.append(Portrait(drawn, recipe, shown, plain))
        return portraits

    def _crops(
        self, picture: Image.Image, face: str, aligned: bool
    ) -> list[tuple[AlignedFace, AlignedFace, str]]:
        """Cut out the wanted faces: (the crop to show, the crop to encode, `Recipe.face`)."""
        if aligned:
            # The encoder averages a larger crop down by itself, as published; a reduced one with
            # another filter would not give the published numbers.
            side = max(FACE_SIZE, min(*picture.size, LARGEST_CROP))
            return [(aligned_as_is(picture), aligned_as_is(picture, size=side), ALIGNED)]
        chosen = choose(self.detect(picture), face)
        crops = [self.align(picture, one) for one in chosen]
        wishes = [str(i + 1) for i in range(len(crops))] if face == "all" else [face]
        return [(crop, crop, wish) for crop, wish in zip(crops, wishes, strict=True)]

    def recipe(
        self,
        intrinsic: IntrinsicCode,
        extrinsic: ExtrinsicCode,
        options: StylizeOptions,
        *,
        face: str = "best",
    ) -> Recipe:
        """Write down how a picture was drawn."""
        return Recipe(
            domain=extrinsic.domain,
            revision=self.revision(extrinsic),
            style=extrinsic.origin,
            encoder=intrinsic.space,
            face=face,
            options=options,
            version=VERSION,
            precision=self.precision,
        )

    def revision(self, extrinsic: ExtrinsicCode) -> str:
        """Which weights draw a style, as `Recipe.revision`; two domains may have two."""
        revisions = [self._weights.files(domain).revision for domain in extrinsic.domains]
        return "+".join(dict.fromkeys(revisions))

    def _check_base(self, domain: str, base: str, what: str) -> None:
        if base != self.base_of(domain):
            raise ValueError(
                f"{what[0].upper()}{what[1:]} belongs to another StyleGAN2 than {domain} is built "
                "on; make it anew for that domain."
            )
