"""A picture's recipe as a Python program that makes it again."""

from __future__ import annotations

from itertools import groupby

from dualstyle.codes import PICTURE, parts_of_blend, parts_of_mix
from dualstyle.config import Recipe, StylizeOptions
from dualstyle.stylizer import ALIGNED
from dualstyle.ui.safe_image import MAX_SIDE


def program_of(recipe: Recipe) -> str:
    """Write the program; it reads ``photo.jpg``, and ``style.jpg`` for a style of one's own."""
    names = ["StylizeOptions", "Stylizer", "library_at_home", "open_untrusted", "save_png"]
    if recipe.paste_back:
        names.insert(4, "paste_back")
    style, needed = _style(recipe)
    face = "aligned=True" if recipe.face == ALIGNED else f"face={recipe.face!r}"
    precision = "" if recipe.precision == "fp32" else f", precision={recipe.precision!r}"
    lines = [
        f"from dualstyle import {', '.join(names)}",
        *needed,
        "",
        f"stylizer = Stylizer(library_at_home(){precision})",
        f'photo = open_untrusted("photo.jpg", max_side={MAX_SIDE})',
        *style,
        *_options(recipe.options),
        "portraits = stylizer.stylize(",
        f"    photo, style=style, options=options, encoder={recipe.encoder!r}, {face}",
        ")",
    ]
    if recipe.paste_back:
        lines += [
            "for portrait in portraits:",
            "    photo = paste_back(photo, portrait.picture, portrait.face.quad)",
            'save_png(photo, "portrait.png")',
        ]
    else:
        lines.append(
            'save_png(portraits[0].picture, "portrait.png", recipe=portraits[0].recipe)',
        )
    return "\n".join(lines) + "\n"


def _style(recipe: Recipe) -> tuple[list[str], list[str]]:
    """Lines that make the style, and the imports they need."""
    mixed, blended = parts_of_mix(recipe.style), parts_of_blend(recipe.style)
    parts = mixed or (blended[1:] if blended else (recipe.domain, recipe.style))
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    if not any(name == PICTURE for _, name in pairs):
        return [f"style = stylizer.style({recipe.domain!r}, {recipe.style!r})"], []
    needed = ["from dualstyle.faces import aligned_as_is"]
    lines = [
        f'picture = open_untrusted("style.jpg", max_side={MAX_SIDE})',
        "faces = stylizer.detect(picture)",
        "own = stylizer.align(picture, faces[0]) if faces else aligned_as_is(picture)",
    ]
    codes = ", ".join(
        f"stylizer.picture_style(own, {domain!r})"
        if name == PICTURE
        else f"stylizer.style({domain!r}, {name!r})"
        for domain, name in pairs
    )
    if mixed:
        codes = f"stylizer.mix({codes})"
    elif blended:
        needed.insert(0, "from dualstyle.codes import blend")
        codes = f"blend({codes}, share={blended[0]!r})"
    return [*lines, f"style = {codes}"], needed


def _options(options: StylizeOptions) -> list[str]:
    runs = ((value, len(list(run))) for value, run in groupby(options.strengths))
    strengths = " + ".join(f"[{value!r}] * {times}" for value, times in runs)
    return [
        "options = StylizeOptions(",
        f"    strengths={strengths},",
        f"    truncation={options.truncation!r},",
        f"    noise={options.noise!r},",
        f"    seed={options.seed!r},",
        f"    preserve_color={options.preserve_color!r},",
        ")",
    ]
