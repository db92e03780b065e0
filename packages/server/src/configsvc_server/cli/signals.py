"""Signals that stop a command: SIGTERM and Ctrl-C, at every moment of its life."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

import click

from configsvc_server.db.embedded import StartCancelledError

__all__ = ["StopSignals"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """SIGTERM and Ctrl-C while a command runs.

    Usually they are only recorded, because an exception between any two steps could leave a
    PostgreSQL behind: what starts and stops it asks for :attr:`requested`. Where nothing has to
    be tidied up, :meth:`interrupting` lets them raise; once the command serves, they call what
    was given to :meth:`on_stop`.

    A command that is stopped before that ends with the code of a process that the signal has
    killed: 130 for Ctrl-C, 143 for SIGTERM. 0 would say that it has done what it was told to.
    """

    def __init__(self) -> None:
        """Prepare the handlers, which are in place as long as the block runs."""
        self._number: int | None = None
        self._interrupts = False
        self._callback: Callable[[int], None] | None = None

    def requested(self) -> bool:
        """Return whether a signal has come."""
        return self._number is not None

    def ends_start(self) -> bool:
        """Return whether a signal has come before the command served."""
        return self.requested() and self._callback is None

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let the first signal raise ``KeyboardInterrupt``, which also ends a wait.

        Raises:
            KeyboardInterrupt: a signal comes, or has come before.
        """
        try:
            self._interrupts = True
            if self.requested():
                raise KeyboardInterrupt
            yield
        finally:
            self._interrupts = False

    def on_stop(self, callback: Callable[[int], None]) -> None:
        """Have each signal call ``callback`` with its number; at once if one has come."""
        self._callback = callback
        if self._number is not None:
            callback(self._number)

    def __enter__(self) -> Self:
        for number in _STOP_SIGNALS:
            signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The handlers stay: a second signal must not make a failure of a clean end.
        if isinstance(exc, (KeyboardInterrupt, StartCancelledError)):
            click.echo("Stopped before the start was complete.", err=True)
            sys.exit(128 + (self._number or signal.SIGINT))

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # The handler runs between any two instructions of the main thread, so it takes no lock.
        if self._number is None:
            self._number = number
        if self._callback is not None:
            self._callback(number)
        elif self._interrupts:
            # Once only: what follows is the tidying up.
            self._interrupts = False
            raise KeyboardInterrupt
