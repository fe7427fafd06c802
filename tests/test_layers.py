"""Imports point downwards, heavy libraries have one home each, and importing does nothing."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "dualstyle"
# A module that is missing here fails with a KeyError: whoever adds one says where it stands.
LAYER = {
    "errors": 0, "config": 0, "memory": 0, "kernels": 0, "native": 0.5,
    "ops": 1, "images": 1, "precision": 1, "verification": 1,
    "models": 2, "faces": 2, "hub": 2, "catalogue": 2, "official_names": 2,
    "pickles": 2, "recognition": 2, "codes": 2,
    "pins": 2.5,  # written into the files that catalogue reads
    "checkpoints": 3, "structure": 3, "drawing": 3,
    "layouts": 3.5, "conversion": 3.5,  # official files to those of checkpoints
    "store": 3.7,  # the cache of what conversion makes
    "own_domains": 3.7,  # that the user has trained
    "sources": 4,
    "weights": 4.5,  # loaded and kept, out of a library
    "stylizer": 5, "animegan": 5, "training": 5,
    "__init__": 5.5,  # the public names: above what they come from, below what shows them
    "ui": 6, "cli": 6, "scale": 6,
    "__main__": 7,
}  # fmt: skip
HOME = {  # library: the only parts that may import it; the app file is the part "app"
    "gradio": {"ui", "app"},
    "dlib": {"faces"},
    "huggingface_hub": {"hub"},
    "ray": {"scale"},
    "PIL": {*LAYER, "app"}
    - {"errors", "config", "memory", "kernels", "native", "precision", "ops", "models"},
}
FILES = sorted(PACKAGE.rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))


def part_of(path: Path) -> str:
    """First name below the package: a module, or a folder of modules."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path: Path) -> set[str]:
    """Dotted names of all absolute imports of a file, those inside functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0
        for alias in node.names
    }
    return names | {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}


def imported_parts(path: Path) -> set[str]:
    """Parts of the package that a file imports; "__init__" for the package itself."""
    modules = {p.stem for p in PACKAGE.glob("*.py")} | {p.name for p in PACKAGE.iterdir()}
    seconds = {
        name.split(".")[1] if "." in name else "__init__"
        for name in imported_names(path)
        if name.split(".")[0] == PACKAGE.name
    }
    return {second if second in modules else "__init__" for second in seconds}


@every_file
def test_imports_point_downwards(path):
    own = part_of(path)
    bad = {other for other in imported_parts(path) - {own} if LAYER[other] >= LAYER[own]}
    assert not bad, f"{own} (layer {LAYER[own]}) must not import {sorted(bad)}"


@every_file
def test_imports_within_the_package_are_absolute(path):
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    relative = [n.lineno for n in nodes if isinstance(n, ast.ImportFrom) and n.level]
    assert not relative, f"{path.name}: relative imports in lines {relative} escape the layer test"


@pytest.mark.parametrize("library", sorted(HOME))
def test_a_library_is_imported_only_in_its_home(library):
    app = ROOT / "app.py"
    files = [(part_of(path), path) for path in FILES]
    files += [("app", app)] if app.exists() else []
    strangers = [
        str(path.relative_to(ROOT))
        for part, path in files
        if part not in HOME[library] and library in {n.split(".")[0] for n in imported_names(path)}
    ]
    assert not strangers, f"{library} belongs to {sorted(HOME[library])}, not to {strangers}"


IMPORT_ALL = """
import importlib, json, logging, sys, threading
import torch

def state():
    return {
        "torch threads": torch.get_num_threads(),
        "python threads": threading.active_count(),
        "root log handlers": len(logging.getLogger().handlers),
        "default dtype": str(torch.get_default_dtype()),
        "gradients on": torch.is_grad_enabled(),
        "torch chance": torch.get_rng_state().sum().item(),
        "cuda started": torch.cuda.is_initialized(),
    }

plain, ui = json.loads(sys.argv[1])
before = state()
for name in plain:
    importlib.import_module(name)
report = {"before": before, "after": state(), "loaded": sorted({"gradio", "dlib"} & {*sys.modules})}
for name in ui:
    importlib.import_module(name)
report["dlib after ui"] = "dlib" in sys.modules
print(json.dumps(report))
"""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_importing_every_module_does_nothing(tmp_path):
    """One fresh interpreter with an empty home imports the whole package, the ui last."""
    names = [module_name(path) for path in FILES if path.name != "__main__.py"]
    ui = [name for name in names if name.startswith("dualstyle.ui")]
    plain = [name for name in names if name not in ui]
    places = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    environment = os.environ | places | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"OMP_NUM_THREADS": "3"}  # a number that no module would set, so a change shows
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, json.dumps([plain, ui])],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)  # a module that prints breaks this line
    assert report["after"] == report["before"]
    assert report["loaded"] == [], "heavy libraries are imported where they are first needed"
    assert not report["dlib after ui"]
    assert list(tmp_path.iterdir()) == [], "importing wrote files"
