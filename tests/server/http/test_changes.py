"""Audit trail and change feed: its content, and that a follower sees every change once."""

import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from falcon.testing import Result, TestClient

from configsvc_server.app import open_services
from configsvc_server.domain.identifiers import new_ulid
from configsvc_server.settings import Settings
from tests.server.http.support import create, ok, problem

PATH = "/api/v1/changes"

Json = dict[str, Any]


def follow(api: TestClient, after: str | None, seconds: int = 20, **filters: Any) -> Result:
    params = {**filters, **({"after": after} if after is not None else {})}
    return api.simulate_get(PATH, params=params, headers={"Prefer": f"wait={seconds}"})


class TestContent:
    def test_says_who_did_what_to_what_when_and_why(self, api: TestClient, billing: Json) -> None:
        path = f"/api/v1/applications/{billing['id']}/configurations"
        headers = {"X-Request-ID": "r-7"}
        body = {"name": "database", "config": {}, "message": "first"}
        created = ok(api.simulate_post(path, json=body, headers=headers), 201)

        page = ok(api.simulate_get(PATH))

        assert page["items"][1] == {
            "id": page["items"][1]["id"],
            "action": "create",
            "entity": "configuration",
            "application_id": billing["id"],
            "configuration_id": created["id"],
            "name": "database",
            "previous_name": None,
            "version": 1,
            "previous_version": None,
            "source_version": None,
            "environments": ["default"],
            "actor": "anonymous",
            "request_id": "r-7",
            "message": "first",
            "details": None,
            "created_at": created["created_at"],
        }

    def test_names_what_is_renamed_deleted_and_made_again(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"/api/v1/configurations/{database_config['id']}"
        api.simulate_patch(path, json={"name": "db"})
        api.simulate_delete(path)
        create(api, "cache", {}, id=database_config["id"])
        api.simulate_delete(path)
        api.simulate_post(f"{path}/restore", json={"version": 1})

        params = {"configuration_id": database_config["id"]}
        found = ok(api.simulate_get(PATH, params=params))["items"]
        assert [
            (c["action"], c["name"], c["previous_name"], c["version"], c["source_version"])
            for c in found
        ] == [
            ("create", "database", None, 1, None),
            ("update", "db", "database", 2, None),
            ("delete", "db", None, 2, None),
            ("create", "cache", None, 3, None),
            ("delete", "cache", None, 3, None),
            ("restore", "database", None, 4, 1),
        ]

    def test_timestamps_ascend_with_ids(self, api: TestClient, database_config: Json) -> None:
        for _ in range(5):
            api.simulate_patch(f"/api/v1/configurations/{database_config['id']}", json={})

        timestamps = [change["created_at"] for change in ok(api.simulate_get(PATH))["items"]]
        assert timestamps == sorted(set(timestamps))

    def test_timestamps_ascend_when_the_clock_was_set_back(
        self, api: TestClient, database_url: str, database_config: Json
    ) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("ALTER TABLE changes DISABLE TRIGGER changes_are_immutable")
            connection.execute("UPDATE changes SET created_at = created_at + interval '1 hour'")
            connection.execute("ALTER TABLE changes ENABLE TRIGGER changes_are_immutable")
        path = f"/api/v1/configurations/{database_config['id']}"

        written = ok(api.simulate_patch(path, json={"config": {"x": 1}}))

        changes = ok(api.simulate_get(PATH))["items"]
        assert changes[-1]["created_at"] == written["updated_at"] > changes[-2]["created_at"]
        at = {"at": written["updated_at"]}
        snapshot = "/api/v1/applications/billing/environments/default/snapshot"
        assert ok(api.simulate_get(snapshot, params=at)) == ok(api.simulate_get(snapshot))


class TestPages:
    def test_next_leads_on_also_from_the_last_page(
        self, api: TestClient, database_config: Json
    ) -> None:
        first = ok(api.simulate_get(PATH, params={"limit": 1}))
        second = ok(api.simulate_get(PATH, params={"limit": 1, "after": first["next"]}))
        third = ok(api.simulate_get(PATH, params={"limit": 1, "after": second["next"]}))
        create(api, "cache", {})
        fourth = ok(api.simulate_get(PATH, params={"limit": 1, "after": third["next"]}))

        assert [p["has_more"] for p in (first, second, third, fourth)] == [
            True,
            False,
            False,
            False,
        ]
        assert (third["items"], third["next"]) == ([], second["next"])
        assert [c["name"] for c in fourth["items"]] == ["cache"]

    def test_of_an_empty_log_begins_at_the_start(self, api: TestClient) -> None:
        assert ok(api.simulate_get(PATH)) == {
            "items": [],
            "limit": 50,
            "has_more": False,
            "next": "0",
        }

    def test_may_be_newest_first(self, api: TestClient, database_config: Json) -> None:
        page = ok(api.simulate_get(PATH, params={"sort": "-id", "limit": 1}))
        rest = ok(api.simulate_get(PATH, params={"sort": "-id", "after": page["next"]}))

        assert [c["name"] for c in page["items"] + rest["items"]] == ["database", "billing"]

    def test_filters_combine(self, api: TestClient, database_config: Json) -> None:
        ok(api.simulate_post("/api/v1/applications", json={"name": "shop"}), 201)

        def names(**params: Any) -> list[str]:
            return [c["name"] for c in ok(api.simulate_get(PATH, params=params))["items"]]

        application_id = database_config["application_id"]
        assert names(application_id=application_id) == ["billing", "database"]
        assert names(configuration_id=database_config["id"]) == ["database"]
        assert names(actor="anonymous", entity="application") == ["billing", "shop"]
        assert names(actor="somebody") == []
        assert names(action="create", entity="configuration") == ["database"]
        assert names(application_id=application_id, environment="default") == names(
            application_id=application_id
        )
        assert names(application_id=application_id, environment="prod") == []

    @pytest.mark.parametrize(
        ("params", "pointer"),
        [
            ({"after": "x"}, "/after"),
            ({"after": "-1"}, "/after"),
            ({"after": str(2**63)}, "/after"),
            ({"limit": "0"}, "/limit"),
            ({"sort": "name"}, "/sort"),
            ({"action": "explode"}, "/action"),
            ({"entity": "x"}, "/entity"),
            ({"application_id": "billing"}, "/application_id"),
            ({"configuration_id": "x"}, "/configuration_id"),
            ({"environment": "prod"}, "/environment"),
            ({"offset": "1"}, "/offset"),
        ],
    )
    def test_refuses_what_is_invalid(self, api: TestClient, params: Json, pointer: str) -> None:
        problem(api.simulate_get(PATH, params=params), 422, pointer)


class TestWait:
    def test_ends_with_the_next_change(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        billing: Json,
    ) -> None:
        cursor = ok(api.simulate_get(PATH))["next"]
        waiter = pool.submit(follow, api, cursor)
        waiting.acquire()
        create(api, "cache", {})

        answer = waiter.result(10)

        assert [c["name"] for c in ok(answer)["items"]] == ["cache"]
        assert answer.headers["preference-applied"] == "wait=20"

    def test_is_not_needed_where_there_is_something(self, api: TestClient, billing: Json) -> None:
        answer = follow(api, None, seconds=60)

        assert len(ok(answer)["items"]) == 1

    def test_is_not_ended_by_what_the_filter_lets_not_through(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        billing: Json,
    ) -> None:
        cursor = ok(api.simulate_get(PATH))["next"]
        waiter = pool.submit(follow, api, cursor, action="delete")
        waiting.acquire()
        created = create(api, "cache", {})
        api.simulate_delete(f"/api/v1/configurations/{created['id']}")

        assert [c["action"] for c in ok(waiter.result(10))["items"]] == ["delete"]

    def test_ends_empty_when_the_time_is_over(self, api: TestClient, billing: Json) -> None:
        cursor = ok(api.simulate_get(PATH))["next"]

        answer = follow(api, cursor, seconds=1)

        assert ok(answer) == {"items": [], "limit": 50, "has_more": False, "next": cursor}

    def test_goes_on_from_where_the_log_ended(self, api: TestClient, database_config: Json) -> None:
        page = ok(api.simulate_get(PATH, params={"action": "delete"}))

        assert page["items"] == []
        assert page["next"] == ok(api.simulate_get(PATH))["next"] != "0"

    def test_is_not_granted_where_nobody_may_wait(
        self, settings: Settings, database_url: str
    ) -> None:
        limited = settings.model_copy(update={"max_waiters": 0})
        with open_services(limited, database_url) as runtime:
            answer = follow(TestClient(runtime.app), "0", seconds=60)

        assert ok(answer)["items"] == []
        assert "preference-applied" not in answer.headers

    def test_a_stop_of_the_server_ends_it(
        self,
        settings: Settings,
        database_url: str,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
    ) -> None:
        with open_services(settings, database_url) as runtime:
            waiter = pool.submit(follow, TestClient(runtime.app), "0", 60)
            waiting.acquire()
            runtime.release_waiters()
            assert ok(waiter.result(10))["items"] == []


@pytest.mark.slow
class TestFollowers:
    """However writers interleave, a follower of the cursor sees each change once, in order."""

    WRITERS = 8
    WRITES = 25

    def test_miss_nothing_while_many_write_in_random_order(
        self, settings: Settings, database_url: str, api: TestClient, billing: Json
    ) -> None:
        done = threading.Event()
        with (
            open_services(settings, database_url) as second,
            ThreadPoolExecutor(self.WRITERS + 4) as pool,
        ):
            servers = [api, TestClient(second.app)]
            followers = [
                pool.submit(self._follow, servers[number % 2], done, number) for number in range(4)
            ]
            writers = [
                pool.submit(self._write, servers[number % 2], random.Random(number))
                for number in range(self.WRITERS)
            ]
            written = [name for writer in writers for name in writer.result(60)]
            done.set()
            create(api, "the end", {})
            seen = [follower.result(60) for follower in followers]

        everything = ok(api.simulate_get(PATH, params={"limit": 1000}))["items"]
        assert len(everything) == len(written) + 2
        for changes in seen:
            assert changes == everything

    def test_versions_of_one_configuration_come_in_order(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"/api/v1/configurations/{database_config['id']}"

        def write(number: int) -> None:
            for step in range(10):
                ok(api.simulate_patch(path, json={"config": {f"w{number}": step}}))

        with ThreadPoolExecutor(6) as pool:
            futures: list[Future[None]] = [pool.submit(write, number) for number in range(6)]
            for future in futures:
                future.result(60)

        params = {"configuration_id": database_config["id"], "limit": 100}
        versions = [c["version"] for c in ok(api.simulate_get(PATH, params=params))["items"]]
        assert versions == list(range(1, 62))
        newest = ok(api.simulate_get(path))
        assert newest["version"] == 61
        assert {name: newest["config"][name] for name in newest["config"] if name[0] == "w"} == {
            f"w{number}": 9 for number in range(6)
        }

    def _write(self, api: TestClient, chance: random.Random) -> list[str]:
        """Create, change and delete in random order; return what was done, a name each."""
        done: list[str] = []
        living: list[Json] = []
        for _ in range(self.WRITES):
            act = chance.choice(["create", "update", "delete", "release"])
            if act == "create" or not living:
                name = new_ulid()
                living.append(create(api, f"c-{name}", {}))
            else:
                path = f"/api/v1/configurations/{chance.choice(living)['id']}"
                if act == "delete":
                    configuration = living.pop(chance.randrange(len(living)))
                    path = f"/api/v1/configurations/{configuration['id']}"
                    assert api.simulate_delete(path).status_code == 204
                elif act == "update":
                    ok(api.simulate_patch(path, json={"config": {"x": chance.random()}}))
                else:
                    body = {"environment": "default", "version": 1}
                    if api.simulate_post(f"{path}/releases", json=body).status_code == 200:
                        continue  # it is served already: no change
            done.append(act)
        return done

    @staticmethod
    def _follow(api: TestClient, done: threading.Event, number: int) -> list[Json]:
        seen: list[Json] = []
        cursor = "0"
        while not (done.is_set() and seen and seen[-1]["name"] == "the end"):
            limit = 1 + number * 7
            page = ok(follow(api, cursor, seconds=5, limit=limit))
            seen += page["items"]
            cursor = page["next"]
        return seen
