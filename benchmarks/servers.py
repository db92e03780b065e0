"""Server processes for the benchmarks: start one, wait for its address, stop it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

START_TIMEOUT: Final = 120.0
STOP_TIMEOUT: Final = 30.0
"""In seconds, each."""

_BANNER = re.compile(r"answers at \S+:(\d+)")


class BenchmarkError(Exception):
    """The benchmark can't go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout of the project with its own virtual environment, which has its programs."""

    bin: Path

    @classmethod
    def of_this_process(cls) -> "Checkout":
        """Return the checkout that runs the benchmark."""
        return cls(Path(sys.executable).parent)

    @classmethod
    def in_folder(cls, folder: Path) -> "Checkout":
        """Return another checkout.

        Raises:
            BenchmarkError: it has no virtual environment yet.
        """
        checkout = cls(folder.absolute() / ".venv" / "bin")
        if not (checkout.bin / "configsvc").exists():
            raise BenchmarkError(f"{checkout.bin} has no configsvc: run uv sync --frozen there.")
        return checkout

    def python(self, *arguments: object) -> list[str]:
        """Return the command line of its interpreter, which ignores the current folder."""
        return [str(self.bin / "python"), "-P", *map(str, arguments)]

    def serve(self, *flags: str) -> list[str]:
        """Return the command line of its server, on any free port."""
        return self.run("serve", "--port=0", *flags)

    def run(self, *arguments: str) -> list[str]:
        """Return the command line of a command of configsvc."""
        return [str(self.bin / "configsvc"), *arguments]


def clean_environment() -> dict[str, str]:
    """Return the variables of this process without those that configure configsvc."""
    return {k: v for k, v in os.environ.items() if not k.startswith("CONFIGSVC_")}


@contextmanager
def running_server(name: str, command: Sequence[str], folder: Path) -> Iterator[str]:
    """Run a server and yield its address (see :func:`running_process`)."""
    with running_process(name, command, folder) as (address, _):
        yield address


@contextmanager
def running_process(name: str, command: Sequence[str], folder: Path) -> Iterator[tuple[str, int]]:
    """Run a server as a process of its own, its log in a file; yield its address and process id.

    Args:
        name: of its files in ``folder``.
        command: its command line; it has to print ``answers at URL`` when it is ready.
        folder: where it runs, so that no ``.env`` of the caller counts.

    Raises:
        BenchmarkError: it does not start.
    """
    output, log = folder / f"{name}.output", folder / f"{name}.log"
    with output.open("w") as stdout, log.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, cwd=folder, env=clean_environment()
        )
    try:
        yield f"http://127.0.0.1:{_wait_for_port(process, output, log)}", process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_port(process: subprocess.Popen[bytes], output: Path, log: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if banner := _BANNER.search(output.read_text()):
            return int(banner[1])
        if process.poll() is not None:
            raise BenchmarkError(f"{process.args!r} did not start:\n{log.read_text()}")
        time.sleep(0.02)
    raise BenchmarkError(f"{process.args!r} did not start within {START_TIMEOUT:.0f} s.")
