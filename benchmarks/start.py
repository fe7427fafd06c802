"""Time the start of the app, and its page in a browser, on the bundled model.

    python benchmarks/start.py [--runs 3]

Printed are the seconds from the start of the process to the open port, and from opening the page
to the moment when it can be used: the thumbnails of the largest bundled domain are listed, those in
sight are loaded, and the page's main thread answers. The first run warms the caches and is not
counted. Without chromium only the start is timed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 120  # [s]
DOMAIN = "pocket-engraving"  # 450 styles
USABLE = """
() => {
    const all = [...document.querySelectorAll('#styles button img')];
    const seen = all.filter(img => img.getBoundingClientRect().top < innerHeight);
    return all.length > 400 && seen.every(img => img.complete && img.naturalWidth > 0);
}
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running_app(*arguments: str) -> Iterator[tuple[str, float]]:
    """Start the app; give its address and how long it took [s]."""
    port, started = free_port(), time.monotonic()
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), *arguments]
    with tempfile.TemporaryDirectory() as folder:
        places = {"GRADIO_TEMP_DIR": folder}
        app = subprocess.Popen(command, env=os.environ | places, stdout=subprocess.DEVNULL)
        try:
            while not listens(port):
                if app.poll() is not None or time.monotonic() - started > PATIENCE:
                    sys.exit("The app does not start; run python app.py and see why.")
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}/", time.monotonic() - started
        finally:
            app.terminate()
            app.wait()


def browser() -> str | None:
    """Path of a browser, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def page_seconds(address: str, program: str, runs: int) -> list[float]:
    """Seconds until the page can be used, each in a browser context of its own."""
    from playwright.sync_api import sync_playwright

    seconds = []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        for _ in range(runs + 1):
            context = opened.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            started = time.monotonic()
            page.goto(address, wait_until="commit")
            page.wait_for_function(USABLE)
            page.evaluate("() => new Promise(done => requestAnimationFrame(() => done()))")
            seconds.append(time.monotonic() - started)
            context.close()
        opened.close()
    return seconds[1:]


def main() -> int:
    """Print the two figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    starts = []
    for _ in range(runs + 1):
        with running_app("--domain", DOMAIN) as (_, seconds):
            starts.append(seconds)
    print(f"process start to open port  {spread(starts[1:])}")
    if (program := browser()) is None:
        print("page                        not timed: there is no chromium")
        return 0
    with running_app("--domain", DOMAIN) as (address, _):
        print(f"page usable, 450 thumbnails {spread(page_seconds(address, program, runs))}")
    return 0


def spread(seconds: list[float]) -> str:
    """Median, least and most."""
    return f"{median(seconds):5.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    sys.exit(main())
