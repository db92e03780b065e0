"""Witnesses: writers, readers and followers that compare what a server tells them all the time.

A write is repeated safely by its condition: each document is unlike any other, and a PUT with
``If-Match`` of version 6 makes version 7 or nothing. So after a write without an answer it is
sent again as it was; where that is refused (412), revision 7 says whose document it is.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import requests

from benchmarks.followers import Follower, HttpFollower, SdkFollower
from benchmarks.ledger import Acknowledgement, Caller, Ledger, seal_of, sealed
from configsvc_server.domain.identifiers import new_ulid

API: Final = "/api/v1"

SHARED, OTHER = "shared", "other"
"""The applications: one has an environment that is promoted to, and a document that all write."""

PATIENCE: Final = 90.0
"""Seconds that a write is repeated until it has an answer."""

_CREATE_EVERY: Final = 200
_SHARED_EVERY: Final = 5
"""How often a writer creates a configuration, and writes the one of all."""


@dataclass(slots=True)
class Target:
    """A configuration that is written."""

    id: str
    application: str
    name: str
    version: int = 0

    @property
    def path(self) -> str:
        """Its path."""
        return f"{API}/configurations/{self.id}"


class Writer:
    """Writer of a configuration of its own, of the shared one, and of new ones."""

    def __init__(self, ledger: Ledger, server: str, number: int, shared: Target) -> None:
        self._ledger = ledger
        self._caller = Caller(ledger, server)
        self._name = f"writer-{number}"
        self._application = OTHER if number % 2 else SHARED
        self._shared = shared
        self._serial = 0

    def run(self, pause: float) -> None:
        """Write until it is enough; what was begun is brought to an end.

        Args:
            pause: seconds between two writes.
        """
        own = self._create(self._name)
        while own is not None and not self._ledger.stopping.wait(pause):
            number = self._serial
            if number % _CREATE_EVERY == 0:
                self._create(f"{self._name} {number}")
            elif number % _SHARED_EVERY == 0:
                self.write_shared()
            elif not self._write(own, alone=True):
                return

    def _create(self, name: str) -> Target | None:
        """Create a configuration under an id of our own, so that it may be sent twice."""
        target = Target(new_ulid(), self._application, name)
        value = self._next_value()
        body = {"id": target.id, "name": name, "config": value}
        path = f"{API}/applications/{target.application}/configurations"
        begun = time.monotonic()
        # It is there already where an earlier attempt has arrived.
        response = self._caller.insist(
            "POST", path, expected=[201, 409], body=body, patience=PATIENCE
        )
        if response is not None and response.status_code == 409:
            response = self._revision(target, 1)
            self._ledger.count(resolved=1)
        if response is None:
            return None
        found = response.json()
        if found.get("version") != 1 or seal_of(found["config"]) != value["seal"]:
            self._ledger.violated(f"{target.path} was created as something else: {found}")
        target.version = 1
        self._acknowledge(target, value, found, begun)
        return target

    def write_shared(self) -> None:
        """Write the configuration of all, on the version that is read."""
        found = self._caller.call("GET", self._shared.path, expected=[200])
        if found is not None:
            shared = self._shared
            version = int(found.json()["version"])
            self._write(Target(shared.id, shared.application, shared.name, version), alone=False)

    def _write(self, target: Target, *, alone: bool) -> bool:
        """Make the next version, whatever happens; return whether it is there.

        Args:
            target: the configuration at the version that was read.
            alone: whether nobody else may write it.
        """
        value = self._next_value()
        body = {"name": target.name, "config": value, "message": value["seal"]}
        while True:
            begun = time.monotonic()
            response = self._caller.insist(
                "PUT",
                target.path,
                expected=[200, 412],
                body=body,
                headers={"If-Match": f'"{target.version}"'},
                patience=PATIENCE,
            )
            if response is None:
                return False
            if response.status_code == 200:
                break
            current = int(response.json()["current_version"])
            response = self._revision(target, target.version + 1)
            if response is None:
                return False
            if seal_of(response.json()["config"]) == value["seal"]:
                self._ledger.count(resolved=1)
                break
            if alone:
                self._ledger.violated(f"{target.path} has a version of nobody: {response.text}")
                return False
            target.version = current
        target.version += 1
        self._acknowledge(target, value, response.json(), begun)
        return True

    def _revision(self, target: Target, version: int) -> requests.Response | None:
        path = f"{target.path}/revisions/{version}"
        return self._caller.insist("GET", path, expected=[200], patience=PATIENCE)

    def _next_value(self) -> dict[str, Any]:
        self._serial += 1
        value = sealed(self._name, self._serial)
        self._ledger.attempted(value["seal"])
        return value

    def _acknowledge(
        self, target: Target, value: dict[str, Any], found: dict[str, Any], begun: float
    ) -> None:
        if found["version"] != target.version or found["config"] != value:
            self._ledger.violated(f"{target.path} answers with {found} to {value}")
        note = Acknowledgement(
            configuration=target.id,
            version=target.version,
            seal=value["seal"],
            # A revision has no other time than that of its creation.
            updated_at=found.get("updated_at") or found["created_at"],
            begun=begun,
            done=time.monotonic(),
        )
        self._ledger.acknowledged(self._caller.server, note)


def promote(ledger: Ledger, server: str, pause: float) -> None:
    """Promote what the default environment serves, again and again."""
    caller = Caller(ledger, server)
    while not ledger.stopping.wait(pause):
        request_id = new_ulid()
        response = caller.call(
            "POST",
            f"{API}/applications/{SHARED}/promote",
            expected=[200],
            body={"from": "default", "to": "prod"},
            headers={"X-Request-ID": request_id},
        )
        if response is not None:
            ledger.promoted(request_id, response.json()["released"])


class Reader:
    """Reader of one server, which must never go back or show what was not written."""

    def __init__(self, ledger: Ledger, server: str, number: int) -> None:
        self._ledger = ledger
        self._caller = Caller(ledger, server)
        self._random = random.Random(number)
        self._seen: dict[str, int] = {}
        self._seen_fresh: dict[str, int] = {}
        self._past: dict[str, str] = {}

    def run(self, pause: float) -> None:
        """Read until it is enough.

        Args:
            pause: seconds between two reads.
        """
        kinds: list[Callable[[Acknowledgement], None]] = [
            self._read_one,
            self._read_one,
            self._read_snapshot,
            self._read_past,
        ]
        while not self._ledger.stopping.wait(pause):
            note = self._ledger.some_acknowledgement(self._random.random())
            if note is not None:
                self._random.choice(kinds)(note)
                self._ledger.count(reads=1)

    def _read_one(self, note: Acknowledgement) -> None:
        fresh = self._random.random() < 0.25
        # Only the database knows what another server has confirmed a moment ago.
        server = None if fresh else self._caller.server
        least = self._ledger.newest(note.configuration, server=server)
        response = self._caller.call(
            "GET",
            f"{API}/configurations/{note.configuration}",
            expected=[200],
            headers={"Cache-Control": "no-cache"} if fresh else None,
        )
        if response is not None:
            found = response.json()
            if fresh:
                least = max(least, self._seen_fresh.get(note.configuration, 0))
                self._seen_fresh[note.configuration] = found["version"]
            elif found["version"] < self._seen_fresh.get(note.configuration, 0):
                self._ledger.count(behind=1)
            self._check(note.configuration, found["version"], found["config"], least, fresh=fresh)
            if response.headers["ETag"] != f'"{found["version"]}"':
                self._ledger.violated(f"{response.url}: {response.headers['ETag']} for {found}")

    def _read_snapshot(self, _: Acknowledgement) -> None:
        path = f"{API}/applications/{SHARED}/environments/default/snapshot"
        response = self._caller.call("GET", path, expected=[200])
        if response is not None:
            for entry in response.json()["configurations"].values():
                self._check(entry["id"], entry["version"], entry["config"], 0)

    def _read_past(self, note: Acknowledgement) -> None:
        """Read the snapshot of the very moment of a write, which serves its version."""
        application = self._random.choice([SHARED, OTHER])
        path = f"{API}/applications/{application}/environments/default/snapshot"
        response = self._caller.call("GET", f"{path}?at={note.updated_at}", expected=[200, 404])
        if response is None or response.status_code == 404:
            return
        key = f"{application} {note.updated_at}"
        etag = response.headers["ETag"]
        if self._past.setdefault(key, etag) != etag:
            self._ledger.violated(f"{response.url} was {self._past[key]} and is {etag}")
        for entry in response.json()["configurations"].values():
            if entry["id"] == note.configuration and entry["version"] != note.version:
                self._ledger.violated(f"{response.url} serves {entry}, not {note.version}")

    def _check(
        self,
        configuration: str,
        version: int,
        value: dict[str, Any],
        least: int,
        *,
        fresh: bool = False,
    ) -> None:
        least = max(least, self._seen.get(configuration, 0))
        if version < least:
            self._ledger.violated(
                f"{self._caller.server} showed version {version} of {configuration} after {least}"
            )
        # Memory may be behind the database until the notification of another server comes.
        if not fresh:
            self._seen[configuration] = max(version, least)
        seal = seal_of(value)
        if seal is None or not self._ledger.was_attempted(seal):
            self._ledger.violated(f"{configuration} version {version} was written by nobody")


class Load:
    """All witnesses of some servers over one database, each in a thread of its own."""

    def __init__(
        self, servers: Sequence[str], *, writers: int, readers: int, followers: int, pause: float
    ) -> None:
        """Create the applications, and start everything.

        Args:
            servers: their addresses, all ready.
            writers: how many; they are spread over the servers, as the others are.
            readers: how many.
            followers: how many through the SDK, and over HTTP again.
            pause: seconds between two requests of a writer or a reader.
        """
        self.ledger = Ledger()
        self.servers = list(servers)
        self._shared = self._prepare()

        def server(number: int) -> str:
            return self.servers[number % len(self.servers)]

        ledger = self.ledger
        self.followers: list[Follower] = []
        for number in range(followers):
            # Every third one follows one application only.
            application = SHARED if number % 3 == 2 else None
            turned = [server(number + shift) for shift in range(len(self.servers))]
            self.followers.append(SdkFollower(f"SDK follower {number}", turned, application))
            self.followers.append(HttpFollower(f"HTTP follower {number}", turned))
        makers = [Writer(ledger, server(n), n, self._shared) for n in range(writers)]
        viewers = [Reader(ledger, server(n), n) for n in range(readers)]
        self._busy = [
            *(self._thread(maker.run, pause) for maker in makers),
            *(self._thread(viewer.run, pause) for viewer in viewers),
            self._thread(promote, ledger, server(1), 20 * pause),
        ]
        self._following = [self._thread(follower.run, ledger) for follower in self.followers]

    def stop(self, *, timeout: float) -> None:
        """Let everything come to its end: writes first, then the followers.

        Args:
            timeout: seconds that the followers may take to be told of the last change.
        """
        self.ledger.stopping.set()
        for thread in self._busy:
            thread.join(2 * PATIENCE)
            if thread.is_alive():
                self.ledger.violated(f"{thread.name} did not come to its end")
        # The last change is one that all followers are to be told of.
        Writer(self.ledger, self.servers[0], len(self._busy), self._shared).write_shared()
        last = self._last_change()
        deadline = time.monotonic() + timeout
        for follower in self.followers:
            while follower.ids[-1:] < [last] and time.monotonic() < deadline:
                time.sleep(0.05)
        for follower in self.followers:
            follower.close()
        for thread in self._following:
            thread.join(timeout)
            if thread.is_alive():
                self.ledger.violated(f"{thread.name} did not come to its end")

    def _prepare(self) -> Target:
        caller = Caller(self.ledger, self.servers[0])
        for name in (SHARED, OTHER):
            _require(
                caller.call("POST", f"{API}/applications", expected=[201], body={"name": name})
            )
        path = f"{API}/applications/{SHARED}"
        body: dict[str, Any] = {"name": "prod", "auto_release": False}
        _require(caller.call("POST", f"{path}/environments", expected=[201], body=body))
        value = sealed("nobody", 0)
        self.ledger.attempted(value["seal"])
        body = {"name": "of all", "config": value}
        created = _require(caller.call("POST", f"{path}/configurations", expected=[201], body=body))
        return Target(created.json()["id"], SHARED, "of all", 1)

    def _last_change(self) -> int:
        caller = Caller(self.ledger, self.servers[0])
        response = caller.insist(
            "GET", f"{API}/changes?sort=-id&limit=1", expected=[200], patience=PATIENCE
        )
        return int(response.json()["items"][0]["id"]) if response is not None else 0

    def _thread(self, function: Callable[..., None], *arguments: Any) -> threading.Thread:
        name = function.__qualname__

        def run() -> None:
            try:
                function(*arguments)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run was in vain
                self.ledger.violated(f"{name} failed: {error!r}")

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread


def _require(response: requests.Response | None) -> requests.Response:
    if response is None:
        raise RuntimeError("The server does not take the applications of the load.")
    return response
