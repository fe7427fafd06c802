"""Domains that the user has trained: each is a folder in a place of the user's.

    <domains>/<name>/domain.toml                    title, licence, defaults; as ``styles/*.toml``
    <domains>/<name>/extrinsic.safetensors ...      all its weights, in the converted layout
    <domains>/<name>/thumbnails/026.webp            pictures of its styles
    <domains>/<name>/training/                      what ``train`` keeps to go on from

A folder without ``domain.toml`` is not finished and is passed over.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection
from pathlib import Path

from dualstyle.catalogue import Catalogue, Domain, load_own_domain
from dualstyle.checkpoints import read_header
from dualstyle.errors import CatalogueError, DualStyleError
from dualstyle.layouts import ENCODERS, converted_in

DOMAIN_FILE = "domain.toml"

_log = logging.getLogger(__name__)


def default_domains() -> Path:
    """The folder of own domains: ``DUALSTYLE_DOMAINS``, else where the system keeps user data."""
    if named := os.environ.get("DUALSTYLE_DOMAINS"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        data = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        data = "~/Library/Application Support"
    else:
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "dualstyle" / "domains"


def with_own_domains(catalogue: Catalogue, folder: Path) -> Catalogue:
    """Add the user's domains to a catalogue.

    One that is broken, or named as a domain of the catalogue, is passed over with a warning: it
    must not keep the others from being used.
    """
    found: dict[str, Domain] = {}
    for path in _domain_files(folder):
        try:
            found[path.parent.name] = open_own_domain(path, taken=catalogue.names)
        except DualStyleError as error:
            _log.warning("The domain in %s is left out: %s", path.parent, error)
    return catalogue.joined(found)


def open_own_domain(path: Path, *, taken: Collection[str] = ()) -> Domain:
    """Read the file of an own domain, and see that its weights are there and fit together.

    Args:
        path: Its ``domain.toml``.
        taken: Names of domains that must not be hidden by it.

    Raises:
        CatalogueError: The file is malformed, the name is taken, or weights are missing.
        CheckpointError: A file of weights is damaged.
    """
    domain = load_own_domain(path)
    if domain.name in taken:
        raise CatalogueError(f"The name {domain.name!r} is taken; rename the folder.")
    files = converted_in(path.parent, domain)
    headers = {role: read_header(file) for role, file in files.items() if file.is_file()}
    needed = ("generator", "codes", "base")
    missing = [files[role].name for role in needed if role not in headers]
    if not any(role in headers for role in ENCODERS.values()):
        missing.append(files["encoder z+"].name)
    if missing:
        raise CatalogueError(f"{', '.join(missing)} missing; train it again.")
    if headers["generator"].base != headers["base"].base:
        raise CatalogueError("its files belong to different models; train it again.")
    return domain


def _domain_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(f"*/{DOMAIN_FILE}") if path.is_file())
    except OSError as error:  # somebody else's folder, or no folder at all
        _log.warning("The folder of own domains %s cannot be read (%s).", folder, error.strerror)
        return []
