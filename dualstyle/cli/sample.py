"""``sample``: a sheet of portraits of nobody."""

from __future__ import annotations

import argparse
import math

from dualstyle.cli.console import Console, check_file, open_stylizer, save
from dualstyle.config import MAX_SEED
from dualstyle.images import grid


def run(args: argparse.Namespace) -> int:
    """Draw the sheet; its first portrait has the seed, the next the seed plus one, and so on."""
    console = Console()
    check_file(args.out, "--out")
    stylizer = open_stylizer(args, console)
    domain = args.domain or stylizer.library.default_domain()
    options = stylizer.default_options(domain)
    pictures, recipes = [], []
    for index in range(args.count):
        console.progress(index, args.count, domain)
        seed = (args.seed + index) % (MAX_SEED + 1)
        face, style = stylizer.random_face(domain, seed), stylizer.random_style(domain, seed)
        each = options.with_(seed=seed)
        *_, [picture] = stylizer.render(face, style, each)
        pictures.append(picture)
        recipes.append(stylizer.recipe(face, style, each, face=f"sample:{args.count}"))
    save(grid(pictures, math.ceil(math.sqrt(args.count))), args.out, recipes[0])
    console.say(str(args.out))
    return 0
