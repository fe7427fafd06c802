"""Take the README's pictures of the page, on the bundled model and a portrait that may be shown.

    python benchmarks/screenshots.py [docs]

It starts the app, uploads the example portrait, and writes app.png, app-dark.png, app-phone.png and
app-korean.png. Chromium is needed, and a Korean font for the last one.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from start import FLAGS, PATIENCE, ROOT, browser, running_app

ASTRONAUT = ROOT / "dualstyle/ui/examples/astronaut.jpg"
DESKTOP = {"viewport": {"width": 1360, "height": 940}, "locale": "en-US"}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "locale": "en-US",
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
SHOTS: tuple[tuple[str, dict[str, Any], str, int], ...] = (  # file, context, domain, style
    ("app", DESKTOP, "pocket-cartoon", 77),
    ("app-dark", DESKTOP | {"color_scheme": "dark"}, "pocket-engraving", 54),
    ("app-phone", PHONE, "pocket-oil", 22),
    ("app-korean", DESKTOP | {"locale": "ko-KR"}, "pocket-toonhead", 27),
)
LOADED = """
() => [...document.images].every(
    image => image.getBoundingClientRect().top > innerHeight || image.complete
)
"""
COLORS = 256  # of the files' palettes, which keep them small


def show(page: Page, domain: str, style: int) -> None:
    """Draw the portrait in one style, and in two others before it."""
    thumbnails = page.locator("#styles button")
    expect(thumbnails.first).to_be_visible()
    page.locator("#photo input[type=file]").first.set_input_files(ASTRONAUT)
    for number in (style + 2, style + 1, style):
        name = re.compile(rf"/{domain}_0*{number}_s\d+_c\d+\.png$")
        thumbnails.nth(number).click()
        expect(page.locator("#result img")).to_have_attribute("src", name)
    page.locator("#styles .grid-wrap").first.evaluate("one => one.scrollTo(0, 0)")
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)  # a thumbnail under it would look as if it were chosen
    page.wait_for_function(LOADED)


def main() -> int:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs")
    folder = parser.parse_args().folder
    program = browser()
    if program is None:
        sys.exit("There is no chromium; install it.")
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        for name, options, domain, style in SHOTS:
            # Another start for each, because a domain's thumbnails are those of the first one.
            with running_app("--domain", domain) as (address, _):
                context = opened.new_context(**options)
                page = context.new_page()
                page.set_default_timeout(PATIENCE * 1000)
                page.goto(address)
                show(page, domain, style)
                path = folder / f"{name}.png"
                page.screenshot(path=path)
                context.close()
            with Image.open(path) as shot:
                small = shot.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
            small.save(path, optimize=True)
            print(f"{path} {path.stat().st_size // 1024} kB")
        opened.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
