"""``stylize``: photos in, portraits out."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from dualstyle.cli import animegan
from dualstyle.cli.arguments import UsageError
from dualstyle.cli.console import Console, open_stylizer, save, shared_cores
from dualstyle.cli.targets import Targets, photos_of
from dualstyle.codes import PICTURE, ExtrinsicCode
from dualstyle.config import NUM_STRENGTHS, NUM_STRUCTURE_LAYERS, Recipe, StylizeOptions
from dualstyle.errors import FaceError
from dualstyle.faces import aligned_as_is, choose
from dualstyle.images import open_untrusted, paste_back, read_recipe
from dualstyle.stylizer import ALIGNED, Portrait, Stylizer

_OPTIONS = ("truncation", "noise", "seed", "preserve_color")
_log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Draw every photo; 1 if some of several failed."""
    args.photos = photos_of(args.photos)
    if args.engine == "animegan":
        return animegan.run(args)
    console = Console()
    args.style = _called(args.style)
    recipe = read_recipe(args.recipe) if args.recipe else None
    if recipe is not None:
        _take_over(args, recipe)
    targets = Targets(args)
    stylizer = open_stylizer(args, console)
    domain = args.domain or stylizer.library.default_domain()
    options = _options(args, recipe.options if recipe else stylizer.default_options(domain))
    style = _style(args, stylizer, domain, options.seed)
    _check_size(args, stylizer, style.domain, options)
    if recipe is not None:
        _compare(recipe, stylizer, style)

    def draw(photo: Path) -> _Drawn:
        return _draw(photo, args, stylizer, style, options)

    def keep(photo: Path, drawn: _Drawn) -> None:
        for picture, recipe, number in drawn.results:
            path = targets.of(photo, style.domain, style.origin, number)
            save(picture, path, recipe)
            console.say(str(path))
        if args.reconstruction is not None and drawn.reconstruction:
            save(drawn.reconstruction, args.reconstruction)
            console.say(str(args.reconstruction))

    with shared_cores(stylizer.device, len(args.photos)) as at_once:
        return console.each(args.photos, draw, keep, at_once)


class _Drawn(NamedTuple):
    """What became of a photo."""

    results: list[tuple[Image.Image, Recipe, str]]  # and which of its faces each is
    reconstruction: Image.Image | None


def _draw(
    photo: Path,
    args: argparse.Namespace,
    stylizer: Stylizer,
    style: ExtrinsicCode,
    options: StylizeOptions,
) -> _Drawn:
    """Draw what was asked for of one photo."""
    picture = open_untrusted(photo)
    portraits = stylizer.stylize(
        picture,
        style=style,
        options=options,
        encoder=args.encoder,
        face=args.face or "best",
        aligned=args.aligned,
        reconstruct=args.reconstruction is not None,
    )
    if args.paste_back:
        whole = picture
        for portrait in portraits:
            whole = paste_back(whole, portrait.picture, portrait.face.quad)
        face = ALIGNED if args.aligned else args.face or "best"
        results = [(whole, replace(portraits[0].recipe, face=face, paste_back=True), "")]
    else:
        results = [(one.picture, one.recipe, _number(args, one)) for one in portraits]
    return _Drawn(results, portraits[0].reconstruction)


def _number(args: argparse.Namespace, portrait: Portrait) -> str:
    return portrait.recipe.face if args.face == "all" else ""


def _take_over(args: argparse.Namespace, recipe: Recipe) -> None:
    """Let a recipe answer whatever the command itself leaves open.

    Raises:
        UsageError: The recipe is of a sheet of samples.
    """
    if recipe.face.startswith("sample:"):
        seed, count = recipe.style.rpartition(":")[2], recipe.face.rpartition(":")[2]
        raise UsageError(
            f"{args.recipe} shows portraits of nobody; repeat it with "
            f"'sample --domain {recipe.domain} --count {count} --seed {seed}'."
        )
    args.domain = args.domain or recipe.domain
    args.encoder = args.encoder or recipe.encoder
    args.precision = args.precision or recipe.precision
    if args.style is None and args.style_image is None:
        if recipe.style == PICTURE:
            raise UsageError(
                f"The style of {args.recipe} was somebody's own picture; "
                "hand it in with --style-image."
            )
        args.style = recipe.style
    if args.face is None and not args.aligned:
        args.aligned = recipe.face == ALIGNED
        args.face = None if args.aligned else recipe.face
        args.paste_back = args.paste_back or recipe.paste_back


def _compare(recipe: Recipe, stylizer: Stylizer, style: ExtrinsicCode) -> None:
    """Say so if the weights are others than those the recipe was drawn with."""
    revision = stylizer.revision(style)
    if (style.domain, style.origin) == (recipe.domain, recipe.style) and (
        revision != recipe.revision
    ):
        _log.warning(
            "the recipe was drawn with the weights %s, here are %s; the picture may differ",
            recipe.revision,
            revision,
        )


def _options(args: argparse.Namespace, start: StylizeOptions) -> StylizeOptions:
    """Change what the command says and leave the rest.

    Raises:
        UsageError: Two wishes exclude each other, or one is out of range.
    """
    wishes = {name: getattr(args, name) for name in _OPTIONS}
    changes = {name: value for name, value in wishes.items() if value is not None}
    if args.size is not None:
        changes["image_size"] = args.size
    if args.weights is not None:
        if args.structure is not None or args.color is not None:
            raise UsageError("--weights says all strengths; leave --structure and --color away.")
        if names := [weight for weight in args.weights if isinstance(weight, str)]:
            raise UsageError(
                f"--weights needs {NUM_STRENGTHS} numbers, got {names[0]!r}; the name of a "
                "checkpoint goes with --engine animegan."
            )
        if len(args.weights) != NUM_STRENGTHS:
            raise UsageError(f"--weights needs {NUM_STRENGTHS} numbers, got {len(args.weights)}.")
        changes["strengths"] = args.weights
    else:
        shapes = start.strengths[:NUM_STRUCTURE_LAYERS]
        colors = start.strengths[NUM_STRUCTURE_LAYERS:]
        if args.structure is not None:
            shapes = (args.structure,) * len(shapes)
        if args.color is not None:
            colors = (args.color,) * len(colors)
        changes["strengths"] = (*shapes, *colors)
    try:
        return start.with_(**changes)
    except ValueError as error:
        raise UsageError(f"{error}.") from error


def _style(args: argparse.Namespace, stylizer: Stylizer, domain: str, seed: int) -> ExtrinsicCode:
    """Find the style, which all photos share."""
    if args.style_image is not None:
        picture = open_untrusted(args.style_image)
        if args.style_aligned:
            face = aligned_as_is(picture)
        else:
            try:
                [found] = choose(stylizer.detect(picture), "best")
            except FaceError as error:
                raise FaceError(
                    f"No face was found in {args.style_image}; crop it to the face and say "
                    "--style-aligned."
                ) from error
            face = stylizer.align(picture, found)
        style = stylizer.picture_style(face, domain)
    else:
        style = stylizer.style(domain, args.style, seed=seed)
    if args.mix is None:
        return style
    other, slash, name = args.mix.partition("/")
    if not (other and slash and name):
        raise UsageError(f"--mix must be DOMAIN/STYLE, got {args.mix!r}.")
    colors = stylizer.style(other, _called(name), seed=seed)
    try:
        return stylizer.mix(style, colors)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _called(style: str | None) -> int | str | None:
    """Read digits as the number of an exemplar; in a recipe they are a name."""
    return int(style) if style is not None and style.isdecimal() else style


def _check_size(
    args: argparse.Namespace, stylizer: Stylizer, domain: str, options: StylizeOptions
) -> None:
    largest = stylizer.image_size(domain)
    if options.image_size is not None and options.image_size > largest:
        source = "--size" if args.size is not None else "The recipe's size"
        raise UsageError(
            f"{source} {options.image_size} is too large: the model of {domain} draws pictures of "
            f"{largest} px."
        )
