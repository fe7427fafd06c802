"""The words of the command line; nothing heavy is imported to explain or refuse them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, get_args

from dualstyle.config import NUM_STRENGTHS, Precision, StylizeOptions
from dualstyle.errors import DualStyleError

SIZES = (128, 256, 512, 1024)  # [px] results can have
MAX_SAMPLES = 256  # portraits on one sheet
PRESETS = ("smoke", "standard")  # of training/own/recipes.py, which PyTorch comes with
STAGES = ("check", "destylize", "fine-tune", "refine", "sample", "finish")  # of .../workshop.py


class UsageError(DualStyleError):
    """The command itself cannot be meant."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage above it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; ``verb`` names the module of this package that runs it.

    Raises:
        UsageError: The words make no command.
    """
    parser = _Parser(
        prog="dualstyle",
        description="Portraits in the manner of one chosen picture (DualStyleGAN).",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = _Parser(add_help=False)
    common.add_argument(
        "--source",
        metavar="FOLDER|REPO",
        help="where the weights are: a folder in the official layout, or a repository of the hub",
    )
    common.add_argument(
        "--verbose", action="store_true", help="show the log, and where errors rose"
    )
    drawing = _Parser(add_help=False)
    drawing.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto"
    )
    drawing.add_argument(
        "--precision",
        choices=("auto", *get_args(Precision)),
        help="fp32 draws the official numbers (default: that of the recipe, else auto)",
    )

    def verb(name: str, text: str, *parents: _Parser) -> _Parser:
        return verbs.add_parser(
            name, help=text, description=text, parents=[common, *parents], allow_abbrev=False
        )

    _stylize(verb("stylize", "Draw the faces of photos in the manner of an exemplar.", drawing))
    _sample(verb("sample", "Draw portraits of nobody in styles that nobody drew.", drawing))
    styles = verb("styles", "List the domains, or the exemplars of one.")
    styles.add_argument("--domain", help="list its exemplars: number and name")
    fetch = verb("fetch", "Fetch the weights of domains.")
    fetch.add_argument("domains", nargs="*", metavar="DOMAIN")
    fetch.add_argument("--all", action="store_true", help="every published domain")
    fetch.add_argument("--pin", action="store_true", help="note commit and hashes in its file")
    _train(verb("train", "Learn a style of your own from 50 to 300 portraits in it."))
    verb("doctor", "Tell what is installed, which weights are here and what is missing.")
    return parser.parse_args(argv)


def _sample(parser: _Parser) -> None:
    parser.add_argument("--domain", help="default: the best one that is here")
    parser.add_argument("--count", type=_count, default=16, help="portraits (default: 16)")
    parser.add_argument("--seed", type=_seed, default=0, help="default: 0")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="GRID.png")


def _train(parser: _Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the new domain: small letters, digits, -")
    parser.add_argument("portraits", type=Path, metavar="FOLDER", help="of portraits in one style")
    parser.add_argument(
        "--preset", choices=PRESETS,
        help="smoke: ten minutes of two CPU cores; standard: hours (default: as before, else that)",
    )  # fmt: skip
    parser.add_argument(
        "--stage", choices=STAGES,
        help="do this stage again, and nothing after it; without, all that is not done yet",
    )  # fmt: skip
    parser.add_argument(
        "--base", metavar="DOMAIN", help="start from this domain (default: the nearest bundled one)"
    )
    parser.add_argument(
        "--aligned", action=argparse.BooleanOptionalAction,
        help="the portraits are crops of faces (default: if all are squares of one size)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER",
        help="folder of own domains (default: DUALSTYLE_DOMAINS, else with your data)",
    )  # fmt: skip


def _stylize(parser: _Parser) -> None:
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="or a folder of them")
    parser.add_argument(
        "-o", "--out", type=Path, required=True,
        help="a .png file for one result, a folder for several",
    )  # fmt: skip
    parser.add_argument(
        "--engine",
        choices=("dualstyle", "animegan"),
        default="dualstyle",
        help="dualstyle: faces after an exemplar; animegan: whole photos, or faces (--face)",
    )
    what = parser.add_argument_group("what to draw")
    what.add_argument("--domain", help="default: the best one that is here")
    style = what.add_mutually_exclusive_group()
    style.add_argument("--style", metavar="N|NAME|random", help="default: the domain's own choice")
    style.add_argument("--style-image", type=Path, metavar="FILE", help="an exemplar of your own")
    what.add_argument("--style-aligned", action="store_true", help="it is already a crop of a face")
    what.add_argument("--mix", metavar="DOMAIN/STYLE", help="take the colours of another style")
    what.add_argument("--recipe", type=Path, metavar="FILE.png", help="as this result was drawn")

    how = parser.add_argument_group("how to draw it (defaults: the domain's own)")
    how.add_argument("--encoder", choices=("z+", "w+"), help="z+: more style, w+: more likeness")
    how.add_argument("--structure", type=_number, metavar="S", help="strength of shapes, 0 to 1")
    how.add_argument("--color", type=_number, metavar="C", help="strength of colours, 0 to 1")
    how.add_argument(
        "--weights",
        type=_weight,
        nargs="+",
        metavar="W",
        help=f"all {NUM_STRENGTHS} strengths; with animegan a checkpoint, by name or file",
    )
    how.add_argument("--truncation", type=_number, metavar="T", help="1: the face as it is")
    how.add_argument("--noise", choices=("stored", "random"), help="of the weights, or by the seed")
    how.add_argument("--seed", type=_seed, metavar="N", help="of the noise and of --style random")
    how.add_argument(
        "--preserve-color", action=argparse.BooleanOptionalAction, help="the photo's colours"
    )
    how.add_argument("--size", type=int, choices=SIZES, help="longest side of the result in pixels")

    where = parser.add_argument_group("photo and results")
    face = where.add_mutually_exclusive_group()
    face.add_argument("--face", metavar="best|all|N", help="which face (default: best)")
    face.add_argument("--aligned", action="store_true", help="the photo is a crop of a face")
    where.add_argument("--paste-back", action="store_true", help="give the whole photo")
    where.add_argument(
        "--reconstruction", type=Path, metavar="FILE.png", help="also the face without any style"
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error


def _weight(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _seed(text: str) -> int:
    try:
        return StylizeOptions(seed=int(text)).seed
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on") from error


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= MAX_SAMPLES):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_SAMPLES}")
    return int(text)
