"""Whether a downloaded file is what it was promised to be: by its size, its SHA-256, its git id."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from dualstyle.config import WeightFile
from dualstyle.errors import HubError

SHA256 = re.compile("[0-9a-f]{64}")
_GIT_ID = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that is on this machine and is what it was promised to be."""

    path: Path
    repo: str  # the repository that had it
    revision: str  # commit, 40 hex digits
    sha256: str  # 64 hex digits, of the bytes at `path`
    size: int  # [bytes]


@dataclass(frozen=True, kw_only=True)
class Remote:
    """What the hub states about a file."""

    repo: str
    name: str
    commit: str
    etag: str  # the SHA-256 of a large file, the git id of a small one
    size: int | None
    url: str


class DamagedError(HubError):
    """A file was not what the hub had stated; it has been deleted."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(path: Path, file: WeightFile, remote: Remote) -> Fetched:
    """Hold a file against what the hub states and against what is pinned.

    Raises:
        DamagedError: It is not what the hub states, or (where the hub's word is not known) not
            what is pinned; it has been deleted.
        HubError: It is what the hub states, but not what is pinned.
    """
    size, sha256 = path.stat().st_size, sha256_of(path)
    wanted: list[tuple[str, object, object]] = [("size", remote.size, size)]
    by_hash = True
    if SHA256.fullmatch(remote.etag):
        wanted.append(("SHA-256", remote.etag, sha256))
    elif _GIT_ID.fullmatch(remote.etag):
        wanted.append(("git id", remote.etag, _git_id(path)))
    else:
        by_hash = False
    pinned = [("SHA-256", file.sha256, sha256), ("size", file.size, size)]
    if not by_hash:
        wanted += pinned
    for what, expected, got in wanted:
        if expected is not None and expected != got:
            target = path.resolve()
            path.unlink()
            target.unlink(missing_ok=True)
            raise DamagedError(
                f"{remote.name} from {remote.repo} is not the file it should be and was deleted: "
                f"{what} {expected} expected, {got} found."
            )
    for what, expected, got in pinned:
        if expected is not None and expected != got:
            raise HubError(
                f"{remote.name} from {remote.repo} is not the pinned file: "
                f"{what} {expected} expected, {got} found. Check it, or pin it anew (fetch --pin)."
            )
    return Fetched(path=path, repo=remote.repo, revision=remote.commit, sha256=sha256, size=size)


def _git_id(path: Path) -> str:
    """The id that git, and so the hub, gives to a file that is not kept apart for its size."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: digest).hexdigest()
