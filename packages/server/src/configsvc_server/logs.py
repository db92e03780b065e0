"""Logging: structured, one event per line; JSON for machines, colours for a terminal.

Whoever reads the log may stop reading, and what a caller sends gets into it. So a thread that
logs never waits for the reader, and nothing that was logged can steer a terminal or pass for
another line.
"""

import atexit
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, TextIO, TypeAlias, cast, get_args

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

__all__ = ["LEVELS", "DeferredStream", "Level", "configure_logging", "set_level", "shows_debug"]

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""From the one that shows most to the one that shows least."""

_log = structlog.stdlib.get_logger(__name__)

_level = logging.INFO


class DeferredStream:
    """Text stream that collects lines and writes them together, from a thread of its own.

    Every write to a file releases the interpreter's lock, and with many threads a request
    waits longer to get it back than the rest of it takes: log lines written one by one cost
    half of the throughput. And a pipe that nobody reads blocks whoever writes to it: here that
    is this thread alone. What does not fit is dropped and counted meanwhile.
    """

    DELAY = 0.05
    """Seconds that a line may wait before it is written."""

    MAX_LINES = 10_000
    """Lines that may wait to be written; more are dropped."""

    MAX_CHARACTERS = 1024 * 1024
    """Characters of all lines that may wait to be written."""

    CLOSE_TIMEOUT = 1.0
    """Seconds that the end of the process waits for the reader."""

    def __init__(
        self, stream: TextIO, *, describe_dropped: Callable[[int], str] | None = None
    ) -> None:
        """Start the thread.

        Args:
            stream: where to write.
            describe_dropped: makes the line that says how many lines are missing in its place;
                without it, nothing does.
        """
        self._target = _Target(stream)
        self._describe_dropped = describe_dropped
        # Reentrant: a signal handler may log while its own thread holds it.
        self._lock = threading.RLock()
        self._lines: list[str] = []
        self._characters = 0
        self._dropped = 0
        self._pending = threading.Event()
        self._settled = threading.Event()
        self._settled.set()
        self._closed = threading.Event()
        self._is_stuck = False
        # A daemon: the process can end while it is blocked.
        self._thread = threading.Thread(target=self._run, name="configsvc-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, text: str) -> int:
        """Add ``text``, one line, to what is to be written, or drop it; return its length."""
        with self._lock:
            characters = self._characters + len(text)
            if len(self._lines) >= self.MAX_LINES or characters > self.MAX_CHARACTERS:
                self._dropped += 1
                is_first = self._dropped == 1
            else:
                is_first = not self._lines
                self._lines.append(text)
                self._characters = characters
            if is_first:
                self._settled.clear()
                self._pending.set()
        if self._closed.is_set():
            self._settle()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread flushes."""

    def close(self) -> None:
        """Write what is pending, for at most :attr:`CLOSE_TIMEOUT`; later lines do not wait."""
        atexit.unregister(self.close)
        self._closed.set()
        self._settle()

    def _settle(self) -> None:
        """Wait until everything is written, unless that has taken too long once."""
        if not self._is_stuck:
            self._is_stuck = not self._settled.wait(self.CLOSE_TIMEOUT)

    def _run(self) -> None:
        while True:
            self._pending.wait()
            self._closed.wait(self.DELAY)
            self._write_pending()

    def _write_pending(self) -> None:
        with self._lock:
            self._pending.clear()
            lines, self._lines, self._characters = self._lines, [], 0
            dropped, self._dropped = self._dropped, 0
        # Room is made here only, so what was dropped came after all of these.
        text = "".join(lines)
        if dropped and self._describe_dropped is not None:
            text += self._describe_dropped(dropped)
        try:
            self._target.write(text)
        except (OSError, ValueError):
            # The reader of the log may have gone; that must not end the service.
            with self._lock:
                self._dropped += len(lines) + dropped
        with self._lock:
            if not self._lines:
                self._settled.set()


class _Target:
    """File below a text stream, which is written without the locks of that stream.

    A daemon thread that is blocked in the stream holds a lock of it, and the interpreter aborts
    when it flushes the standard streams at its end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        try:
            self._descriptor: int | None = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._descriptor = None  # in memory
        else:
            stream.flush()

    def write(self, text: str) -> None:
        """Write the whole ``text``.

        Raises:
            OSError, ValueError: nobody can read it any more.
        """
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        encoding = self._stream.encoding or "utf-8"
        unwritten = memoryview(text.encode(encoding, "backslashreplace"))
        while unwritten:
            try:
                unwritten = unwritten[os.write(self._descriptor, unwritten) :]
            except BlockingIOError:
                # Whoever started us has made it non-blocking; it is full.
                time.sleep(DeferredStream.DELAY)


def configure_logging(
    *, level: str = "info", log_format: Literal["auto", "console", "json"] = "auto"
) -> None:
    """Send our own log and that of every library to standard error, in one format.

    Args:
        level: the lowest level that is logged: debug, info, warning or error.
        log_format: ``json``, ``console``, or ``auto`` for console on a terminal only.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # JSON is written in ASCII, so it has no control character either.
    final: list[Processor] = (
        [_FORMAT_EXCEPTION, structlog.processors.JSONRenderer()]
        if as_json
        else [
            _FORMAT_EXCEPTION,
            _escape_event,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )

    def describe_dropped(count: int) -> str:
        event: EventDict = {"event": f"{count} log lines were dropped", "dropped": count}
        for processor in [*shared, *final]:
            event = cast("EventDict", processor(None, "warning", event))
        return f"{event}\n"

    stream = cast("TextIO", DeferredStream(sys.stderr, describe_dropped=describe_dropped))
    structlog.configure(
        processors=[*shared, *final],
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    _apply(level)
    # A short queue is normal for waitress, and our own log reports an outage of the database.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def set_level(level: Level) -> None:
    """Change the lowest level that is logged, and say so; safe in a signal handler.

    Args:
        level: debug, info, warning or error. Of libraries, warnings are the least that is logged:
            what they tell below that may have what callers send.
    """
    shows_more = logging.getLevelNamesMapping()[level.upper()] < _level
    if shows_more:
        _apply(level)
    _log.warning("log level changed", new_level=level)
    if not shows_more:
        _apply(level)


def shows_debug() -> bool:
    """Return whether lines of the level debug are logged, for those that take time to make."""
    return _level <= logging.DEBUG


def _apply(level: str) -> None:
    global _level  # noqa: PLW0603 - there is one log in a process
    _level = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_level))
    logging.getLogger().setLevel(max(_level, logging.WARNING))


_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]


def _format_exception(exc_info: _ExcInfo) -> str:
    """Return a traceback; of what the database says only the code, as its text shows values."""
    return "\n".join(_exception_lines(exc_info[1], exc_info[2]))


def _exception_lines(error: BaseException, trace: TracebackType | None) -> Iterator[str]:
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _exception_lines(earlier, earlier.__traceback__)
        yield "\nThis led to:\n"
    if trace is not None:
        yield "Traceback (most recent call last):"
        yield "".join(traceback.format_tb(trace)).rstrip()
    # Every error of psycopg has it, and none other.
    text = f"SQLSTATE {error.sqlstate}" if hasattr(error, "sqlstate") else str(error)
    yield f"{type(error).__name__}: {text}"


_FORMAT_EXCEPTION: Final = structlog.processors.ExceptionRenderer(_format_exception)


def _escape_event(_: object, __: str, event: "EventDict") -> "EventDict":
    """Escape what is not printable, so that a line is one line and steers no terminal."""
    return {
        _escape(key): _escape_lines(value)
        if key in {"exception", "stack"} and isinstance(value, str)
        else _escape_value(value)
        for key, value in event.items()
    }


def _escape_value(value: object) -> object:
    if isinstance(value, str):
        return _escape(value)
    shown = repr(value)
    return value if shown.isprintable() else _escape(shown)


def _escape_lines(text: str) -> str:
    """Escape each line of a traceback, and indent it: no line of the log begins with a space."""
    return "\n".join("  " + _escape(line.replace("\t", "    ")) for line in text.split("\n"))


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
