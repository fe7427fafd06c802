"""The catalogue of domains: what ``styles/*.toml`` say, read into frozen records and checked.

One file is one domain and its name is the domain's. Files whose names begin with ``_`` are no
domains but hold what several share: ``base = "_published.toml"`` starts from that file, table by
table, and what the domain writes itself comes on top. A base may have a base.

    base = "_published.toml"
    title = { en = "Cartoon", ko = "..." }
    repos = ["owner/name", ...]                    tried in this order
    licence = { name, url, commercial }
    files = { generator, sampler, codes = { refined, plain }, encoders = { "z+", "w+" } }
    styles = { count, default, codes = "refined" or "plain", sampler = whether N was released }
    options = { structure, color, strengths, truncation, noise, seed, preserve_color }
    presets.NAME = { title, and options that are changed }
    bundled = "pocket"                             instead of repos and files
    pin = { revision, "models/...": { sha256, size } }

The ``pin`` table is written by `dualstyle.pins`. It belongs to the domain even for files that
domains share (the encoders): it says with which bytes, of which commit, this domain was drawn.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from dualstyle.config import NUM_STRUCTURE_LAYERS, Space, StylizeOptions, WeightFile
from dualstyle.errors import CatalogueError

LANGUAGES = ("en", "ko")
POCKET = "pocket-"  # the names of bundled domains begin with it, no other does
LONGEST_NAME = 64  # characters

_COMMIT = re.compile("[0-9a-f]{40}")
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_DOMAIN_NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Under which terms the weights of a domain may be used."""

    name: str  # an SPDX identifier where there is one
    url: str
    commercial: bool  # whether commercial use is allowed


@dataclass(frozen=True, kw_only=True)
class DomainFiles:
    """The weight files of a published domain, in the official layout."""

    generator: WeightFile
    codes: WeightFile  # the exemplars' extrinsic codes, refined where that was done
    sampler: WeightFile | None  # network N; None where it was not released
    encoders: Mapping[Space, WeightFile]  # by the space of the code they write

    def all(self) -> tuple[WeightFile, ...]:
        """Every file, the domain's own first."""
        own = (self.generator, self.codes) + ((self.sampler,) if self.sampler else ())
        return own + tuple(self.encoders.values())


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Options under a name that a visitor understands."""

    title: Mapping[str, str]  # by language
    options: StylizeOptions


@dataclass(frozen=True, kw_only=True)
class Exemplar:
    """One picture of a domain whose manner can be taken on."""

    index: int  # its place in the domain's codes, which is its style id
    name: str  # of the picture, as the codes file has it


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One family of styles: where its weights are, and how it is best used."""

    name: str
    title: Mapping[str, str]  # by language: "en", "ko"
    licence: Licence
    options: StylizeOptions  # good defaults
    presets: Mapping[str, Preset]
    default_style: int  # index of the exemplar to begin with
    style_count: int | None = None  # None: only the weights know (bundled domains)
    repos: tuple[str, ...] = ()  # on the hub, tried in this order
    revision: str | None = None  # commit, 40 hex digits; None: not pinned
    files: DomainFiles | None = None  # None: bundled
    bundled: str | None = None  # folder beside the domain files, in the converted layout
    own: Path | None = None  # folder of a domain that the user has trained; all its files

    @property
    def folder(self) -> str:
        """Name of the domain's own subfolder among the weights; that of an own domain is all."""
        return "." if self.own else self.name.removeprefix(POCKET)


@dataclass(frozen=True)
class Catalogue:
    """The domains of one folder, by name, in alphabetical order; those of the user come last."""

    root: Path  # the folder; `Domain.bundled` is relative to it
    domains: Mapping[str, Domain]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the domains."""
        return tuple(self.domains)

    def __getitem__(self, name: str) -> Domain:
        """Look a domain up.

        Raises:
            CatalogueError: There is none of that name.
        """
        if name in self.domains:
            return self.domains[name]
        close = difflib.get_close_matches(name, self.names, n=3)
        known = f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(self)}."
        raise CatalogueError(f"There is no domain {name!r}. {known}")

    def joined(self, others: Mapping[str, Domain]) -> Catalogue:
        """The catalogue with other domains after its own."""
        return Catalogue(self.root, MappingProxyType({**self.domains, **others}))

    def __iter__(self) -> Iterator[str]:
        return iter(self.domains)

    def __len__(self) -> int:
        return len(self.domains)


def load_catalogue(folder: Path) -> Catalogue:
    """Read and check every domain file of a folder.

    Raises:
        CatalogueError: There is none, or one is malformed (file and key are named).
    """
    paths = sorted(path for path in folder.glob("*.toml") if not path.name.startswith("_"))
    if not paths:
        raise CatalogueError(f"There are no domain files (*.toml) in {folder}.")
    return Catalogue(folder, MappingProxyType({path.stem: load_domain(path) for path in paths}))


def load_domain(path: Path, text: str | None = None) -> Domain:
    """Read and check one domain file, or the `text` that is to be its new content.

    Raises:
        CatalogueError: It cannot be read, or is malformed (file and key are named).
    """
    values, label = _read(path, (), text)
    return _domain(path.stem, _Table(label, values))


def load_own_domain(path: Path) -> Domain:
    """Read the file of a domain that the user has trained: its folder has the domain's name.

    Raises:
        CatalogueError: It cannot be read, or is malformed (file and key are named).
    """
    values, label = _read(path, ())
    return _domain(path.parent.name, _Table(f"{path.parent.name}/{label}", values), path.parent)


class _Table:
    """One table of a domain file; whatever is wrong with it names the file and the key."""

    def __init__(self, label: str, values: Mapping[str, Any], path: str = "") -> None:
        self._label, self._values, self._path = label, dict(values), path

    def error(self, key: str, trouble: str) -> CatalogueError:
        places = self._label, ".".join(part for part in (self._path, key) if part), trouble
        return CatalogueError(": ".join(place for place in places if place) + ".")

    def optional(self, key: str, kind: type[T]) -> T | None:
        """Take a value out, or None if it is not there."""
        value = self.anything(key)
        if value is not None and type(value) is not kind:  # exactly: true is not a whole number
            raise self.error(key, f"must be {_KINDS[kind]}, got {value!r}")
        return value

    def anything(self, key: str) -> Any:
        """Take a value of any kind out, or None if it is not there."""
        return self._values.pop(key, None)

    def required(self, key: str, kind: type[T]) -> T:
        """Take a value out."""
        value = self.optional(key, kind)
        if value is None:
            raise self.error(key, "is missing")
        return value

    def table(self, key: str) -> _Table:
        """Take a table out; one that is not there is empty."""
        values = cast("dict[str, Any]", self.optional(key, dict) or {})
        return _Table(self._label, values, f"{self._path}.{key}" if self._path else key)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._values))  # a copy, so that values can be taken out meanwhile

    def done(self) -> None:
        """Refuse what nobody asked for: mostly it is a slip of the pen."""
        for key in self._values:
            raise self.error(key, "is not known here")


_KINDS: dict[type, str] = {
    str: "text", int: "a whole number", bool: "true or false", dict: "a table", list: "a list",
}  # fmt: skip


def _read(
    path: Path, above: tuple[str, ...], text: str | None = None
) -> tuple[dict[str, Any], str]:
    """Read a file on top of its base; also give the name to use in messages."""
    if path.name in above:
        raise CatalogueError(f"{above[0]}: base: {path.name} is its own base.")
    try:
        values = tomllib.loads(path.read_bytes().decode() if text is None else text)
    except OSError as error:
        owner = f"{above[-1]}: base: " if above else ""
        raise CatalogueError(f"{owner}{path.name} cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"{path.name} is not valid TOML ({error}).") from error
    base = values.pop("base", None)
    if base is None:
        return values, path.name
    if not isinstance(base, str) or not base.startswith("_") or Path(base).name != base:
        raise CatalogueError(
            f"{path.name}: base: must name a file beside it that begins with '_', got {base!r}."
        )
    lower, label = _read(path.with_name(base), (*above, path.name))
    return _merge(lower, values), f"{path.name} (on {label})"


def _merge(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Lay one table on another, table by table."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = _merge(cast("dict[str, Any]", below), cast("dict[str, Any]", value))
        merged[key] = value
    return merged


def check_name(name: str) -> None:
    """Refuse what cannot be a domain's name.

    Raises:
        ValueError: It has other characters, or is too long for a folder's name.
    """
    if not _DOMAIN_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"a domain's name has small letters, digits and '-', at most {LONGEST_NAME}, "
            f"got {name[: 2 * LONGEST_NAME]!r}"
        )


def _domain(name: str, table: _Table, own: Path | None = None) -> Domain:
    """Build a domain from its values, refusing whatever does not fit."""
    try:
        check_name(name)
    except ValueError as error:
        raise table.error("", str(error)) from error
    bundled = table.optional("bundled", str)
    on_hub = bundled is None and own is None
    if (bundled is not None) != name.startswith(POCKET):
        raise table.error(
            "bundled", f"stands with a name that begins with {POCKET!r}, and only there"
        )
    options = _options(table.table("options"), StylizeOptions())
    presets = table.table("presets")
    styles = table.table("styles")
    domain = Domain(
        name=name,
        title=_title(table.table("title")),
        licence=_licence(table.table("licence")),
        options=options,
        presets=MappingProxyType({key: _preset(presets.table(key), options) for key in presets}),
        default_style=styles.required("default", int),
        style_count=styles.optional("count", int),
        bundled=bundled,
        own=own,
        **(_published(name, table, styles) if on_hub else {}),
    )
    styles.done()
    table.done()
    count = domain.style_count
    if (on_hub and count is None) or (count is not None and count < 1):
        raise styles.error("count", f"must be at least 1, got {count}")
    if domain.default_style < 0 or (count is not None and domain.default_style >= count):
        raise styles.error("default", f"{domain.default_style} is not one of {count} styles")
    return domain


def _published(name: str, table: _Table, styles: _Table) -> dict[str, Any]:
    """Repositories, pinned commit and files of a domain that lies on the hub."""
    repos = cast("list[Any]", table.required("repos", list))
    if not repos or not all(isinstance(repo, str) and _REPO.fullmatch(repo) for repo in repos):
        raise table.error("repos", f'must list at least one "owner/name", got {repos!r}')
    pins = table.table("pin")
    revision = pins.optional("revision", str)
    if revision is not None and not _COMMIT.fullmatch(revision):
        raise pins.error("revision", f"must be a commit of 40 hex digits, got {revision!r}")
    files = _files(name, table.table("files"), styles, pins)
    pins.done()
    return {"repos": tuple(repos), "revision": revision, "files": files}


def _files(name: str, table: _Table, styles: _Table, pins: _Table) -> DomainFiles:
    def file(owner: _Table, key: str) -> WeightFile:
        path = owner.required(key, str).replace("{name}", name)
        pinned = pins.table(path)
        sha256, size = pinned.optional("sha256", str), pinned.optional("size", int)
        pinned.done()
        if size is not None and size <= 0:
            raise pinned.error("size", f"must be a positive number of bytes, got {size}")
        try:
            return WeightFile(name=path, sha256=sha256, size=size)
        except ValueError as error:
            at = owner.error(key, str(error)) if sha256 is None else pinned.error("", str(error))
            raise at from error

    codes, encoders = table.table("codes"), table.table("encoders")
    choice = styles.required("codes", str)
    if choice not in codes:
        raise styles.error("codes", f"must be one of {', '.join(codes)}, got {choice!r}")
    files = DomainFiles(
        generator=file(table, "generator"),
        codes=file(codes, choice),
        sampler=file(table, "sampler") if styles.required("sampler", bool) else None,
        encoders=MappingProxyType({"z+": file(encoders, "z+"), "w+": file(encoders, "w+")}),
    )
    encoders.done()
    table.optional("sampler", str)  # a base names it for all, also for those that have none
    table.done()
    return files


def _title(table: _Table) -> Mapping[str, str]:
    title = {language: table.required(language, str) for language in LANGUAGES}
    table.done()
    for language, words in title.items():
        if not words.strip():
            raise table.error(language, "is empty")
    return MappingProxyType(title)


def _licence(table: _Table) -> Licence:
    licence = Licence(
        name=table.required("name", str),
        url=table.required("url", str),
        commercial=table.required("commercial", bool),
    )
    table.done()
    return licence


def _preset(table: _Table, options: StylizeOptions) -> Preset:
    return Preset(title=_title(table.table("title")), options=_options(table, options))


def _options(table: _Table, start: StylizeOptions) -> StylizeOptions:
    """Change options; "structure" and "color" stand for their share of the strengths."""
    changes = {f.name: table.anything(f.name) for f in fields(StylizeOptions) if f.name in table}
    structure, color = table.anything("structure"), table.anything("color")
    table.done()
    if structure is not None or color is not None:
        if "strengths" in changes:
            raise table.error("strengths", "cannot stand beside structure or color")
        shapes, colors = (
            start.strengths[:NUM_STRUCTURE_LAYERS],
            start.strengths[NUM_STRUCTURE_LAYERS:],
        )
        changes["strengths"] = (
            *(shapes if structure is None else [structure] * len(shapes)),
            *(colors if color is None else [color] * len(colors)),
        )
    try:
        return start.with_(**changes)
    except (TypeError, ValueError) as error:
        raise table.error("", str(error)) from error
