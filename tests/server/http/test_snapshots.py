"""The snapshot, waiting for the next one, and two servers over one database."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import requests
from falcon.testing import Result, TestClient

from configsvc_server.app import Runtime, open_services
from configsvc_server.db.listener import ChangeListener, Heartbeat
from configsvc_server.domain.models import ChangeNotice
from configsvc_server.http.conditional import MAX_WAIT
from configsvc_server.settings import Settings
from tests.server.http.support import ULID, problem
from tests.support.servers import running_server

PATH = "/api/v1/applications/billing/environments/default/snapshot"

Json = dict[str, Any]


def wait_for_change(
    pool: ThreadPoolExecutor, api: TestClient, *, seconds: int = 20, etag: str | None = None
) -> "Future[Result]":
    etag = etag or api.simulate_get(PATH).headers["etag"]
    headers = {"If-None-Match": etag, "Prefer": f"wait={seconds}"}
    return pool.submit(api.simulate_get, PATH, headers=headers)


class TestGet:
    def test_it_has_every_configuration_by_name(
        self, api: TestClient, database_config: Json
    ) -> None:
        snapshot = api.simulate_get(PATH)

        assert snapshot.json == {
            "application_id": database_config["application_id"],
            "application": "billing",
            "environment": "default",
            "configurations": {
                "database": {
                    "id": database_config["id"],
                    "version": 1,
                    "updated_at": database_config["updated_at"],
                    "config": database_config["config"],
                }
            },
        }

    def test_an_application_without_configurations_has_an_empty_one(
        self, api: TestClient, billing: Json
    ) -> None:
        for key in ("billing", billing["id"], billing["id"].lower()):
            path = f"/api/v1/applications/{key}/environments/default/snapshot/"
            assert api.simulate_get(path).json["configurations"] == {}

    def test_equal_content_has_an_equal_etag_and_other_content_another(
        self, api: TestClient, database_config: Json
    ) -> None:
        first, second = (api.simulate_get(PATH).headers["etag"] for _ in "ab")
        api.simulate_patch(
            f"/api/v1/configurations/{database_config['id']}", json={"config": {"x": 1}}
        )

        assert first == second
        assert api.simulate_get(PATH).headers["etag"] != first

    @pytest.mark.parametrize(
        ("application", "environment", "kind"),
        [
            ("nobody", "default", "application"),
            (ULID, "default", "application"),
            ("billing", "prod", "environment"),
        ],
    )
    def test_what_does_not_exist_is_named(
        self, api: TestClient, billing: Json, application: str, environment: str, kind: str
    ) -> None:
        path = f"/api/v1/applications/{application}/environments/{environment}/snapshot"

        for headers in ({}, {"If-None-Match": '"x"', "Prefer": "wait=5"}):
            document = problem(api.simulate_get(path, headers=headers), 404)
            assert document["type"] == f"urn:configsvc:problem:{kind}-not-found"

    def test_numbers_of_every_size_are_numbers_in_it(self, api: TestClient, billing: Json) -> None:
        config = {"a": 1e300, "b": 1.0, "c": 5e-324, "d": 2**62}
        api.simulate_post(
            "/api/v1/applications/billing/configurations", json={"name": "n", "config": config}
        )

        read = api.simulate_get(PATH).json["configurations"]["n"]["config"]

        assert read == config
        assert [type(read[key]) for key in "abcd"] == [float, float, float, int]


class TestFreshness:
    """Every write of this server is seen by its next read."""

    def test_of_a_snapshot(self, api: TestClient, database_config: Json) -> None:
        path = f"/api/v1/configurations/{database_config['id']}"
        nested = "/api/v1/applications/billing/configurations"

        def names() -> list[str]:
            return list(api.simulate_get(PATH).json["configurations"])

        assert names() == ["database"]
        api.simulate_post(nested, json={"name": "cache", "config": {}})
        assert names() == ["cache", "database"]
        api.simulate_patch(path, json={"name": "db"})
        assert names() == ["cache", "db"]
        api.simulate_delete(path)
        assert names() == ["cache"]
        api.simulate_patch("/api/v1/applications/billing", json={"name": "invoices"})
        problem(api.simulate_get(PATH), 404)
        api.simulate_post("/api/v1/applications", json={"name": "billing"})
        assert names() == []
        api.simulate_delete("/api/v1/applications/billing")
        problem(api.simulate_get(PATH), 404)

    def test_of_a_configuration(self, api: TestClient, database_config: Json) -> None:
        path = f"/api/v1/configurations/{database_config['id']}"

        for version, method in enumerate(("PUT", "PATCH"), start=2):
            body = {"name": "database", "config": {"by": method}}
            api.simulate_request(method, path, json=body)
            assert api.simulate_get(path).json["version"] == version
        api.simulate_delete("/api/v1/applications/billing")
        problem(api.simulate_get(path), 404)

    def test_no_cache_reads_the_database(
        self, api: TestClient, database_url: str, database_config: Json
    ) -> None:
        path = f"/api/v1/configurations/{database_config['id']}"
        api.simulate_get(path)
        api.simulate_get(PATH)
        with psycopg.connect(database_url) as connection:  # behind the back of the service
            connection.execute("UPDATE configurations SET version = 9")
            connection.execute("UPDATE served_versions SET name = 'db'")

        fresh = {"Cache-Control": "no-cache"}
        # Without it, the answer may be either: the news of the first write may still be coming.
        assert api.simulate_get(path, headers=fresh).json["version"] == 9
        assert list(api.simulate_get(PATH, headers=fresh).json["configurations"]) == ["db"]


class TestWait:
    def test_a_change_ends_it(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        database_config: Json,
    ) -> None:
        waiter = wait_for_change(pool, api)
        waiting.acquire()
        api.simulate_patch(
            f"/api/v1/configurations/{database_config['id']}", json={"config": {"x": 1}}
        )

        answer = waiter.result(10)

        assert answer.status_code == 200
        assert answer.headers["preference-applied"] == "wait=20"
        assert answer.json["configurations"]["database"]["config"]["x"] == 1

    def test_without_a_change_it_ends_with_304(self, api: TestClient, billing: Json) -> None:
        etag = api.simulate_get(PATH).headers["etag"]

        answer = api.simulate_get(PATH, headers={"If-None-Match": etag, "Prefer": "wait=1"})

        assert answer.status_code == 304
        assert answer.headers["preference-applied"] == "wait=1"
        assert answer.headers["etag"] == etag

    def test_a_change_of_another_application_does_not_end_it(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        billing: Json,
    ) -> None:
        waiter = wait_for_change(pool, api, seconds=1)
        waiting.acquire()
        api.simulate_post("/api/v1/applications", json={"name": "other"})

        assert waiter.result(10).status_code == 304

    def test_a_deletion_ends_it(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        billing: Json,
    ) -> None:
        waiter = wait_for_change(pool, api)
        waiting.acquire()
        api.simulate_delete("/api/v1/applications/billing")

        problem(waiter.result(10), 404)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Prefer": "wait=20"},
            {"Prefer": "wait=20", "If-None-Match": '"another"'},
        ],
    )
    def test_who_does_not_have_the_content_does_not_wait(
        self, api: TestClient, billing: Json, headers: dict[str, str]
    ) -> None:
        assert api.simulate_get(PATH, headers=headers).status_code == 200

    @pytest.mark.parametrize("prefer", ["wait=0", "wait", "wait=x", "respond-async", "await=20"])
    def test_another_preference_is_ignored(
        self, api: TestClient, billing: Json, prefer: str
    ) -> None:
        etag = api.simulate_get(PATH).headers["etag"]

        answer = api.simulate_get(PATH, headers={"If-None-Match": etag, "Prefer": prefer})

        assert answer.status_code == 304
        assert "preference-applied" not in answer.headers

    def test_a_longer_wait_is_granted_up_to_the_limit(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        billing: Json,
    ) -> None:
        waiter = wait_for_change(pool, api, seconds=100_000)
        waiting.acquire()
        api.simulate_patch("/api/v1/applications/billing", json={"name": "billing2"})
        api.simulate_patch("/api/v1/applications/billing2", json={"name": "billing"})
        api.simulate_post(
            "/api/v1/applications/billing/configurations", json={"name": "a", "config": {}}
        )

        answer = waiter.result(10)
        assert answer.status_code in {200, 404}  # it may have looked while the name was away
        if answer.status_code == 200:
            assert answer.headers["preference-applied"] == f"wait={MAX_WAIT}"

    def test_above_the_limit_of_waiters_the_answer_comes_at_once(
        self, settings: Settings, database_url: str, waiting: threading.Semaphore
    ) -> None:
        limited = settings.model_copy(update={"max_waiters": 1})
        with open_services(limited, database_url) as runtime, ThreadPoolExecutor(1) as pool:
            api = TestClient(runtime.app)
            api.simulate_post("/api/v1/applications", json={"name": "billing"})
            first = wait_for_change(pool, api)
            waiting.acquire()

            etag = api.simulate_get(PATH).headers["etag"]
            headers = {"If-None-Match": etag, "Prefer": "wait=20"}
            second = api.simulate_get(PATH, headers=headers)

            assert second.status_code == 304
            assert "preference-applied" not in second.headers
            runtime.release_waiters()
            assert first.result(10).status_code == 304

    def test_a_crowd_is_woken_and_reads_the_database_once(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        database_config: Json,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        waiters = [wait_for_change(pool, api) for _ in range(20)]
        for _ in waiters:
            waiting.acquire()
        api.simulate_patch(
            f"/api/v1/configurations/{database_config['id']}", json={"config": {"x": 1}}
        )

        answers = [waiter.result(10) for waiter in waiters]

        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.headers["etag"] for answer in answers}) == 1


class TestTwoServers:
    @pytest.fixture
    def other(self, settings: Settings, database_url: str, api: TestClient) -> Iterator[TestClient]:
        """A second server over the same database."""
        with open_services(settings, database_url) as runtime:
            yield TestClient(runtime.app)

    def test_a_waiter_is_woken_by_a_write_on_another_server(
        self,
        api: TestClient,
        other: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        database_config: Json,
    ) -> None:
        waiter = wait_for_change(pool, other)
        waiting.acquire()
        api.simulate_patch(
            f"/api/v1/configurations/{database_config['id']}", json={"config": {"x": 1}}
        )

        answer = waiter.result(10)

        assert answer.status_code == 200
        assert answer.json["configurations"]["database"]["version"] == 2

    def test_memory_is_forgotten_when_another_server_writes(
        self,
        api: TestClient,
        other: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        database_config: Json,
    ) -> None:
        path = f"/api/v1/configurations/{database_config['id']}"
        assert other.simulate_get(path).json["version"] == 1
        waiter = wait_for_change(pool, other)
        waiting.acquire()
        api.simulate_patch(path, json={"config": {"x": 1}})
        waiter.result(10)  # then the news has arrived

        assert other.simulate_get(path).json["version"] == 2


class TestListener:
    def test_after_its_connection_was_cut_it_listens_again(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        database_url: str,
        database_config: Json,
    ) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'configsvc-listener'"
            ).fetchall()
        assert cut == [(True,)]

        # Until it listens again a wish to wait is not granted, so this ends by itself.
        etag = api.simulate_get(PATH).headers["etag"]
        headers = {"If-None-Match": etag, "Prefer": "wait=1"}
        while "preference-applied" not in api.simulate_get(PATH, headers=headers).headers:
            pass
        while waiting.acquire(blocking=False):
            pass
        waiter = wait_for_change(pool, api)
        waiting.acquire()
        api.simulate_patch(
            f"/api/v1/configurations/{database_config['id']}", json={"config": {"x": 1}}
        )
        assert waiter.result(10).status_code == 200

    def test_no_news_of_a_burst_is_lost_while_the_heartbeat_is_due(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard: list[str | None] = []
        last = threading.Event()

        class Observer:
            def changed(self, notice: ChangeNotice) -> None:
                heard.append(notice.application_id)
                if notice.application_id == "last":
                    last.set()

            def session_ended(self, secret_hash: str) -> None: ...

            def fleet_changed(self, application_id: str, environment: str) -> None: ...

            def evict_all(self) -> None: ...

        monkeypatch.setattr(Heartbeat, "INTERVAL", 0.001)  # it is always due
        listener = ChangeListener(database_url, Observer(), heartbeat=Heartbeat())
        listener.start()
        with psycopg.connect(database_url, autocommit=True) as connection:
            for burst in range(20):
                connection.execute(
                    "SELECT pg_notify('configsvc_changes', concat(%s::text, '-', n, ' - - -')) "
                    "FROM generate_series(1, 200) AS n",
                    [str(burst)],
                )
            connection.execute("SELECT pg_notify('configsvc_changes', 'last - - -')")
        assert last.wait(30)
        listener.stop()

        assert len(heard) == 20 * 200 + 1

    def test_a_listener_that_never_connected_does_not_listen(self) -> None:
        class Observer:
            def changed(self, notice: ChangeNotice) -> None: ...

            def session_ended(self, secret_hash: str) -> None: ...

            def fleet_changed(self, application_id: str, environment: str) -> None: ...

            def evict_all(self) -> None: ...

        heartbeat = Heartbeat()
        url = "postgresql://nobody@127.0.0.1:1/x"
        listener = ChangeListener(url, Observer(), heartbeat=heartbeat)
        listener.start(wait=0.1)

        assert not heartbeat.is_listening
        listener.stop()


def test_a_stop_of_the_server_releases_those_who_wait(
    runtime: Runtime, waiting: threading.Semaphore, pool: ThreadPoolExecutor, billing: Json
) -> None:
    with running_server(runtime.app, on_stop=runtime.release_waiters) as server:
        etag = requests.get(server.url + PATH, timeout=10).headers["etag"]
        waiter = pool.submit(
            requests.get,
            server.url + PATH,
            headers={"If-None-Match": etag, "Prefer": "wait=60"},
            timeout=70,
        )
        waiting.acquire()
        server.stop()

        assert waiter.result(10).status_code == 304
