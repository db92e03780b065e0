"""Ledger of what clients sent and what a server told them, to be compared with its history."""

import hashlib
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import requests

TIMEOUT: Final = 10.0
"""Seconds that one request waits for an answer."""

UNAVAILABLE: Final = 503
"""The one error of a server that is allowed to come while something is down."""


def sealed(author: str, serial: int) -> dict[str, Any]:
    """Return a document that nobody else writes and that says by itself whether it is whole."""
    return {
        "author": author,
        "serial": serial,
        "limits": {"requests_per_minute": serial, "hosts": [f"{author}.internal"] * 4},
        "seal": _seal(author, serial),
    }


def seal_of(value: Mapping[str, Any]) -> str | None:
    """Return the seal of a document, or ``None`` where it is not what :func:`sealed` gave."""
    author, serial = value.get("author"), value.get("serial")
    if not isinstance(author, str) or not isinstance(serial, int):
        return None
    return _seal(author, serial) if value == sealed(author, serial) else None


def _seal(author: str, serial: int) -> str:
    return hashlib.sha256(f"{author} {serial}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A version that the server confirmed to its writer."""

    configuration: str
    """Its id."""
    version: int
    seal: str
    updated_at: str
    """The timestamp of the version, as the server wrote it."""
    begun: float
    """When the write was begun, on the monotonic clock, in seconds."""
    done: float
    """When it was confirmed."""


class Ledger:
    """Notes of all threads: attempts, acknowledgements, answers, and what must not have been."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        """Set when nothing new is to be begun."""
        self.answers: Counter[str] = Counter()
        """Number of answers by status, and of ``no answer``."""
        self.acknowledgements: list[Acknowledgement] = []
        """In the order in which they came."""
        self.promotions: dict[str, list[dict[str, Any]]] = {}
        """Releases of each confirmed promotion, by its request id."""
        self.resolved = 0
        """Writes without an answer of which the history said later that they were made."""
        self.repeated = 0
        """Writes that were sent again since nobody knew whether they had been made."""
        self.reads = 0
        self.behind = 0
        """Reads from memory that were behind an earlier one that passed it by."""
        self.violations: list[str] = []
        self._attempted: set[str] = set()
        self._newest: dict[str, int] = {}
        self._newest_by_server: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    # ---- What writers note ---------------------------------------------------------------

    def attempted(self, seal: str) -> None:
        """Note that a document is about to be sent."""
        with self._lock:
            self._attempted.add(seal)

    def acknowledged(self, server: str, note: Acknowledgement) -> None:
        """Note that a version is there: a server has confirmed it, or shown it in the history."""
        with self._lock:
            self.acknowledgements.append(note)
            key = (server, note.configuration)
            self._newest[note.configuration] = max(
                note.version, self._newest.get(note.configuration, 0)
            )
            self._newest_by_server[key] = max(note.version, self._newest_by_server.get(key, 0))

    def promoted(self, request_id: str, released: Sequence[dict[str, Any]]) -> None:
        """Note the releases of a confirmed promotion."""
        with self._lock:
            self.promotions[request_id] = list(released)

    def answered(self, status: int | None) -> None:
        """Count an answer, or that there was none."""
        with self._lock:
            self.answers["no answer" if status is None else str(status)] += 1

    def count(
        self, *, repeated: int = 0, resolved: int = 0, reads: int = 0, behind: int = 0
    ) -> None:
        """Add to the numbers of what was done."""
        with self._lock:
            self.repeated += repeated
            self.resolved += resolved
            self.reads += reads
            self.behind += behind

    def violated(self, what: str) -> None:
        """Note something that must never be."""
        with self._lock:
            self.violations.append(what)

    # ---- What readers ask ----------------------------------------------------------------

    def was_attempted(self, seal: str) -> bool:
        """Return whether somebody sent this document."""
        with self._lock:
            return seal in self._attempted

    def newest(self, configuration: str, *, server: str | None = None) -> int:
        """Return the newest confirmed version; with ``server``, that this one confirmed."""
        with self._lock:
            if server is None:
                return self._newest.get(configuration, 0)
            return self._newest_by_server.get((server, configuration), 0)

    def some_acknowledgement(self, number: float) -> Acknowledgement | None:
        """Return one by its place: 0 the first, just below 1 the last."""
        with self._lock:
            notes = self.acknowledgements
            return notes[int(number * len(notes))] if notes else None

    def first_write_after(self, moment: float) -> float | None:
        """Return when the first write was confirmed that was begun after a moment.

        Args:
            moment: on the monotonic clock, in seconds.
        """
        with self._lock:
            notes = self.acknowledgements
        first = bisect_left(notes, moment, key=lambda note: note.done)
        return next((note.done for note in notes[first:] if note.begun >= moment), None)


class Caller:
    """Sender of requests for one thread, which notes every answer."""

    def __init__(self, ledger: Ledger, server: str) -> None:
        self.server = server
        self._ledger = ledger
        self._session = requests.Session()

    def call(
        self,
        method: str,
        path: str,
        *,
        expected: Sequence[int],
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> requests.Response | None:
        """Send a request; return the answer, or ``None`` where there is none to rely on.

        That is: no answer, or 503. Any status but that and the expected ones is a violation.
        """
        try:
            response = self._session.request(
                method, self.server + path, json=body, headers=dict(headers or {}), timeout=timeout
            )
        except requests.RequestException:
            self._ledger.answered(None)
            return None
        self._ledger.answered(response.status_code)
        if response.status_code in expected:
            return response
        if response.status_code == UNAVAILABLE:
            if "Retry-After" not in response.headers:
                self._ledger.violated(f"{method} {path}: 503 without Retry-After")
        else:
            self._ledger.violated(f"{method} {path}: {response.status_code} {response.text[:300]}")
        return None

    def insist(
        self,
        method: str,
        path: str,
        *,
        expected: Sequence[int],
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float,
    ) -> requests.Response | None:
        """Send a request that may be sent twice until it has an answer.

        Args:
            method: of the request, as in :meth:`call`.
            path: of the request.
            expected: statuses that are an answer.
            body: to be sent as JSON.
            headers: of the request.
            patience: seconds after which it is given up, which is a violation.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            response = self.call(method, path, expected=expected, body=body, headers=headers)
            if response is not None:
                return response
            self._ledger.count(repeated=1)
            time.sleep(0.1)
        self._ledger.violated(f"{method} {path} had no answer within {patience:.0f} s")
        return None
