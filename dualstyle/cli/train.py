"""``train``: a style of one's own, from a folder of portraits."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from dualstyle.catalogue import check_name
from dualstyle.cli.arguments import UsageError
from dualstyle.cli.console import Console, open_library
from dualstyle.errors import TrainingError
from dualstyle.faces import DlibFaceFinder
from dualstyle.own_domains import default_domains
from dualstyle.training.own.check import Report
from dualstyle.training.own.recipes import PRESETS
from dualstyle.training.own.report import summary
from dualstyle.training.own.workshop import WORK_FOLDER, Order, Workshop

ORDER_FILE = "order.json"  # in the work folder: how the command was given
DEFAULT_PRESET = "standard"


def run(args: argparse.Namespace) -> int:
    """Work through the stages; what is done already is not done again."""
    console = Console()
    try:
        check_name(args.name)
    except ValueError as error:
        raise UsageError(f"{args.name!r} is no name for a style: {error}.") from error
    domains = args.out or default_domains()
    file = domains / args.name / WORK_FOLDER / ORDER_FILE
    said = _with_earlier(args, file)
    order = Order(
        name=args.name,
        portraits=args.portraits,
        domains=domains,
        recipe=PRESETS[said.get("preset", DEFAULT_PRESET)],
        base=said.get("base"),
        aligned=said.get("aligned"),
    )

    def tell(report: Report) -> None:
        for line in summary(report):
            console.say(line)

    def show(stage: str, picture: Path) -> None:
        _remember(file, said)  # not before a stage is done: the folder may have been a slip
        console.say(f"{stage}: {picture}")

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


def _with_earlier(args: argparse.Namespace, file: Path) -> dict[str, Any]:
    """What this command says; what it leaves open is as an earlier one for this style said.

    Raises:
        UsageError: The style was learnt from another folder.
    """
    given = {"preset": args.preset, "base": args.base, "aligned": args.aligned}
    said = {name: value for name, value in given.items() if value is not None}
    said["portraits"] = str(args.portraits.resolve())
    if not file.exists():
        return said
    try:
        earlier = json.loads(file.read_text("utf-8"))
        learnt_from = earlier["portraits"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} cannot be read; delete it and say the options anew.") from error
    if learnt_from != said["portraits"]:
        raise UsageError(
            f"The style {args.name!r} was learnt from {learnt_from}; choose another name, or "
            f"delete {file.parents[1]}."
        )
    known = {name: value for name, value in earlier.items() if name in given}
    if known.get("preset") not in PRESETS:
        known.pop("preset", None)
    return known | said


def _remember(file: Path, said: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(said), "utf-8")
    except OSError as error:
        raise TrainingError(f"{file} cannot be written ({error.strerror}); see --out.") from error
