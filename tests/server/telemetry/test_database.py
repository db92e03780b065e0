"""Metrics of the database: pools, queries, the write lock, and what is stored."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import falcon.testing
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from configsvc_server.app import Runtime, open_services
from configsvc_server.db.database import Database
from configsvc_server.db.supervisor import Supervisor
from configsvc_server.repositories import Repositories
from configsvc_server.services.monitoring import MonitoringService
from configsvc_server.settings import Settings
from configsvc_server.telemetry.metrics import Metrics
from configsvc_server.telemetry.readings import embedded_samples, pool_samples
from tests.server.telemetry.support import scrape
from tests.support.postgres import wait_for_lock
from tests.support.waiting import until

APPLICATIONS = "/api/v1/applications"
SNAPSHOT = f"{APPLICATIONS}/billing/environments/default/snapshot"


@pytest.fixture
def always_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every scrape read what is in the database."""
    monkeypatch.setattr(MonitoringService, "INTERVAL", 0.0)


@pytest.fixture
def billing(api: falcon.testing.TestClient) -> str:
    """An application with two configurations."""
    api.simulate_post(APPLICATIONS, json={"name": "billing"})
    for name in ("a", "b"):
        api.simulate_post(
            f"{APPLICATIONS}/billing/configurations", json={"name": name, "config": {}}
        )
    return "billing"


def test_entities_are_those_of_the_totals(
    billing: str, metrics: Metrics, always_reads: None
) -> None:
    found = scrape(metrics)

    assert found.value("configsvc_entities", entity="application") == 1
    assert found.value("configsvc_entities", entity="configuration") == 2


def test_migrations_are_counted_by_state(metrics: Metrics, always_reads: None) -> None:
    found = scrape(metrics)

    assert found.value("configsvc_migrations", state="applied") >= 1
    assert found.value("configsvc_migrations", state="pending") == 0


def test_many_scrapes_read_the_database_once(metrics: Metrics) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: scrape(metrics), range(40)))

    found = scrape(metrics)
    count = "configsvc_query_duration_seconds_count"
    assert found.value(count, query="monitoring.totals") == 1
    assert found.value("configsvc_scrape_errors_total") == 0


def test_without_a_database_the_last_reading_is_shown_and_a_scrape_succeeds(
    settings: Settings, new_database_url: str, always_reads: None
) -> None:
    quick = settings.model_copy(update={"database_timeout": 0.5})
    with open_services(quick, new_database_url) as runtime:
        api = falcon.testing.TestClient(runtime.app)
        api.simulate_post(APPLICATIONS, json={"name": "billing"})
        assert scrape(runtime.metrics).value("configsvc_entities", entity="application") == 1

        with away(new_database_url):
            scrape(runtime.metrics)  # finds out
            found = scrape(runtime.metrics)
            assert found.value("configsvc_scrape_errors_total", source="database") == 2
            assert found.value("configsvc_database_up") == 0
            assert found.value("configsvc_entities", entity="application") == 1
            assert api.simulate_get("/metrics").status_code == 200


def test_a_reading_is_not_shown_for_ever(
    settings: Settings,
    new_database_url: str,
    always_reads: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MonitoringService, "MAX_AGE", 0.0)
    quick = settings.model_copy(update={"database_timeout": 0.5})
    with open_services(quick, new_database_url) as runtime, away(new_database_url):
        found = scrape(runtime.metrics)

    assert not [s for s in found.samples if s.name == "configsvc_entities"]


def test_pools_are_counted_by_the_kind_of_their_work(
    billing: str, api: falcon.testing.TestClient, metrics: Metrics
) -> None:
    found = scrape(metrics)

    kinds = {"reads", "writes", "barriers", "health", "monitoring"}
    assert found.labels("configsvc_pool_connections", "pool") == kinds
    assert found.value("configsvc_pool_connections_limit", pool="reads") == 8
    assert found.value("configsvc_pool_requests_total", pool="writes") >= 3


def test_a_connection_in_use_and_a_request_that_waits_are_counted(database_url: str) -> None:
    metrics = Metrics(version="0")
    with Database(database_url, pool_size=1, timeout=30.0) as database:
        database.open()
        _watch_pools(metrics, database)
        waiter = threading.Thread(target=_use, args=(database,))
        with database.autocommit():
            waiter.start()
            until(lambda: _pool(metrics, "waiting_requests") == 1)
            assert _pool(metrics, "connections_in_use") == 1
        waiter.join(30)

        assert _pool(metrics, "waiting_requests") == 0
        assert _pool(metrics, "queued_requests_total") == 1


def test_a_query_is_timed_by_the_function_of_the_repository(
    billing: str, api: falcon.testing.TestClient, metrics: Metrics
) -> None:
    api.simulate_get(SNAPSHOT)

    found = scrape(metrics)
    count = "configsvc_query_duration_seconds_count"
    assert found.value(count, query="snapshots.current") == 1
    assert found.value(count, query="configurations.insert") == 2
    assert found.value(count, query="changes.append") == 1
    assert not [q for q in found.labels(count, "query") if q.rpartition(".")[2].startswith("_")]


def test_a_query_that_fails_is_timed_too(database_url: str) -> None:
    seen: list[str] = []
    with Database(
        database_url, pool_size=1, timeout=5.0, on_query=lambda query, _: seen.append(query)
    ) as database:
        database.open()
        with database.autocommit() as connection:
            connection.execute("SET search_path = nowhere")
            with pytest.raises(psycopg.errors.UndefinedTable):
                Repositories(connection).changes.last_id()

    assert seen == ["changes.last_id"]


def test_a_connection_that_nobody_watches_is_not_timed(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert Repositories(connection).changes.last_id() >= 0


def test_the_wait_for_the_write_lock_is_measured(
    billing: str, api: falcon.testing.TestClient, metrics: Metrics
) -> None:
    found = scrape(metrics)
    count = "configsvc_write_lock_wait_seconds_count"
    assert found.value(count, statement="acquire") == 1
    assert found.value(count, statement="write") == 2


def test_who_waits_for_the_write_lock_is_counted(
    runtime: Runtime, api: falcon.testing.TestClient, database_url: str, always_reads: None
) -> None:
    with psycopg.connect(database_url) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)")
        write = pool.submit(api.simulate_post, APPLICATIONS, json={"name": "late"})
        wait_for_lock(database_url)
        waiting = scrape(runtime.metrics).value("configsvc_write_lock_waiting")
        holder.rollback()
        assert write.result(30).status_code == 201

    assert waiting == 1
    assert scrape(runtime.metrics).value("configsvc_write_lock_waiting") == 0


def test_a_change_is_counted_by_entity_and_action_and_has_a_lag(
    billing: str, metrics: Metrics
) -> None:
    total = "configsvc_changes_total"
    until(lambda: scrape(metrics).value(total) == 3)

    found = scrape(metrics)
    assert found.value(total, entity="application", action="create") == 1
    assert found.value(total, entity="configuration", action="create") == 2
    assert found.value("configsvc_notification_lag_seconds_count") == 3
    assert 0 < found.value("configsvc_notification_lag_seconds_sum") < 60


def test_a_change_that_another_server_made_is_counted(
    settings: Settings, database_url: str, metrics: Metrics
) -> None:
    with open_services(settings, database_url) as other:
        falcon.testing.TestClient(other.app).simulate_post(APPLICATIONS, json={"name": "billing"})

    until(lambda: scrape(metrics).value("configsvc_changes_total", entity="application") == 1)


def test_a_notification_that_is_not_ours_is_no_change(database_url: str, metrics: Metrics) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for payload in ("nonsense", "@x - - token delete", "@nan - - token delete", "@ - - a"):
            connection.execute("SELECT pg_notify('configsvc_changes', %s)", [payload])
        connection.execute("SELECT pg_notify('configsvc_changes', '@1 - - token delete')")

    until(lambda: scrape(metrics).value("configsvc_changes_total", entity="token") == 1)
    found = scrape(metrics)
    assert found.value("configsvc_changes_total") == 1
    assert found.value("configsvc_listener_up") == 1


def test_a_change_that_nobody_knows_makes_one_series(database_url: str, metrics: Metrics) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for number in range(20):
            payload = f"- - entity{number} action{number}"
            connection.execute("SELECT pg_notify('configsvc_changes', %s)", [payload])

    until(lambda: scrape(metrics).value("configsvc_changes_total") == 20)
    assert scrape(metrics).labels("configsvc_changes_total", "entity") == {"other"}


def test_the_listener_is_up_and_says_when_it_last_heard(metrics: Metrics) -> None:
    found = scrape(metrics)

    assert found.value("configsvc_listener_up") == 1
    assert found.value("configsvc_listener_connects_total") == 1
    assert 0 <= found.value("configsvc_listener_heartbeat_age_seconds") < 6


def test_the_embedded_postgresql_tells_whether_it_runs() -> None:
    found = embedded_samples(lambda: "gone", lambda: 2)
    assert {name: value for name, _, value in found} == {
        "configsvc_embedded_postgres_up": 0,
        "configsvc_embedded_postgres_crashes_total": 2,
    }


def _watch_pools(metrics: Metrics, database: Database) -> None:
    metrics.watch(
        "pools", lambda: pool_samples(is_up=database.is_available, pools=database.pool_stats())
    )


@contextmanager
def away(url: str) -> Iterator[None]:
    """Let nobody connect to a database while the block runs."""
    name = str(conninfo_to_dict(url)["dbname"])
    allow = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True) as connection:
        connection.execute(allow.format(Identifier(name), False))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )
        yield
        connection.execute(allow.format(Identifier(name), True))


def test_an_unexpected_end_of_the_embedded_postgresql_is_counted() -> None:
    is_running = threading.Event()
    supervisor = Supervisor(
        is_running=is_running.is_set,
        restart=lambda _: is_running.set(),
        cancelled=lambda: False,
    )
    supervisor.start()
    until(is_running.is_set)
    supervisor.stop()

    assert supervisor.crashes == 1


def _pool(metrics: Metrics, name: str) -> float:
    return scrape(metrics).value(f"configsvc_pool_{name}", pool="reads")


def _use(database: Database) -> None:
    with database.autocommit():
        pass
