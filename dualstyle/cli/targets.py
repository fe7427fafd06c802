"""Where ``stylize`` puts its results."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from dualstyle.cli.arguments import UsageError
from dualstyle.cli.console import check_file, is_same

LONGEST_STYLE = 60  # letters of a style in the name of a file


PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif")


def photos_of(paths: Sequence[Path]) -> list[Path]:
    """Put the photos that lie in a folder, by name, in the folder's place.

    Raises:
        UsageError: There is none in it.
    """
    photos: list[Path] = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in PHOTOS)
            if not inside:
                raise UsageError(f"There is no photo in the folder {path}.")
        photos += inside
    return photos


class Targets:
    """Names of results: never one that was given before, never that of a picture handed in.

    Raises:
        UsageError: OUT cannot hold what was asked for.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        out: Path = args.out
        several = len(args.photos) > 1 or (args.face == "all" and not args.paste_back)
        self._inputs: list[Path] = [*args.photos, *([args.style_image] if args.style_image else [])]
        self._given: list[Path] = []
        self._folder = out if several or out.is_dir() or not out.suffix else None
        self._file = out
        if several and (out.suffix.lower() == ".png" or out.is_file()) and not out.is_dir():
            raise UsageError(f"Several results need a folder, but --out names the file {out}.")
        if self._folder is None:
            check_file(out, "--out")
        elif self._folder.exists() and not self._folder.is_dir():
            raise UsageError(f"--out must be a .png file or a folder, but {out} is neither.")
        if args.reconstruction is not None:
            if several:
                raise UsageError("--reconstruction goes with one photo and one face.")
            check_file(args.reconstruction, "--reconstruction")
        for path in filter(None, (None if self._folder else out, args.reconstruction)):
            if any(is_same(path, one) for one in [*self._inputs, *self._given]):
                raise UsageError(f"{path} would be overwritten; give the result another name.")
            self._given.append(path)

    def of(self, photo: Path, *parts: str) -> Path:
        """Name the result of a photo: by what it was drawn with, and which of its faces it is."""
        if self._folder is None:
            return self._file
        stem = "_".join([photo.stem, *(plain for part in parts if (plain := _plain(part)))])
        path = free = self._folder / f"{stem}.png"
        count = 1
        while any(is_same(free, one) for one in [*self._inputs, *self._given]):
            count += 1
            free = path.with_stem(f"{path.stem}-{count}")
        self._given.append(free)
        return free


def _plain(origin: str) -> str:
    """Make a style's name fit for the name of a file."""
    name = re.sub(r"\.(jpe?g|png|webp|bmp)(?=$|\+)", "", origin, flags=re.IGNORECASE)
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.")[:LONGEST_STYLE]
