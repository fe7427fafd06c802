"""``stylize --engine animegan``: whole photos, or the faces in them, redrawn by AnimeGANv2."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from dualstyle.animegan import (
    FACE,
    LONGEST_SIDE,
    SCENE,
    PhotoPainter,
    find_checkpoint,
    load_animegan,
    usual_face_size,
)
from dualstyle.cli.arguments import UsageError
from dualstyle.cli.console import Console, pick_device, save
from dualstyle.cli.targets import Targets
from dualstyle.faces import DlibFaceFinder, FaceFinder, choose
from dualstyle.images import open_untrusted, paste_back

_Drawings = list[tuple[Image.Image, str]]  # and which of the photo's faces each is

ENGINE = "animegan"
_FOREIGN = (  # options that only the other engine has
    "domain", "style", "style_image", "style_aligned", "mix", "recipe", "encoder", "structure",
    "color", "truncation", "noise", "seed", "preserve_color", "reconstruction",
)  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Draw every photo; 1 if some of several failed.

    Raises:
        UsageError: An option belongs to the other engine.
    """
    for name in _FOREIGN:
        if getattr(args, name) not in (None, False):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} does not go with --engine {ENGINE}.")
    faces = args.face is not None or args.aligned
    if args.paste_back and not faces:
        raise UsageError("--paste-back needs --face; without it the whole photo is drawn anyway.")
    console = Console()
    targets = Targets(args)
    weights = _checkpoint(args, FACE if faces else SCENE)
    path = find_checkpoint(weights, folder=_folder(args), progress=console.progress)
    painter = PhotoPainter(load_animegan(path), device=pick_device(args.device))
    finder = DlibFaceFinder()
    face_size = args.size or usual_face_size(path.stem)

    def draw(photo: Path) -> _Drawings:
        return _drawings(open_untrusted(photo), args, painter, finder, face_size)

    def keep(photo: Path, drawings: _Drawings) -> None:
        for result, number in drawings:
            out = targets.of(photo, ENGINE, path.stem, number)
            save(result, out)
            console.say(str(out))

    return console.each(args.photos, draw, keep)


def _drawings(
    picture: Image.Image,
    args: argparse.Namespace,
    painter: PhotoPainter,
    finder: FaceFinder,
    face_size: int,
) -> _Drawings:
    """Draw what was asked for of one photo."""
    if args.aligned:
        found = [None]
    elif args.face is not None:
        found = choose(finder.detect(picture), args.face)
    else:
        return [(painter.paint(picture, longest_side=args.size or LONGEST_SIDE), "")]
    drawn = [painter.paint_face(picture, face, size=face_size) for face in found]
    if args.paste_back:
        whole = picture
        for face in drawn:
            whole = paste_back(whole, face.picture, face.quad)
        return [(whole, "")]
    return [
        (face.picture, str(number) if args.face == "all" else "")
        for number, face in enumerate(drawn, 1)
    ]


def _checkpoint(args: argparse.Namespace, default: str) -> str:
    """The one checkpoint that the command names."""
    named = args.weights or [default]
    if len(named) > 1 or not isinstance(named[0], str):
        raise UsageError(f"--engine {ENGINE} takes one name or file as --weights.")
    return named[0]


def _folder(args: argparse.Namespace) -> Path | None:
    """The folder of weights that the command names."""
    if args.source is None:
        return None
    folder = Path(args.source).expanduser()
    if not folder.is_dir():
        raise UsageError(f"--engine {ENGINE} takes a folder as --source, got {args.source!r}.")
    return folder
