"""``configsvc log-level``: how much a running server logs.

A level is a signal, so that it reaches a server wherever it runs: in a container, below a service
manager, with its own folder for temporary files.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from configsvc_server.cli.errors import operator_errors
from configsvc_server.cli.options import PRECEDENCE, setting_options, settings_from_flags
from configsvc_server.logs import LEVELS, Level, set_level

__all__ = ["level_signals", "log_level", "registered"]

_DEFAULT: Final = "default"
_PROC: Final = Path("/proc")


def _signals() -> dict[str, int]:
    """Return the signals of this system, by the level that they stand for."""
    if not hasattr(signal, "SIGUSR1"):
        return {}
    signals = {"debug": int(signal.SIGUSR1), _DEFAULT: int(signal.SIGUSR2)}
    if hasattr(signal, "SIGRTMIN"):
        # Only the two above have names that every system and tool knows.
        others = (level for level in LEVELS if level not in signals)
        signals |= {level: signal.SIGRTMIN + n for n, level in enumerate(others, start=1)}
    return signals


def level_signals(start: Level) -> None:
    """Have this process change its log level when it is told to.

    Args:
        start: the level that it has by its settings.
    """
    for level, number in _signals().items():
        new: Level = next((known for known in LEVELS if known == level), start)
        signal.signal(number, lambda *_, new=new: set_level(new))


@contextmanager
def registered(data_dir: Path) -> Iterator[None]:
    """Let the command find this process by its data folder while the block runs."""
    entry = _folder(data_dir) / str(os.getpid())
    # The server works without; then it is found by its process id.
    with suppress(OSError):
        entry.parent.mkdir(exist_ok=True)
        entry.touch()
    try:
        yield
    finally:
        with suppress(OSError):
            entry.unlink()


@click.command("log-level", epilog=PRECEDENCE)
@click.argument("level", type=click.Choice([*LEVELS, _DEFAULT]))
@click.option(
    "--pid",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Process of the server; needed where it does not use an embedded PostgreSQL.",
)
@setting_options("data_dir")
def log_level(level: str, pid: int | None, **flags: object) -> None:
    """Change how much the running servers of this machine log, until they end.

    LEVEL is debug, info, warning or error; default is the one that they were started with. Without
    --pid it is for all servers that use the data folder.
    """
    with operator_errors():
        data_dir = settings_from_flags(flags).data_dir
    number = _signals().get(level)
    if number is None:
        raise click.ClickException(f"This system has no signal for the level {level}.")
    found = [pid] if pid is not None else _servers_of(data_dir, number)
    if not found:
        raise click.ClickException(
            f"No server uses the data folder {data_dir}. Give the process of the server with --pid."
        )
    for process in found:
        if not _handles(process, number):
            raise click.ClickException(
                f"Process {process} is no configsvc server, or has not started yet."
            )
        try:
            os.kill(process, number)
        except PermissionError:
            raise click.ClickException(f"Process {process} belongs to somebody else.") from None
        except ProcessLookupError:
            raise click.ClickException(f"There is no process {process}.") from None
        click.echo(f"Process {process} logs at the level {level}.")


def _folder(data_dir: Path) -> Path:
    return data_dir / "servers"


def _servers_of(data_dir: Path | None, number: int) -> list[int]:
    """Return the running servers of a data folder; a killed one leaves its entry."""
    if data_dir is None or not _folder(data_dir).is_dir():
        return []
    names = [entry.name for entry in _folder(data_dir).iterdir()]
    return sorted(pid for pid in map(int, filter(str.isdecimal, names)) if _handles(pid, number))


def _handles(pid: int, number: int) -> bool:
    """Return whether a process is a server that handles a signal: another one would end by it."""
    if not (_PROC / "self/status").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    try:
        command = (_PROC / str(pid) / "cmdline").read_bytes()
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return b"configsvc" in command and bool(int(caught.split()[1], 16) >> (number - 1) & 1)
