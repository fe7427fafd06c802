"""Draw the README's pictures of the bundled model: one photo in many styles, and nobody.

    python benchmarks/pictures.py astronaut.png docs

The photo of the README is NASA's portrait of Eileen Collins, public domain, as it lies in the
scikit-image package (skimage/data/astronaut.png).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dualstyle import Stylizer, library_at_home, open_untrusted, save_png  # noqa: E402
from dualstyle.faces import choose  # noqa: E402
from dualstyle.images import grid  # noqa: E402

COLUMNS = 8
SHOWN = {  # styles chosen for variety; the model card shows failures
    "pocket-cartoon": (0, 57, 114, 171, 228, 285, 342),
    "pocket-engraving": (0, 64, 128, 192, 256, 320, 384),
    "pocket-comic": (1, 12, 22, 30, 37, 47, 61),
}
PEOPLE = 8  # of nobody, per domain


def main() -> None:
    """Draw results.png and nobody.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", type=Path)
    parser.add_argument("out", type=Path, help="folder")
    arguments = parser.parse_args()
    stylizer = Stylizer(library_at_home())
    photo = open_untrusted(arguments.photo)
    [face] = choose(stylizer.detect(photo), "best")
    crop = stylizer.align(photo, face)
    arguments.out.mkdir(parents=True, exist_ok=True)

    pictures = []
    for row, (domain, styles) in enumerate(SHOWN.items()):
        code = stylizer.encode([crop], domain=domain)
        size = stylizer.image_size(domain)
        plain = stylizer.reconstruct(code, domain)[0]
        pictures.append(plain if row else crop.picture.resize((size, size), reducing_gap=3.0))
        for style in styles:
            exemplar = stylizer.exemplar(domain, style)
            *_, [drawn] = stylizer.render(code, exemplar, stylizer.default_options(domain))
            pictures.append(drawn)
    save_png(grid(pictures, COLUMNS), arguments.out / "results.png")

    pictures = []
    for domain in SHOWN:
        for seed in range(PEOPLE):
            nobody, style = stylizer.random_face(domain, seed), stylizer.random_style(domain, seed)
            *_, [drawn] = stylizer.render(nobody, style, stylizer.default_options(domain))
            pictures.append(drawn)
    save_png(grid(pictures, COLUMNS), arguments.out / "nobody.png")


if __name__ == "__main__":
    main()
