"""What a header promises is kept: conditions of writes, caching of the past, ``Allow``."""

from typing import Any

import pytest
from falcon.testing import Result, TestClient

from tests.server.http.support import create, ok, problem

APPLICATION = "/api/v1/applications/billing"
ENVIRONMENT = f"{APPLICATION}/environments/default"
SNAPSHOT = f"{ENVIRONMENT}/snapshot"


@pytest.fixture(autouse=True)
def billing(api: TestClient) -> dict[str, Any]:
    """An application."""
    return dict(ok(api.simulate_post("/api/v1/applications", json={"name": "billing"}), 201))


@pytest.fixture
def bodies(api: TestClient) -> dict[str, dict[str, Any]]:
    """What can replace each resource, by its path."""
    one = f"/api/v1/configurations/{create(api, 'database', {})['id']}"
    return {
        one: {"name": "database", "config": {"new": True}},
        APPLICATION: {"name": "billing", "comments": "new"},
        ENVIRONMENT: {"position": 7},
    }


def send(api: TestClient, method: str, path: str, body: dict[str, Any], **headers: str) -> Result:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.simulate_request(
        method, path, json=None if method == "DELETE" else body, headers=given
    )


class TestIfNoneMatch:
    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("kind", ["*", "its tag", "its tag, weak", "several"])
    def test_a_write_to_what_it_excludes_is_refused(
        self, api: TestClient, bodies: dict[str, dict[str, Any]], method: str, kind: str
    ) -> None:
        for path, body in bodies.items():
            before = api.simulate_get(path)
            etag = before.headers["etag"]
            tags = {"its tag": etag, "its tag, weak": f"W/{etag}", "several": f'"x", {etag}'}

            result = send(api, method, path, body, If_None_Match=tags.get(kind, "*"))

            document = problem(result, 412, "/if-none-match")
            assert document["current_etag"] == etag
            assert api.simulate_get(path).content == before.content

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_a_write_to_any_other_state_goes_ahead(
        self, api: TestClient, bodies: dict[str, dict[str, Any]], method: str
    ) -> None:
        for path, body in bodies.items():
            ok(send(api, method, path, body, If_None_Match='"another"'))

    def test_what_does_not_exist_stays_what_is_missing(self, api: TestClient) -> None:
        body = {"name": "x", "config": {}}
        for path in ("/api/v1/configurations/01JD8W5Q0Z4T9G7M2N3P4Q5R6S",):
            problem(send(api, "PUT", path, body, If_None_Match="*"), 404)

    def test_both_conditions_count(
        self, api: TestClient, bodies: dict[str, dict[str, Any]]
    ) -> None:
        for path, body in bodies.items():
            etag = api.simulate_get(path).headers["etag"]

            refused = send(api, "PUT", path, body, If_Match=etag, If_None_Match=etag)
            stale = send(api, "PUT", path, body, If_Match='"x"', If_None_Match='"x"')
            written = send(api, "PUT", path, body, If_Match=etag, If_None_Match='"x"')

            problem(refused, 412, "/if-none-match")
            problem(stale, 412, "/if-match")
            ok(written)

    def test_a_release_depends_on_the_configuration(self, api: TestClient) -> None:
        path = f"/api/v1/configurations/{create(api, 'database', {})['id']}/releases"
        body = {"environment": "default", "version": None}

        problem(send(api, "POST", path, body, If_None_Match='"1"'), 412, "/if-none-match")
        assert send(api, "POST", path, body, If_None_Match='"2"').status_code == 201

    def test_a_deleted_configuration_can_be_restored_only_while_it_is_gone(
        self, api: TestClient
    ) -> None:
        one = f"/api/v1/configurations/{create(api, 'database', {})['id']}"
        assert api.simulate_delete(one).status_code == 204

        ok(send(api, "POST", f"{one}/restore", {}, If_None_Match="*"))

        problem(send(api, "POST", f"{one}/restore", {}, If_None_Match="*"), 409)


class TestThePast:
    def test_it_may_be_kept_for_ever_by_one_caller(
        self, api: TestClient, billing: dict[str, Any]
    ) -> None:
        made = create(api, "database", {"n": 1})
        create(api, "later", {})
        path = f"/api/v1/applications/{billing['id']}/environments/default/snapshot"

        result = api.simulate_get(path, params={"at": made["updated_at"]})

        assert result.headers["cache-control"] == "private, max-age=31536000, immutable"
        again = api.simulate_get(
            path,
            params={"at": made["updated_at"]},
            headers={"If-None-Match": result.headers["etag"]},
        )
        assert again.status_code == 304
        assert again.headers["cache-control"] == "private, max-age=31536000, immutable"

    def test_it_stays_the_same_after_the_application_is_deleted(
        self, api: TestClient, billing: dict[str, Any]
    ) -> None:
        made = create(api, "database", {"n": 1})
        create(api, "later", {})
        path = f"/api/v1/applications/{billing['id']}/environments/default/snapshot"
        before = api.simulate_get(path, params={"at": made["updated_at"]})
        assert api.simulate_delete(APPLICATION).status_code == 204
        ok(api.simulate_post("/api/v1/applications", json={"name": "billing"}), 201)

        after = api.simulate_get(path, params={"at": made["updated_at"]})

        assert after.content == before.content
        assert after.headers["etag"] == before.headers["etag"]

    def test_by_a_name_it_may_not_since_another_may_be_called_so(self, api: TestClient) -> None:
        made = create(api, "database", {"n": 1})
        create(api, "later", {})

        result = api.simulate_get(SNAPSHOT, params={"at": made["updated_at"]})

        assert result.headers["cache-control"] == "no-cache"

    def test_the_present_may_not(self, api: TestClient, billing: dict[str, Any]) -> None:
        made = create(api, "database", {"n": 1})
        path = f"/api/v1/applications/{billing['id']}/environments/default/snapshot"

        for params in ({}, {"at": made["updated_at"]}):
            assert api.simulate_get(path, params=params).headers["cache-control"] == "no-cache"

    def test_what_was_not_there_may_not(self, api: TestClient, billing: dict[str, Any]) -> None:
        path = f"/api/v1/applications/{billing['id']}/environments/default/snapshot"

        result = api.simulate_get(path, params={"at": "2020-01-01T00:00:00Z"})

        problem(result, 404)
        assert result.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [APPLICATION, "/api/v1/changes", "/health", "/openapi.json"])
def test_options_names_itself(api: TestClient, path: str) -> None:
    allowed = api.simulate_options(path).headers["allow"].split(", ")

    assert "OPTIONS" in allowed
    assert len(set(allowed)) == len(allowed)


def test_the_openapi_document_says_that_nul_is_refused(api: TestClient) -> None:
    schemas = ok(api.simulate_get("/openapi.json"))["components"]["schemas"]

    for name in ("Comments", "Config", "ConfigurationSchema", "Message", "Overlays"):
        assert "NUL characters" in schemas[name]["description"]
