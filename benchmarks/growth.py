"""Draw a folder of photos in one process and watch its time and memory grow.

Photos are portraits of nobody in frames of several sizes. The command is the one users type; after
every result its CPU seconds and resident memory are read (Linux only).

    python benchmarks/growth.py docs/growth.png [--photos 500]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image, ImageDraw  # noqa: E402  after the path

from dualstyle import Stylizer, library_at_home  # noqa: E402

DOMAIN = "pocket-cartoon"
PEOPLE = 10
SIZES = ((800, 600), (1200, 1600), (3000, 2000))  # [px]
WIDTH, HEIGHT, MARGIN = 640, 360, 56  # [px] of the plot
Point = tuple[float, float, float]  # photos, CPU seconds, MiB


def write_photos(folder: Path, count: int) -> None:
    """Some people in some sizes, again and again."""
    stylizer = Stylizer(library_at_home())
    people = [
        stylizer.reconstruct(stylizer.random_face(DOMAIN, seed), DOMAIN)[0]
        for seed in range(PEOPLE)
    ]
    different = PEOPLE * len(SIZES)
    for index in range(count):
        if index >= different:
            shutil.copyfile(folder / f"{index % different:04}.jpg", folder / f"{index:04}.jpg")
            continue
        size = SIZES[index % len(SIZES)]
        photo = Image.new("RGB", size, "grey")
        side = round(min(size) * 0.9)
        photo.paste(people[index % PEOPLE].resize((side, side)), (size[0] // 10, size[1] // 20))
        photo.save(folder / f"{index:04}.jpg", quality=90)


def run(folder: Path, out: Path) -> list[Point]:
    """Stylize the folder; one point per finished photo."""
    command = [sys.executable, "-m", "dualstyle", "stylize", str(folder), "--domain", DOMAIN]
    process = subprocess.Popen(
        [*command, "-o", str(out)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    points: list[Point] = []
    proc, ticks = Path(f"/proc/{process.pid}"), os.sysconf("SC_CLK_TCK")
    for _ in process.stdout:
        after_name = (proc / "stat").read_text().rpartition(")")[2].split()
        pages = int((proc / "statm").read_text().split()[1])
        seconds = (int(after_name[11]) + int(after_name[12])) / ticks
        points.append((len(points) + 1, seconds, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
    process.wait()
    return points


def plot(points: list[Point], path: Path) -> None:
    """Draw both curves over the number of photos, each on its own scale from 0."""
    sheet = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(sheet)
    left, top, right, bottom = MARGIN, MARGIN // 2, WIDTH - MARGIN, HEIGHT - MARGIN // 2
    draw.rectangle((left, top, right, bottom), outline="#999999")
    photos, seconds, memory = (max(column) for column in zip(*points, strict=True))
    for column, most, color in ((1, seconds, "#1f5fbf"), (2, memory * 1.25, "#bf5f1f")):
        line = [
            (
                left + point[0] / photos * (right - left),
                bottom - point[column] / most * (bottom - top),
            )
            for point in points
        ]
        draw.line(line, fill=color, width=2)
    draw.text((left, bottom + 6), "0", fill="black")
    draw.text((right - 70, bottom + 6), f"{photos:.0f} photos", fill="black")
    draw.text((6, top), f"{seconds:.0f} CPU s", fill="#1f5fbf")
    draw.text((right + 4, top + (bottom - top) * 0.2), f"{memory:.0f} MiB", fill="#bf5f1f")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def main() -> None:
    """Measure, print the growth of both halves, and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("plot", type=Path)
    parser.add_argument("--photos", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        folder.mkdir()
        write_photos(folder, arguments.photos)
        points = run(folder, Path(name) / "results")
    plot(points, arguments.plot)
    first, middle, last = points[0], points[len(points) // 2], points[-1]
    for name, one, two in (("first half", first, middle), ("second half", middle, last)):
        rate = (two[1] - one[1]) / (two[0] - one[0])
        print(f"{name}: {rate:.3f} CPU s a photo, {one[2]:.0f} to {two[2]:.0f} MiB")


if __name__ == "__main__":
    main()
