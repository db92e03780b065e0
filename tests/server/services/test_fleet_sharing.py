"""Sharing of the fleet: several servers over one database, each of which answers for all."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import hypothesis
import psycopg
import pytest
from hypothesis import strategies as st

from configsvc_server.cache.fleet import Fleet
from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.db.listener import Heartbeat
from configsvc_server.domain.fleet import About, Convergence, InstanceFilter, Rejection
from configsvc_server.domain.identifiers import new_ulid
from configsvc_server.domain.pages import PageRequest, Sort
from configsvc_server.repositories import Repositories
from configsvc_server.services.fleet_sharing import FleetSharing

WEEK = 7 * 86400.0
VERSIONS = OLD, NEW = ("a" * 32, "b" * 32)
WEB = About("web-1", service="shop")


class Clock:
    """A clock of several servers, which goes on with every poll."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


class Server:
    """The part of a server that knows of instances."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.cache = ResponseCache(max_bytes=0, heartbeat=Heartbeat())
        self.clock = clock
        self.fleet = self.cache.fleet = Fleet(now=clock)
        self.sharing = FleetSharing(database, self.cache, retention=WEEK)
        self.sharing.beat()

    def poll(self, environment: tuple[str, str], serves: str | None, about: About = WEB) -> None:
        self.clock.time += 1
        self.fleet.saw(environment, about, serves, address="192.0.2.1", principal=None)

    def convergence(self, environment: tuple[str, str], version: str) -> Convergence:
        with self.database.autocommit() as connection:
            instances = Repositories(connection).instances
            return instances.convergence(*environment, version=version, serves=version)

    def serves(self, environment: tuple[str, str]) -> dict[str, str | None]:
        with self.database.autocommit() as connection:
            page = Repositories(connection).instances.page(
                PageRequest(limit=1000, sort=Sort(("instance",))),
                InstanceFilter(*environment, ""),
            )
        return {item.about.id: item.serves for item in page.items}


@pytest.fixture
def servers(new_database_url: str) -> Iterator[list[Server]]:
    """Two servers that know of each other."""
    clock = Clock()
    with ExitStack() as stack:
        found = []
        for _ in range(2):
            database = stack.enter_context(Database(new_database_url, pool_size=2))
            database.open()
            found.append(Server(database, clock))
        for server in found:
            server.sharing.beat()
        yield found


@pytest.fixture
def prod() -> tuple[str, str]:
    return (new_ulid(), "prod")


def late(database: Database, seconds: int, server: Server) -> None:
    """Have the last heartbeat of a server be long ago."""
    with database.transaction() as connection:
        connection.execute(
            "UPDATE fleet_servers SET heartbeat_at = now() - %s * interval '1 second' "
            "WHERE id = %s",
            [seconds, server.sharing.server],
        )


def test_each_server_answers_for_all(servers: list[Server], prod: tuple[str, str]) -> None:
    for number, server in enumerate(servers):
        server.poll(prod, OLD, About(f"web-{number}"))
        server.sharing.share()

    for server in servers:
        assert server.serves(prod) == {"web-0": OLD, "web-1": OLD}


def test_a_poll_at_another_server_is_written_once(
    servers: list[Server], prod: tuple[str, str]
) -> None:
    for _ in range(3):
        for server in servers:
            server.poll(prod, OLD)
            server.sharing.share()

    assert not any(server.fleet.has_news for server in servers)
    assert servers[0].convergence(prod, OLD).instances == 1


def test_one_that_another_server_sees_is_not_gone(
    servers: list[Server], prod: tuple[str, str]
) -> None:
    first, second = servers
    for server in servers:
        server.poll(prod, OLD)
        server.sharing.share()

    first.clock.time += 200
    second.poll(prod, OLD)
    first.fleet.sweep()
    assert first.fleet.has_news
    first.sharing.share()

    assert second.convergence(prod, OLD).gone == 0


def test_instances_of_a_dead_server_are_gone_when_they_would_have_missed_their_polls(
    servers: list[Server], prod: tuple[str, str]
) -> None:
    first, second = servers
    first.poll(prod, OLD)
    first.sharing.share()

    late(second.database, 89, first)
    assert second.convergence(prod, OLD).current == 1
    late(second.database, 91, first)

    found = second.convergence(prod, OLD)
    assert (found.instances, found.gone) == (0, 1)


def test_what_a_crash_of_postgresql_has_emptied_is_written_again(
    servers: list[Server], prod: tuple[str, str], new_database_url: str
) -> None:
    first, _ = servers
    first.poll(prod, OLD)
    first.sharing.share()
    with psycopg.connect(new_database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE instances, fleet_servers, instance_rejections")

    first.cache.evict_all()
    first.sharing.share()
    first.sharing.share()

    assert first.convergence(prod, OLD).current == 1


def test_reports_of_ever_other_instances_are_bounded(
    servers: list[Server],
    prod: tuple[str, str],
    new_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FleetSharing, "MAX_REPORTS", 3)
    first, _ = servers

    def report(name: str, pointer: str) -> None:
        rejection = Rejection("database", pointer, "expected")
        assert first.fleet.reported((*prod, name), OLD, [rejection])
        first.sharing.share()

    for number in range(5):
        report(f"made-up-{number}", "/a")
    report("made-up-0", "/b")

    with psycopg.connect(new_database_url) as connection:
        found = connection.execute(
            "SELECT id, rejections -> 0 ->> 1 FROM instance_rejections ORDER BY id"
        ).fetchall()
    assert found == [("made-up-0", "/b"), ("made-up-1", "/a"), ("made-up-2", "/a")]


def test_an_instance_that_goes_back_to_what_one_server_knows_is_known_to_have(
    servers: list[Server], prod: tuple[str, str]
) -> None:
    first, second = servers
    first.poll(prod, OLD)
    first.sharing.share()
    second.poll(prod, NEW)
    second.sharing.share()
    for server in servers:
        server.fleet.environments_changed([prod])

    first.poll(prod, OLD)
    first.sharing.share()

    assert second.serves(prod) == {"web-1": OLD}


def test_a_server_that_is_not_told_what_an_instance_has_knows_less(
    servers: list[Server], prod: tuple[str, str]
) -> None:
    first, second = servers
    first.poll(prod, OLD)
    first.sharing.share()
    second.poll(prod, None)
    second.sharing.share()

    assert first.serves(prod) == {"web-1": OLD}


def test_a_report_is_dropped_with_the_poll_of_another_version(
    servers: list[Server], prod: tuple[str, str]
) -> None:
    first, _ = servers
    first.poll(prod, OLD)
    first.fleet.reported((*prod, "web-1"), OLD, [Rejection("db", "/x", "no")])
    first.sharing.share()
    assert first.convergence(prod, OLD).rejecting == 1

    for version in (NEW, OLD):
        first.poll(prod, version)
        first.sharing.share()

    assert first.convergence(prod, OLD).rejecting == 0


def log_of(database_url: str) -> list[tuple[str | None, bool]]:
    with psycopg.connect(database_url) as connection:
        return list(
            connection.execute(
                "SELECT serves, is_gone FROM instance_log ORDER BY at, id"
            ).fetchall()
        )


def test_the_log_has_each_change_once(
    servers: list[Server], prod: tuple[str, str], new_database_url: str
) -> None:
    for version in (OLD, NEW, OLD):
        for server in servers:
            server.poll(prod, version)
            server.sharing.share()
            server.fleet.environments_changed([prod])
    servers[0].clock.time += 200
    for server in servers:
        server.fleet.sweep()
        server.sharing.share()
    servers[0].poll(prod, OLD)
    servers[0].sharing.share()

    assert log_of(new_database_url) == [
        (OLD, False),
        (NEW, False),
        (OLD, False),
        (OLD, True),
        (OLD, False),
    ]


def test_what_is_older_than_the_retention_is_deleted_but_for_what_is_still_served(
    servers: list[Server], prod: tuple[str, str], new_database_url: str
) -> None:
    first, _ = servers
    for version in (OLD, NEW):
        first.poll(prod, version)
        first.sharing.share()
    first.poll(prod, OLD, About("web-2"))
    first.sharing.share()
    with psycopg.connect(new_database_url, autocommit=True) as connection:
        connection.execute("UPDATE instance_log SET at = at - interval '8 days'")
        connection.execute("DELETE FROM instances WHERE id = 'web-2'")

    first.sharing.clean()

    assert log_of(new_database_url) == [(NEW, False)]


def test_instances_of_servers_that_have_been_dead_for_a_day_are_deleted(
    servers: list[Server], prod: tuple[str, str]
) -> None:
    first, second = servers
    first.poll(prod, OLD)
    first.sharing.share()
    late(second.database, 86400 + 100, first)

    second.sharing.clean()

    assert second.serves(prod) == {}


def test_an_unbounded_stream_of_versions_is_not_logged_without_end(
    servers: list[Server],
    prod: tuple[str, str],
    new_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FleetSharing, "LOGGED_PER_SECOND", 0)
    first, _ = servers
    first.sharing._loggable = 3
    for number in range(5):
        first.poll(prod, f"{number:032}")
        first.sharing.share()

    assert len(log_of(new_database_url)) == 3
    assert first.serves(prod) == {"web-1": f"{4:032}"}


class Simulated:
    """An instance as it really is."""

    def __init__(self) -> None:
        self.holds: str | None = None
        self.told: str | None = None
        self.is_known = False


OPERATIONS = st.one_of(
    # Rarely without a condition, as the SDK does.
    *[st.tuples(st.just("poll"), st.integers(0, 1), st.integers(0, 1), st.just(True))] * 3,
    st.tuples(st.just("poll"), st.integers(0, 1), st.integers(0, 1), st.just(False)),
    st.tuples(st.just("release"), st.integers(0, 1), st.just(0), st.just(True)),
    st.tuples(st.just("share"), st.integers(0, 1), st.just(0), st.just(True)),
)


def test_convergence_is_what_the_instances_have_told(servers: list[Server]) -> None:
    @hypothesis.settings(
        deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
    )
    @hypothesis.given(st.lists(OPERATIONS, max_size=40))
    def check(operations: list[tuple[str, int, int, bool]]) -> None:
        prod = (new_ulid(), "prod")
        instances = [Simulated() for _ in range(2)]
        current = VERSIONS[0]
        for kind, number, server, is_conditional in operations:
            if kind == "poll":
                one = instances[number]
                serves = one.holds if is_conditional else None
                servers[server].poll(prod, serves, replace(WEB, id=f"web-{number}"))
                one.is_known = True
                one.told = serves or one.told
                one.holds = current
            elif kind == "release":
                current = VERSIONS[number]
                for each in servers:
                    each.fleet.environments_changed([prod])
            else:
                servers[number].sharing.share()
        for each in servers:
            each.sharing.share()

        told = {f"web-{n}": one.told for n, one in enumerate(instances) if one.is_known}
        for each in servers:
            assert each.serves(prod) == told
            found = each.convergence(prod, current)
            serving = sum(version == current for version in told.values())
            assert (found.current, found.behind) == (serving, len(told) - serving)

    check()
