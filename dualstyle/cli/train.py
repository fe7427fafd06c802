"""``train``: a style of one's own, from a folder of portraits."""

from __future__ import annotations

import argparse
from pathlib import Path

from dualstyle.cli.console import Console, open_library
from dualstyle.faces import DlibFaceFinder
from dualstyle.own_domains import default_domains
from dualstyle.training.own.check import Report
from dualstyle.training.own.recipes import PRESETS
from dualstyle.training.own.report import summary
from dualstyle.training.own.workshop import Order, Workshop


def run(args: argparse.Namespace) -> int:
    """Work through the stages; what is done already is not done again."""
    console = Console()
    domains = args.out or default_domains()
    order = Order(
        name=args.name,
        portraits=args.portraits,
        domains=domains,
        recipe=PRESETS[args.preset],
        base=args.base,
        aligned=args.aligned,
    )

    def tell(report: Report) -> None:
        for line in summary(report):
            console.say(line)

    def show(stage: str, file: Path) -> None:
        console.say(f"{stage}: {file}")

    workshop = Workshop(
        order,
        open_library(args, console),
        DlibFaceFinder(),
        progress=console.progress,
        on_report=tell,
        on_picture=show,
    )
    workshop.run(args.stage)
    if args.stage in (None, "finish"):
        console.say(f"{args.name} is ready: python -m dualstyle styles --domain {args.name}")
        if domains.resolve() != default_domains().resolve():
            console.say(f"To have it found, set DUALSTYLE_DOMAINS={domains.resolve()}")
    return 0
