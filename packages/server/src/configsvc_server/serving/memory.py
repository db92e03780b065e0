"""Memory of the process: large blocks go back to the system as soon as they are freed."""

import ctypes
import sys
from typing import Final

__all__ = ["MMAP_THRESHOLD", "give_back_freed_memory"]

MMAP_THRESHOLD: Final = 256 * 1024
"""Bytes from which on a block of memory has pages of its own, which are unmapped with it."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

# Setting one of the two keeps glibc from raising the other, and with its first value the heap would
# shrink and grow again with every few requests.
_TRIM_THRESHOLD: Final = 4 * 1024 * 1024


def give_back_freed_memory() -> bool:
    """Keep the C library from holding on to the memory of large responses.

    Left to itself, glibc raises this threshold to the largest block that was ever freed, up to
    32 MiB, and from then on keeps such blocks in the heap of each thread, where one small block
    behind them is enough to hold them for ever.

    Returns:
        Whether it could be set: other C libraries have other allocators.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
    return bool(mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD) == 1)
