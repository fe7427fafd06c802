"""The user's cache of converted files: each is made once, and used while its source is the same.

    <cache>/base-HASH.safetensors                    a StyleGAN2, shared by all that have the same
    <cache>/hub/OWNER--NAME/...                      converted files of that repository
    <cache>/folders/HASH/...                         converted files of a folder on this machine

Inside a repository or a folder names are those of the converted layout, see `dualstyle.layouts`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dualstyle.checkpoints import base_path, read_header
from dualstyle.config import Space, WeightFile
from dualstyle.conversion import (
    convert_codes,
    convert_encoder,
    convert_generator,
    convert_sampler,
)
from dualstyle.errors import CheckpointError
from dualstyle.layouts import CONVERTED, ENCODERS, Role
from dualstyle.verification import Fetched, sha256_of

_KEY_DIGITS = 16  # of the hash that stands for a folder's path

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Converted:
    """A converted file, and the record of the official file that it was made from."""

    path: Path
    source: Mapping[str, Any]


@dataclass(frozen=True)
class Store:
    """The converted files under one folder."""

    root: Path

    def of_folder(self, domain: str, role: Role, name: str, file: Path) -> Converted:
        """Convert an official file of a folder, unless that is done and the file is the same.

        Args:
            domain: Folder name of the domain.
            role: What the file is.
            name: Its official name.
            file: Where it is.

        Raises:
            CheckpointError: It is not what it should be, or the cache cannot be written.
        """
        # One place per folder: that of the domain, or, for an encoder, the one above.
        key = hashlib.sha256(str(file.parent.resolve()).encode()).hexdigest()[:_KEY_DIGITS]
        out = self._place(f"folders/{key}", domain, role)
        try:
            stat = file.stat()
        except OSError as error:
            raise CheckpointError(f"{file} cannot be read ({error.strerror}).") from error
        facts = {"name": name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        known = self._known(out)
        if known is not None and facts.items() <= known.source.items():
            return known
        facts["sha256"] = sha256_of(file)
        if known is not None and facts["sha256"] == known.source.get("sha256"):
            return known  # touched or copied, but the same
        return self._convert(role, file, out, facts)

    def of_hub(self, domain: str, role: Role, file: WeightFile, fetched: Fetched) -> Converted:
        """Convert a file that was fetched, unless the same is converted; errors as `of_folder`."""
        out = self._place(_repo_folder(fetched.repo), domain, role)
        facts = {
            "name": file.name,
            "repo": fetched.repo,
            "revision": fetched.revision,
            "sha256": fetched.sha256,
            "size": fetched.size,
        }
        known = self._known(out)
        # The commit counts too: it is the one that a domain's other files are then taken from.
        if known is not None and known.source == facts:
            return known
        return self._convert(role, fetched.path, out, facts)

    def find_of_hub(
        self, domain: str, role: Role, file: WeightFile, repo: str, revision: str | None
    ) -> Converted | None:
        """Find what an earlier fetch converted, if it is what is pinned now."""
        known = self._known(self._place(_repo_folder(repo), domain, role))
        if known is None or (known.source.get("name"), known.source.get("repo")) != (
            file.name,
            repo,
        ):
            return None
        if file.sha256 is not None:
            return known if known.source.get("sha256") == file.sha256 else None
        return known if revision in (None, known.source.get("revision")) else None

    def base_of(self, extrinsic: Path) -> Path:
        """The StyleGAN2 that a converted generator was made for."""
        return base_path(self.root, read_header(extrinsic).base or "")

    def _place(self, source: str, domain: str, role: Role) -> Path:
        return self.root / source / CONVERTED[role].format(domain)

    def _known(self, out: Path) -> Converted | None:
        """A converted file that is whole; for a generator with its StyleGAN2."""
        try:
            header = read_header(out)
            source = header.source
            if header.network == "extrinsic":
                read_header(self.base_of(out))
        except CheckpointError:
            return None
        return Converted(out, source) if "sha256" in source else None

    def _convert(self, role: Role, file: Path, out: Path, facts: dict[str, Any]) -> Converted:
        _log.info("converting %s, once", file)
        if role == "generator":
            convert_generator(file, self.root, out, source=facts)
        elif role == "codes":
            convert_codes(file, out, source=facts)
        elif role == "sampler":
            convert_sampler(file, out, source=facts)
        else:
            space: Space = "z+" if role == ENCODERS["z+"] else "w+"
            convert_encoder(file, out, space, source=facts)
        return Converted(out, facts)


def default_cache() -> Path:
    """Folder for converted files: ``DUALSTYLE_CACHE``, else where the system keeps caches."""
    if named := os.environ.get("DUALSTYLE_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        caches = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        caches = "~/Library/Caches"
    else:
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "dualstyle"


def _repo_folder(repo: str) -> str:
    return f"hub/{repo.replace('/', '--')}"
