"""The fleet: instances, their states, convergence, reports and time travel."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import falcon.testing
import psycopg
import pytest
import requests
from falcon.testing import TestClient

from configsvc_server.app import Runtime, open_services
from configsvc_server.http.errors import WsgiApp
from configsvc_server.settings import Settings
from tests.server.http.support import ok, problem
from tests.support.servers import RunningServer
from tests.support.waiting import until

Json: TypeAlias = dict[str, Any]

ENVIRONMENT = "/api/v1/applications/billing/environments/default"


class Poller:
    """An instance that polls as the SDK does."""

    def __init__(self, api: TestClient, name: str, **said: str) -> None:
        self._api = api
        self.name = name
        members = {"id": name, "service": "shop", **said}
        self.header = ", ".join(f'{key}="{value}"' for key, value in members.items())
        self.serves: str | None = None

    def poll(self, **headers: str) -> falcon.testing.Result:
        sent = {"Configsvc-Instance": self.header, **headers}
        if self.serves is not None:
            sent["If-None-Match"] = f'"{self.serves}"'
        result = self._api.simulate_get(f"{ENVIRONMENT}/snapshot", headers=sent)
        if result.status_code == 200:
            self.serves = result.headers["etag"].strip('"')
        return result

    def catch_up(self) -> None:
        """Poll until the server knows that it has the snapshot."""
        self.poll()
        self.poll()


def convergence(api: TestClient, **params: str) -> Json:
    return dict(ok(api.simulate_get(f"{ENVIRONMENT}/convergence", params=params)))


def instances(api: TestClient, **params: str) -> list[Json]:
    return list(ok(api.simulate_get(f"{ENVIRONMENT}/instances", params=params))["items"])


def write(api: TestClient, configuration: Json, size: int) -> None:
    body = {"config": {"pool": {"size": size}}}
    ok(api.simulate_patch(f"/api/v1/configurations/{configuration['id']}", json=body))


def rejection(pointer: str = "/pool/size", **members: str) -> Json:
    return {"configuration": "database", "pointer": pointer, "message": "expected", **members}


def report(api: TestClient, poller: Poller, *rejections: Json, **members: Any) -> Any:
    body = {"version": poller.serves, "rejections": list(rejections), **members}
    return api.simulate_post(f"{ENVIRONMENT}/instances/{poller.name}/rejections", json=body)


class TestInstances:
    def test_one_is_known_by_its_poll(self, api: TestClient, database_config: Json) -> None:
        web = Poller(api, "web-1", version="1.4.2")
        web.catch_up()

        [found] = instances(api)

        assert (found["id"], found["service"], found["state"]) == ("web-1", "shop", "current")
        assert (found["serves"], found["principal"]) == (web.serves, None)
        assert ok(api.simulate_get(f"{ENVIRONMENT}/instances/web-1"))["version"] == "1.4.2"

    def test_one_that_has_not_polled_again_has_nothing_yet(
        self, api: TestClient, database_config: Json
    ) -> None:
        Poller(api, "web-1").poll()

        [found] = instances(api)

        assert (found["serves"], found["state"]) == (None, "behind")

    def test_compressed_is_the_same_version(self, api: TestClient, database_config: Json) -> None:
        web = Poller(api, "web-1")
        web.poll()
        plain = web.serves
        web.serves = f"{plain}-gzip"
        web.poll()

        assert instances(api)[0]["serves"] == plain

    def test_what_is_no_poll_does_not_count(self, api: TestClient, database_config: Json) -> None:
        now = datetime.now(UTC).isoformat()
        path, headers = f"{ENVIRONMENT}/snapshot", {"Configsvc-Instance": 'id="web-1"'}

        api.simulate_head(path, headers=headers)
        api.simulate_get(path, params={"at": now}, headers=headers)

        assert instances(api) == []

    def test_one_without_the_header_is_known_by_its_connection(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"{ENVIRONMENT}/snapshot"
        etag = api.simulate_get(path).headers["etag"]
        headers = {"If-None-Match": etag, "User-Agent": "curl/8"}

        api.simulate_get(path, headers=headers)

        [found] = instances(api)
        assert found["id"].startswith("connection:127.0.0.1:")
        assert (found["sdk"], found["state"]) == ("curl/8", "current")

    def test_pages_and_filters(self, api: TestClient, database_config: Json) -> None:
        for number in range(3):
            Poller(api, f"web-{number}").catch_up()
        Poller(api, "worker-1", service="billing").poll()

        first = ok(api.simulate_get(f"{ENVIRONMENT}/instances", params={"limit": "2"}))
        after = {"limit": "2", "after": first["next"]}
        second = ok(api.simulate_get(f"{ENVIRONMENT}/instances", params=after))

        found = [item["id"] for item in first["items"] + second["items"]]
        assert found == ["web-0", "web-1", "web-2", "worker-1"]
        assert (first["total"], second["has_more"]) == (4, False)
        assert len(instances(api, state="current")) == 3
        assert [item["id"] for item in instances(api, state="behind")] == ["worker-1"]
        assert [item["id"] for item in instances(api, service="billing")] == ["worker-1"]
        assert instances(api, state="gone") == []
        wrong = api.simulate_get(f"{ENVIRONMENT}/instances", params={"state": "lost"})
        problem(wrong, 422, "/state")

    def test_one_that_nobody_knows_is_404(self, api: TestClient, billing: Json) -> None:
        problem(api.simulate_get(f"{ENVIRONMENT}/instances/web-9"), 404)

    def test_the_wait_of_a_poll_is_one_poll(
        self,
        api: TestClient,
        live_server: RunningServer,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        database_config: Json,
    ) -> None:
        url = f"{live_server.url}{ENVIRONMENT}/snapshot"
        etag = requests.get(url, timeout=10).headers["etag"]
        headers = {
            "Configsvc-Instance": 'id="web-1"',
            "If-None-Match": etag,
            "Prefer": "wait=30",
        }
        waiter = pool.submit(requests.get, url, headers=headers, timeout=60)
        waiting.acquire()
        [polled] = instances(api)

        write(api, database_config, 11)
        assert waiter.result(30).status_code == 200

        [found] = instances(api)
        seen = datetime.fromisoformat(found["last_seen_at"])
        # The clock of the database is another one.
        assert abs(seen - datetime.fromisoformat(polled["last_seen_at"])) < timedelta(seconds=0.1)


class TestConvergence:
    def test_it_counts(self, api: TestClient, database_config: Json) -> None:
        pollers = [Poller(api, f"web-{number}") for number in range(5)]
        for poller in pollers:
            poller.catch_up()
        assert convergence(api)["state"] == "converged"

        write(api, database_config, 11)
        found = convergence(api)
        assert (found["state"], found["behind"], found["instances"]) == ("converging", 5, 5)
        for poller in pollers[:3]:
            poller.catch_up()

        found = convergence(api)
        assert (found["current"], found["behind"]) == (3, 2)

    def test_nobody_has_converged(self, api: TestClient, billing: Json) -> None:
        found = convergence(api)
        assert (found["state"], found["instances"]) == ("converged", 0)

    def test_a_version_that_is_not_served_any_more_is_superseded(
        self, api: TestClient, database_config: Json
    ) -> None:
        web = Poller(api, "web-1")
        web.catch_up()
        before = web.serves
        assert before is not None

        write(api, database_config, 11)

        found = convergence(api, version=before)
        assert (found["state"], found["current"], found["version"]) == ("superseded", 1, before)
        assert found["serves"] != before

    def test_no_cache_asks_the_database_what_is_served(
        self, api: TestClient, database_url: str, database_config: Json
    ) -> None:
        before = convergence(api)["serves"]
        with psycopg.connect(database_url, autocommit=True) as connection:
            # No notification tells of it.
            connection.execute("DELETE FROM served_versions")
        assert convergence(api)["serves"] == before

        headers = {"Cache-Control": "no-cache"}
        found = ok(api.simulate_get(f"{ENVIRONMENT}/convergence", headers=headers))

        assert found["serves"] != before

    def test_the_version_has_to_be_one(self, api: TestClient, billing: Json) -> None:
        result = api.simulate_get(f"{ENVIRONMENT}/convergence", params={"version": '"x"'})
        problem(result, 422, "/version")

    @pytest.mark.parametrize("ending", ["converged", "rejected", "superseded"])
    def test_a_wait_ends_when_it_is_decided(
        self,
        api: TestClient,
        live_server: RunningServer,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        database_config: Json,
        ending: str,
    ) -> None:
        web = Poller(api, "web-1")
        web.catch_up()
        write(api, database_config, 11)
        version = convergence(api)["version"]
        url = f"{live_server.url}{ENVIRONMENT}/convergence?version={version}"
        waiter = pool.submit(requests.get, url, headers={"Prefer": "wait=50"}, timeout=60)
        waiting.acquire()

        web.poll()
        if ending == "superseded":
            write(api, database_config, 12)
        else:
            if ending == "rejected":
                report(api, web, rejection())
            web.poll()

        answer = waiter.result(30)
        assert (answer.status_code, answer.json()["state"]) == (200, ending)
        assert answer.headers["Preference-Applied"] == "wait=50"

    def test_a_wait_that_is_over_tells_how_far_it_is(
        self, api: TestClient, database_config: Json
    ) -> None:
        Poller(api, "web-1").poll()
        headers = {"Prefer": "wait=1"}

        found = ok(api.simulate_get(f"{ENVIRONMENT}/convergence", headers=headers))

        assert (found["state"], found["behind"]) == ("converging", 1)


class TestRejections:
    def test_what_is_reported_counts(self, api: TestClient, database_config: Json) -> None:
        pollers = [Poller(api, f"web-{number}") for number in range(3)]
        for poller in pollers:
            poller.catch_up()
        for poller in pollers[:2]:
            assert report(api, poller, rejection()).status_code == 204
        report(api, pollers[1], rejection(), rejection("/host"))

        found = convergence(api)

        assert (found["state"], found["current"], found["rejecting"]) == ("rejected", 1, 2)
        assert found["rejections"] == [
            {**rejection(), "instances": 2},
            {**rejection("/host"), "instances": 1},
        ]
        shown = {item["id"]: item["rejections"] for item in instances(api, state="rejecting")}
        assert shown == {"web-0": [rejection()], "web-1": [rejection(), rejection("/host")]}

    def test_an_empty_report_withdraws(self, api: TestClient, database_config: Json) -> None:
        web = Poller(api, "web-1")
        web.catch_up()
        report(api, web, rejection())
        assert convergence(api)["rejecting"] == 1

        report(api, web)

        assert convergence(api)["state"] == "converged"

    def test_it_counts_with_the_poll_that_follows(
        self, api: TestClient, database_config: Json
    ) -> None:
        web = Poller(api, "web-1")
        web.poll()
        report(api, web, rejection())
        assert convergence(api)["rejecting"] == 0

        web.poll()

        assert convergence(api)["rejecting"] == 1

    def test_what_is_said_with_the_poll_counts_before_the_report(
        self, api: TestClient, database_config: Json
    ) -> None:
        web = Poller(api, "web-1")
        web.catch_up()
        said = web.header
        web.header = f"{said}, rejects=1"
        web.poll()
        found = convergence(api)
        assert (found["state"], found["rejecting"], found["rejections"]) == ("rejected", 1, [])
        report(api, web, rejection())
        assert len(convergence(api)["rejections"]) == 1

        web.header = f"{said}, rejects=0"
        web.poll()

        found = convergence(api)
        assert (found["state"], found["rejections"]) == ("converged", [])
        assert instances(api)[0]["rejections"] == []

    def test_it_may_be_about_the_snapshot_as_a_whole(
        self, api: TestClient, database_config: Json
    ) -> None:
        web = Poller(api, "web-1")
        web.catch_up()
        whole = rejection("") | {"configuration": None}

        assert report(api, web, whole).status_code == 204

        assert convergence(api)["rejections"] == [{**whole, "instances": 1}]

    @pytest.mark.parametrize(
        ("members", "pointer"),
        [
            ({"version": "x"}, "/version"),
            ({"rejections": [rejection()] * 21}, "/rejections"),
            ({"rejections": [rejection("no pointer")]}, "/rejections/0/pointer"),
            ({"rejections": [rejection(message="x" * 301)]}, "/rejections/0/message"),
        ],
    )
    def test_a_wrong_one_is_refused(
        self, api: TestClient, database_config: Json, members: Json, pointer: str
    ) -> None:
        web = Poller(api, "web-1")
        web.poll()
        problem(report(api, web, **members), 422, pointer)

    def test_the_id_has_to_be_one(self, api: TestClient, database_config: Json) -> None:
        web = Poller(api, "web-1")
        web.poll()
        web.name = "connection:127.0.0.1:1"
        problem(report(api, web), 422, "/instance")


class TestThePast:
    def test_what_an_instance_served_is_told_to_the_byte(
        self, api: TestClient, database_config: Json
    ) -> None:
        web = Poller(api, "web-1")
        web.catch_up()
        first = api.simulate_get(f"{ENVIRONMENT}/snapshot").text
        [found] = instances(api)
        write(api, database_config, 11)
        api.simulate_put("/api/v1/applications/billing", json={"name": "renamed"})
        api.simulate_put("/api/v1/applications/renamed", json={"name": "billing"})
        write(api, database_config, 12)
        web.catch_up()
        [later] = instances(api)

        path = f"{ENVIRONMENT}/instances/web-1"
        then = api.simulate_get(path, params={"at": found["since"]})
        now = ok(api.simulate_get(path, params={"at": later["since"]}))

        assert ok(then)["serves"] == found["serves"]
        assert then.text.endswith(f'"snapshot":{first}}}')
        assert now["serves"] == later["serves"]
        document = now["snapshot"]["configurations"]["database"]["config"]
        assert document["pool"]["size"] == 12

    def test_its_rejections_are_told(self, api: TestClient, database_config: Json) -> None:
        web = Poller(api, "web-1")
        web.poll()
        report(api, web, rejection())
        web.poll()
        instances(api)

        at = {"at": datetime.now(UTC).isoformat()}
        found = ok(api.simulate_get(f"{ENVIRONMENT}/instances/web-1", params=at))

        assert (found["rejections"], found["gone"]) == ([rejection()], False)

    def test_nothing_is_known_before_it_was_first_seen(
        self, api: TestClient, database_config: Json
    ) -> None:
        Poller(api, "web-1").catch_up()
        at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        result = api.simulate_get(f"{ENVIRONMENT}/instances/web-1", params={"at": at})
        assert "before it was first seen" in problem(result, 404)["detail"]

    def test_nothing_is_known_outside_the_retention(
        self, api: TestClient, database_config: Json
    ) -> None:
        at = (datetime.now(UTC) - timedelta(days=8)).isoformat()
        result = api.simulate_get(f"{ENVIRONMENT}/instances/web-1", params={"at": at})
        assert "outside the retention" in problem(result, 404)["detail"]

    def test_the_future_is_refused(self, api: TestClient, database_config: Json) -> None:
        at = {"at": "2999-01-01T00:00:00Z"}
        result = api.simulate_get(f"{ENVIRONMENT}/instances/web-1", params=at)
        problem(result, 422, "/at")


class TestAccess:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"auth": "required"})

    @pytest.fixture
    def caller(self, app: WsgiApp) -> Callable[[str], TestClient]:
        def make(secret: str) -> TestClient:
            return falcon.testing.TestClient(app, headers={"Authorization": f"Bearer {secret}"})

        return make

    @pytest.fixture
    def api(self, runtime: Runtime, caller: Callable[[str], TestClient]) -> TestClient:
        assert runtime.first_token is not None
        return caller(runtime.first_token.secret)

    def test_who_may_not_read_an_environment_is_no_instance_of_it(
        self, api: TestClient, caller: Callable[[str], TestClient], stages: Json
    ) -> None:
        grant = {"role": "reader", "application": "billing", "environment": "dev"}
        body = {"name": "dev", "grants": [grant]}
        stranger = caller(ok(api.simulate_post("/api/v1/tokens", json=body), 201)["token"])
        web = Poller(stranger, "web-1")

        assert web.poll().status_code == 404
        web.serves = "0" * 32
        assert report(stranger, web, rejection()).status_code == 404

        assert instances(api) == []
        assert stranger.simulate_get(f"{ENVIRONMENT}/convergence").status_code == 404

    def test_it_is_told_who_polls(
        self, api: TestClient, caller: Callable[[str], TestClient], billing: Json
    ) -> None:
        body = {"name": "web", "grants": [{"role": "reader", "application": "billing"}]}
        web = caller(ok(api.simulate_post("/api/v1/tokens", json=body), 201)["token"])

        Poller(web, "web-1").poll()

        assert instances(web)[0]["principal"] == "token:web"


def test_without_the_fleet_nothing_is_recorded(
    settings: Settings, database_url: str, database_config: Json
) -> None:
    with open_services(settings.model_copy(update={"fleet": "off"}), database_url) as runtime:
        api = falcon.testing.TestClient(runtime.app)
        web = Poller(api, "web-1")
        web.catch_up()
        problem(api.simulate_get(f"{ENVIRONMENT}/instances"), 404)
        problem(report(api, web), 404)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM instances").fetchone() == (0,)


def test_two_servers_answer_for_the_instances_of_both(
    api: TestClient, settings: Settings, database_url: str, database_config: Json
) -> None:
    with open_services(settings, database_url) as runtime:
        other = falcon.testing.TestClient(runtime.app)
        Poller(api, "web-1").catch_up()
        Poller(other, "web-2").catch_up()

        until(lambda: len(instances(api)) == 2)
        until(lambda: len(instances(other)) == 2)
        assert convergence(api)["current"] == convergence(other)["current"] == 2
