"""A database that falls silent: no request waits for it without end."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from falcon.testing import Result, TestClient

from configsvc_server.app import open_services
from configsvc_server.db.connections import BoundedConnection, Connection
from configsvc_server.db.database import Database
from configsvc_server.db.listener import ChangeListener, Heartbeat
from configsvc_server.db.migrations import Migrator
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.settings import Settings
from tests.server.http.support import problem
from tests.support.proxies import SilentProxy, silent_proxy

APPLICATION = "/api/v1/applications/billing"
SNAPSHOT = f"{APPLICATION}/environments/default/snapshot"
SAFETY = 30.0
"""Seconds after which an answer does not come any more."""


@pytest.fixture
def proxy(database_url: str) -> Iterator[SilentProxy]:
    with silent_proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def api(
    settings: Settings, proxy: SilentProxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """The service over the proxy, with an application; it finds silence out in a second."""
    monkeypatch.setattr(Heartbeat, "INTERVAL", 0.2)
    monkeypatch.setattr(Heartbeat, "TIMEOUT", 1.0)
    monkeypatch.setattr(ChangeListener, "ANSWER_TIMEOUT", 0.5)
    quick = settings.model_copy(update={"database_timeout": 1.0})
    with open_services(quick, proxy.url) as runtime:
        api = TestClient(runtime.app)
        assert api.simulate_post("/api/v1/applications", json={"name": "billing"}).status_code < 300
        yield api
        proxy.speak()  # so that closing waits for nothing


def in_time(call: Callable[[], Result]) -> Result:
    """Return the answer, or fail where there is none; the thread may hang for ever then."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(call).result(SAFETY)
    finally:
        pool.shutdown(wait=False)


REQUESTS: dict[str, Callable[[TestClient], Result]] = {
    "list": lambda api: api.simulate_get("/api/v1/applications"),
    "no-cache": lambda api: api.simulate_get(SNAPSHOT, headers={"Cache-Control": "no-cache"}),
    "past": lambda api: api.simulate_get(
        SNAPSHOT, params={"at": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
    ),
    "statement": lambda api: api.simulate_post(
        f"{APPLICATION}/configurations", json={"name": "c", "config": {}}
    ),
    "transaction": lambda api: api.simulate_patch(APPLICATION, json={"comments": "x"}),
}


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_silent_database_gives_503(
    api: TestClient, proxy: SilentProxy, request_name: str
) -> None:
    REQUESTS[request_name](api)
    proxy.fall_silent()

    refused = in_time(lambda: REQUESTS[request_name](api))

    problem(refused, 503)
    assert int(refused.headers["retry-after"]) >= 1


def test_a_service_over_a_silent_database_is_alive_but_not_ready(
    api: TestClient, proxy: SilentProxy
) -> None:
    assert api.simulate_get("/health/ready").status_code == 200
    proxy.fall_silent()

    ready = in_time(lambda: api.simulate_get("/health/ready"))

    assert ready.status_code == 503
    assert ready.json["checks"]["database"]["status"] == "fail"
    assert api.simulate_get("/health/live").status_code == 200


def test_when_the_database_speaks_again_everything_goes_on(
    api: TestClient, proxy: SilentProxy
) -> None:
    proxy.fall_silent()
    problem(in_time(lambda: REQUESTS["list"](api)), 503)
    problem(in_time(lambda: REQUESTS["transaction"](api)), 503)
    proxy.speak()

    while (answer := in_time(lambda: REQUESTS["list"](api))).status_code == 503:
        pass
    assert answer.status_code == 200
    while (answer := in_time(lambda: REQUESTS["transaction"](api))).status_code == 503:
        pass
    assert answer.status_code == 200
    while in_time(lambda: api.simulate_get("/health/ready")).status_code == 503:
        pass


def test_memory_is_not_served_while_the_database_is_silent(
    api: TestClient, proxy: SilentProxy
) -> None:
    assert api.simulate_get(SNAPSHOT).status_code == 200
    proxy.fall_silent()

    while (answer := in_time(lambda: api.simulate_get(SNAPSHOT))).status_code == 200:
        pass

    problem(answer, 503)


def test_the_listener_connects_again_when_the_database_speaks(
    api: TestClient, proxy: SilentProxy
) -> None:
    proxy.fall_silent()
    while in_time(lambda: api.simulate_get(SNAPSHOT)).status_code == 200:
        pass
    proxy.speak()

    while "preference-applied" not in in_time(lambda: wait_in_vain(api)).headers:
        pass


def wait_in_vain(api: TestClient) -> Result:
    etag = api.simulate_get(SNAPSHOT).headers.get("etag", '"none"')
    return api.simulate_get(SNAPSHOT, headers={"If-None-Match": etag, "Prefer": "wait=1"})


def run_then(act: Callable[[], None], connection: Connection, statements: list[str]) -> None:
    for statement in statements:
        connection.execute(statement.encode()).fetchone()
    act()


class TestTransaction:
    @pytest.mark.parametrize("statements", [0, 1, 3])
    def test_silence_at_its_end_is_an_outage(self, proxy: SilentProxy, statements: int) -> None:
        with Database(proxy.url, timeout=0.5) as database:
            database.open()
            with pytest.raises(UnavailableError), database.transaction() as connection:
                run_then(proxy.fall_silent, connection, ["SELECT 1"] * statements)

            assert connection.closed

    def test_it_may_not_take_long_even_if_every_answer_comes(self, database_url: str) -> None:
        with Database(database_url, timeout=0.5) as database:
            database.open()
            with pytest.raises(UnavailableError), database.transaction() as connection:
                run_then(lambda: None, connection, ["SELECT pg_sleep(0.1)"] * 1000)

            assert connection.closed


def test_a_connection_that_fell_silent_while_idle_is_not_used_again(proxy: SilentProxy) -> None:
    """Only the first one costs the whole time."""
    with Database(proxy.url, timeout=0.5) as database:
        database.open()
        proxy.fall_silent()
        with pytest.raises(UnavailableError), database.autocommit() as first:
            first.execute("SELECT 1")

        with pytest.raises(UnavailableError), database.autocommit():
            pytest.fail("a silent connection was given out")


class TestStart:
    def test_over_a_silent_database_says_why(self, proxy: SilentProxy) -> None:
        proxy.fall_silent()
        with Database(proxy.url, timeout=0.5) as database, pytest.raises(UnavailableError):
            database.open(wait=0.5)

    def test_a_migration_does_not_wait_for_a_silent_database(
        self, proxy: SilentProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Migrator, "ANSWER_TIMEOUT", 0.5)
        migrator = Migrator(proxy.url)
        migrator.verify()
        connect = BoundedConnection.open

        def connect_and_fall_silent(*args: object, **options: object) -> BoundedConnection:
            connection = connect(*args, **options)  # type: ignore[arg-type]
            proxy.fall_silent()
            return connection

        monkeypatch.setattr(BoundedConnection, "open", connect_and_fall_silent)

        with pytest.raises(psycopg.OperationalError, match="not answered in time"):
            migrator.up()


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.skipif(
    "CONFIGSVC_TEST_DATABASE_URL" in os.environ, reason="needs a PostgreSQL on this machine"
)
def test_frozen_backends_give_503_and_recover(settings: Settings, database_url: str) -> None:
    quick = settings.model_copy(update={"database_timeout": 1.0})
    with open_services(quick, database_url) as runtime:
        api = TestClient(runtime.app)
        assert api.simulate_get("/api/v1/applications").status_code == 200
        with psycopg.connect(database_url) as connection:
            query = (
                "SELECT pid FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            pids = [pid for (pid,) in connection.execute(query)]
        with frozen(pids):
            problem(in_time(lambda: api.simulate_get("/api/v1/applications")), 503)

        while (answer := api.simulate_get("/api/v1/applications")).status_code == 503:
            pass
        assert answer.status_code == 200


@pytest.mark.parametrize("given", [None, "60000"])
def test_the_operating_system_watches_the_network(proxy: SilentProxy, given: str | None) -> None:
    url = proxy.url if given is None else f"{proxy.url} tcp_user_timeout={given}"
    with Database(url, timeout=3.0) as database:
        database.open()
        with database.autocommit() as connection:
            parameters = connection.info.get_parameters()

    assert parameters["tcp_user_timeout"] == (given or "3000")
    assert parameters["keepalives_idle"] == "5"
