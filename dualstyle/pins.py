"""Commits and hashes are written into the ``pin`` tables of domain files, line by line."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dualstyle.catalogue import load_domain
from dualstyle.config import WeightFile
from dualstyle.errors import CatalogueError

_HEADER = re.compile(r"\s*\[\s*pin\s*\]\s*(#.*)?")
_ENTRY = re.compile(r"""\s*["']?(?P<key>[\w./+-]+)["']?\s*=[^#]*(?P<comment>#.*)?""")


def write_pins(path: Path, revision: str, files: Iterable[WeightFile]) -> None:
    """Write a commit and the hashes of its files into the ``pin`` table of a domain file.

    Only lines of that table change; comments, order and everything else stay. Hashes of files
    that are not handed in are kept if the commit is the same, and dropped if it is another.

    Args:
        path: The domain's file.
        revision: Commit, 40 hex digits.
        files: Files of the domain, with hash and size.

    Raises:
        CatalogueError: The file is malformed, or not written so that lines can be exchanged; it
            is left as it was.
    """
    load_domain(path)
    text = path.read_bytes().decode()
    before = tomllib.loads(text)
    old = before.pop("pin", {})
    wanted = {"revision": json.dumps(revision)}
    if old.get("revision") == revision:
        wanted |= {key: _value(value) for key, value in old.items() if key != "revision"}
    wanted |= {file.name: _value({"sha256": file.sha256, "size": file.size}) for file in files}
    changed = _exchange(text, wanted)
    try:
        after = tomllib.loads(changed)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{path.name}: pin: write this table by hand ({error}).") from error
    if set(after.pop("pin", {})) != set(wanted) or after != before:
        raise CatalogueError(f"{path.name}: pin: write this table by hand, one line per file.")
    load_domain(path, changed)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(changed.encode())
        shutil.copymode(path, fresh)
        fresh.replace(path)
    except OSError as error:
        raise CatalogueError(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        fresh.unlink(missing_ok=True)


def _value(value: Mapping[str, Any]) -> str:
    """One file's pin as TOML, which agrees with JSON on text and whole numbers."""
    pairs = [f"{key} = {json.dumps(item)}" for key, item in value.items() if item is not None]
    return f"{{ {', '.join(pairs)} }}"


def _exchange(text: str, wanted: Mapping[str, str]) -> str:
    """Exchange the lines of the ``pin`` table, adding it at the end if there is none."""
    lines = text.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if _HEADER.fullmatch(line.rstrip())), None)
    if start is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        lines += ["\n", "[pin] # written by fetch --pin\n"]
        start = len(lines) - 1
    end = start + 1
    while end < len(lines) and not lines[end].lstrip().startswith("["):
        end += 1
    missing, body = dict(wanted), list[str]()
    for line in lines[start + 1 : end]:
        match = _ENTRY.fullmatch(line.rstrip())
        if match is None:
            body.append(line)
        elif (value := missing.pop(match["key"], None)) is not None:
            body.append(_line(match["key"], value, match["comment"]))
    last = max((i + 1 for i, line in enumerate(body) if line.strip()), default=0)
    body[last:last] = [_line(key, value) for key, value in missing.items()]
    return "".join(lines[: start + 1] + body + lines[end:])


def _line(key: str, value: str, comment: str | None = None) -> str:
    name = key if key == "revision" else json.dumps(key)
    return f"{name} = {value} {comment or ''}".rstrip() + "\n"
