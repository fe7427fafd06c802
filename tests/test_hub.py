"""The hub, against a real HTTP server on loopback that answers as the model hub does."""

from __future__ import annotations

import hashlib
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from dualstyle import hub
from dualstyle.config import WeightFile
from dualstyle.errors import HubError
from dualstyle.hub import fetch, find_in_folder
from dualstyle.verification import sha256_of
from tests.loopback_hub import COMMIT, Handler, Hub, serving

FIRST, SECOND = "someone/first", "someone/second"
REPOS = (FIRST, SECOND)
NAME = "models/cartoon/generator.pt"
FILE = WeightFile(name=NAME)
DATA = bytes(range(256)) * 1200  # 300 kB: several TCP segments, several chunks
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch) -> Iterator[Hub]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setattr(hub, "RETRY_PAUSE", 0.0)
    with serving(Hub(files={(FIRST, NAME): DATA, (SECOND, NAME): DATA})) as state:
        yield state


@pytest.fixture
def get(server, tmp_path):
    def get(file=FILE, repos=REPOS, **options):
        return fetch(file, repos, cache=tmp_path / "cache", endpoint=server.endpoint, **options)

    return get


def leftovers(folder: Path) -> list[str]:
    """Names of files that hold bytes of a weight file."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.stat().st_size > 1000)


def test_a_file_is_downloaded_with_its_commit_and_hash(server, get):
    fetched = get()
    assert fetched.path.read_bytes() == DATA
    assert fetched.path.name == "generator.pt"
    assert (fetched.repo, fetched.revision) == (FIRST, COMMIT)
    assert (fetched.sha256, fetched.size) == (SHA256, len(DATA))
    assert server.ranges == [""]
    assert server.tokens == []


def test_bytes_on_another_host_are_followed(server, get):
    server.elsewhere = True
    server.cuts = [100_000]
    assert get().sha256 == SHA256
    assert any(path.startswith("/elsewhere") for _, path, _ in server.requests)


def test_the_second_time_nothing_is_downloaded(server, get):
    first = get()
    assert get() == first
    assert server.ranges == [""]


def test_a_commit_in_the_cache_is_not_even_asked_for(server, get):
    first = get()
    asked = len(server.requests)
    assert get(revision=COMMIT) == first
    assert len(server.requests) == asked


def test_huggingface_hub_finds_what_we_fetched(server, get, tmp_path):
    fetched = get()
    found = huggingface_hub.hf_hub_download(
        FIRST, NAME, cache_dir=tmp_path / "cache", local_files_only=True
    )
    assert Path(found) == fetched.path


def test_we_find_what_huggingface_hub_fetched(server, get, tmp_path):
    found = huggingface_hub.hf_hub_download(
        FIRST, NAME, cache_dir=tmp_path / "cache", endpoint=server.endpoint, token=False
    )
    downloads = len(server.ranges)
    assert get().path == Path(found)
    assert len(server.ranges) == downloads


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_cut_connection_is_continued_where_it_stopped(server, get, reset):
    server.cuts, server.reset = [100_000, 50_000], reset
    fetched = get()
    assert fetched.path.read_bytes() == DATA
    first, *later = server.ranges
    assert first == ""
    assert len(later) >= 1
    # A reset may swallow bytes on their way; each later request still begins beyond the last.
    starts = [int(wanted.removeprefix("bytes=").removesuffix("-")) for wanted in later if wanted]
    assert starts == sorted(starts)
    if not reset:
        assert starts == [100_000, 150_000]


def test_a_later_run_continues_what_an_earlier_one_had(server, get, monkeypatch):
    server.cuts = [120_000] + [0] * 9
    monkeypatch.setattr(hub, "MAX_RETRIES", 2)
    with pytest.raises(HubError, match=r"broke at 0\.1 MB.*is kept and continued"):
        get()
    server.cuts, asked = [], len(server.ranges)
    assert get().sha256 == SHA256
    assert server.ranges[asked:] == ["bytes=120000-"]


def test_a_server_that_cannot_continue_and_always_breaks_is_given_up(server, get, monkeypatch):
    server.no_ranges, server.cuts = True, [100_000] * 99
    monkeypatch.setattr(hub, "MAX_RETRIES", 3)
    with pytest.raises(HubError, match="connection broke"):
        get()
    assert len(server.ranges) == 5  # the first, which got somewhere, then four that got no further


def test_a_server_without_ranges_starts_over(server, get):
    server.no_ranges, server.cuts = True, [100_000]
    assert get().path.read_bytes() == DATA
    assert server.ranges == ["", "bytes=100000-"]


def test_a_busy_server_is_asked_again(server, get):
    server.get_status = [503, 429]
    assert get().sha256 == SHA256
    assert len(server.ranges) == 3


def test_a_refused_download_is_not_repeated(server, get):
    server.get_status = [403, 200]
    with pytest.raises(HubError, match="someone/first answered 403"):
        get()
    assert len(server.ranges) == 1


@pytest.mark.parametrize("small", [False, True], ids=["SHA-256", "git id"])
def test_wrong_bytes_are_deleted_and_told(server, get, tmp_path, small):
    wrong = b"x" + DATA[1:]
    server.small, server.sent = small, {NAME: wrong}
    with pytest.raises(HubError) as caught:
        get()
    message = str(caught.value)
    assert NAME in message
    assert FIRST in message
    if not small:
        assert SHA256 in message
        assert hashlib.sha256(wrong).hexdigest() in message
    assert leftovers(tmp_path) == []


def test_a_small_file_is_checked_by_its_git_id(server, get):
    server.small = True
    assert get().sha256 == SHA256
    assert get(offline=True).sha256 == SHA256


def test_more_bytes_than_promised_are_refused(server, get, tmp_path):
    server.sent = {NAME: DATA + b"more"}
    with pytest.raises(HubError, match="size"):
        get()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("pinned", "words"),
    [(WeightFile(name=NAME, sha256="0" * 64), "SHA-256"), (WeightFile(name=NAME, size=7), "size")],
)
def test_another_file_than_the_pinned_one_is_not_downloaded(server, get, pinned, words):
    with pytest.raises(HubError, match=f"{words}.*is pinned; nothing was downloaded"):
        get(pinned)
    assert server.ranges == []


def test_a_pin_is_checked_where_the_hub_states_only_a_git_id(server, get):
    server.small = True
    with pytest.raises(HubError, match="not the pinned file: SHA-256 0000"):
        get(WeightFile(name=NAME, sha256="0" * 64))
    assert get(WeightFile(name=NAME, sha256=SHA256, size=len(DATA))).sha256 == SHA256


def test_a_damaged_file_in_the_cache_is_replaced(server, get):
    fetched = get()
    fetched.path.resolve().write_bytes(b"rotten")
    assert get(revision=COMMIT).path.read_bytes() == DATA
    fetched.path.resolve().write_bytes(b"rotten again")
    assert get().path.read_bytes() == DATA


def test_a_damaged_file_without_network_is_deleted_and_told(get, tmp_path):
    fetched = get()
    fetched.path.resolve().write_bytes(b"rotten" * 500)
    with pytest.raises(HubError, match="was deleted: SHA-256"):
        get(offline=True)
    assert leftovers(tmp_path) == []


def test_a_file_missing_in_the_first_repository_comes_from_the_second(server, get):
    del server.files[(FIRST, NAME)]
    server.files[(FIRST, "README.md")] = b"#"
    assert get().repo == SECOND


def test_a_file_that_is_nowhere_names_the_repositories(server, get):
    server.files = {(FIRST, "README.md"): b"#"}
    with pytest.raises(HubError) as caught:
        get()
    message = str(caught.value)
    assert f"{FIRST}: no such file" in message
    assert f"{SECOND}: no such public repository" in message
    assert "--source FOLDER" in message


def test_an_unknown_revision_is_told(get):
    with pytest.raises(HubError, match=f"no revision {'f' * 40}"):
        get(revision="f" * 40)


def test_a_hub_that_is_ill_leaves_the_cached_file(server, get):
    with_file = get()
    server.head_status = 500
    assert get() == with_file
    with pytest.raises(HubError, match="the hub answered 500"):
        get(WeightFile(name="models/other.pt"))


def test_a_server_that_is_no_hub_is_told(server, get, monkeypatch):
    monkeypatch.setattr(Handler, "facts", lambda self, data: {"ETag": '"abc"'})
    with pytest.raises(HubError, match="does not answer like a model hub"):
        get()


def test_without_network_the_cached_file_is_used(server, get):
    first = get()
    assert get(offline=True) == first
    assert get(repos=(SECOND, FIRST), offline=True) == first


def test_without_network_and_file_one_sentence_says_what_to_do(server, get):
    with pytest.raises(HubError, match=r"switched off\. Connect .*--source FOLDER.*pocket-"):
        get(offline=True)
    assert server.requests == []


def test_the_offline_switch_of_the_hub_library_is_obeyed(server, get, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="switched off"):
        get()
    assert server.requests == []


def test_a_dead_network_uses_the_cache_or_says_what_to_do(server, get, tmp_path):
    first = get()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert fetch(FILE, REPOS, cache=tmp_path / "cache", endpoint=dead) == first
        with pytest.raises(HubError, match=r"cannot be reached\. Connect .*--source FOLDER"):
            fetch(FILE, REPOS, cache=tmp_path / "empty", endpoint=dead)


def test_progress_tells_bytes_total_and_name(server, get):
    seen: list[tuple[int, int | None, str]] = []
    server.cuts = [100_000]
    get(progress=lambda *told: seen.append(told))
    done = [told[0] for told in seen]
    assert done == sorted(done)
    assert done[-1] == len(DATA)
    assert {told[1:] for told in seen} == {(len(DATA), NAME)}


def test_two_visitors_at_once_cost_one_download(server, get):
    results = []
    threads = [threading.Thread(target=lambda: results.append(get())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert len(set(results)) == 1
    assert server.ranges == [""]


def test_a_full_disk_is_told_before_the_download(server, get, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(HubError, match=r"needs 0\.3 MB .*HF_HOME"):
        get()
    assert server.ranges == []


def test_a_complete_cache_that_cannot_be_written_is_enough(get, monkeypatch):
    first = get()

    def refuse(self, *args, **options):
        raise PermissionError(f"{self} is read-only")

    for verb in ("mkdir", "write_text", "unlink", "symlink_to"):
        monkeypatch.setattr(Path, verb, refuse)
    assert get() == first


def test_a_cache_that_cannot_be_written_is_told(get, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(HubError, match="cannot be stored"):
        get()


def test_a_name_that_is_no_repository_is_told(get):
    with pytest.raises(HubError, match="not a repository id"):
        get(repos=("no/such/thing",))


def test_where_links_are_not_allowed_the_file_itself_is_kept(server, get, monkeypatch):
    def refuse(self, target, target_is_directory=False):
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    first = get()
    assert not first.path.is_symlink()
    assert get(offline=True) == first
    assert get() == first
    assert server.ranges == [""]


def test_a_folder_is_searched_with_and_without_its_models_folder(tmp_path):
    assert find_in_folder(tmp_path, FILE) is None
    path = tmp_path / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    assert find_in_folder(tmp_path, FILE) == path
    assert find_in_folder(tmp_path / "models", FILE) == path
    assert find_in_folder(tmp_path / "absent", FILE) is None


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == expected
