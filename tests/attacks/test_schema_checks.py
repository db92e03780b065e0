"""Schemas that take long to check, sent by many clients at once."""

import http.client
import json
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from configsvc_server.app import Runtime
from configsvc_server.schema_checks.checker import SchemaChecker
from tests.support.servers import running_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes can't be selected on")

TIMEOUT = 30
"""Seconds after which something is taken to be blocked."""

COSTLY = {"properties": {"name": {"pattern": "^[a-z]+$"}}}
CATASTROPHIC = {"pattern": "^(a+)+$"}
CATASTROPHIC_VALUE = "a" * 60 + "!"

THREADS = 16


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


class Attacked:
    """A server, and many who ask it for checks that take minutes."""

    def __init__(self, url: str, pool: ThreadPoolExecutor) -> None:
        self.url = url
        self._pool = pool
        self.attack: list[Future[Answer]] = []
        created = self.post("/applications", {"name": "billing"})
        self._application_id = created.body["id"]

    def begin(self, *, clients: int) -> None:
        value = {"x": CATASTROPHIC_VALUE}
        schema = {"properties": {"x": CATASTROPHIC}}
        for _ in range(clients):
            self.attack.append(self._pool.submit(self.validate, schema, value))

    def validate(
        self, schema: object, config: object, *, source: str = "127.0.0.1", timeout: float = 600
    ) -> Answer:
        body = {
            "application_id": self._application_id,
            "name": "database",
            "config": config,
            "schema": schema,
        }
        return self.post("/configurations/validate", body, source=source, timeout=timeout)

    def post(
        self, path: str, body: object, *, source: str = "127.0.0.1", timeout: float = 600
    ) -> Answer:
        """Send a request from an address."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=timeout, source_address=(source, 0)
        )
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), json.loads(response.read()))
        finally:
            connection.close()

    def refusals(self, count: int) -> Iterator[Answer]:
        """Yield the first answers to the attack."""
        for _, future in zip(
            range(count), as_completed(self.attack, timeout=TIMEOUT), strict=False
        ):
            yield future.result()

    @property
    def under_way(self) -> int:
        return sum(not future.done() for future in self.attack)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ends by itself while a test is running."""
    monkeypatch.setattr(SchemaChecker, "TIMEOUT", 600.0)
    monkeypatch.setattr(SchemaChecker, "ACQUIRE_TIMEOUT", 600.0)


@pytest.fixture
def attacked(patient: None, runtime: Runtime) -> Iterator[Attacked]:
    with (
        ThreadPoolExecutor(100) as pool,
        running_server(
            runtime.app, threads=THREADS, on_stop=runtime.release_waiters, shutdown_timeout=0.1
        ) as server,
    ):
        yield Attacked(server.url, pool)
        server.stop()


def test_costly_checks_beyond_a_bound_are_refused_at_once(attacked: Attacked) -> None:
    running = SchemaChecker.PROCESSES - 1
    waiting = THREADS // 2

    attacked.begin(clients=60)

    for answer in attacked.refusals(60 - running - waiting):
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.body["detail"] == "Too many schemas are being checked."
    assert attacked.under_way == running + waiting


def test_reads_writes_and_liveness_are_answered_while_costly_checks_wait(
    attacked: Attacked,
) -> None:
    attacked.begin(clients=60)

    for path in ("/health/live", "/health/ready", "/api/v1/applications/billing"):
        assert requests.get(f"{attacked.url}{path}", timeout=TIMEOUT).status_code == 200
    assert attacked.post("/applications", {"name": "b"}, timeout=TIMEOUT).status == 201
    assert attacked.validate({"type": "object"}, {}, timeout=TIMEOUT).status == 200
    assert attacked.under_way > 0


@pytest.mark.skipif(sys.platform != "linux", reason="has one loopback address elsewhere")
def test_slow_checks_of_one_caller_do_not_block_those_of_another(attacked: Attacked) -> None:
    attacked.begin(clients=60)
    list(attacked.refusals(40))

    for _ in range(3):
        config = {"name": "ok"}
        answer = attacked.validate(COSTLY, config, source="127.0.0.2", timeout=TIMEOUT)
        assert answer.status == 200
    assert attacked.under_way == SchemaChecker.PROCESSES - 1 + THREADS // 2
