"""Worker process of the schema checks: reads requests, writes replies, can be killed.

Requests arrive on standard input and replies leave on standard output, each as a length of
four bytes and a JSON text. The worker quits when its input ends, as it does however the parent
died; during a check, an alarm of its own ends it.
"""

import contextlib
import json
import mmap
import os
import signal
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NotRequired, TypeAlias, TypedDict

from configsvc_server.domain.schema.validator import SchemaValidator, schema_violations
from configsvc_server.domain.schema.violations import Violation
from configsvc_server.domain.strict_json import JsonValue

if sys.platform != "win32":
    import resource

__all__ = ["LENGTH", "READY", "PlainViolation", "Reply", "Request", "main"]

LENGTH = struct.Struct("!I")
"""Prefix of every message: the length of its JSON text in bytes."""

READY = {"ready": True}
"""First message of the worker, before any request."""

PlainViolation: TypeAlias = tuple[list[str | int], str, str]
"""Path, schema pointer and message of a violation."""


class Request(TypedDict):
    """Request to check a schema, or values by a valid schema."""

    schema: JsonValue
    values: NotRequired[list[JsonValue]]
    timeout: float
    """Seconds that the check may take."""


class Reply(TypedDict):
    """Reply to a request."""

    violations: list[list[PlainViolation]] | None
    """Those of the schema, or those of each value; ``None`` if the check was too costly."""

    is_last: bool
    """``True`` if the worker should be replaced."""


# Of the scheduler: whoever reads goes before whoever writes what is slow to check.
_NICENESS = 10

_MEMORY_LIMIT = 512 * 1024 * 1024

# Documents are at most 64 levels deep; each costs a schema that refers to itself a few dozen
# calls. The stack must be large enough for as many of them.
_RECURSION_LIMIT = 6_000
_STACK_LIMIT = 64 * 1024 * 1024

# A process that has not returned its memory may not have enough left for the next request.
_REPLACE_ABOVE = _MEMORY_LIMIT // 2

# Seconds that a check may take beyond the parent's timeout, for when the parent is dead.
_ALARM_GRACE = 1.0


def main() -> None:
    """Reply to requests until the input ends."""
    # An interrupt at a terminal, or a stop of the service, goes to all of its processes; but
    # this one is needed for as long as the parent finishes HTTP requests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.setrecursionlimit(_RECURSION_LIMIT)
    _limit_memory()
    _yield_to_the_server()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    _write(target, READY)
    while (request := _read(source)) is not None:
        with _alarm(request["timeout"] + _ALARM_GRACE):
            violations = _check(request)
        _write(target, Reply(violations=violations, is_last=_is_large()))


def _check(request: Request) -> list[list[PlainViolation]] | None:
    schema = request["schema"]
    try:
        if "values" not in request:
            return [_plain(schema_violations(schema))]
        validator = SchemaValidator(schema)
        return [_plain(validator.violations(value)) for value in request["values"]]
    except (RecursionError, MemoryError):
        return None


def _plain(violations: list[Violation]) -> list[PlainViolation]:
    return [(list(v.path), v.schema_pointer, v.message) for v in violations]


def _read(stream: BinaryIO) -> Any:
    """Return the next message, or ``None`` at the end of the stream."""
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(prefix)
    body = stream.read(length)
    return json.loads(body) if len(body) == length else None


def _write(stream: BinaryIO, message: Mapping[str, object]) -> None:
    body = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer: a regular expression can't be interrupted."""
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
    for kind, amount in (
        (resource.RLIMIT_AS, _MEMORY_LIMIT),
        (resource.RLIMIT_STACK, _STACK_LIMIT),
    ):
        _, hard = resource.getrlimit(kind)
        limit = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        # Some platforms have the limit, but refuse to set it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, hard))


def _yield_to_the_server() -> None:
    if sys.platform != "win32":
        os.nice(_NICENESS)


def _is_large() -> bool:
    # Not by getrusage: the peak that it reports begins with that of the parent.
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return False  # not on every platform
    return pages * mmap.PAGESIZE > _REPLACE_ABOVE


if __name__ == "__main__":
    with contextlib.suppress(MemoryError):
        try:
            main()
        except BrokenPipeError:
            # The server has gone. What is left for it would fail again when Python flushes it.
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
