"""Past snapshots: what a client that polled then was served, to the byte."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from falcon.testing import Result, TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.server.http.support import create, ok, problem, release, served
from tests.support.json_values import json_objects

if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION = "/api/v1/applications/billing"

Json = dict[str, Any]


def snapshot(api: TestClient, environment: str, at: str | None = None, **headers: str) -> Result:
    path = f"{APPLICATION}/environments/{environment}/snapshot"
    return api.simulate_get(path, params={"at": at} if at else None, headers=headers)


def now() -> str:
    """Return the time now, which no write shares."""
    timestamp = datetime.now(UTC).isoformat()
    time.sleep(1e-5)
    return timestamp


class TestAt:
    def test_is_what_was_served_then(self, api: TestClient, stages: Json) -> None:
        seen = {}
        created = create(api, "database", {"v": 1}, overlays={"prod": {"p": True}})
        path = f"/api/v1/configurations/{created['id']}"
        acts: list[Callable[[], object]] = [
            lambda: None,
            lambda: release(api, created, "prod"),
            lambda: api.simulate_patch(path, json={"name": "db", "config": {"v": 2}}),
            lambda: release(api, created, "prod"),
            lambda: api.simulate_post(f"{path}/releases/rollback", json={"environment": "prod"}),
            lambda: api.simulate_patch(APPLICATION, json={"comments": "x"}),
            lambda: release(api, created, "prod", version=None),
            lambda: api.simulate_delete(path),
            lambda: api.simulate_post(f"{path}/restore"),
            lambda: create(api, "database", {"other": True}),
        ]
        for act in acts:
            act()
            for environment in ("default", "dev", "staging", "prod"):
                seen[now(), environment] = snapshot(api, environment)

        for (timestamp, environment), answer in seen.items():
            then = snapshot(api, environment, timestamp)
            assert then.text == answer.text
            assert then.headers["etag"] == answer.headers["etag"]

    def test_a_write_is_in_the_moment_that_it_names(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"/api/v1/configurations/{database_config['id']}"
        written = ok(api.simulate_patch(path, json={"config": {"host": "new"}}))
        timestamp = datetime.fromisoformat(written["updated_at"])

        before = served(api, "default", at=(timestamp - timedelta(microseconds=1)).isoformat())
        assert before["database"]["host"] == "db"
        assert served(api, "default", at=written["updated_at"])["database"]["host"] == "new"

    def test_knows_what_the_application_was_called(self, api: TestClient, billing: Json) -> None:
        timestamp = now()
        ok(api.simulate_patch(APPLICATION, json={"name": "invoices"}))
        path = f"/api/v1/applications/{billing['id']}/environments/default/snapshot"

        assert ok(api.simulate_get(path, params={"at": timestamp}))["application"] == "billing"

    def test_knows_an_application_that_has_been_deleted_since(
        self, api: TestClient, database_config: Json
    ) -> None:
        timestamp, answer = now(), snapshot(api, "default")
        api.simulate_delete(APPLICATION)
        application_id = database_config["application_id"]
        path = f"/api/v1/applications/{application_id}/environments/default/snapshot"

        assert api.simulate_get(path, params={"at": timestamp}).text == answer.text
        problem(api.simulate_get(path, params={"at": now()}), 404)

    def test_knows_an_environment_that_has_been_deleted_or_made_again_since(
        self, api: TestClient, stages: Json
    ) -> None:
        created = create(api, "a", {"v": 1})
        release(api, created, "staging")
        first = now()
        api.simulate_delete(f"{APPLICATION}/environments/staging")
        between = now()
        body = {"name": "staging", "auto_release": False}
        ok(api.simulate_post(f"{APPLICATION}/environments", json=body), 201)

        assert served(api, "staging", at=first) == {"a": {"v": 1}}
        problem(snapshot(api, "staging", between), 404)
        assert served(api, "staging", at=now()) == {}

    def test_before_the_beginning_there_is_nothing(self, api: TestClient, billing: Json) -> None:
        problem(snapshot(api, "default", "2020-01-01T00:00:00Z"), 404)

    def test_can_be_conditional(self, api: TestClient, billing: Json) -> None:
        timestamp = now()
        etag = snapshot(api, "default").headers["etag"]

        assert snapshot(api, "default", timestamp, **{"If-None-Match": etag}).status_code == 304

    def test_takes_any_offset_from_utc(self, api: TestClient, billing: Json) -> None:
        timestamp = datetime.fromisoformat(now()).astimezone().isoformat()

        assert snapshot(api, "default", timestamp).status_code == 200

    @pytest.mark.parametrize(
        "timestamp",
        ["yesterday", "2026-11-24", "2026-11-24T08:00:00", "1", "9999-12-31T23:59:59Z", ""],
    )
    def test_refuses_what_is_no_past_moment(
        self, api: TestClient, billing: Json, timestamp: str
    ) -> None:
        path = f"{APPLICATION}/environments/default/snapshot"

        found = problem(api.simulate_get(path, params={"at": timestamp}), 422, "/at")

        assert found["errors"][0]["in"] == "query"


@pytest.mark.slow
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "release", "rollback", "delete"]), json_objects()),
        min_size=1,
        max_size=6,
    )
)
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_moment_is_what_a_poll_saw_then(
    api: TestClient, stages: Json, steps: list[tuple[str, Json]]
) -> None:
    created = create(api, f"c-{now()}", {})
    path = f"/api/v1/configurations/{created['id']}"
    seen = []
    for act, value in steps:
        match act:
            case "put":
                body = {"name": created["name"], "config": value, "overlays": {"staging": value}}
                api.simulate_put(path, json=body)
            case "release":
                api.simulate_post(f"{path}/releases", json={"environment": "staging"})
            case "rollback":
                body = {"environment": "staging"}
                api.simulate_post(f"{path}/releases/rollback", json=body)
            case "delete":
                api.simulate_delete(path)
                api.simulate_post(f"{path}/restore")
        seen += [
            (environment, now(), snapshot(api, environment).text)
            for environment in ("default", "staging")
        ]

    for environment, timestamp, polled in seen:
        assert snapshot(api, environment, timestamp).text == polled


@pytest.mark.slow
def test_what_a_poll_saw_under_load_was_the_case_at_some_moment_of_it(
    api: TestClient, stages: Json
) -> None:
    """And no past snapshot that was served once is another one later."""
    created = [create(api, f"c{number}", {}) for number in range(3)]
    done = threading.Event()

    def write(number: int) -> None:
        chance = random.Random(number)
        while not done.is_set():
            path = f"/api/v1/configurations/{chance.choice(created)['id']}"
            ok(api.simulate_patch(path, json={"config": {"x": chance.random()}}))

    def poll() -> list[tuple[str, str, str, str]]:
        seen = []
        for _ in range(40):
            before = now()
            body = snapshot(api, "dev", **{"Cache-Control": "no-cache"}).text
            after = now()
            seen.append((before, body, after, snapshot(api, "dev", after).text))
        return seen

    with ThreadPoolExecutor(5) as pool:
        writers = [pool.submit(write, number) for number in range(3)]
        polls = [pool.submit(poll) for _ in range(2)]
        seen = [entry for future in polls for entry in future.result(60)]
        done.set()
        for writer in writers:
            writer.result(10)

    log = ok(api.simulate_get("/api/v1/changes", params={"limit": 1000, "sort": "-id"}))["items"]
    timestamps = sorted(change["created_at"] for change in log)
    for before, body, after, past in seen:
        assert snapshot(api, "dev", after).text == past
        # A poll may see a write that is not yet an answer, or not see one that is on its way.
        slack = timedelta(seconds=1)
        start = (datetime.fromisoformat(before) - slack).isoformat()
        during = [m for m in timestamps if start <= m.replace("Z", "+00:00") <= after]
        assert any(snapshot(api, "dev", timestamp).text == body for timestamp in reversed(during))
