"""Draw the README's pictures of the bundled model: one photo in many styles, and nobody.

    python benchmarks/pictures.py astronaut.png docs
    python benchmarks/pictures.py astronaut.png docs --thumbnails

With --thumbnails it also draws the bundled model's shipped thumbnails anew, as is needed after
every training.

The photo of the README is NASA's portrait of Eileen Collins, public domain, as it lies in the
scikit-image package (skimage/data/astronaut.png).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dualstyle import Stylizer, library_at_home, open_untrusted, save_png  # noqa: E402
from dualstyle.faces import AlignedFace, choose  # noqa: E402
from dualstyle.images import grid  # noqa: E402
from dualstyle.ui.thumbnails import Thumbnails  # noqa: E402

COLUMNS = 8
SHOWN = {  # styles chosen for variety; the model card shows failures
    "pocket-cartoon": (77, 11, 231, 154, 198, 286, 55),
    "pocket-engraving": (54, 18, 144, 306, 252, 288, 396),
    "pocket-oil": (3, 21, 40, 58, 77, 95, 113),
    "pocket-toonhead": (0, 43, 86, 129, 171, 214, 257),
}
FAILURES = (  # glasses of an exemplar twice, a faded print, a coarse painting, closed eyes twice
    ("pocket-cartoon", 0), ("pocket-cartoon", 220), ("pocket-engraving", 0),
    ("pocket-oil", 12), ("pocket-toonhead", 30), ("pocket-toonhead", 60),
)  # fmt: skip
PEOPLE = 8  # of nobody, per domain


def drawn(stylizer: Stylizer, crop: AlignedFace, domain: str, style: int) -> Image.Image:
    """One crop in one style, with the domain's defaults."""
    code = stylizer.encode([crop], domain=domain)
    options = stylizer.default_options(domain)
    *_, [picture] = stylizer.render(code, stylizer.exemplar(domain, style), options)
    return picture


def ship_thumbnails(stylizer: Stylizer) -> None:
    """Draw the thumbnails of the bundled domains into their folders."""
    library = stylizer.library
    for domain in SHOWN:
        chosen = library.catalogue[domain]
        shipped = library.bundled / str(chosen.bundled) / chosen.folder / "thumbnails"
        shutil.rmtree(shipped, ignore_errors=True)
        with tempfile.TemporaryDirectory() as folder:
            thumbnails = Thumbnails(stylizer, Path(folder))
            for style in thumbnails.missing(domain):
                thumbnails.draw(domain, style)
            drawn = thumbnails.paths(domain)
            shipped.mkdir()
            for path in drawn:
                shutil.copyfile(path, shipped / path.name)


def main() -> None:
    """Draw results.png, failures.png and nobody.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", type=Path)
    parser.add_argument("out", type=Path, help="folder")
    parser.add_argument("--thumbnails", action="store_true", help="also those of the styles")
    arguments = parser.parse_args()
    stylizer = Stylizer(library_at_home())
    if arguments.thumbnails:
        ship_thumbnails(stylizer)
    photo = open_untrusted(arguments.photo)
    [face] = choose(stylizer.detect(photo), "best")
    crop = stylizer.align(photo, face)
    arguments.out.mkdir(parents=True, exist_ok=True)
    first = next(iter(SHOWN))
    size = stylizer.image_size(first)
    shown = crop.picture.resize((size, size), reducing_gap=3.0)
    [plain] = stylizer.reconstruct(stylizer.encode([crop], domain=first), first)

    pictures = []
    for domain, styles in SHOWN.items():
        pictures.append(shown if domain == first else plain)
        pictures += [drawn(stylizer, crop, domain, style) for style in styles]
    save_png(grid(pictures, COLUMNS), arguments.out / "results.png")

    pictures = [shown, plain, *(drawn(stylizer, crop, *failure) for failure in FAILURES)]
    save_png(grid(pictures, COLUMNS), arguments.out / "failures.png")

    pictures = []
    for domain in SHOWN:
        for seed in range(PEOPLE):
            nobody, style = stylizer.random_face(domain, seed), stylizer.random_style(domain, seed)
            *_, [picture] = stylizer.render(nobody, style, stylizer.default_options(domain))
            pictures.append(picture)
    save_png(grid(pictures, COLUMNS), arguments.out / "nobody.png")


if __name__ == "__main__":
    main()
