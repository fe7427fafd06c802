"""The report on a folder of portraits: a page that needs nothing else, and a few lines."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter

from PIL import Image

from dualstyle.training.own.check import ADVISED, Portrait, Report

THUMBNAIL = 96  # [px]
QUALITY = 70  # of the thumbnails, JPEG: about 3 kB each
SHOWN_NAME = 120  # characters

# Nothing is loaded or run: the page may show names that a stranger chose.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
 padding: 0 1rem }}
ul.portraits {{ list-style: none; padding: 0; display: grid; gap: 1rem;
 grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)) }}
ul.portraits li {{ overflow-wrap: anywhere; font-size: .85rem; line-height: 1.3 }}
img, .blank {{ display: block; width: 96px; height: 96px; border-radius: 6px; background: #8884 }}
.trouble {{ color: #b3261e }}
@media (prefers-color-scheme: dark) {{ .trouble {{ color: #f2b8b5 }} }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
{sections}
</body>
</html>
"""


def summary(report: Report) -> list[str]:
    """What was found, in a few lines."""
    used, left_out = report.used, report.left_out
    lines = [
        f"{len(used)} of {len(report.portraits)} files are used, {len(left_out)} are left out."
    ]
    if report.aligned:
        lines.append(
            "They were taken as crops of faces, as they are (--no-aligned looks for faces)."
        )
    kinds = Counter(_kind(portrait.trouble) for portrait in left_out)
    lines += [f"  {count} x {kind}" for kind, count in kinds.most_common()]
    noted = sum(bool(portrait.notes) for portrait in used)
    if noted:
        lines.append(f"{noted} of the used ones have notes, see the report.")
    if len(used) < ADVISED:
        lines.append(f"Fewer than {ADVISED} portraits teach little of a style; 100 are better.")
    return lines


def page(report: Report) -> str:
    """The report as an HTML page with small pictures in it; every word of it is escaped."""
    sections = []
    for heading, portraits in (
        ("Left out", report.left_out),
        ("Used, with notes", [p for p in report.used if p.notes]),
        ("Used", [p for p in report.used if not p.notes]),
    ):
        if portraits:
            items = "\n".join(_item(portrait) for portrait in portraits)
            sections.append(
                f'<h2>{heading} ({len(portraits)})</h2>\n<ul class="portraits">\n{items}\n</ul>'
            )
    title = html.escape(f"Portraits in {_shown(report.folder.name)}")
    lines = "<br>".join(html.escape(line.strip()) for line in summary(report))
    return _PAGE.format(title=title, summary=lines, sections="\n".join(sections))


def _item(portrait: Portrait) -> str:
    name = html.escape(_shown(portrait.name))
    picture = '<span class="blank"></span>'
    if portrait.crop is not None:
        picture = f'<img src="data:image/jpeg;base64,{_thumbnail(portrait.crop)}" alt="">'
    size = f" ({portrait.size[0]} x {portrait.size[1]} px)" if portrait.size[0] else ""
    words = "".join(f"<br>{html.escape(note)}" for note in portrait.notes)
    if portrait.trouble:
        words += f'<br><span class="trouble">{html.escape(portrait.trouble)}</span>'
    return f"<li>{picture}{name}{size}{words}</li>"


def _thumbnail(crop: Image.Image) -> str:
    buffer = io.BytesIO()
    crop.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS).save(
        buffer, "JPEG", quality=QUALITY
    )
    return base64.b64encode(buffer.getvalue()).decode()


def _shown(name: str) -> str:
    """A file's name without what no page can show, and not too long."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return (
        plain if len(plain) <= SHOWN_NAME else plain[: SHOWN_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def _kind(trouble: str) -> str:
    """A trouble without what differs from file to file."""
    return trouble.split(" (")[0].split(" as ")[0].split(";")[0]
