"""Where weights come from: a folder that the user names, the hub, or the bundled model.

Official files are converted once, into the user's cache, and used from there:

    <cache>/base-HASH.safetensors                    a StyleGAN2, shared by all that have the same
    <cache>/hub/OWNER--NAME/...                      converted files of that repository
    <cache>/folders/HASH/...                         converted files of a folder on this machine
        encoder.safetensors, encoder_wplus.safetensors
        DOMAIN/extrinsic.safetensors, codes.safetensors, sampler.safetensors

A converted file counts only as long as its own record names the official file it would be made
from now. What came from the hub is used without asking the hub again, so that a picture does not
change because somebody uploads something; `Library.fetch` looks for something newer.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from dualstyle import hub
from dualstyle.catalogue import POCKET, Catalogue, Domain, load_catalogue, pin
from dualstyle.checkpoints import base_path, read_header
from dualstyle.config import Space, WeightFile
from dualstyle.conversion import (
    convert_codes,
    convert_encoder,
    convert_generator,
    convert_sampler,
)
from dualstyle.errors import CatalogueError, CheckpointError, HubError

Origin = Literal["folder", "hub", "bundled"]
Role = Literal["generator", "codes", "sampler", "encoder z+", "encoder w+"]

OFFICIAL_SPACE: Space = "z+"  # of the encoder that the authors advise for stylizing
FIRST_CHOICE = "cartoon"  # of the published domains, when several are there
FALLBACK = "pocket-cartoon"
REVISION_DIGITS = 12  # of a content hash, where there is no commit

_ENCODERS: Mapping[Space, Role] = {"z+": "encoder z+", "w+": "encoder w+"}
_OUT: Mapping[Role, str] = {  # names in the converted layout
    "generator": "{}/extrinsic.safetensors",
    "codes": "{}/codes.safetensors",
    "sampler": "{}/sampler.safetensors",
    "encoder z+": "encoder.safetensors",
    "encoder w+": "encoder_wplus.safetensors",
}
_BASE, _FACES = "base.safetensors", "intrinsic_sampler.safetensors"
_CODES = ("refined_exstyle_code.npy", "exstyle_code.npy")  # the better one first, as published
_REPO = re.compile(r"[\w.-]+/[\w.-]+")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DomainFiles:
    """The files to draw one domain with, all of them on this machine and in our format."""

    domain: Domain
    origin: Origin
    revision: str  # commit, content hash, or "bundled"
    base: Path  # the StyleGAN2; domains that share it have the same path
    extrinsic: Path
    codes: Path
    sampler: Path | None = None  # draws extrinsic codes
    encoders: Mapping[Space, Path] = field(default_factory=dict)  # those that are ready
    intrinsic_sampler: Path | None = None  # draws intrinsic codes, for bundled models


@dataclass(frozen=True, kw_only=True)
class FileState:
    """One file of a domain, and whether it is on this machine."""

    role: str
    name: str  # in the source
    present: bool
    size: int | None  # [bytes] as it lies here; otherwise as pinned
    origin: Origin


class Library:
    """Finds the weights of the domains of a catalogue.

    Args:
        catalogue: The domains.
        source: A folder in the official or the converted layout, or a repository "owner/name" to
            be asked instead of the published ones.
        cache: Folder for converted files; None: ``DUALSTYLE_CACHE``, else the user's own.
        bundled: Folder that holds the bundled models; None: beside the domain files.
        offline: Never use the network.
        progress: Called with (bytes there, bytes in all or None, name) while downloading.

    Raises:
        CatalogueError: `source` is neither a folder nor the name of a repository.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        source: str | None = None,
        cache: Path | None = None,
        bundled: Path | None = None,
        offline: bool = False,
        progress: hub.Progress | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.cache = default_cache() if cache is None else cache
        self.bundled = catalogue.root if bundled is None else bundled
        self.offline = offline
        self.progress = progress
        self.folder: Path | None = None
        self.repo: str | None = None
        if source is not None and (folder := Path(source).expanduser()).is_dir():
            self.folder = folder
        elif source is not None and _REPO.fullmatch(source):
            self.repo = source
        elif source is not None:
            raise CatalogueError(
                f"The source {source!r} is neither a folder that exists nor a repository "
                "(owner/name); check the spelling."
            )
        self._ready: dict[str, DomainFiles] = {}
        self._locks: dict[str, threading.RLock] = {}

    # ---- using ----

    def files(
        self, domain: str, *, encoder: Space | Literal["default"] | None = "default"
    ) -> DomainFiles:
        """Give the files of a domain, fetching and converting what is not there yet.

        Args:
            domain: Its name.
            encoder: Which encoder must be among them; None: none is needed.

        Raises:
            CatalogueError: There is no such domain, or it has no such encoder.
            HubError: A file is not here and cannot be fetched.
            CheckpointError: A file is not what it should be, or a folder lacks one.
        """
        space = self.default_space(domain) if encoder == "default" else encoder
        known = self._ready.get(domain)
        if known is not None and (space is None or space in known.encoders):
            return known
        # A lock for each domain: others can be drawn while one is being downloaded.
        with self._locks.setdefault(domain, threading.RLock()):
            files = self._own(domain)
            if space is not None and space not in files.encoders:
                path = self._encoder(files.domain, space)
                files = replace(files, encoders=MappingProxyType({**files.encoders, space: path}))
            self._ready[domain] = files
            return files

    def encoder_path(self, domain: str, space: Space) -> Path:
        """Give the encoder that writes codes of that space; errors as `files`."""
        return self.files(domain, encoder=space).encoders[space]

    def default_space(self, domain: str) -> Space:
        """Space of the codes that a domain's usual encoder writes; errors as `files`."""
        if self.catalogue[domain].files is not None:
            return OFFICIAL_SPACE
        encoders = self._own(domain).encoders
        if not encoders:
            raise CheckpointError(
                f"The files of {domain} are not complete: encoder.safetensors is missing in "
                f"{self._bundled_root(self.catalogue[domain])}; get the program again."
            )
        return next(iter(encoders))

    # ---- looking, never with the network ----

    def state(self, domain: str) -> list[FileState]:
        """Say of every file of a domain whether it is on this machine; nothing is fetched."""
        chosen = self.catalogue[domain]
        root, origin = self._converted_root(chosen)
        if root is not None:
            return [
                _state(role, name, root / name, origin)
                for role, name in _converted_names(root, chosen).items()
            ]
        return [self._official_state(chosen, role, file) for role, file in _roles(chosen).items()]

    def available(self) -> list[str]:
        """Names of the domains that can be drawn, from photos, without the network."""
        return [name for name in self.catalogue if self._complete(name)]

    def default_domain(self) -> str:
        """The best domain that is here: a published one whose files are there, else a bundled."""
        here = [name for name in self.available() if not name.startswith(POCKET)]
        if here:
            return FIRST_CHOICE if FIRST_CHOICE in here else here[0]
        return self._always_there(FALLBACK)

    # ---- fetching ----

    def fetch(self, domain: str, *, pin: bool = False) -> list[hub.Fetched]:
        """Download every file of a domain, of one commit, and convert it.

        A sampling network that the repository does not have is passed over. Bundled domains have
        nothing to download.

        Args:
            domain: Its name.
            pin: Take the newest commit, and write it and the hashes into the domain's file.

        Raises:
            HubError: A file cannot be had.
            CatalogueError: The domain's file cannot be changed.
        """
        chosen = self.catalogue[domain]
        if chosen.files is None:
            return []
        wanted = self._on_hub(_unpinned(chosen) if pin else chosen)
        got: dict[Role, tuple[WeightFile, hub.Fetched]] = {}
        repos, revision = wanted.repos, wanted.revision
        for role, file in _roles(wanted).items():
            try:
                fetched = self._fetch(file, repos, revision, self.offline)
            except HubError as error:
                if role != "sampler":
                    raise self._cannot_be_had(chosen, error) from error
                _log.warning("%s: no sampling network (%s)", domain, error)
                continue
            self._convert_fetched(chosen, role, fetched, file)
            got[role] = file, fetched
            repos, revision = (fetched.repo,), fetched.revision  # the rest fits this one
        if pin:
            self._pin(chosen, got)
        self._ready.clear()
        return [fetched for _, fetched in got.values()]

    def _pin(
        self, domain: Domain, got: Mapping[Role, tuple[WeightFile, hub.Fetched]]
    ) -> None:
        files = [replace(f, sha256=done.sha256, size=done.size) for f, done in got.values()]
        pin(self.catalogue.root / f"{domain.name}.toml", got["generator"][1].revision, files)
        self.catalogue = load_catalogue(self.catalogue.root)

    # ---- the three sources ----

    def _own(self, domain: str) -> DomainFiles:
        """The files of a domain, with the encoders that need no work."""
        if domain in self._ready:
            return self._ready[domain]
        chosen = self.catalogue[domain]
        root, origin = self._converted_root(chosen)
        if root is not None:
            return self._from_converted(chosen, root, origin)
        return self._from_folder(chosen) or self._from_hub(chosen)

    def _converted_root(self, domain: Domain) -> tuple[Path | None, Origin]:
        """The folder where a domain lies in the converted layout: the user's, else the bundled."""
        published = domain.files is not None
        for root in () if self.folder is None else (self.folder, self.folder / "models"):
            extrinsic = root / _OUT["generator"].format(domain.folder)
            # "cartoon" and "pocket-cartoon" have the same folder name; what tells them apart is
            # that a published one was made from an official file.
            if extrinsic.is_file() and bool(read_header(extrinsic).source) == published:
                return root, "folder"
        return (None if published else self._bundled_root(domain)), "bundled"

    def _bundled_root(self, domain: Domain) -> Path:
        return self.bundled / (domain.bundled or "")

    def _from_converted(self, domain: Domain, root: Path, origin: Origin) -> DomainFiles:
        paths = {role: root / name for role, name in _converted_names(root, domain).items()}
        missing = [
            str(paths[role].relative_to(root))
            for role in ("generator", "base", "codes")
            if not paths[role].is_file()
        ]
        if missing:
            raise CheckpointError(
                f"The files of {domain.name} are not complete: {', '.join(missing)} missing in "
                f"{root}; {'get the program' if origin == 'bundled' else 'copy them there'} again."
            )
        extrinsic, base = read_header(paths["generator"]), read_header(paths["base"])
        if extrinsic.base not in (None, base.base):
            raise CheckpointError(
                f"{extrinsic.path} was made for another StyleGAN2 than {base.path}; "
                "copy files together that belong together."
            )
        encoders = [paths[role] for role in _ENCODERS.values() if paths[role].is_file()]
        by_space = {space: path for path in encoders if (space := read_header(path).space)}
        revision = "bundled" if origin == "bundled" else _content_revision(extrinsic.path)
        return DomainFiles(
            domain=domain,
            origin=origin,
            revision=revision,
            base=base.path,
            extrinsic=extrinsic.path,
            codes=paths["codes"],
            sampler=_if_file(paths["sampler"]),
            encoders=MappingProxyType(by_space),
            intrinsic_sampler=_if_file(paths["face sampler"]),
        )

    def _from_folder(self, domain: Domain) -> DomainFiles | None:
        """Convert a domain from the user's folder; None if nothing of it is there."""
        here = self._in_folder(domain)
        if "generator" not in here and "codes" not in here:
            return None
        if "generator" not in here or "codes" not in here:
            raise CheckpointError(
                f"{self.folder} holds only a part of {domain.name}. Missing: "
                f"{', '.join(self._missing(domain))}. Copy them there."
            )
        out = {
            role: self._convert_local(domain, role, *here[role])
            for role in ("generator", "codes", "sampler")
            if role in here
        }
        return DomainFiles(
            domain=domain,
            origin="folder",
            revision=_content_revision(out["generator"]),
            base=self._base_of(out["generator"]),
            extrinsic=out["generator"],
            codes=out["codes"],
            sampler=out.get("sampler"),
        )

    def _from_hub(self, domain: Domain) -> DomainFiles:
        """Take a domain from what was converted of the hub, or from the hub itself."""
        wanted = self._on_hub(domain)
        roles = _roles(wanted)
        try:
            extrinsic, record, fresh = self._hub_file(wanted, "generator", roles["generator"])
            fitting = replace(wanted, repos=(record["repo"],), revision=record["revision"])
            codes, *_ = self._hub_file(fitting, "codes", roles["codes"])
        except HubError as error:
            raise self._cannot_be_had(domain, error) from error
        sampler = None
        if "sampler" in roles:
            try:
                # A hub may lack it, and is asked only when it is asked for the generator anyway.
                sampler, *_ = self._hub_file(
                    fitting, "sampler", roles["sampler"], offline=not fresh
                )
            except HubError as error:
                _log.info("%s: no sampling network (%s)", domain.name, error)
        return DomainFiles(
            domain=domain,
            origin="hub",
            revision=record["revision"],
            base=self._base_of(extrinsic),
            extrinsic=extrinsic,
            codes=codes,
            sampler=sampler,
        )

    def _encoder(self, domain: Domain, space: Space) -> Path:
        """Find a published encoder: in the user's folder, else on the hub."""
        role = _ENCODERS[space]
        if domain.files is None:
            known = " or ".join(self._own(domain.name).encoders)
            raise CatalogueError(f"{domain.name} has no {space} encoder; use {known}.")
        here = self._in_folder(domain)
        if role in here:
            return self._convert_local(domain, role, *here[role])
        wanted = self._on_hub(domain)
        try:
            return self._hub_file(wanted, role, _roles(wanted)[role])[0]
        except HubError as error:
            raise self._cannot_be_had(domain, error) from error

    # ---- single files ----

    def _in_folder(self, domain: Domain) -> dict[Role, tuple[WeightFile, Path]]:
        """The official files of a domain that are in the user's folder."""
        found: dict[Role, tuple[WeightFile, Path]] = {}
        for role, file in () if self.folder is None else _roles(domain).items():
            for choice in _choices(role, file):
                path = hub.find_in_folder(self.folder, choice)
                if path is not None:
                    found.setdefault(role, (choice, path))
        return found

    def _missing(self, domain: Domain) -> list[str]:
        """Official names of what the user's folder lacks to draw a domain."""
        needed: tuple[Role, ...] = ("generator", "codes", _ENCODERS[OFFICIAL_SPACE])
        here, roles = self._in_folder(domain), _roles(domain)
        return [roles[role].name for role in needed if role not in here]
