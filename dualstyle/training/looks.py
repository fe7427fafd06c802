"""The 72 looks of "pocket-comic", in a fixed order: the order of its extrinsic codes."""

from __future__ import annotations

from typing import Any

from dualstyle.training.comic import ComicLook

# Palettes run from dark to light, so that a face keeps its light and shade.
_DUOTONES = {
    "teal": ("0b3c49", "e8f1ee"),
    "rose": ("5a1238", "ffdce0"),
    "navy-peach": ("14213d", "ffd3b0"),
    "plum-gold": ("3c1053", "ffd75e"),
    "forest": ("12372a", "e6efc8"),
    "rust": ("4a1c0f", "ffc999"),
    "violet": ("26196b", "e6dcff"),
    "crimson": ("58000f", "fff0e0"),
    "ocean": ("022b57", "a8ecf0"),
    "olive": ("2f3210", "f3e9a4"),
}
_POSTERS = {
    "sunset": ("2b1139", "b5345f", "f58549", "ffe3a8"),
    "lagoon": ("07263b", "12668b", "5bc0be", "eaf7e4"),
    "election": ("10305a", "d02c35", "6ea3ad", "fbe9b7"),
    "autumn": ("2d160c", "8e3b1a", "d98e38", "f9e6b8"),
    "candy": ("46206b", "d64f9b", "ff9fbf", "fff1d6"),
    "glacier": ("14213a", "44608f", "9cbfd9", "f4fafc"),
    "moss": ("16241a", "4a6b3c", "a3ae5f", "f3efd2"),
    "mars": ("200d12", "7d1f22", "d3543a", "f8c79b"),
    "grape": ("1b0f33", "5b2a86", "a678c9", "f5e2f4"),
    "news": ("151515", "6b6b68", "b9b6ae", "f6f2e6"),
}
_POP = {
    "yellow": ("2a0d45", "e02f6b", "ff8f6b", "ffe9cf", "ffd400"),
    "cyan": ("1d1147", "d92f8a", "ff9a8d", "fff0dc", "19c5e0"),
    "magenta": ("10194d", "2474c9", "7fd0e0", "fdf3d8", "f0357f"),
    "lime": ("271046", "b03aa0", "f7a072", "fff3cf", "a6d90c"),
    "orange": ("0c2a4d", "1b7f8c", "9fd8b4", "fff4d9", "ff7a1a"),
    "red": ("14143c", "3f5fb0", "f2b98f", "fff2dd", "e4202c"),
    "mint": ("3a0f33", "c23a5b", "ffab8a", "fff2e0", "5fd9a9"),
    "blue": ("2c0c22", "c8372d", "ffb35c", "fff3c9", "2f6fe4"),
}
_COMICS = {
    "classic": {"backdrop": "f7d648"},
    "sky": {"backdrop": "7cc4ee"},
    "blush": {"backdrop": "f6a6b2"},
    "leaf": {"backdrop": "a9d17c"},
    "night": {"backdrop": "27355f"},
    "paper": {"backdrop": "f4ead2", "saturation": 0.8},
    "hero": {"backdrop": "d9372c", "saturation": 1.6},
    "big-eyes": {"backdrop": "b7a4e0", "eyes": 0.38, "dots": 0.0},
}
_SEPIAS = {
    "warm": ("2a170c", "8a5a33", "e3c08f", "fbf1db"),
    "cool": ("1a1613", "6b5c4e", "c7b79e", "f1ebdf"),
    "old": ("3a2a1a", "8f7250", "d0b98c", "efe2c0"),
    "rust": ("2c0f08", "94482a", "e2a072", "fdeedb"),
}
_PASTELS = {
    "peach": ("ffe0d0", 0.75, 0.12),
    "lilac": ("e4dafc", 0.7, 0.12),
    "mint": ("d4f2e3", 0.7, 0.12),
    "sky": ("d5eafc", 0.7, 0.12),
    "lemon": ("fdf4c4", 0.75, 0.12),
    "rose": ("fbd7e2", 0.8, 0.12),
    "cream": ("f8eddc", 0.55, 0.14),
    "big-eyes": ("fde2ec", 0.8, 0.12),
}
_PENCILS = {
    "graphite": ("2b2b30", "f7f4ec", 0.92),
    "sanguine": ("8a3a22", "f8eddc", 0.92),
    "blue": ("24459a", "f5f6fa", 0.92),
    "kraft": ("33241a", "d0ac7d", 0.9),
    "chalk": ("f3f0e4", "2c3a39", 0.9),
    "tinted": ("33302f", "faf4e6", 0.6),
}
_INKS = {
    "black": ("17161a", "fbfaf6"),
    "red": ("a5161d", "fdf5ea"),
    "indigo": ("1b2460", "f2f2ef"),
    "sepia": ("432414", "f5e7cb"),
    "green": ("12402f", "f1f4e4"),
    "grey": ("2a2c30", "dcdad3"),
}
_NEONS = {
    "cyan": (("05060f", "0c1440", "1c2f7a", "3f58b8"), "4df3ff"),
    "pink": (("0b0412", "2a0a3d", "5a1670", "a23aa8"), "ff6ad5"),
    "lime": (("040a08", "06291f", "0d5340", "2f8f6a"), "c5ff4a"),
    "orange": (("0c0507", "331022", "6e1f3a", "b5475a"), "ffb347"),
    "violet": (("06040f", "1a1145", "3c2a8c", "7559d0"), "d9a8ff"),
    "gold": (("08070a", "1f1a2c", "463a5a", "80708f"), "ffe27a"),
}
_WASHES = {
    "clear": (1.25, "fdfaf2", 0.10),
    "vivid": (1.7, "fdfaf2", 0.08),
    "rain": (0.65, "eef3f5", 0.10),
    "sunny": (1.4, "fff4d8", 0.12),
    "dusk": (1.0, "f0e4ee", 0.05),
    "garden": (1.35, "f1f6e4", 0.10),
}


def _look(family: str, variant: str, number: int, **values: Any) -> ComicLook:
    return ComicLook(name=f"{family}-{variant}-{number:02d}", **values)


def _flat_looks() -> list[ComicLook]:
    """Looks of few flat colours."""
    looks = []
    for i, (name, palette) in enumerate(_DUOTONES.items(), 1):
        steps = {"levels": 3 + i % 3, "softness": 0.2, "lines": 0.35, "ink": palette[0]}
        looks.append(_look("duotone", name, i, palette=palette, contrast=1.15, **steps))
    for i, (name, palette) in enumerate(_POSTERS.items(), 1):
        looks.append(_look("poster", name, i, palette=palette, lines=0.45, ink=palette[0]))
    for i, (name, (*palette, back)) in enumerate(_POP.items(), 1):
        values = {"palette": tuple(palette), "backdrop": back, "ink": palette[0], "softness": 0.1}
        dots = 0.55 if i % 2 == 0 else 0.0
        looks.append(_look("popart", name, i, lines=0.7, contrast=1.2, dots=dots, **values))
    for i, (name, palette) in enumerate(_SEPIAS.items(), 1):
        values = {"palette": palette, "levels": 6, "softness": 0.4, "flatness": 1, "fade": 0.75}
        looks.append(
            _look("sepia", name, i, paper=palette[-1], lines=0.3, ink=palette[0], **values)
        )
    return looks


def _drawn_looks() -> list[ComicLook]:
    """Looks of lines, strokes, dots and washes."""
    looks = []
    for i, (name, changes) in enumerate(_COMICS.items(), 1):
        values = {"levels": 4, "saturation": 1.3, "lines": 0.95, "line_width": 1.1, "dots": 0.3}
        looks.append(_look("comic", name, i, **{**values, "ink": "241a20", **changes}))
    for i, (name, (back, saturation, light)) in enumerate(_PASTELS.items(), 1):
        values: dict[str, Any] = {"levels": 4, "contrast": 0.6, "lightness": light, "lines": 0.6}
        values |= {"eyes": 0.38} if name == "big-eyes" else {}
        looks.append(
            _look("pastel", name, i, saturation=saturation, backdrop=back, ink="6a4f5c", **values)
        )
    for i, (name, (ink, paper, pencil)) in enumerate(_PENCILS.items(), 1):
        values = {"ink": ink, "paper": paper, "backdrop": paper, "flatness": 1, "fade": 0.8}
        looks.append(_look("pencil", name, i, pencil=pencil, lines=0.9, hatch=0.5, **values))
    for i, (name, (ink, paper)) in enumerate(_INKS.items(), 1):
        values: dict[str, Any] = {"palette": (ink, paper), "ink": ink, "paper": paper}
        values |= {"hatch": 0.55, "levels": 3} if i % 2 == 0 else {}
        looks.append(
            _look("ink", name, i, contrast=1.6, lightness=0.2, lines=1.0, backdrop=paper, **values)
        )
    for i, (name, (palette, ink)) in enumerate(_NEONS.items(), 1):
        looks.append(_look("neon", name, i, palette=palette, ink=ink, lines=0.95, glow=0.6))
    for i, (name, (saturation, paper, light)) in enumerate(_WASHES.items(), 1):
        values = {"flatness": 3, "bleed": 1.0, "fade": 0.9, "contrast": 0.8, "lines": 0.3}
        looks.append(
            _look(
                "wash",
                name,
                i,
                saturation=saturation,
                paper=paper,
                lightness=light,
                levels=6,
                softness=0.35,
                ink="4a3f4a",
                **values,
            )
        )
    return looks


COMIC_LOOKS: tuple[ComicLook, ...] = (*_flat_looks(), *_drawn_looks())
