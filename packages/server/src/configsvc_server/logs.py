"""Logging: structured, one event per line; JSON for machines, colours for a terminal."""

import atexit
import contextlib
import logging
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Literal, TextIO, cast

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

__all__ = ["DeferredStream", "configure_logging"]


class DeferredStream:
    """Text stream that collects lines and writes them together, from a thread of its own.

    Every write to a file releases the interpreter's lock, and with many threads a request
    waits longer to get it back than the rest of it takes: log lines written one by one cost
    half of the throughput.
    """

    DELAY = 0.05
    """Seconds that a line may wait before it is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        self._pending = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="configsvc-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, text: str) -> int:
        """Add ``text`` to what is to be written, and return its length."""
        self._lines.append(text)
        if self._closed.is_set():
            self._write_pending()
        elif not self._pending.is_set():
            self._pending.set()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread flushes."""

    def close(self) -> None:
        """Write what is pending; later lines are written at once."""
        self._closed.set()
        self._pending.set()
        self._thread.join(1.0)
        self._write_pending()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._pending.wait()
            self._closed.wait(self.DELAY)
            self._pending.clear()
            self._write_pending()

    def _write_pending(self) -> None:
        lines = []
        with contextlib.suppress(IndexError):
            while True:
                lines.append(self._lines.popleft())
        # The reader of the log may have gone; that must not end the service.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write("".join(lines))
            self._stream.flush()


def configure_logging(
    *, level: str = "info", log_format: Literal["auto", "console", "json"] = "auto"
) -> None:
    """Send our own log and that of every library to standard error, in one format.

    Args:
        level: the lowest level that is logged: debug, info, warning or error.
        log_format: ``json``, ``console``, or ``auto`` for console on a terminal only.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    stream = cast("TextIO", DeferredStream(sys.stderr)) if as_json else sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(number),
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
    root.setLevel(max(number, logging.WARNING))
    # A short queue is normal for waitress, and our own log reports an outage of the database.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
