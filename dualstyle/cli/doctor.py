"""``doctor``: what is installed, which weights are here, and where the others would come from."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from dualstyle.cli.console import Console, megabytes, open_library
from dualstyle.config import VERSION
from dualstyle.errors import FaceError
from dualstyle.faces import IDENTITY_FILE, LANDMARK_FILE, DlibFaceFinder

PACKAGES = (
    "torch", "numpy", "pillow", "pillow-heif", "safetensors", "huggingface_hub", "gradio",
    "dlib-bin", "dlib", "face_recognition_models",
)  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Tell; nothing is fetched or loaded."""
    console = Console()
    library = open_library(args, console)
    console.say(f"dualstyle {VERSION}, Python {platform.python_version()}, {platform.platform()}")
    console.say(f"device: {_device()}, {torch.get_num_threads()} threads")
    installed = {name: found for name in PACKAGES if (found := _version(name))}
    console.say("packages: " + ", ".join(f"{name} {found}" for name, found in installed.items()))
    for file in (LANDMARK_FILE, IDENTITY_FILE):
        console.say(f"faces: {_face_file(file)}")
    seen: set[str] = set()
    for name in library.catalogue.names:
        console.say(f"{name}:")
        for file in library.state(name):
            if file.name in seen:  # the encoders are shared
                continue
            seen.add(file.name)
            state = "present" if file.present else "missing"
            size = megabytes(file.size)
            place = file.origin
            if place == "hub":
                place = f"hub: {library.repo or ', '.join(library.catalogue[name].repos)}"
            console.say(f"  {state}  {file.role:12} {size:>12}  {file.name}  ({place})")
    console.say(f"default domain: {library.default_domain()}")
    return 0


def _device() -> str:
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda ({torch.cuda.get_device_name()})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _face_file(name: str) -> str:
    try:
        return f"present  {DlibFaceFinder().model_path(name)}"
    except FaceError as error:
        return f"missing  {error}"
