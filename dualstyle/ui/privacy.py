"""What is kept of a visitor, for how long, what may be named from outside, and how it is deleted.

Gradio deletes files by their age. `PrivateBlocks` also remembers which files a session has left,
so that they can be deleted the moment the visitor wants it or closes the page.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from gradio.utils import get_upload_folder, is_in_or_equal, is_static_file
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dualstyle.ui.texts import language_of, refusal

KEPT = 1800  # [s] uploads, results and what is remembered of a visit
CLEANED = 300  # [s] between two looks for files that are older
MAX_SESSIONS = 10_000  # whose files are remembered; those of older ones are left to the schedule

_session: ContextVar[str | None] = ContextVar("session", default=None)


def is_upload(path: object) -> bool:
    """Tell whether a path is that of an upload, or of a picture that is there for everybody.

    An upload may be gone meanwhile.
    """
    return _is_own(path) or is_static_file(path)


class PrivateBlocks(gr.Blocks):
    """Blocks that remember what a session leaves, and refuse files that nobody uploaded.

    Every event passes here, public or private: a raw call may hand any value to any component.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(delete_cache=(CLEANED, KEPT), analytics_enabled=False, **options)
        self._files: OrderedDict[str, set[str]] = OrderedDict()  # by session
        self._lock = threading.Lock()

    async def process_api(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Run an event, knowing of whose session it is."""
        # Gradio sets the request when it calls the handler; errors of uploads come before.
        LocalContext.request.set(options.get("request"))
        _session.set(options.get("session_hash"))
        return await super().process_api(*args, **options)

    async def preprocess_data(self, *args: Any, **options: Any) -> list[Any]:
        """Check and remember the files that come in.

        Raises:
            gr.Error: One was not uploaded, such as an address or a path on the server.
        """
        inputs = args[1] if len(args) > 1 else options["inputs"]
        named = list(_paths(inputs))
        if not all(is_upload(path) for path in named):
            raise refusal(language_of(LocalContext.request.get(None)), "no_upload")
        self._remember(named)
        return await super().preprocess_data(*args, **options)

    async def postprocess_data(self, *args: Any, **options: Any) -> list[Any]:
        """Remember the files that go out."""
        outputs = await super().postprocess_data(*args, **options)
        self._remember(_paths(outputs))
        return outputs

    def files_of(self, session: str) -> list[Path]:
        """The files that a session has left and that are still there."""
        with self._lock:
            paths = [Path(path) for path in self._files.get(session, ())]
        return [path for path in paths if path.is_file()]

    def forget(self, session: str) -> int:
        """Delete the files of a session and everything remembered of it.

        Returns:
            How many files there were.
        """
        files = self.files_of(session)
        for path in files:
            path.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        with self._lock:
            self._files.pop(session, None)
        holder = self.state_holder
        holder.delete_state(session)
        with holder.lock:
            holder.session_data.pop(session, None)
            holder.time_last_used.pop(session, None)
        return len(files)

    def _remember(self, paths: Iterable[object]) -> None:
        session = _session.get()
        own = {str(path) for path in paths if _is_own(path)}
        if session is None or not own:
            return
        with self._lock:
            self._files.setdefault(session, set()).update(own)
            self._files.move_to_end(session)
            if len(self._files) > MAX_SESSIONS:
                self._files.popitem(last=False)


def _is_own(path: object) -> bool:
    """Tell whether a file came to be in a visit: not a thumbnail, which is there for everybody."""
    return isinstance(path, str) and is_in_or_equal(path, get_upload_folder())


def _paths(data: Any) -> Iterator[object]:
    """Whatever Gradio would take for the path of a file, however deep it lies."""
    if isinstance(data, dict):
        if data.get("path") is not None:
            yield data["path"]
        data = list(data.values())
    if isinstance(data, (list, tuple)):
        for part in data:
            yield from _paths(part)


class ClosedRoutes:
    """Refuses what Gradio serves and this app does not need.

    ``file=http://...`` makes the server fetch an address, and ``deep_link`` would store a visit
    under an address that can be passed on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or hand on."""
        if scope["type"] == "http" and _is_closed(scope["path"]):
            await PlainTextResponse("Not here.", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_closed(path: str) -> bool:
    _, _, wanted = path.partition("/gradio_api/")
    return wanted.startswith(("proxy=", "deep_link")) or (
        wanted.startswith(("file=", "file/")) and "://" in wanted
    )


def middleware() -> list[Middleware]:
    """For `Blocks.launch`, as ``app_kwargs={"middleware": ...}``."""
    return [Middleware(ClosedRoutes)]
