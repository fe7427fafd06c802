"""What the commands share: lines and bars on the terminal, the library, files of results."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

import torch
from PIL import Image

from dualstyle.cli.arguments import UsageError
from dualstyle.config import Recipe
from dualstyle.errors import DualStyleError, FaceError, ImageError
from dualstyle.images import save_png
from dualstyle.sources import Library, library_at_home
from dualstyle.stylizer import Stylizer

BAR = 24  # columns of a full bar
MEGABYTE = 10**6
AT_ONCE = 4  # portraits drawn at a time at most; each takes some 200 MiB
AHEAD = 2  # times that many are begun before the first of them is written

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Console:
    """Results go to stdout, everything else to stderr; a bar only where somebody looks."""

    def __init__(self) -> None:
        self._bar_is_shown = False

    def say(self, line: str) -> None:
        """Write a line of the result."""
        self._wipe()
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def note(self, line: str) -> None:
        """Write a line beside the result."""
        self._wipe()
        sys.stderr.write(f"{line}\n")

    def progress(self, done: int, total: int | None, label: str) -> None:
        """Show how far it is; `total` is unknown where it is None."""
        if not sys.stderr.isatty():
            return
        share = min(done / total, 1) if total else 0
        bar = "#" * round(BAR * share)
        room = max(shutil.get_terminal_size().columns - BAR - 12, 0) // 2  # wide letters take two
        sys.stderr.write(f"\r\x1b[K[{bar:.<{BAR}}] {share:4.0%} {label[-room:] if room else ''}")
        sys.stderr.flush()
        self._bar_is_shown = True

    def each(
        self,
        photos: Sequence[Path],
        draw: Callable[[Path], T],
        keep: Callable[[Path, T], None],
        at_once: int = 1,
    ) -> int:
        """Draw photos, some at once in threads, and keep the results in order, in this thread.

        An unusable photo stops the others only if there are none.

        Returns:
            The exit code: 1 if some of several failed.
        """
        failed: list[tuple[str, DualStyleError]] = []
        rest, begun = iter(photos), deque[Future[T]]()
        # No pool of threads: Ctrl-C in the midst of its `submit` would lock it.
        tasks: SimpleQueue[tuple[Future[T], Path] | None] = SimpleQueue()
        workers = [Thread(target=_work, args=(tasks, draw), daemon=True) for _ in range(at_once)]

        def begin(count: int) -> None:
            for photo in islice(rest, count):
                begun.append(Future())
                tasks.put((begun[-1], photo))

        try:
            for worker in workers:
                worker.start()
            begin(AHEAD * at_once)
            for done, photo in enumerate(photos):
                if len(photos) > 1:
                    self.progress(done, len(photos), photo.name)
                try:
                    keep(photo, begun.popleft().result())
                except (ImageError, FaceError) as error:
                    if len(photos) == 1:
                        raise
                    _log.debug("%s failed", photo, exc_info=True)
                    failed.append((str(photo), error))
                begin(1)
        finally:
            for future in begun:
                future.cancel()
            for _ in workers:
                tasks.put(None)
            for worker in workers:
                if worker.is_alive():  # not all have begun if that was interrupted
                    worker.join()
        if failed:
            self.failures(failed, len(photos))
        return 1 if failed else 0

    def failures(self, failed: Iterable[tuple[str, DualStyleError]], total: int) -> None:
        """List what went wrong while other things went well."""
        failed = list(failed)
        self.note(f"{len(failed)} of {total} failed:")
        for name, error in failed:
            self.note(f"  {name}: {' '.join(str(error).split())}")

    def _wipe(self) -> None:
        if self._bar_is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._bar_is_shown = False


def _work(tasks: SimpleQueue[tuple[Future[T], Path] | None], draw: Callable[[Path], T]) -> None:
    """Draw what stands in the queue, up to a None; errors rise where the result is asked for."""
    for future, photo in iter(tasks.get, None):
        if not future.set_running_or_notify_cancel():
            continue
        try:
            drawn = draw(photo)
        except BaseException as error:  # noqa: BLE001  nobody would wake who waits for it
            future.set_exception(error)
        else:
            future.set_result(drawn)


@contextmanager
def shared_cores(device: torch.device, photos: int) -> Iterator[int]:
    """Give each portrait its share of the cores, while several are drawn; yields how many.

    Drawn one on each core, portraits are done sooner than one after another on all of them.
    """
    threads = torch.get_num_threads()
    at_once = min(threads, photos, AT_ONCE) if device.type == "cpu" else 1
    torch.set_num_threads(threads // at_once)
    try:
        yield at_once
    finally:
        torch.set_num_threads(threads)


def open_library(args: argparse.Namespace, console: Console) -> Library:
    """Find the weights where the command says, or where they usually are."""
    return library_at_home(source=args.source, progress=console.progress)


def open_stylizer(args: argparse.Namespace, console: Console) -> Stylizer:
    """Make the stylizer on the device and in the precision that the command says."""
    library, device = open_library(args, console), pick_device(args.device)
    return Stylizer(library, device=device, precision=args.precision or "auto")


def pick_device(wish: str) -> str:
    """Turn "auto", "cpu" or "cuda" into a device; "auto" is CUDA where there is one.

    Raises:
        UsageError: CUDA is wanted and not there.
    """
    has_cuda = torch.cuda.is_available()
    if wish == "cuda" and not has_cuda:
        raise UsageError("There is no CUDA device that PyTorch could use; leave --device away.")
    return "cuda" if has_cuda and wish != "cpu" else "cpu"


def check_file(path: Path, option: str) -> None:
    """Refuse a file of results that cannot become a PNG.

    Raises:
        UsageError: It is a folder, or has another suffix.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        raise UsageError(f"{option} must name a .png file, got {path}.")


def save(picture: Image.Image, path: Path, recipe: Recipe | None = None) -> None:
    """Write a PNG, whole or not at all, making its folder first.

    Raises:
        ImageError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{path.parent} cannot be made ({error.strerror}).") from error
    save_png(picture, path, recipe=recipe)


def megabytes(size: int | None) -> str:
    """Write a size for people."""
    return "size unknown" if size is None else f"{size / MEGABYTE:.1f} MB"


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file, existing or not."""
    return os.path.realpath(one) == os.path.realpath(other)
