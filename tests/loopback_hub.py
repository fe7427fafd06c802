"""A model hub on loopback: real HTTP, with the headers of the real one and its misfortunes."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked."""

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)  # name -> other bytes than promised
    cuts: list[int] = field(default_factory=list)  # bytes to send before the next cuts
    reset: bool = False  # cut with a reset instead of a plain close
    no_ranges: bool = False
    small: bool = False  # not a large file: its etag is a git id
    elsewhere: bool = False  # bytes lie on another host, as with the real hub
    head_status: int = 200
    get_status: list[int] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range
    tokens: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ranges(self) -> list[str]:
        """Range headers of the downloads, "" where there was none."""
        return [wanted for method, _, wanted in self.requests if method == "GET"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format, *args):
        pass

    def note(self) -> tuple[str, str, bytes | None]:
        self.hub.requests.append((self.command, self.path, self.headers.get("Range", "")))
        if "Authorization" in self.headers:
            self.hub.tokens.append(self.headers["Authorization"])
        repo, _, rest = self.path.removeprefix("/elsewhere").strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        known = any(repo == owner for owner, _ in self.hub.files)
        if not known:
            return "RepoNotFound", name, None
        if revision not in ("main", COMMIT):
            return "RevisionNotFound", name, None
        return "EntryNotFound", name, self.hub.files.get((repo, name))

    def answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def facts(self, data: bytes) -> dict[str, str]:
        facts = {"X-Repo-Commit": COMMIT}
        if self.hub.small:
            blob = b"blob %d\0" % len(data)
            git_id = hashlib.sha1(blob + data, usedforsecurity=False).hexdigest()
            return facts | {"ETag": f'"{git_id}"'}
        sha256 = hashlib.sha256(data).hexdigest()
        return facts | {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data))}

    def do_HEAD(self) -> None:
        trouble, _, data = self.note()
        if self.hub.head_status != 200:
            self.answer(self.hub.head_status, {"Content-Length": "0"})
        elif data is None:
            self.answer(404, {"X-Error-Code": trouble, "Content-Length": "0"})
        elif self.hub.elsewhere:
            # "localhost" is another host name than the one that was asked
            there = f"http://localhost:{self.hub.port}/elsewhere{self.path}"
            self.answer(302, self.facts(data) | {"Location": there, "Content-Length": "0"})
        else:
            self.answer(200, self.facts(data) | {"Content-Length": str(len(data))})

    def do_GET(self) -> None:
        trouble, name, data = self.note()
        if self.hub.get_status:
            self.answer(self.hub.get_status.pop(0), {"Content-Length": "0"})
            return
        if data is None:
            self.answer(404, {"X-Error-Code": trouble, "Content-Length": "0"})
            return
        if self.hub.elsewhere and not self.path.startswith("/elsewhere"):
            there = f"http://localhost:{self.hub.port}/elsewhere{self.path}"
            self.answer(302, {"Location": there, "Content-Length": "0"})
            return
        data = self.hub.sent.get(name, data)
        start, status, headers = 0, 200, {}
        wanted = self.headers.get("Range", "")
        if wanted and not self.hub.no_ranges:
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(data):
                self.answer(416, {"Content-Length": "0"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        self.answer(status, headers | {"Content-Length": str(len(body))})
        if self.hub.cuts:
            self.wfile.write(body[: self.hub.cuts.pop(0)])
            self.wfile.flush()
            self.cut()
        else:
            self.wfile.write(body)

    def cut(self) -> None:
        if self.hub.reset:
            lingering = struct.pack("ii", 1, 0)  # close() then sends a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
        self.close_connection = True


@contextmanager
def serving(state: Hub) -> Iterator[Hub]:
    """Serve `state` until the end of the block."""
    handler = type("BoundHandler", (Handler,), {"hub": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        state.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            huggingface_hub.close_session()  # its kept connections hold the server's threads
            http.shutdown()
            thread.join()
