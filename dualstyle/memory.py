"""One setting of the process: freed memory is kept instead of being handed back to the system."""

from __future__ import annotations

import ctypes
import sys

# Of glibc's mallopt.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
KEPT = 1 << 30  # [bytes]
GROWTH = 64 << 20  # [bytes] asked for at a time


def keep_freed_memory() -> None:
    """Let the allocator keep what is freed; for entry points, before the first network runs.

    Returning memory to the system after every layer and asking for it again costs a fifth of the
    whole computation. Threads share one arena: each thread's own would be heaps of 64 MiB, which go
    back as soon as they are empty. Where the allocator is not glibc's nothing happens.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, musl does not
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEPT)
        mallopt(M_TOP_PAD, GROWTH)
        mallopt(M_ARENA_MAX, 1)
