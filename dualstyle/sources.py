"""Where weights come from: a folder that the user names, the hub, the bundled model, own domains.

Official files are converted once, see `dualstyle.store`. What came from the hub is used without
asking the hub again, so that a picture does not change because somebody uploads something;
`Library.fetch` looks for something newer.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from dualstyle import hub
from dualstyle.catalogue import POCKET, Catalogue, Domain, load_catalogue
from dualstyle.checkpoints import read_header
from dualstyle.config import Space, WeightFile
from dualstyle.errors import CatalogueError, CheckpointError, HubError
from dualstyle.layouts import (
    CONVERTED,
    ENCODERS,
    FileState,
    Origin,
    Role,
    converted_in,
    converted_state,
    official_files,
    official_in,
    unpinned,
)
from dualstyle.own_domains import default_domains, with_own_domains
from dualstyle.pins import write_pins
from dualstyle.store import Converted, Store, default_cache
from dualstyle.verification import Fetched, sha256_of

OFFICIAL_SPACE: Space = "z+"  # of the encoder that the authors advise for stylizing
FIRST_CHOICE = "cartoon"  # of the published domains, when several are there
FALLBACK = "pocket-cartoon"
REVISION_DIGITS = 12  # of a content hash, where there is no commit

_NEEDED: tuple[Role, ...] = ("generator", "codes", ENCODERS[OFFICIAL_SPACE])
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
        self.bundled = catalogue.root if bundled is None else bundled
        self.offline = offline
        self.progress = progress
        self.folder: Path | None = None
        self.repo: str | None = None
        if source and (folder := Path(source).expanduser()).is_dir():
            self.folder = folder
        elif source is not None and _REPO.fullmatch(source):
            self.repo = source
        elif source is not None:
            raise CatalogueError(
                f"The source {source!r} is neither a folder that exists nor a repository "
                "(owner/name); check the spelling."
            )
        self._store = Store(default_cache() if cache is None else cache)
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
        if known is None or (space is not None and space not in known.encoders):
            # A lock for each domain: others can be drawn while one is being downloaded.
            with self._locks.setdefault(domain, threading.RLock()):
                known = self._ready.get(domain) or self._own(domain)
                if space is not None and space not in known.encoders:
                    found = {**known.encoders, space: self._encoder(known, space)}
                    known = replace(known, encoders=MappingProxyType(found))
                self._ready[domain] = known
        return known

    def encoder_path(self, domain: str, space: Space) -> Path:
        """Give the encoder that writes codes of that space; errors as `files`."""
        return self.files(domain, encoder=space).encoders[space]

    def default_space(self, domain: str) -> Space:
        """Space of the codes that a domain's usual encoder writes; errors as `files`."""
        if self.catalogue[domain].files is not None:
            return OFFICIAL_SPACE
        return next(iter(self.files(domain, encoder=None).encoders))

    # ---- looking, never with the network ----

    def spaces(self, domain: str) -> list[Space]:
        """Spaces in which photos can be encoded for a domain with what is on this machine."""
        if self.catalogue[domain].files is None:
            return list(self.files(domain, encoder=None).encoders)
        here = {state.role for state in self.state(domain) if state.present}
        return [space for space, role in ENCODERS.items() if role in here]

    def state(self, domain: str) -> list[FileState]:
        """Say of every file of a domain whether it is on this machine; nothing is fetched."""
        chosen = self.catalogue[domain]
        root, origin = self._converted_root(chosen)
        if root is None:
            return [self._find(chosen, role, file) for role, file in official_files(chosen).items()]
        return converted_state(root, chosen, origin)

    def available(self) -> list[str]:
        """Names of the domains that can be drawn, from photos, without the network."""
        return [name for name in self.catalogue if self._is_complete(name)]

    def default_domain(self) -> str:
        """The best domain that is here: a published one whose files are there, else a bundled."""
        here = [name for name in self.available() if self.catalogue[name].files is not None]
        if here:
            return FIRST_CHOICE if FIRST_CHOICE in here else here[0]
        return self._fallback(FIRST_CHOICE)

    def _is_complete(self, domain: str) -> bool:
        chosen = self.catalogue[domain]
        try:
            root, origin = self._converted_root(chosen)
            if root is not None:
                return bool(_from_converted(chosen, root, origin).encoders)
            found = {state.role: state for state in self.state(domain)}
        except CheckpointError:
            return False
        # A generator in the folder and codes on the hub need not belong together.
        same = found["generator"].origin == found["codes"].origin
        return same and all(found[role].present for role in _NEEDED)

    def _find(self, domain: Domain, role: Role, file: WeightFile) -> FileState:
        """Look for an official file: in the folder, converted, or as downloaded."""
        origin, path = "folder", official_in(self.folder, domain).get(role, (file, None))[1]
        if path is None:
            origin, path = "hub", self._downloaded(domain, role, file)
        size, present = (file.size, False) if path is None else (path.stat().st_size, True)
        return FileState(role=role, name=file.name, present=present, size=size, origin=origin)

    def _downloaded(self, domain: Domain, role: Role, file: WeightFile) -> Path | None:
        wanted = self._on_hub(domain)
        if (known := self._converted(wanted, role)) is not None:
            return known.path
        for repo in wanted.repos:
            # Only its presence counts here; bytes are checked when they are used.
            if (path := hub.find_in_cache(file, repo, revision=wanted.revision)) is not None:
                return path
        return None

    # ---- fetching ----

    def fetch(self, domain: str, *, pin: bool = False) -> list[Fetched]:
        """Download every file of a domain, of one commit, and convert it.

        A sampling network that the repository does not have is passed over. Bundled domains have
        nothing to download.

        Args:
            domain: Its name.
            pin: Take the newest commit, and write it and the hashes into the domain's file.

        Raises:
            HubError: A file cannot be had.
            CheckpointError: A file is not what it should be.
            CatalogueError: The domain's file cannot be changed.
        """
        chosen = self.catalogue[domain]
        wanted = self._on_hub(unpinned(chosen) if pin else chosen)
        got: dict[WeightFile, Fetched] = {}
        for role, file in official_files(wanted).items():
            try:
                fetched = self._fetch(wanted, file, offline=self.offline)
            except HubError as error:
                if role != "sampler":
                    raise self._cannot_be_had(chosen, role, error) from error
                _log.warning("%s has no sampling network (%s)", domain, error)
                continue
            self._store.of_hub(wanted.folder, role, file, fetched)
            got[file] = fetched
            wanted = replace(wanted, repos=(fetched.repo,), revision=fetched.revision)
        if pin and wanted.revision is not None and got:
            pinned = [replace(f, sha256=done.sha256, size=done.size) for f, done in got.items()]
            write_pins(self.catalogue.root / f"{domain}.toml", wanted.revision, pinned)
            own = {
                name: self.catalogue[name] for name in self.catalogue if self.catalogue[name].own
            }
            self.catalogue = load_catalogue(self.catalogue.root).joined(own)
        self._ready.clear()
        return list(got.values())

    def _fetch(self, domain: Domain, file: WeightFile, *, offline: bool) -> Fetched:
        return hub.fetch(
            file,
            domain.repos,
            revision=domain.revision,
            offline=offline,
            progress=self.progress,
        )

    def _on_hub(self, domain: Domain) -> Domain:
        """The domain with the repository that the user named; pins are those of the published."""
        return domain if self.repo is None else replace(unpinned(domain), repos=(self.repo,))

    def _fallback(self, domain: str) -> str:
        """The bundled domain to offer instead of a published one."""
        bundled = [name for name in self.catalogue if name.startswith(POCKET)]
        wishes = (f"{POCKET}{domain}", FALLBACK, *bundled, *self.catalogue)
        return next(name for name in wishes if name in self.catalogue.names)

    def _lacking(self, domain: Domain, *roles: Role) -> str:
        """Official names of what the user's folder does not hold."""
        files, here = official_files(domain), official_in(self.folder, domain)
        return ", ".join(
            files[role].name for role in dict.fromkeys(_NEEDED + roles) if role not in here
        )

    def _cannot_be_had(self, domain: Domain, role: Role, error: HubError) -> HubError:
        folder = ""
        if self.folder is not None:
            folder = f" The folder {self.folder} does not hold {self._lacking(domain, role)}."
        return HubError(
            f"The domain {domain.name!r} cannot be had.{folder} {error} "
            f"Bundled and always there: {self._fallback(domain.name)}."
        )

    # ---- the three sources ----

    def _own(self, domain: str) -> DomainFiles:
        """The files of a domain, and those encoders that lie beside them."""
        chosen = self.catalogue[domain]
        root, origin = self._converted_root(chosen)
        if root is not None:
            return _from_converted(chosen, root, origin)
        return self._from_folder(chosen) or self._from_hub(chosen)

    def _converted_root(self, domain: Domain) -> tuple[Path | None, Origin]:
        """The folder where a domain lies in the converted layout: the user's, else the bundled."""
        if domain.own is not None:
            return domain.own, "own"
        published = domain.files is not None
        for root in () if self.folder is None else (self.folder, self.folder / "models"):
            extrinsic = root / CONVERTED["generator"].format(domain.folder)
            # "cartoon" and "pocket-cartoon" have the same folder name; what tells them apart is
            # that a published one was made from an official file.
            if extrinsic.is_file() and bool(read_header(extrinsic).source) == published:
                return root, "folder"
        return (None if published else self.bundled / (domain.bundled or "")), "bundled"

    def _from_folder(self, domain: Domain) -> DomainFiles | None:
        """Convert a domain of the user's folder; None if nothing of its own is there."""
        here = official_in(self.folder, domain)
        if not {"generator", "codes"} & here.keys():
            return None
        if not {"generator", "codes"} <= here.keys():
            raise CheckpointError(
                f"The folder {self.folder} holds only a part of {domain.name}. "
                f"Missing: {self._lacking(domain)}. Copy them there."
            )
        made: dict[Role, Converted] = {}
        for role in here.keys() - ENCODERS.values():
            made[role] = self._local(domain, role)
        return self._domain_files(domain, "folder", made)

    def _from_hub(self, domain: Domain) -> DomainFiles:
        """Take a domain from what was converted of the hub, or from the hub itself."""
        wanted, made, fresh = self._on_hub(domain), dict[Role, Converted](), False
        for role in official_files(domain):
            if role in ENCODERS.values():
                continue
            try:
                # A hub may lack N; it is asked for it only when it is asked for the rest anyway.
                quiet = role == "sampler" and not fresh
                made[role], new = self._remote(wanted, role, offline=quiet)
            except HubError as error:
                if role != "sampler":
                    raise self._cannot_be_had(domain, role, error) from error
                _log.info("%s has no sampling network (%s)", domain.name, error)
            else:
                fresh = fresh or new
                record = made[role].source  # the rest must fit this one
                wanted = replace(wanted, repos=(record["repo"],), revision=record["revision"])
        return self._domain_files(domain, "hub", made)

    def _domain_files(
        self, domain: Domain, origin: Origin, made: Mapping[Role, Converted]
    ) -> DomainFiles:
        generator = made["generator"]
        content = str(generator.source["sha256"])[:REVISION_DIGITS]
        return DomainFiles(
            domain=domain,
            origin=origin,
            revision=generator.source.get("revision", content),
            base=self._store.base_of(generator.path),
            extrinsic=generator.path,
            codes=made["codes"].path,
            sampler=made["sampler"].path if "sampler" in made else None,
        )

    def _encoder(self, files: DomainFiles, space: Space) -> Path:
        """Find an encoder that does not lie beside the domain: in the folder, else on the hub."""
        domain, role = files.domain, ENCODERS[space]
        if domain.files is None:
            known = " or ".join(files.encoders)
            raise CatalogueError(f"{domain.name} has no encoder for {space}; use {known}.")
        if role in official_in(self.folder, domain):
            return self._local(domain, role).path
        try:
            return self._remote(self._on_hub(domain), role)[0].path
        except HubError as error:
            raise self._cannot_be_had(domain, role, error) from error

    def _local(self, domain: Domain, role: Role) -> Converted:
        """Convert a file of the user's folder that is there."""
        file, path = official_in(self.folder, domain)[role]
        return self._store.of_folder(domain.folder, role, file.name, path)

    def _converted(self, domain: Domain, role: Role) -> Converted | None:
        """What an earlier fetch from one of the domain's repositories converted."""
        file = official_files(domain)[role]
        for repo in domain.repos:
            known = self._store.find_of_hub(domain.folder, role, file, repo, domain.revision)
            if known is not None:
                return known
        return None

    def _remote(
        self, domain: Domain, role: Role, *, offline: bool = False
    ) -> tuple[Converted, bool]:
        """Use what is converted, or fetch and convert; also say whether that was needed."""
        if (known := self._converted(domain, role)) is not None:
            return known, False
        file = official_files(domain)[role]
        fetched = self._fetch(domain, file, offline=offline or self.offline)
        return self._store.of_hub(domain.folder, role, file, fetched), True


def library_at_home(
    *,
    source: str | None = None,
    cache: Path | None = None,
    offline: bool = False,
    progress: hub.Progress | None = None,
) -> Library:
    """The library of this checkout, with the domains the user has trained; else as `Library`."""
    published = load_catalogue(Path(__file__).parents[1] / "styles")
    catalogue = with_own_domains(published, default_domains())
    return Library(catalogue, source=source, cache=cache, offline=offline, progress=progress)


def _from_converted(domain: Domain, root: Path, origin: Origin) -> DomainFiles:
    """The files of a domain in the converted layout, checked to belong together."""
    paths = converted_in(root, domain)
    there = {role: path for role, path in paths.items() if path.is_file()}
    missing = [paths[role] for role in ("generator", "base", "codes") if role not in there]
    by_space: dict[Space, Path] = {}
    for role in ENCODERS.values():
        if role in there and (space := read_header(there[role]).space) is not None:
            by_space.setdefault(space, there[role])
    if domain.files is None and not by_space:  # those of published domains may lie elsewhere
        missing.append(paths[ENCODERS[OFFICIAL_SPACE]])
    if missing:
        names = ", ".join(path.relative_to(root).as_posix() for path in missing)
        cures = {"bundled": "install the program", "own": "train it"}
        cure = cures.get(origin, "copy the files")
        raise CheckpointError(
            f"The files of {domain.name} in {root} are not complete; {names} missing. "
            f"To mend it, {cure} again."
        )
    extrinsic, base = read_header(there["generator"]), read_header(there["base"])
    if extrinsic.base not in (None, base.base):
        raise CheckpointError(
            f"{extrinsic.path} was made for another StyleGAN2 than {base.path}; "
            "copy files together that belong together."
        )
    content = extrinsic.source.get("sha256") or sha256_of(extrinsic.path)
    return DomainFiles(
        domain=domain,
        origin=origin,
        revision="bundled" if origin == "bundled" else content[:REVISION_DIGITS],
        base=base.path,
        extrinsic=extrinsic.path,
        codes=there["codes"],
        sampler=there.get("sampler"),
        encoders=MappingProxyType(by_space),
        intrinsic_sampler=there.get("face sampler"),
    )
