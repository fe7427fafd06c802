"""``stylize``: photos in, portraits out."""

from __future__ import annotations

import argparse
import logging
import re
from dataclasses import replace
from pathlib import Path

from dualstyle.cli.arguments import UsageError
from dualstyle.cli.console import Console, check_file, is_same, open_stylizer, save
from dualstyle.codes import PICTURE, ExtrinsicCode
from dualstyle.config import NUM_STRENGTHS, NUM_STRUCTURE_LAYERS, Recipe, StylizeOptions
from dualstyle.errors import DualStyleError, FaceError, ImageError
from dualstyle.faces import aligned_as_is, choose
from dualstyle.images import open_untrusted, paste_back, read_recipe
from dualstyle.stylizer import ALIGNED, Portrait, Stylizer

LONGEST_STYLE = 60  # letters of a style in the name of a file
_OPTIONS = ("truncation", "noise", "seed", "preserve_color")
_log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Draw every photo; 1 if some of several failed."""
    console = Console()
    args.style = _called(args.style)
    recipe = read_recipe(args.recipe) if args.recipe else None
    if recipe is not None:
        _take_over(args, recipe)
    targets = _Targets(args)
    stylizer = open_stylizer(args, console)
    domain = args.domain or stylizer.library.default_domain()
    options = _options(args, recipe.options if recipe else stylizer.default_options(domain))
    style = _style(args, stylizer, domain, options.seed)
    _check_size(args, stylizer, style.domain, options)
    if recipe is not None:
        _compare(recipe, stylizer, style)
    failed: list[tuple[str, DualStyleError]] = []
    for done, photo in enumerate(args.photos):
        if len(args.photos) > 1:
            console.progress(done, len(args.photos), photo.name)
        try:
            _one(photo, args, stylizer, style, options, targets, console)
        except (ImageError, FaceError) as error:
            if len(args.photos) == 1:
                raise
            _log.debug("%s failed", photo, exc_info=True)
            failed.append((str(photo), error))
    if failed:
        console.failures(failed, len(args.photos))
    return 1 if failed else 0


def _one(
    photo: Path,
    args: argparse.Namespace,
    stylizer: Stylizer,
    style: ExtrinsicCode,
    options: StylizeOptions,
    targets: _Targets,
    console: Console,
) -> None:
    """Draw one photo and write what was asked for."""
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
        results = [(whole, replace(portraits[0].recipe, face=face), "")]
    else:
        results = [(one.picture, one.recipe, _number(args, one)) for one in portraits]
    for result, recipe, number in results:
        path = targets.of(photo, style, number)
        save(result, path, recipe)
        console.say(str(path))
    if args.reconstruction is not None and (plain := portraits[0].reconstruction):
        save(plain, args.reconstruction)
        console.say(str(args.reconstruction))


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


class _Targets:
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

    def of(self, photo: Path, style: ExtrinsicCode, number: str) -> Path:
        """Name the result of a photo; `number` tells its faces apart."""
        if self._folder is None:
            return self._file
        parts = (photo.stem, style.domain, _plain(style.origin), number)
        stem = "_".join(part for part in parts if part)
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
