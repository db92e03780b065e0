"""Real servers: waitress in a thread, or the whole command in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from wsgiref.types import WSGIApplication

from configsvc_server.serving.limits import Limits
from configsvc_server.serving.server import HttpServer

_ADDRESS = re.compile(r"answers at (http://\S+)")


@dataclass
class RunningServer:
    """A waitress that runs in a thread of this process."""

    server: HttpServer
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


@contextmanager
def running_server(
    app: WSGIApplication,
    *,
    threads: int = 8,
    limits: Limits | None = None,
    shutdown_timeout: float = 5.0,
    host: str = "127.0.0.1",
    port: int = 0,
    on_stop: Callable[[], None] = lambda: None,
) -> Iterator[RunningServer]:
    """Serve ``app`` on a real port while the block runs."""
    server = HttpServer(
        app,
        host=host,
        port=port,
        threads=threads,
        limits=limits,
        shutdown_timeout=shutdown_timeout,
        on_stop=on_stop,
    )
    thread = threading.Thread(target=server.run, name="test-server", daemon=True)
    thread.start()
    running = RunningServer(server, thread)
    try:
        yield running
    finally:
        running.stop()


@dataclass
class ServerProcess:
    """``configsvc serve`` in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    output: list[str] = field(default_factory=list)

    def stop(self, number: int = signal.SIGTERM, *, timeout: float = 20) -> int:
        """End it with a signal, gather what it still prints, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            # Not communicate(): part of the output is in the buffer of this stream already.
            with self.process.stdout:
                self.output.extend(self.process.stdout.read().splitlines())
        return self.process.wait(timeout)


def clean_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what would configure a server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CONFIGSVC_")}
    return {**kept, "COLUMNS": "100", **(variables or {})}


def command(*arguments: str) -> list[str]:
    """Return the command line of ``configsvc`` in this environment."""
    return [sys.executable, "-m", "configsvc_server", *arguments]


@contextmanager
def server_process(
    *flags: str,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[ServerProcess]:
    """Run ``configsvc serve`` on a free port until the block ends."""
    running = start_server_process(flags, cwd=cwd, variables=variables, prefix=prefix)
    try:
        yield running
    finally:
        running.stop()


def start_server_process(
    flags: Sequence[str],
    *,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> ServerProcess:
    """Start ``configsvc serve`` and wait until it says where it answers.

    ``prefix`` is a command that executes the one that follows it.
    """
    port = () if "--port" in flags else ("--port", "0")
    process = subprocess.Popen(
        [*prefix, *command("serve", *port, *flags)],
        cwd=cwd,
        env=clean_environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        output.append(line.rstrip("\n"))
        found = _ADDRESS.search(line)
        if found:
            return ServerProcess(process, found[1].replace("localhost", "127.0.0.1"), output)
    process.wait(10)
    raise AssertionError("the server did not start:\n" + "\n".join(output))
