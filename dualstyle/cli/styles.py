"""``styles``: the domains, or the exemplars of one."""

from __future__ import annotations

import argparse

from dualstyle.cli.console import Console, open_library
from dualstyle.stylizer import Stylizer


def run(args: argparse.Namespace) -> int:
    """List them."""
    console = Console()
    library = open_library(args, console)
    stylizer = Stylizer(library)
    if args.domain is not None:
        for exemplar in stylizer.styles(args.domain):
            console.say(f"{exemplar.index:4d}  {exemplar.name}")
        return 0
    here = library.available()
    width = max(map(len, library.catalogue.names))
    for name in library.catalogue.names:
        domain = library.catalogue[name]
        count = len(stylizer.styles(name)) if name in here else domain.style_count
        state = "here" if name in here else "not here"
        number = "?" if count is None else str(count)
        console.say(f"{name:{width}}  {number:>4} styles  {state:8}  {domain.title['en']}")
    return 0
