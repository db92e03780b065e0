"""Command line as a module: ``python -m configsvc_server``."""

import contextlib
import os
import signal
from types import FrameType

__all__ = ["run"]


def run() -> None:
    """Run the command line.

    It takes a moment to import, in which a signal would end in a traceback, or do nothing at
    all to the first process of a container.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_early)
    from configsvc_server.cli.main import main  # noqa: PLC0415

    main()


def _exit_early(number: int, _frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"Stopped before the start was complete.\n")
    # Not by an exception, which an import could swallow or show.
    os._exit(128 + number)


if __name__ == "__main__":
    run()
