"""The process that checks by schemas which may never come to an end; others can kill it.

It reads questions on its standard input and writes the answers to its standard output, each as
a length of four bytes and a JSON text. It quits when its input ends, which it does however the
parent died; in the midst of a check, it is ended by its own alarm.
"""

import contextlib
import json
import mmap
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from configsvc_server.domain.schema.validator import SchemaValidator, schema_violations
from configsvc_server.domain.schema.violations import Violation

if sys.platform != "win32":
    import resource

__all__ = ["LENGTH", "READY", "main"]

LENGTH = struct.Struct("!I")
"""How the length of a message is written before it."""

READY = {"ready": True}
"""The first message, unasked for."""

_MEMORY = 512 * 1024 * 1024

# Documents are at most 64 levels deep; each costs a schema that refers to itself a few dozen
# calls. The stack must be large enough for as many of them.
_RECURSION = 6_000
_STACK = 64 * 1024 * 1024

# A process that has not given memory back may not have enough left for the next question.
_LARGE = _MEMORY // 2

# How much longer than the parent's patience a check may take when the parent is dead.
_GRACE = 1.0


def main() -> None:
    """Answer questions until there are no more."""
    # An interrupt at a terminal, or a stop of the service, goes to all of its processes; but
    # this one is needed for as long as the parent finishes requests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.setrecursionlimit(_RECURSION)
    _limit_memory()
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    _write(answers, READY)
    while (question := _read(questions)) is not None:
        with _alarm(question["timeout"] + _GRACE):
            answer = _answer(question)
        _write(answers, {**answer, "is_last": _is_large()})


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    try:
        if "values" not in question:
            return {"violations": [_plain(schema_violations(question["schema"]))]}
        validator = SchemaValidator(question["schema"])
        return {"violations": [_plain(validator.violations(v)) for v in question["values"]]}
    except (RecursionError, MemoryError):
        return {"violations": None}


def _plain(violations: list[Violation]) -> list[list[Any]]:
    return [[list(v.path), v.schema_pointer, v.message] for v in violations]


def _read(stream: BinaryIO) -> Any:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = stream.read(length)
    return json.loads(body) if len(body) == length else None


def _write(stream: BinaryIO, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer; nothing else ends a regular expression."""
    if sys.platform == "win32":
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    for kind, amount in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_STACK, _STACK)):
        _, hard = resource.getrlimit(kind)
        limit = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        # Some platforms have a limit that they don't let anybody set.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, hard))


def _is_large() -> bool:
    # Not by getrusage: the peak that it tells begins with that of the parent.
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return False  # not on every platform
    return pages * mmap.PAGESIZE > _LARGE


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, MemoryError):
        main()
