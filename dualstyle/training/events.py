"""Scalars for TensorBoard, in its event files; TensorBoard itself is not needed to write them.

An event file is a row of records (TFRecord): length, checksum, a protocol-buffer message `Event`,
checksum. Only the four fields that a scalar needs are written:

    Event    wall_time = 1 (double), step = 2 (varint), file_version = 3 (text), summary = 5
    Summary  value = 1 (repeated);  Value  tag = 1 (text), simple_value = 2 (float)
"""

from __future__ import annotations

import functools
import struct
import time
from collections.abc import Mapping
from pathlib import Path

CASTAGNOLI = 0x82F63B78  # the polynomial of CRC-32C, reversed
CHECKSUM_SHIFT = 0xA282EAD8  # added to a rotated checksum that is stored beside its data
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # kinds of a field on the wire


class EventWriter:
    """Appends scalars to one new event file in a folder.

    Args:
        folder: Where TensorBoard is to look: ``tensorboard --logdir FOLDER``.
    """

    def __init__(self, folder: Path) -> None:
        now = time.time()
        self.path = folder / f"events.out.tfevents.{int(now)}.{time.monotonic_ns()}"
        self._append(_field(1, DOUBLE, now) + _field(3, BYTES, b"brain.Event:2"))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write some scalars of one step."""
        values = b"".join(
            _field(1, BYTES, _field(1, BYTES, name.encode()) + _field(2, FLOAT, value))
            for name, value in scalars.items()
        )
        event = _field(1, DOUBLE, time.time()) + _field(2, VARINT, step) + _field(5, BYTES, values)
        self._append(event)

    def _append(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        with self.path.open("ab") as file:
            file.write(length + _checksum(length) + event + _checksum(event))


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of some bytes."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@functools.cache
def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc >> 1) ^ (CASTAGNOLI if crc & 1 else 0)
        table.append(crc)
    return table


def _checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + CHECKSUM_SHIFT) & 0xFFFFFFFF)


def _field(number: int, kind: int, value: float | bytes) -> bytes:
    """One field of a protocol-buffer message."""
    key = _varint(number << 3 | kind)
    if isinstance(value, bytes):
        return key + _varint(len(value)) + value
    if kind == VARINT:
        return key + _varint(int(value))
    return key + struct.pack("<d" if kind == DOUBLE else "<f", value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004  seven bits
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
