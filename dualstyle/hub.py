"""A weight file becomes a verified local path: out of the hub's cache, or downloaded and checked.

Files lie in the cache of huggingface_hub in its own layout (blobs, snapshots, refs): what other
programs have fetched is used, and what is fetched here is seen by them. The transfer itself is done
here, because huggingface_hub 2.4 throws away what it has when a call fails and does not try again
after a reset connection, so that a gigabyte would start from zero. Here the part stays as
``blobs/<etag>.incomplete`` and is continued by a range request, by a later run too.

No account and no token is ever used; ``HF_ENDPOINT``, ``HF_HOME``, ``HF_HUB_OFFLINE`` are obeyed.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx2  # the client of huggingface_hub 2; only to name what can go wrong on a network
from huggingface_hub import (
    constants,
    get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType] (a bare dict in its types)
    get_session,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock, hf_raise_for_status

from dualstyle.config import WeightFile
from dualstyle.errors import HubError
from dualstyle.verification import SHA256, DamagedError, Fetched, Remote, verify

Progress = Callable[[int, int | None, str], None]  # bytes there, bytes in all if known, file name

MAX_RETRIES = 5  # in a row, without one new byte
RETRY_PAUSE = 1.0  # between two of them [s]
TIMEOUT = 20.0  # without an answer or a byte [s]
ADVICE = (
    "Connect to the internet once, name a folder that holds the files (--source FOLDER), "
    "or use a bundled style (pocket-...)."
)

_COMMIT = re.compile("[0-9a-f]{40}")
_ETAG = re.compile("[0-9A-Za-z_-]{1,128}")  # it becomes a file name
_OK, _PARTIAL_CONTENT = 200, 206
_RANGE_NOT_SATISFIABLE = 416
_SERVER_ERROR = 500
_PASSING = (408, 429)  # timeout, too many requests

_log = logging.getLogger(__name__)


def fetch(
    file: WeightFile,
    repos: Sequence[str],
    *,
    revision: str | None = None,
    cache: Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    endpoint: str | None = None,
) -> Fetched:
    """Give the local path of a file of the hub, downloading it if it is not there yet.

    A commit that is in the cache is not asked for again. A broken transfer is continued where it
    stopped. Size and SHA-256 are checked every time against what the hub states and against
    `file`; a damaged file is deleted (and, out of the cache, downloaded again).

    Args:
        file: Which file, with its hash and size if they are pinned.
        repos: Repository ids ("owner/name"), tried in this order.
        revision: Commit or branch; None means the branch ``main``.
        cache: Folder in huggingface_hub's layout; None means the user's own.
        offline: Use only what is in the cache.
        progress: Called with (bytes there, bytes in all or None, name of the file).
        endpoint: Address of the hub; None means ``HF_ENDPOINT`` or the public one.

    Raises:
        HubError: It could not be had, or is not the file it should be.
    """
    if not repos:
        raise ValueError(f"no repository to fetch {file.name} from")
    cache = (cache or Path(constants.HF_HUB_CACHE)).expanduser()
    without_network = offline or constants.is_offline_mode()
    if without_network or (revision is not None and _COMMIT.fullmatch(revision)):
        found = _first_cached(file, repos, revision, cache, repairable=not without_network)
        if found is not None:
            return found
    if without_network:
        raise HubError(
            f"{file.name} is not on this machine yet and fetching is switched off. {ADVICE}"
        )
    refusals: list[str] = []
    for repo in repos:
        try:
            remote = _ask(file, repo, revision, endpoint)
        except (HfHubHTTPError, HFValidationError) as error:
            refusals.append(f"{repo}: {_reason(error, revision)}")
        except (httpx2.TransportError, OfflineModeIsEnabled) as error:
            # One dead network is enough: the next repository is behind the same cable.
            found = _first_cached(file, repos, revision, cache, repairable=False)
            if found is None:
                raise HubError(f"{file.name}: the hub cannot be reached. {ADVICE}") from error
            _log.warning("%s: the hub cannot be reached, using the file in the cache", file.name)
            return found
        else:
            return _obtain(file, remote, revision, cache, progress)
    found = _first_cached(file, repos, revision, cache, repairable=False)
    if found is not None:
        _log.warning("%s: using the file in the cache; %s", file.name, "; ".join(refusals))
        return found
    raise HubError(f"{file.name} could not be had ({'; '.join(refusals)}). {ADVICE}")


def fetch_address(
    file: WeightFile,
    address: str,
    folder: Path,
    *,
    offline: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Give the local path of a file that lies at an address of its own, outside of the hub.

    A file that is there is not asked for again. Size and SHA-256 are checked if they are pinned.

    Args:
        file: Its name in the folder, and what is known of it.
        address: Where it can be downloaded.
        folder: Where it is kept.
        offline: Use only what is in the folder.
        progress: Called as by `fetch`.

    Raises:
        HubError: It could not be had, or is not the file it should be.
    """
    path, host = folder / file.name, address.partition("://")[2].partition("/")[0]
    remote = Remote(repo=host, name=file.name, commit="", etag="", size=file.size, url=address)
    if _sound(path, file, remote) is not None:
        return path
    if offline or constants.is_offline_mode():
        raise HubError(f"{file.name} is not on this machine yet and fetching is switched off.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(path.with_name(f"{path.name}.lock")):
            if _sound(path, file, remote) is not None:
                return path  # somebody else was fetching it
            part = path.with_name(f"{path.name}.incomplete")
            part.unlink(missing_ok=True)  # it may be of an older file at the same address
            try:
                _transfer(remote, part, progress)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                raise HubError(f"{file.name}: {host} cannot be reached.") from error
            except (httpx2.TransportError, HfHubHTTPError):
                _download(remote, part, progress)
            verify(part, file, remote)
            part.replace(path)
    except OSError as error:
        raise HubError(f"{file.name} cannot be stored in {folder} ({error}).") from error
    return path


def find_in_folder(folder: Path, file: WeightFile) -> Path | None:
    """Look for a file in a folder of the official layout, or in its ``models`` folder itself."""
    for name in (file.name, file.name.removeprefix("models/")):
        path = folder / name
        if path.is_file():
            return path
    return None


def find_in_cache(file: WeightFile, repo: str, *, revision: str | None = None) -> Path | None:
    """Look for a file of a repository in the user's cache; its bytes are not checked."""
    found = try_to_load_from_cache(repo, file.name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _storage(cache: Path, repo: str) -> Path:
    return cache / repo_folder_name(repo_id=repo, repo_type="model")


def _reason(error: HfHubHTTPError | HFValidationError, revision: str | None) -> str:
    """Say in a few words why a repository did not give the file."""
    if isinstance(error, HFValidationError):
        return "not a repository id"
    if isinstance(error, RepositoryNotFoundError):
        return "no such public repository"
    if isinstance(error, RevisionNotFoundError):
        return f"no revision {revision}"
    if isinstance(error, EntryNotFoundError):
        return "no such file"
    return f"the hub answered {error.response.status_code}"


def _ask(file: WeightFile, repo: str, revision: str | None, endpoint: str | None) -> Remote:
    """Ask the hub for commit, hash and size, and hold them against the pinned ones."""
    url = hf_hub_url(repo, file.name, revision=revision, endpoint=endpoint)
    stated = get_hf_file_metadata(url, token=False, timeout=TIMEOUT, endpoint=endpoint)
    commit, etag = stated.commit_hash or "", stated.etag or ""
    if not _COMMIT.fullmatch(commit) or not _ETAG.fullmatch(etag):
        raise HubError(f"{url} does not answer like a model hub; check HF_ENDPOINT and the proxy.")
    sha256 = etag if SHA256.fullmatch(etag) else None
    for what, pinned, got in (
        ("SHA-256", file.sha256, sha256),
        ("size", file.size, stated.size),
    ):
        if None not in (pinned, got) and pinned != got:
            raise HubError(
                f"{file.name}: {repo} offers a file of {what} {got}, but {pinned} is pinned; "
                "nothing was downloaded. Check the revision, or pin the file anew (fetch --pin)."
            )
    # From here on the commit is named, so that a branch that moves meanwhile changes nothing.
    url = hf_hub_url(repo, file.name, revision=commit, endpoint=endpoint)
    return Remote(repo=repo, name=file.name, commit=commit, etag=etag, size=stated.size, url=url)


def _obtain(
    file: WeightFile,
    remote: Remote,
    revision: str | None,
    cache: Path,
    progress: Progress | None,
) -> Fetched:
    """Use the cached bytes if they are sound; download them otherwise."""
    storage = _storage(cache, remote.repo)
    blob = storage / "blobs" / remote.etag
    pointer = storage / "snapshots" / remote.commit / remote.name
    lock = cache / ".locks" / storage.name / f"{remote.etag}.lock"
    try:
        if (found := _sound(pointer, file, remote)) is not None:
            with suppress(OSError):  # a cache that is only read may be complete all the same
                _remember(storage, revision, remote.commit)
            return found
        for folder in (blob.parent, pointer.parent, lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        _remember(storage, revision, remote.commit)
        with WeakFileLock(lock):
            if not pointer.is_file() and blob.is_file():
                _link(blob, pointer)
            if (found := _sound(pointer, file, remote)) is not None:
                return found  # somebody else was fetching it
            part = blob.with_name(f"{blob.name}.incomplete")
            _download(remote, part, progress)
            checked = verify(part, file, remote)
            part.replace(blob)
            _link(blob, pointer)
    except OSError as error:
        raise HubError(f"{file.name} cannot be stored in {cache} ({error}).") from error
    return Fetched(
        path=pointer,
        repo=remote.repo,
        revision=remote.commit,
        sha256=checked.sha256,
        size=checked.size,
    )


def _remember(storage: Path, revision: str | None, commit: str) -> None:
    """Note which commit a branch stood at, for the time without network."""
    if revision == commit:
        return
    ref = storage / "refs" / (revision or constants.DEFAULT_REVISION)
    ref.parent.mkdir(parents=True, exist_ok=True)
    fresh = ref.with_name(f"{ref.name}.{uuid.uuid4().hex}.tmp")
    fresh.write_text(commit)
    fresh.replace(ref)


def _link(blob: Path, pointer: Path) -> None:
    pointer.unlink(missing_ok=True)
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:  # Windows without the right to make links: the layout allows the file itself
        blob.replace(pointer)


def _first_cached(
    file: WeightFile, repos: Sequence[str], revision: str | None, cache: Path, *, repairable: bool
) -> Fetched | None:
    """Find the file in the cache of one of the repositories, verified.

    With `repairable` a damaged file counts as absent, because it can be downloaded again.
    """
    for repo in repos:
        try:
            found = try_to_load_from_cache(repo, file.name, cache_dir=cache, revision=revision)
        except HFValidationError:
            continue
        if not isinstance(found, str):
            continue
        path = Path(found)
        commit = path.relative_to(_storage(cache, repo) / "snapshots").parts[0]
        # The bytes behind a snapshot are named by their hash; without links there is no such name.
        etag = path.resolve().name if path.is_symlink() else ""
        remote = Remote(repo=repo, name=file.name, commit=commit, etag=etag, size=file.size, url="")
        checked = _sound(path, file, remote) if repairable else verify(path, file, remote)
        if checked is not None:
            return checked
    return None


def _sound(path: Path, file: WeightFile, remote: Remote) -> Fetched | None:
    """Verify a file that may be absent or damaged; None means that it must be downloaded."""
    if not path.is_file():
        return None
    try:
        return verify(path, file, remote)
    except DamagedError as error:
        _log.warning("%s It is downloaded again.", error)
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _download(remote: Remote, part: Path, progress: Progress | None) -> None:
    """Fill `part` up to the whole file, continuing after cuts as long as bytes arrive."""
    reached, failures = _size(part), 0
    room = shutil.disk_usage(part.parent).free
    if remote.size is not None and remote.size - reached > room:
        raise HubError(
            f"{remote.name} needs {_megabytes(remote.size - reached)} and {part.parent} has room "
            f"for {_megabytes(room)}. Make room, or set HF_HOME to a larger disk."
        )
    while True:
        try:
            _transfer(remote, part, progress)
        except (httpx2.TransportError, HfHubHTTPError) as error:
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
            if status is not None and status < _SERVER_ERROR and status not in _PASSING:
                raise HubError(f"{remote.name}: {remote.repo} answered {status}.") from error
            # Counted from the furthest point ever reached: a server that cannot continue and is
            # cut at the same place each time must not keep us here for ever.
            failures = 0 if _size(part) > reached else failures + 1
            reached = max(reached, _size(part))
            if failures > MAX_RETRIES:
                raise HubError(
                    f"{remote.name}: the connection broke at {_megabytes(_size(part))}. "
                    "Try again later: what has arrived is kept and continued."
                ) from error
            _log.warning("%s: connection broken at byte %d, continuing", remote.name, _size(part))
            time.sleep(RETRY_PAUSE)
        else:
            return


def _transfer(remote: Remote, part: Path, progress: Progress | None) -> None:
    """One request: append the rest of the file to `part`, or all of it if that cannot be had."""
    done = _size(part)
    if remote.size is not None and done >= remote.size:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "dualstyle"}
    if done:
        headers["Range"] = f"bytes={done}-"
    session = get_session()
    with session.stream("GET", remote.url, headers=headers, timeout=TIMEOUT) as response:
        if response.is_error and not (done and response.status_code == _RANGE_NOT_SATISFIABLE):
            response.read()
            hf_raise_for_status(response)
        answer = response.headers.get("Content-Range", "")
        if response.status_code == _PARTIAL_CONTENT and answer.startswith(f"bytes {done}-"):
            mode = "ab"
        elif done and response.status_code != _OK:
            part.unlink()  # what is here is no beginning of what is there
            raise httpx2.RemoteProtocolError("the server does not continue where we stopped")
        else:
            mode, done = "wb", 0
        with part.open(mode) as out:
            for chunk in response.iter_bytes():
                out.write(chunk)
                done += len(chunk)
                if remote.size is not None and done > remote.size:
                    return  # more than was promised; the check that follows says so
                if progress is not None:
                    progress(done, remote.size, remote.name)
    if remote.size is not None and done < remote.size:
        raise httpx2.RemoteProtocolError("the server ended before the file did")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
