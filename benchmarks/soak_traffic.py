"""Traffic of a soak: requests of every kind, good ones and bad ones, from many threads.

Each kind is a method of :class:`Client`, and says which statuses it expects.
"""

import contextlib
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import requests

from benchmarks.common import example_document

API: Final = "/api/v1"

APPLICATION: Final = "soak"

SNAPSHOT: Final = f"{API}/applications/{APPLICATION}/environments/default/snapshot"

CONFIGURATIONS: Final = 60

TIMEOUT: Final = 30.0
"""Seconds that a request waits for its answer."""

WAIT: Final = 5
"""Seconds that a long poll waits at most."""

_LARGE: Final = 300_000
"""Bytes of a large document."""

_CHEAP: Final = {
    "properties": {"serial": {"type": "integer"}, "limits": {"type": "object"}},
    "required": ["serial"],
}
_COSTLY: Final = {"properties": {"host": {"pattern": "^([a-z]+[.-]?)+$"}}, "required": ["host"]}
_HOPELESS: Final = {"properties": {"host": {"pattern": "^(a+)+$"}}}

Body = Mapping[str, Any]


class Tally:
    """Counts of all threads: requests by kind, answers by status, and what was not expected."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.unexpected: Counter[str] = Counter()
        """By what was asked and answered."""
        self._lock = threading.Lock()

    def add(self, kind: str, status: int | None, expected: Sequence[int]) -> None:
        """Count a request; a status of ``None`` means that no answer came."""
        with self._lock:
            self.kinds[kind] += 1
            if status is not None:
                self.statuses[status] += 1
            # Whoever is told to come again has an answer that is allowed.
            if status not in expected and status != 503:
                self.unexpected[f"{kind}: {status or 'no answer'}"] += 1


class Traffic:
    """All clients of a soak, over configurations that it creates."""

    def __init__(self, port: int, *, seed: int) -> None:
        """Create what the requests are about.

        Args:
            port: of a server on 127.0.0.1 that is ready.
            seed: of all that is random.
        """
        self.tally = Tally()
        self._port = port
        self._seed = seed
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._application, self._paths = _prepare(f"http://127.0.0.1:{port}")

    def start(self, *, clients: int, pollers: int, readers: int, pause: float) -> None:
        """Start so many threads of each kind.

        Args:
            clients: those that send one request after the other, of all kinds.
            pollers: those that wait for changes.
            readers: those that read large answers slowly.
            pause: seconds between two requests of a client.
        """

        def thread(number: int, run: Callable[["Client"], None]) -> None:
            client = Client(
                self._port, self._application, self._paths, self.tally, self._over, seed=number
            )
            name = f"soak-{number}"
            self._threads.append(
                threading.Thread(target=run, args=(client,), name=name, daemon=True)
            )

        for number in range(clients):
            thread(self._seed + number, lambda client: client.mix(pause))
        for number in range(pollers):
            thread(self._seed + clients + number, Client.poll)
        for number in range(readers):
            thread(self._seed + clients + pollers + number, Client.read_slowly)
        for started in self._threads:
            started.start()

    def stop(self) -> None:
        """Let every thread end its last request."""
        self._over.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT)


def _prepare(url: str) -> tuple[str, list[str]]:
    """Create an application with configurations; return its id, and their paths."""
    session = requests.Session()

    def create(path: str, body: Body) -> str:
        response = session.post(url + path, json=body, timeout=TIMEOUT)
        response.raise_for_status()
        return response.headers["Location"]

    application = create(f"{API}/applications", {"name": APPLICATION}).rpartition("/")[2]
    configurations = f"{API}/applications/{APPLICATION}/configurations"
    return application, [
        create(configurations, {"name": f"configuration {n}", "config": example_document(n)})
        for n in range(CONFIGURATIONS)
    ]


class Client:
    """One thread of traffic; only its own thread may use it."""

    def __init__(
        self,
        port: int,
        application: str,
        paths: Sequence[str],
        tally: Tally,
        over: threading.Event,
        *,
        seed: int,
    ) -> None:
        self._port = port
        self._application = application
        self._url = f"http://127.0.0.1:{port}"
        self._paths = paths
        self._tally = tally
        self._over = over
        self._random = random.Random(seed)
        self._session = requests.Session()
        self._etag = '"none"'

    def mix(self, pause: float) -> None:
        """Send requests of all kinds until it is over."""
        weights = {
            self.get_one: 30,
            self.get_snapshot: 20,
            self.get_past: 4,
            self.get_list: 8,
            self.get_pages: 3,
            self.get_history: 4,
            self.put: 12,
            self.put_large: 0.5,
            self.validate_cheaply: 4,
            self.validate_costly: 2,
            self.validate_hopelessly: 0.02,
            self.err: 12,
            self.connect_anew: 4,
            self.abort: 3,
            self.break_protocol: 2,
        }
        kinds = list(weights)
        while not self._over.wait(pause):
            self._random.choices(kinds, list(weights.values()))[0]()

    def poll(self) -> None:
        """Wait for changes of the snapshot or of the log until it is over."""
        after = ""
        while not self._over.is_set():
            headers = {"Prefer": f"wait={WAIT}"}
            if self._random.random() < 0.5:
                self._snapshot("wait for a snapshot", headers)
            else:
                path = f"{API}/changes?limit=50&sort=id" + (f"&after={after}" if after else "")
                response = self._ask("wait for a change", "GET", path, [200], headers=headers)
                if response is not None and response.ok:
                    after = response.json()["next"] or after
            # Not each of a thousand changes.
            self._over.wait(self._random.uniform(0, 1))

    def read_slowly(self) -> None:
        """Ask for large answers and take a little of them now and then, until it is over."""
        while not self._over.wait(0.2):
            with contextlib.suppress(OSError), socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.settimeout(TIMEOUT)
                sock.connect(("127.0.0.1", self._port))
                sock.sendall(self._head("GET", f"{API}/configurations?limit=1000").encode() * 20)
                until = time.monotonic() + self._random.uniform(0, 8)
                while time.monotonic() < until and not self._over.wait(0.1):
                    sock.recv(2048)
            self._tally.add("slow reader", 200, [200])

    # ---- Reads ---------------------------------------------------------------------------

    def get_one(self) -> None:
        """Read a configuration."""
        self._ask("GET one", "GET", self._path(), [200])

    def get_snapshot(self) -> None:
        """Read the snapshot, on the condition that it is another one."""
        self._snapshot("GET snapshot", {})

    def get_past(self) -> None:
        """Read the snapshot of some moment of the last ten minutes."""
        moment = datetime.now(UTC) - timedelta(seconds=self._random.uniform(0, 600))
        at = moment.isoformat().replace("+00:00", "Z")
        # The application may be younger.
        self._ask("GET past snapshot", "GET", f"{SNAPSHOT}?at={at}", [200, 404])

    def get_list(self) -> None:
        """Read a list in one of its forms."""
        query = self._random.choice(
            ["", "?limit=10", "?q=internal", "?sort=-updated_at", "?limit=20&offset=30", "?q=host"]
        )
        self._ask("GET list", "GET", f"{API}/configurations{query}", [200])

    def get_pages(self) -> None:
        """Read a list page by page."""
        after = ""
        while True:
            path = f"{API}/configurations?limit=25" + (f"&after={after}" if after else "")
            response = self._ask("GET pages", "GET", path, [200])
            if response is None or not response.ok or not response.json()["has_more"]:
                return
            after = response.json()["next"]

    def get_history(self) -> None:
        """Read the history of a configuration."""
        end = self._random.choice(["revisions?sort=-version", "diff", "releases?sort=-id"])
        # What has one version has nothing to compare.
        self._ask("GET history", "GET", f"{self._path()}/{end}", [200, 404])

    # ---- Writes --------------------------------------------------------------------------

    def put(self) -> None:
        """Write a configuration, sometimes with a condition that does not hold."""
        headers = {"If-Match": '"1"'} if self._random.random() < 0.1 else {}
        self._put("PUT", example_document(self._random.randrange(10**9)), headers)

    def put_large(self) -> None:
        """Write a large configuration, which the next small one replaces."""
        text = self._random.choice("abc") * self._random.randrange(_LARGE)
        self._put("PUT large", {"text": text}, {})

    def validate_cheaply(self) -> None:
        """Let a schema be checked that costs little; every second value breaks it."""
        config, status = self._random.choice([(example_document(1), 200), ({"limits": {}}, 422)])
        self._validate("validate, cheap", config, _CHEAP, status)

    def validate_costly(self) -> None:
        """Let a schema be checked in another process."""
        host, status = self._random.choice([("db.internal", 200), ("?", 422)])
        self._validate("validate, costly", {"host": host}, _COSTLY, status)

    def validate_hopelessly(self) -> None:
        """Let a schema be checked that takes for ever."""
        self._validate("validate, hopeless", {"host": "a" * 40 + "!"}, _HOPELESS, 422)

    # ---- What is refused, and what is no request -----------------------------------------

    def err(self) -> None:
        """Send a request that is refused."""
        path = self._path()
        json_type = {"Content-Type": "application/json"}
        many = json.dumps({f"m{n}": n for n in range(200)})
        method, path, data, headers, expected = self._random.choice(
            [
                ("GET", f"{API}/configurations/{'0' * 26}", None, {}, [404]),
                ("GET", "/nowhere", None, {}, [404]),
                ("GET", f"{API}/configurations?limit=0", None, {}, [400, 422]),
                ("GET", f"{API}/configurations?limt=1", None, {}, [400, 422]),
                ("GET", f"{SNAPSHOT}?at=yesterday", None, {}, [400, 422]),
                ("GET", f"{SNAPSHOT}?at=2999-01-01T00:00:00Z", None, {}, [400, 422]),
                ("POST", path, b"{}", json_type, [405]),
                ("PUT", path, b'{"name": ', json_type, [400]),
                ("PUT", path, b"<a/>", {"Content-Type": "text/xml"}, [415]),
                ("PUT", path, many.encode(), json_type, [422]),
                ("PUT", path, b'{"name":"x","config":{"a":1e400}}', json_type, [400, 422]),
                ("PUT", path, b" " * 1_200_000, json_type, [413]),
                ("PUT", path, b"[" * 100_000, json_type, [400, 422]),
                ("POST", f"{API}/applications", b'{"name":"soak"}', json_type, [409]),
                ("GET", path, None, {"X-Long": "x" * 200_000}, [200, 400, 431]),
            ]
        )
        self._ask("error", method, path, expected, data=data, headers=headers)

    def connect_anew(self) -> None:
        """Read over a connection of its own."""
        self._ask("new connection", "GET", self._path(), [200], headers={"Connection": "close"})

    def abort(self) -> None:
        """Go away in the middle: of a head, of a body, of an answer, or of a wait."""
        head = self._head("GET", f"{API}/configurations?limit=1000")
        wait = f"Prefer: wait=60\r\nIf-None-Match: {self._etag}\r\n"
        self._raw(
            "aborted",
            self._random.choice(
                [
                    head[:30],
                    head,
                    head * 10,
                    self._head("PUT", self._path(), "Content-Length: 1000\r\n") + "{",
                    self._head("GET", SNAPSHOT, wait),
                    self._head("GET", SNAPSHOT, wait) * 2,
                ]
            ),
        )

    def break_protocol(self) -> None:
        """Send what is no HTTP."""
        self._raw(
            "no HTTP",
            self._random.choice(
                [
                    "\r\n\r\n",
                    "GET\r\n\r\n",
                    "\x00\xff\x16\x03\x01",
                    "GET http://[evil/ HTTP/1.1\r\n\r\n",
                    "GET / HTTP/9.9\r\n\r\n",
                    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                    self._head("PUT", self._path(), "Content-Length: -1\r\n"),
                    self._head("GET", "/", "no colon\r\n"),
                ]
            ),
            read=True,
        )

    # ---- How it is done ------------------------------------------------------------------

    def _path(self) -> str:
        return self._random.choice(self._paths)

    def _head(self, method: str, path: str, lines: str = "") -> str:
        return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n"

    def _put(self, kind: str, config: Body, headers: Mapping[str, str]) -> None:
        number = self._random.randrange(CONFIGURATIONS)
        body = {"name": f"configuration {number}", "config": config}
        self._ask(kind, "PUT", self._paths[number], [200, 412], body=body, headers=headers)

    def _validate(self, kind: str, config: Body, schema: Body, status: int) -> None:
        body = {"name": "tried", "config": config, "schema": schema}
        body["application_id"] = self._application
        self._ask(kind, "POST", f"{API}/configurations/validate", [status], body=body)

    def _snapshot(self, kind: str, headers: Mapping[str, str]) -> None:
        condition = {"If-None-Match": self._etag, **headers}
        response = self._ask(kind, "GET", SNAPSHOT, [200, 304], headers=condition)
        if response is not None and response.ok:
            self._etag = response.headers["ETag"]

    def _ask(
        self,
        kind: str,
        method: str,
        path: str,
        expected: Sequence[int],
        *,
        body: Body | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response | None:
        for is_last in (False, True):
            try:
                response = self._session.request(
                    method,
                    self._url + path,
                    json=body,
                    data=data,
                    headers=dict(headers or {}),
                    timeout=TIMEOUT,
                )
            except requests.RequestException:
                # A connection that was idle may be closed just when it is used again.
                if is_last:
                    self._tally.add(kind, None, expected)
            else:
                self._tally.add(kind, response.status_code, expected)
                return response
        return None

    def _raw(self, kind: str, text: str, *, read: bool = False) -> None:
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.settimeout(TIMEOUT)
            sock.connect(("127.0.0.1", self._port))
            sock.sendall(text.encode("latin-1"))
            if read:
                sock.settimeout(0.2)
                sock.recv(65536)
            else:
                time.sleep(self._random.uniform(0, 0.05))
        self._tally.add(kind, 400, [400])
