"""No answer is larger than what was stored allows, however much is asked for at once."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import requests

from tests.support.servers import RunningServer, ServerProcess, server_process

MIB: Final = 1024 * 1024
PAGE: Final = 4 * MIB

Json = dict[str, Any]


class Api:
    """The API of a server."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v1"
        self.session = requests.Session()

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        # Without blanks, as a million bytes are more than a few.
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        given = {"Content-Type": "application/json", **headers}
        return self.session.request(method, self._url + path, data=data, headers=given, timeout=60)

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def create(self, name: str, config: Json, **members: object) -> Json:
        body = {"name": name, "config": config, **members}
        response = self.send("POST", "/applications/billing/configurations", body)
        assert response.status_code == 201, response.text[:1000]
        document: Json = response.json()
        return document


@pytest.fixture
def api(live_server: RunningServer) -> Api:
    """A server with the application billing."""
    api = Api(live_server.url)
    assert api.send("POST", "/applications", {"name": "billing"}).status_code == 201
    return api


def large(kib: int = 900) -> Json:
    """Return a document that has so many KiB, and does not compress to nothing."""
    return {f"key-{n}": f"{n:032d}" * 31 for n in range(kib)}


def written(api: Api, revisions: int) -> str:
    """Write revisions of 900 KiB; return the id of their configuration."""
    configuration_id: str = api.create("database", large())["id"]
    for _ in range(revisions - 1):
        body = {"name": "database", "config": large()}
        assert api.send("PUT", f"/configurations/{configuration_id}", body).status_code == 200
    return configuration_id


class TestPages:
    @pytest.mark.parametrize("sort", ["version", "-version"])
    def test_a_page_of_revisions_ends_before_4_mib_and_the_cursor_goes_on(
        self, api: Api, sort: str
    ) -> None:
        path = f"/configurations/{written(api, 6)}/revisions?limit=1000&sort={sort}"

        versions = []
        response = api.get(path)
        while True:
            assert len(response.content) < PAGE + 10_000
            page = response.json()
            versions += [item["version"] for item in page["items"]]
            assert page["total"] == 6
            assert page["has_more"] == (page["next"] is not None) == ("next" in response.links)
            if not page["has_more"]:
                break
            assert page["items"]
            response = api.get(f"{path}&after={page['next']}")

        assert versions == sorted(range(1, 7), reverse=sort == "-version")

    def test_the_link_of_a_page_that_ended_early_leads_to_the_rest(self, api: Api) -> None:
        first = api.get(f"/configurations/{written(api, 6)}/revisions")
        rest = api.get(first.links["next"]["url"].removeprefix("/api/v1"))

        found = [item["version"] for page in (first, rest) for item in page.json()["items"]]
        assert found == [1, 2, 3, 4, 5, 6]

    @pytest.mark.parametrize("sort", ["id", "-name", "updated_at"])
    def test_a_page_of_configurations_ends_before_4_mib(self, api: Api, sort: str) -> None:
        for name in "abcdef":
            api.create(name, large())

        found = []
        after = ""
        while True:
            response = api.get(f"/configurations?limit=1000&sort={sort}{after}")
            assert len(response.content) < PAGE + 10_000
            page = response.json()
            found += [item["name"] for item in page["items"]]
            if not page["next"]:
                break
            after = f"&after={page['next']}"

        assert sorted(found) == list("abcdef")

    def test_a_page_by_offset_ends_early_too(self, api: Api) -> None:
        page = api.get(f"/configurations/{written(api, 6)}/revisions?offset=1").json()

        assert [item["version"] for item in page["items"]] == [2, 3, 4, 5]
        assert page["has_more"] is True

    def test_small_items_that_are_large_together_end_a_page_too(
        self, api: Api, database_url: str
    ) -> None:
        application_id = api.get("/applications/billing").json()["id"]
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO changes (action, entity, application_id, name, message, actor, "
                "created_at) SELECT 'update', 'application', %s, 'billing', "
                "repeat('\N{GRINNING FACE}', 1024), 'me', now() FROM generate_series(1, 1200)",
                [application_id],
            )

        ids = []
        after = "0"
        while True:
            response = api.get(f"/changes?limit=1000&after={after}")
            assert len(response.content) < PAGE + 10_000
            page = response.json()
            ids += [item["id"] for item in page["items"]]
            after = page["next"]
            if not page["has_more"]:
                break

        assert ids == list(range(1, 1202))


class TestSnapshots:
    def test_a_write_that_would_make_a_snapshot_too_large_is_refused(self, api: Api) -> None:
        for number in range(18):
            api.create(f"c{number}", large())

        response = api.send(
            "POST", "/applications/billing/configurations", {"name": "more", "config": large()}
        )

        assert response.status_code == 409
        problem = response.json()
        assert problem["type"] == "urn:configsvc:problem:snapshot-too-large"
        assert "'default'" in problem["detail"]
        snapshot = api.get("/applications/billing/environments/default/snapshot")
        assert len(snapshot.json()["configurations"]) == 18
        assert len(snapshot.content) <= 16 * MIB

    def test_what_is_withdrawn_makes_room(self, api: Api) -> None:
        made = [api.create(f"c{number}", large())["id"] for number in range(18)]
        withdrawal = {"environment": "default", "version": None}
        assert api.send("POST", f"/configurations/{made[0]}/releases", withdrawal).ok

        api.create("more", large())

        again = {"environment": "default"}
        refused = api.send("POST", f"/configurations/{made[0]}/releases", again)
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:configsvc:problem:snapshot-too-large"
        assert api.send("DELETE", f"/configurations/{made[1]}").status_code == 204
        assert api.send("POST", f"/configurations/{made[0]}/releases", again).status_code == 201

    def test_a_promotion_and_a_new_environment_are_bounded_as_well(self, api: Api) -> None:
        path = "/applications/billing/environments"
        assert api.send("PATCH", f"{path}/default", {"auto_release": False}).ok
        assert api.send("POST", path, {"name": "dev"}).ok
        for number in range(18):
            api.create(f"c{number}", large())
        held = {"name": "prod", "auto_release": False}
        assert api.send("POST", path, held).ok
        assert api.send("PATCH", f"{path}/dev", {"auto_release": False}).ok
        other = api.create("other", large())["id"]
        assert api.send("POST", f"/configurations/{other}/releases", {"environment": "prod"}).ok

        promoted = api.send("POST", "/applications/billing/promote", {"from": "dev", "to": "prod"})
        created = api.send("POST", path, {"name": "late"})

        for response in (promoted, created):
            assert response.status_code == 409
            assert response.json()["type"] == "urn:configsvc:problem:snapshot-too-large"

    def test_an_application_has_a_largest_number_of_configurations(
        self, api: Api, database_url: str
    ) -> None:
        application_id = api.get("/applications/billing").json()["id"]
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO configurations (id, application_id, name, config, version, "
                "created_at, updated_at, updated_by) "
                "SELECT '01JD8W5Q0Z4T9G7M2N3P4Q' || lpad(n::text, 4, '0'), %s, 'c' || n, '{}', 1, "
                "now(), now(), 'me' FROM generate_series(1, 4999) AS n",
                [application_id],
            )
        api.create("last", {})

        response = api.send(
            "POST", "/applications/billing/configurations", {"name": "more", "config": {}}
        )

        assert response.status_code == 409
        assert response.json()["type"] == "urn:configsvc:problem:too-many-configurations"


class TestComparisons:
    def test_a_diff_is_not_larger_than_its_documents_by_its_paths(self, api: Api) -> None:
        key = "k" * 100_000
        made = api.create("database", {key: {str(n): 0 for n in range(5000)}})
        body = {"name": "database", "config": {key: {str(n): 1 for n in range(5000)}}}
        assert api.send("PUT", f"/configurations/{made['id']}", body).ok

        response = api.get(f"/configurations/{made['id']}/diff")

        assert len(response.content) < 4 * MIB
        (operation,) = response.json()["patch"]
        assert (operation["op"], operation["path"]) == ("replace", "")
        assert operation["value"]["config"] == body["config"]

    def test_a_validation_does_not_answer_with_50_large_documents(self, api: Api) -> None:
        for number in range(49):
            path = "/applications/billing/environments"
            assert api.send("POST", path, {"name": f"e{number}"}).ok
        body = {
            "application_id": api.get("/applications/billing").json()["id"],
            "name": "database",
            "config": large(),
        }

        refused = api.send("POST", "/configurations/validate", body)
        small = api.send("POST", "/configurations/validate", {**body, "config": large(100)})

        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert error["pointer"] == "/config"
        assert "is valid" in error["message"]
        assert len(small.json()["environments"]) == 50


class TestErrors:
    def test_at_most_20_errors_are_told_and_that_there_are_more(self, api: Api) -> None:
        body = {"name": "x", **{f"m{n}": 0 for n in range(80_000)}}

        response = api.send("POST", "/applications", body)

        assert response.status_code == 422
        assert len(response.json()["errors"]) == 20
        assert response.json()["detail"].endswith("and there are more.")
        assert len(response.content) < 16_384

    def test_20_errors_are_all_of_them_without_a_word_of_more(self, api: Api) -> None:
        response = api.send(
            "POST", "/applications", {"name": "x", **dict.fromkeys("abcdefghijklmnopqrst")}
        )

        assert len(response.json()["errors"]) == 20
        assert "more" not in response.json()["detail"]

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "x", "n" * 1_000_000: 0},
            {"name": "x", "config": {}, "overlays": {"e" * 1_000_000: {}}},
            {"name": "x", "config": {}, "schema": {"properties": {"p" * 900_000: {"type": "no"}}}},
            {"name": "x", "config": {}, "schema": {"type": "z" * 1_000_000}},
            {"name": "x", "config": "c" * 1_000_000},
            {"name": "x" * 1_000_000, "config": {}},
        ],
        ids=["member", "overlay", "path", "keyword", "value", "name"],
    )
    def test_what_an_error_quotes_is_shortened(self, api: Api, body: Json) -> None:
        response = api.send("POST", "/applications/billing/configurations", body)

        assert response.status_code == 422
        assert response.json()["errors"]
        assert len(response.content) < 65_536


@pytest.fixture
def process(database_url: str, tmp_path: Path) -> Any:
    """The whole command, in a process of its own."""
    with server_process("--database-url", database_url, cwd=tmp_path) as process:
        yield process


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_of_16_large_pages_at_once_is_given_back(process: ServerProcess) -> None:
    api = Api(process.url)
    assert api.send("POST", "/applications", {"name": "billing"}).status_code == 201
    path = f"/configurations/{written(api, 30)}/revisions?limit=1000"
    before = _memory(process, "VmRSS")

    def read(_: int) -> int:
        response: requests.Response = Api(process.url).get(path)
        assert response.status_code == 200
        return len(response.content)

    with ThreadPoolExecutor(16) as pool:
        for _ in range(3):
            assert max(pool.map(read, range(16))) < PAGE + 10_000

    # A page for each of the requests at most, some of it twice: as rows and as an answer.
    assert _memory(process, "VmHWM") - before < 16 * 3 * PAGE
    assert _memory(process, "VmRSS") - before < 64 * MIB


def _memory(process: ServerProcess, name: str) -> int:
    lines = Path(f"/proc/{process.process.pid}/status").read_text().splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(value) * 1024
