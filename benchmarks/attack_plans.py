"""Attacks: what each prepares, how its server is started, and what its attackers do."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import requests

from benchmarks.attackers import Plan
from benchmarks.common import example_document

API: Final = "/api/v1"

APPLICATION: Final = "attacked"

TIMEOUT: Final = 60.0
"""Seconds that a request of the preparation waits."""

_LARGE: Final = 1_000_000
"""Bytes of a large document."""

_NUMBERS: Final = 140_000
"""How many of 1e308 are about a megabyte, written as ``1e+308``."""


class Victim:
    """A server with what an attack needs, made before it begins."""

    def __init__(self, url: str) -> None:
        """Create one application with one small configuration."""
        self._url = url
        self._session = requests.Session()
        self.application = self._send("POST", f"{API}/applications", {"name": APPLICATION})["id"]
        """Id of the application."""
        self.small = self.create("small", example_document(1))
        """Path of a configuration that is served from memory."""

    def create(self, name: str, config: dict[str, Any]) -> str:
        """Create a configuration; return its path."""
        path = f"{API}/applications/{APPLICATION}/configurations"
        created = self._send("POST", path, {"name": name, "config": config})
        return f"{API}/configurations/{created['id']}"

    def write_revisions(self, count: int) -> str:
        """Write so many revisions of about a megabyte each; return the path of their list."""
        path = self.create("large", {"text": "x" * _LARGE})
        for serial in range(1, count):
            self._send("PUT", path, {"name": "large", "config": {"text": f"{serial:09}" * 111_111}})
        return f"{path}/revisions"

    def put(self, path: str, body: bytes) -> None:
        """Write a document as it is."""
        self._send("PUT", path, body)

    def _send(self, method: str, path: str, body: dict[str, Any] | bytes) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        response = self._session.request(
            method, self._url + path, data=data, headers=headers, timeout=TIMEOUT
        )
        response.raise_for_status()
        return response.json()


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to keep a server from answering."""

    name: str
    about: str
    plan: Callable[[Victim], Plan]
    """Prepares it, and returns what the attackers do."""
    flags: Sequence[str] = ()
    """Of the server."""
    soft_limit: int | None = None
    """How many files the server may open, softly; ``None`` for the limit of this process."""
    mute: bool = False
    """Whether nobody reads the server's standard error."""


def request(method: str, path: str, *, head: str = "", body: bytes = b"") -> str:
    """Return the text of a request.

    Args:
        method: such as ``GET``.
        path: with its query.
        head: further lines, each with its line break.
        body: JSON, if it is not empty.
    """
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n{body.decode('latin-1')}"


def _blanks(count: int) -> Callable[[Victim], Plan]:
    head = f"X-Blanks: {' ' * count}x\r\n"
    return lambda _: Plan("hammer", 4, [request("GET", "/health/live", head=head)], pause=0.05)


def _readers(addresses: int) -> Callable[[Victim], Plan]:
    def plan(victim: Victim) -> Plan:
        page = request("GET", f"{victim.write_revisions(24)}?limit=1000")
        return Plan("hold", 330, [page] * 4, addresses=addresses, receive_buffer=4096)

    return plan


def _idle(addresses: int) -> Callable[[Victim], Plan]:
    head = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Idle: a"
    return lambda _: Plan("hold", 2000, [head], addresses=addresses, drip="a")


def _pages(victim: Victim) -> Plan:
    page = request("GET", f"{victim.write_revisions(100)}?limit=100")
    return Plan("hammer", 16, [page])


def _schema(victim: Victim) -> Plan:
    document = {
        "application_id": victim.application,
        "name": "slow",
        "config": {"text": "a" * 40 + "!"},
        "schema": {"properties": {"text": {"pattern": "^(a+)+$"}}},
    }
    body = json.dumps(document).encode()
    validate = request("POST", f"{API}/configurations/validate", body=body)
    return Plan("hammer", 400, [validate], addresses=8, pause=0.05)


def _numbers(victim: Victim) -> Plan:
    path = victim.create("numbers", {})
    body = b'{"name":"numbers","config":{"n":[' + b",".join([b"1e308"] * _NUMBERS) + b"]}}"
    victim.put(path, body)
    reads = [
        request("GET", path),
        request("GET", f"{API}/applications/{APPLICATION}/environments/default/snapshot"),
        request("GET", f"{path}/revisions"),
    ]
    return Plan("hammer", 8, [request("PUT", path, body=body), *reads])


def _log_lines(_: Victim) -> Plan:
    return Plan("hammer", 8, [request("GET", f"{API}/applications")], pause=0.005)


ATTACKS: Final = (
    Attack("blanks", "a header value that begins with 60,000 blanks", _blanks(60_000)),
    Attack("more-blanks", "the same with 250,000", _blanks(250_000)),
    Attack("readers", "330 readers of large answers that never read", _readers(1)),
    Attack("readers-spread", "the same from 33 addresses", _readers(33)),
    Attack("idle", "2,000 sockets, each with half a head", _idle(1)),
    Attack("idle-spread", "the same from 100 addresses", _idle(100)),
    Attack("idle-1024", "the same at a soft limit of 1,024 files", _idle(100), soft_limit=1024),
    Attack("pages", "16 readers of pages of 100 MB", _pages),
    Attack("schema", "400 clients with an expensive schema", _schema),
    Attack("numbers", "1 MB of 1e308, written and read", _numbers),
    Attack(
        "stderr-json",
        "nobody reads the log (JSON)",
        _log_lines,
        flags=["--log-format=json"],
        mute=True,
    ),
    Attack(
        "stderr-console",
        "nobody reads the log (for people)",
        _log_lines,
        flags=["--log-format=console"],
        mute=True,
    ),
)
"""All of them, in the order in which they are made."""
