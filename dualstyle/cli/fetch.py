"""``fetch``: weights from the hub."""

from __future__ import annotations

import argparse

from dualstyle.cli.arguments import UsageError
from dualstyle.cli.console import Console, megabytes, open_library
from dualstyle.errors import DualStyleError


def run(args: argparse.Namespace) -> int:
    """Fetch domain after domain; 1 if some of several failed."""
    console = Console()
    if args.all == bool(args.domains):
        raise UsageError("Name the domains to fetch, or say --all.")
    library = open_library(args, console)
    wanted = [library.catalogue[name] for name in args.domains or library.catalogue.names]
    wanted = [domain for domain in wanted if args.domains or domain.files is not None]
    failed: list[tuple[str, DualStyleError]] = []
    for domain in wanted:
        try:
            fetched = library.fetch(domain.name, pin=args.pin)
        except DualStyleError as error:
            if len(wanted) == 1:
                raise
            failed.append((domain.name, error))
            continue
        for file in fetched:
            place = f"{file.repo}@{file.revision[:12]}"
            console.say(f"{domain.name}: {file.path.name}  {megabytes(file.size)}  {place}")
        if not fetched:
            console.say(f"{domain.name}: nothing to fetch")
    if failed:
        console.failures(failed, len(wanted))
    return 1 if failed else 0
