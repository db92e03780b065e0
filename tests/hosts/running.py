"""Running hosts: how to start each kind, to ask its workers, and to stop it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import psutil
import requests

from tests.support.waiting import until

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.manager import KernelManager

__all__ = [
    "ROOT",
    "Answer",
    "Command",
    "Host",
    "Kernel",
    "Place",
    "Running",
    "celery",
    "children",
    "kernel",
    "started",
    "web",
]

ROOT = Path(__file__).parents[2]
"""Folder of the repository."""

_TROUBLE = re.compile(r"Traceback|Exception ignored|Fatal Python|Warning\b|Error\b|exception")


class Answer(NamedTuple):
    """What one worker read in one request."""

    pid: int
    value: int
    bound: int


@dataclass(frozen=True)
class Place:
    """Where a host runs: a folder of its own, and a server, without which it has no client."""

    folder: Path
    url: str | None

    @property
    def log(self) -> Path:
        """File of all that the host prints."""
        return self.folder / "output.txt"

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of the host, without what would measure its coverage."""
        return {
            **({"CONFIGSVC_URL": self.url} if self.url else {}),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), "/usr/bin", "/bin")),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **(variables or {}),
        }


class Running(ABC):
    """Running host, in a session of its own by which its processes are known."""

    def __init__(self, place: Place, pid: int) -> None:
        self.place = place
        self.pid = pid

    @abstractmethod
    def ask(self) -> list[Answer]:
        """Let workers read, and return what they answered within a few seconds."""

    @abstractmethod
    def stop(self) -> None:
        """Ask the host to end, and wait until it has."""

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self.place.log.read_text()

    def trouble(self, expected: str | None) -> list[str]:
        """Return the lines that tell of trouble, but for those that the host always prints."""
        return [
            line
            for line in self.output.splitlines()
            if _TROUBLE.search(line) and not (expected and re.search(expected, line))
        ]

    def processes(self) -> list[psutil.Process]:
        """Return its processes, without those that have ended."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == self.pid and process.status() != "zombie":
                    found.append(process)
        return found

    def kill(self) -> None:
        """End what is left of it."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


@dataclass(frozen=True)
class Host:
    """One row of the table: a way to run an application."""

    name: str
    flags: str
    start: Callable[[Place], AbstractContextManager[Running]]
    workers: int = 1
    needs: str | None = None
    """Module without which it can't be run."""
    expected: str | None = None
    """Pattern of alarming lines that the host prints without the client, too."""

    def __str__(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.name} {self.flags}".lower()).strip("-")


class Command(Running):
    """Host that is a command, and ends on SIGTERM."""

    def __init__(self, place: Place, process: "subprocess.Popen[str]") -> None:
        super().__init__(place, process.pid)
        self.process = process

    def ask(self) -> list[Answer]:
        raise NotImplementedError

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(90)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it prints what matches."""

        def found() -> re.Match[str] | None:
            assert self.process.poll() is None, f"it ended at once:\n{self.output}"
            return re.search(pattern, self.output)

        return until(found, seconds=60)


class _Web(Command):
    """Web server, asked by several requests at once over new connections."""

    address = ""

    def ask(self) -> list[Answer]:
        with ThreadPoolExecutor(4) as pool:
            return [answer for answer in pool.map(self._get, range(4)) if answer]

    def _get(self, _: int) -> Answer | None:
        try:
            response = requests.get(self.address, timeout=5)
        except requests.RequestException:
            return None
        return _parse(response.text) if response.ok else None


def web(
    *command: str, listens: str, path: str = ""
) -> Callable[..., AbstractContextManager[Running]]:
    """Return how to start a web server, whose output tells where it ``listens``."""

    @contextmanager
    def start(place: Place) -> Iterator[Running]:
        with started(_Web, place, command) as running:
            running.address = f"http://{running.wait_for(listens)[1]}{path}"
            yield running

    return start


class _Celery(Command):
    """Celery worker, given several tasks at once; its log has what they return."""

    def __init__(self, place: Place, process: "subprocess.Popen[str]") -> None:
        # Here and not above: every run of pytest imports this module, most without a need for it.
        from tests.hosts.applications.celery_files import OUT, make_celery, send

        super().__init__(place, process)
        self._client = make_celery(place.folder, out=OUT)
        self._send = send

    def ask(self) -> list[Answer]:
        ids = [self._send(self._client, "read", (), self.place.folder) for _ in range(4)]
        deadline = time.monotonic() + 5
        answers: list[Answer] = []
        while len(answers) < len(ids) and time.monotonic() < deadline:
            time.sleep(0.005)
            found = (re.search(rf"\[{id_}\] succeeded in \S+: '(.+)'", self.output) for id_ in ids)
            answers = [_parse(answer[1]) for answer in found if answer]
        return answers


def celery(*flags: str) -> Callable[[Place], AbstractContextManager[Running]]:
    """Return how to start a Celery worker."""

    @contextmanager
    def start(place: Place) -> Iterator[Running]:
        command = (
            *(sys.executable, "-m", "celery", "-A", "tests.hosts.applications.celery_tasks"),
            *("worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle", *flags),
        )
        variables = {"CELERY_FOLDER": str(place.folder)}
        with started(_Celery, place, command, variables) as running:
            running.wait_for(r"ready\.")
            yield running

    return start


class _Children(Command):
    """Script that asks the processes of its own."""

    def ask(self) -> list[Answer]:
        assert self.process.stdin is not None
        before = self.output.count("\n")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        until(lambda: self.output.count("\n") > before, seconds=20)
        return [_parse(answer) for answer in self.output.splitlines()[before].split(";")]


def children(method: str) -> Callable[[Place], AbstractContextManager[Running]]:
    """Return how to start a script with two children of :mod:`multiprocessing`."""

    @contextmanager
    def start(place: Place) -> Iterator[Running]:
        command = (sys.executable, "-m", "tests.hosts.applications.children", method)
        with started(_Children, place, command) as running:
            running.wait_for("ready\n")
            yield running

    return start


class Kernel(Running):
    """Jupyter kernel, asked by executing a cell."""

    PLAIN = "from tests.hosts.applications.reading import answer"

    AWAITING = """
from contextlib import AsyncExitStack
from tests.hosts.applications.awaiting import reader
stack = AsyncExitStack()
answer = await reader(stack)
"""

    def __init__(self, place: Place, pid: int, manager: "KernelManager", setup: str) -> None:
        super().__init__(place, pid)
        self.manager = manager
        self.client: BlockingKernelClient = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.execute(setup)

    def ask(self) -> list[Answer]:
        return [_parse(self.execute("print(answer())"))]

    def execute(self, cell: str) -> str:
        """Execute a cell and return what it prints."""
        printed = []

        def hear(message: "dict[str, Any]") -> None:
            content = message["content"]
            printed.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        reply = self.client.execute_interactive(cell, timeout=20, output_hook=hear)
        assert reply["content"]["status"] == "ok", reply
        return "".join(printed)

    def completions(self, text: str) -> list[str]:
        """Return what the tab key offers after ``text``."""
        reply = self.client.complete(text, reply=True, timeout=20)
        return list(reply["content"]["matches"])

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()


@contextmanager
def kernel(place: Place, *, setup: str = Kernel.PLAIN) -> Iterator[Kernel]:
    """Start a Jupyter kernel, with a cell that has the function which answers."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    with place.log.open("w") as log:
        manager.start_kernel(env=place.environment(), stdout=log, stderr=log, cwd=str(ROOT))
    running = None
    try:
        assert manager.provisioner is not None
        pid: int = manager.provisioner.pid or 0  # type: ignore[attr-defined]
        running = Kernel(place, pid, manager, setup)
        yield running
    finally:
        if running is not None:
            running.kill()
            running.client.stop_channels()
        manager.shutdown_kernel(now=True)


R = TypeVar("R", bound=Command)


@contextmanager
def started(
    kind: Callable[[Place, "subprocess.Popen[str]"], R],
    place: Place,
    command: Sequence[str],
    variables: Mapping[str, str] | None = None,
    *,
    cwd: Path = ROOT,
) -> Iterator[R]:
    """Run a command in a session of its own until the block ends."""
    with (
        place.log.open("w") as log,
        subprocess.Popen(
            command,
            cwd=cwd,
            env=place.environment(variables),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        running = kind(place, process)
        try:
            yield running
        finally:
            running.kill()


def _parse(text: str) -> Answer:
    return Answer(*map(int, text.split()))
