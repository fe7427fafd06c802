"""The command line: ``python -m dualstyle VERB``.

Exit codes: 0 all went well, 1 some of several things failed and are listed, 2 an error of one line
and nothing was written, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dualstyle.cli.arguments import parse
from dualstyle.errors import DualStyleError

FAILED, STOPPED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    Args:
        argv: The words after the program's name; None: those of this process.
    """
    verbose = False
    try:
        args = parse(argv)
        verbose = args.verbose
        with _log_on_stderr(verbose):
            verb = importlib.import_module(f"dualstyle.cli.{args.verb}")  # PyTorch only when needed
            return verb.run(args)
    except DualStyleError as error:
        if verbose:
            traceback.print_exc()
        sys.stderr.write(f"dualstyle: {' '.join(str(error).split())}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\ndualstyle: stopped.\n")
        return STOPPED
    except BrokenPipeError:  # somebody reads with `head`; Python must not complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


@contextmanager
def _log_on_stderr(verbose: bool) -> Iterator[None]:
    """Show the library's log while a command runs: warnings, or everything."""
    log = logging.getLogger("dualstyle")
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter("%(name)s: %(message)s" if verbose else "dualstyle: %(message)s")
    )
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
