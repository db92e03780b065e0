"""Supervision: what starts killed servers again, as systemd would, and says when all is back."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.processes import POLL_INTERVAL, ServerProcess, postmaster

KINDS: Final = ("server", "postmaster", "both")
"""What can be killed."""

RESTART_DELAY: Final = 0.1
"""Seconds until what has ended is started again: the default of systemd."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One kill; moments are on the monotonic clock, in seconds."""

    kind: str
    moment: float
    ready: float | None
    """When everything was ready again; ``None`` if that never came."""

    @property
    def seconds(self) -> float | None:
        """How long it took until everything was ready."""
        return None if self.ready is None else self.ready - self.moment


class Supervisor:
    """Thread that starts each server again that has ended, while the block runs."""

    def __init__(self, servers: Sequence[ServerProcess]) -> None:
        self.starts = 0
        """How often one was started again."""
        self._servers = servers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> "Supervisor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(POLL_INTERVAL):
            for server in self._servers:
                if not server.is_running and not self._over.wait(RESTART_DELAY):
                    server.start()
                    self.starts += 1


class Killer:
    """Killer of servers and of the PostgreSQL that they have embedded, by SIGKILL."""

    SECOND_STRIKE: Final = 0.2
    """How likely it is that the next kill does not wait until everything is back."""

    def __init__(
        self, servers: Sequence[ServerProcess], data_dir: Path, *, kinds: Sequence[str], seed: int
    ) -> None:
        """Choose whom to kill.

        Args:
            servers: those over the data directory; a supervisor has to start them again.
            data_dir: of the embedded PostgreSQL.
            kinds: of :data:`KINDS`; each comes once before one comes again.
            seed: of all that is random.
        """
        self.strikes: list[Strike] = []
        self._servers = servers
        self._data_dir = data_dir
        self._kinds = kinds
        self._left: list[str] = []
        self._random = random.Random(seed)

    def pause(self, mean: float) -> float:
        """Return for how long to wait before the next kill, in seconds."""
        return self._random.uniform(0.5 * mean, 1.5 * mean)

    def strike(self, *, timeout: float) -> Strike:
        """Kill, sometimes again before everything is back, and wait until it is.

        Args:
            timeout: seconds after which it will not come back any more.
        """
        strikes = [self._kill()]
        while self._random.random() < self.SECOND_STRIKE:
            time.sleep(self._random.uniform(0, 1.5))
            strikes.append(self._kill())
        old = {process for _, _, process in strikes if process is not None}
        deadline = time.monotonic() + timeout
        ready = None
        while ready is None and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)
            if postmaster(self._data_dir) not in {None, *old} and all(
                server.is_ready() for server in self._servers
            ):
                ready = time.monotonic()
        # Until everything was back after the last one, nothing can be said of the others.
        kind, moment, _ = strikes[-1]
        kinds = "+".join([*(name for name, _, _ in strikes[:-1]), kind])
        self.strikes.append(Strike(kinds, moment, ready))
        return self.strikes[-1]

    def _kill(self) -> tuple[str, float, psutil.Process | None]:
        if not self._left:
            self._left = self._random.sample(self._kinds, len(self._kinds))
        kind = self._left.pop()
        victims = []
        if kind != "postmaster":
            victims.append(self._random.choice(self._servers).kill)
        process = postmaster(self._data_dir) if kind != "server" else None
        if process is not None:
            victims.append(process.kill)
        self._random.shuffle(victims)
        moment = time.monotonic()
        for victim in victims:
            victim()
        return kind, moment, process
