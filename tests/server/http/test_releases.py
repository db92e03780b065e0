"""Releases, their undoing, overlays and promotion."""

from typing import Any

import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from configsvc_server.domain.overlays import merge_patch
from tests.server.http.support import ULID, create, ok, problem, release, served
from tests.support.json_values import json_objects, same

APPLICATION = "/api/v1/applications/billing"

Json = dict[str, Any]


@pytest.fixture
def database(api: TestClient, stages: Json) -> Json:
    """A configuration with three versions, of which no environment but dev and default knows."""
    created = create(api, "database", {"v": 1})
    for version in (2, 3):
        api.simulate_patch(
            f"/api/v1/configurations/{created['id']}", json={"config": {"v": version}}
        )
    return created


def releases_of(configuration: Json) -> str:
    return f"/api/v1/configurations/{configuration['id']}/releases"


def roll_back(api: TestClient, configuration: Json, environment: str, **body: Any) -> Any:
    path = f"{releases_of(configuration)}/rollback"
    return ok(api.simulate_post(path, json={"environment": environment, **body}), 201)


class TestRelease:
    def test_makes_an_environment_serve_a_version(self, api: TestClient, database: Json) -> None:
        made = release(api, database, "prod", version=2, message="tested")

        assert served(api, "prod") == {"database": {"v": 2}}
        assert made == {
            "id": made["id"],
            "configuration_id": database["id"],
            "application_id": database["application_id"],
            "name": "database",
            "environment": "prod",
            "version": 2,
            "previous_version": None,
            "author": "anonymous",
            "message": "tested",
            "created_at": made["created_at"],
        }

    def test_without_version_it_is_the_newest(self, api: TestClient, database: Json) -> None:
        assert release(api, database, "prod")["version"] == 3

    def test_says_what_was_served_before(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=1)

        assert release(api, database, "prod", version=3)["previous_version"] == 1

    def test_of_what_is_served_already_changes_nothing(
        self, api: TestClient, database: Json
    ) -> None:
        first = release(api, database, "prod", version=2)

        again = api.simulate_post(releases_of(database), json={"environment": "prod", "version": 2})

        assert ok(again, 200) == first

    def test_version_null_withdraws_it(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=2)

        withdrawn = release(api, database, "prod", version=None)

        assert (withdrawn["version"], withdrawn["previous_version"]) == (None, 2)
        assert served(api, "prod") == {}
        body = {"environment": "prod", "version": None}
        problem(api.simulate_post(releases_of(database), json=body), 409, "/environment")

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/environment"),
            ({"environment": "nowhere"}, "/environment"),
            ({"environment": "prod", "version": 4}, "/version"),
            ({"environment": "prod", "version": 2**63}, "/version"),
            ({"environment": "prod", "version": "2"}, "/version"),
        ],
    )
    def test_refuses_what_is_not_there(
        self, api: TestClient, database: Json, body: Json, pointer: str
    ) -> None:
        problem(api.simulate_post(releases_of(database), json=body), 422, pointer)

    def test_of_an_unknown_configuration_is_404(self, api: TestClient, stages: Json) -> None:
        path = f"/api/v1/configurations/{ULID}/releases"
        problem(api.simulate_get(path), 404)
        problem(api.simulate_post(path, json={"environment": "prod"}), 404)
        problem(api.simulate_post(f"{path}/rollback", json={"environment": "prod"}), 404)

    def test_obeys_if_match(self, api: TestClient, database: Json) -> None:
        body, stale = {"environment": "prod"}, {"If-Match": '"2"'}
        for path in (releases_of(database), f"{releases_of(database)}/rollback"):
            result = api.simulate_post(path, json=body, headers=stale)
            assert problem(result, 412, "/if-match")["current_version"] == 3
        fresh = {"If-Match": '"3"'}
        ok(api.simulate_post(releases_of(database), json=body, headers=fresh), 201)

    def test_a_name_can_not_be_served_twice(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=3)
        api.simulate_patch(f"/api/v1/configurations/{database['id']}", json={"name": "db"})
        other = create(api, "database", {"other": True})

        result = api.simulate_post(releases_of(other), json={"environment": "prod"})

        problem(result, 409)
        assert served(api, "prod") == {"database": {"v": 3}}


class TestRollback:
    def test_serves_again_what_was_served_before(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=1)
        release(api, database, "prod", version=3)

        undone = roll_back(api, database, "prod", message="too slow")

        assert (undone["version"], undone["previous_version"]) == (1, 3)
        assert undone["message"] == "too slow"
        assert served(api, "prod") == {"database": {"v": 1}}

    def test_again_it_goes_one_further_back(self, api: TestClient, database: Json) -> None:
        for version in (1, 2, 3):
            release(api, database, "prod", version=version)

        found = [roll_back(api, database, "prod")["version"] for _ in range(2)]

        assert found == [2, 1]
        body = {"environment": "prod"}
        result = api.simulate_post(f"{releases_of(database)}/rollback", json=body)
        problem(result, 409, "/environment")

    def test_after_a_new_release_it_goes_back_to_what_was_served_then(
        self, api: TestClient, database: Json
    ) -> None:
        for version in (1, 2):
            release(api, database, "prod", version=version)
        roll_back(api, database, "prod")
        release(api, database, "prod", version=3)

        assert roll_back(api, database, "prod")["version"] == 1

    def test_takes_back_a_withdrawal(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=2)
        release(api, database, "prod", version=None)

        assert roll_back(api, database, "prod")["version"] == 2

    def test_does_not_go_back_to_nothing(self, api: TestClient, database: Json) -> None:
        path = f"/api/v1/configurations/{database['id']}"
        api.simulate_delete(path)
        ok(api.simulate_post(f"{path}/restore"))

        assert roll_back(api, database, "default")["version"] == 3

    def test_does_not_go_back_beyond_the_environment(self, api: TestClient, database: Json) -> None:
        for version in (1, 2):
            release(api, database, "staging", version=version)
        environment = f"{APPLICATION}/environments/staging"
        api.simulate_delete(environment)
        body = {"name": "staging", "auto_release": False}
        ok(api.simulate_post(f"{APPLICATION}/environments", json=body), 201)
        rollback = f"{releases_of(database)}/rollback"

        problem(api.simulate_post(rollback, json={"environment": "staging"}), 409, "/environment")
        release(api, database, "staging", version=3)
        problem(api.simulate_post(rollback, json={"environment": "staging"}), 409, "/environment")

    def test_does_not_go_back_into_another_application(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"/api/v1/configurations/{database_config['id']}"
        api.simulate_delete(path)
        ok(api.simulate_post("/api/v1/applications", json={"name": "shop"}), 201)
        body = {"id": database_config["id"], "name": "a", "config": {}}
        ok(api.simulate_post("/api/v1/applications/shop/configurations", json=body), 201)

        result = api.simulate_post(f"{path}/releases/rollback", json={"environment": "default"})

        problem(result, 409, "/environment")

    def test_takes_back_what_was_released_by_itself(self, api: TestClient, database: Json) -> None:
        assert roll_back(api, database, "dev")["version"] == 2
        assert served(api, "dev") == {"database": {"v": 2}}
        assert served(api, "default") == {"database": {"v": 3}}


class TestList:
    def test_is_in_the_order_of_commits(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=2)

        page = ok(api.simulate_get(releases_of(database)))

        assert page["total"] == 7
        versions = [(r["version"], r["environment"]) for r in page["items"]]
        assert sorted(versions[:6]) == [(v, e) for v in (1, 2, 3) for e in ("default", "dev")]
        assert versions[6] == (2, "prod")

    def test_has_pages_newest_first_too(self, api: TestClient, database: Json) -> None:
        path, params = releases_of(database), {"sort": "-id", "limit": 4}
        first = api.simulate_get(path, params=params).json
        second = api.simulate_get(path, params={**params, "after": first["next"]}).json

        ids = [r["id"] for r in first["items"] + second["items"]]
        assert len(ids) == 6
        assert ids == sorted(ids, reverse=True)
        assert not second["has_more"]

    def test_can_be_of_one_environment(self, api: TestClient, database: Json) -> None:
        page = ok(api.simulate_get(releases_of(database), params={"environment": "dev"}))

        assert [r["version"] for r in page["items"]] == [1, 2, 3]
        assert page["total"] == 3

    def test_can_be_what_is_served_now(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=2)

        page = ok(api.simulate_get(releases_of(database), params={"current": "true"}))

        assert {r["environment"]: r["version"] for r in page["items"]} == {
            "default": 3,
            "dev": 3,
            "prod": 2,
        }
        params = {"current": "true", "limit": 1, "sort": "-id"}
        newest = ok(api.simulate_get(releases_of(database), params=params))
        assert [r["environment"] for r in newest["items"]] == ["prod"]
        params["after"] = newest["next"]
        assert len(ok(api.simulate_get(releases_of(database), params=params))["items"]) == 1


class TestOverlays:
    def test_each_environment_serves_its_own_resolution(
        self, api: TestClient, stages: Json
    ) -> None:
        overlays = {"prod": {"pool": {"size": 50}, "debug": None}, "dev": {"debug": True}}
        config = {"pool": {"size": 5, "wait": 1.0}, "debug": False}
        created = create(api, "database", config, overlays=overlays)
        release(api, created, "prod")

        assert created["overlays"] == overlays
        assert served(api, "default") == {"database": config}
        assert served(api, "dev") == {"database": {**config, "debug": True}}
        assert served(api, "prod") == {"database": {"pool": {"size": 50, "wait": 1.0}}}

    def test_of_an_unknown_environment_are_refused(self, api: TestClient, stages: Json) -> None:
        body = {"name": "a", "config": {}, "overlays": {"prdo": {}}}

        result = api.simulate_post(f"{APPLICATION}/configurations", json=body)

        found = problem(result, 422, "/overlays/prdo")
        assert "default, dev, staging, prod" in found["detail"]

    def test_of_an_environment_that_is_gone_may_stay(self, api: TestClient, stages: Json) -> None:
        created = create(api, "a", {}, overlays={"dev": {"x": 1}})
        api.simulate_delete(f"{APPLICATION}/environments/dev")
        body = {**created, "config": {"y": 1}}

        changed = ok(api.simulate_put(f"/api/v1/configurations/{created['id']}", json=body))

        assert changed["overlays"] == {"dev": {"x": 1}}

    def test_patch_merges_them_and_null_removes_one(self, api: TestClient, stages: Json) -> None:
        created = create(api, "a", {}, overlays={"dev": {"x": 1}, "prod": {"y": 1}})
        patch = {"overlays": {"dev": None, "prod": {"z": 2}}}

        changed = ok(api.simulate_patch(f"/api/v1/configurations/{created['id']}", json=patch))

        assert changed["overlays"] == {"prod": {"y": 1, "z": 2}}

    def test_put_without_them_removes_them(self, api: TestClient, stages: Json) -> None:
        created = create(api, "a", {}, overlays={"dev": {"x": 1}})

        changed = ok(
            api.simulate_put(
                f"/api/v1/configurations/{created['id']}", json={"name": "a", "config": {}}
            )
        )

        assert changed["overlays"] == {}

    @pytest.mark.slow
    @given(config=json_objects(), overlay=json_objects())
    @hypothesis_settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_resolution_is_rfc_7396(
        self, api: TestClient, database_config: Json, config: Json, overlay: Json
    ) -> None:
        body = {"name": "database", "config": config, "overlays": {"default": overlay}}
        ok(api.simulate_put(f"/api/v1/configurations/{database_config['id']}", json=body))

        assert same(served(api, "default")["database"], merge_patch(config, overlay))


class TestPromote:
    def test_releases_in_one_what_the_other_serves(self, api: TestClient, database: Json) -> None:
        cache = create(api, "cache", {"ttl": 1})
        release(api, database, "staging", version=2)
        release(api, cache, "staging")
        release(api, cache, "prod")
        body = {"from": "staging", "to": "prod", "message": "release 7"}

        result = ok(api.simulate_post(f"{APPLICATION}/promote", json=body))

        assert served(api, "prod") == served(api, "staging")
        assert (result["from"], result["to"], result["unchanged"]) == ("staging", "prod", 1)
        (moved,) = result["released"]
        assert (moved["name"], moved["version"], moved["message"]) == ("database", 2, "release 7")

    def test_again_there_is_nothing_to_do(self, api: TestClient, database: Json) -> None:
        body = {"from": "dev", "to": "prod"}
        ok(api.simulate_post(f"{APPLICATION}/promote", json=body))

        again = ok(api.simulate_post(f"{APPLICATION}/promote", json=body))

        assert (again["released"], again["unchanged"]) == ([], 1)

    def test_what_only_the_target_serves_stays(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=1)

        ok(api.simulate_post(f"{APPLICATION}/promote", json={"from": "staging", "to": "prod"}))

        assert served(api, "prod") == {"database": {"v": 1}}

    def test_names_may_change_places(self, api: TestClient, stages: Json) -> None:
        first, second = create(api, "first", {"n": 1}), create(api, "second", {"n": 2})
        promote = {"from": "dev", "to": "prod"}
        ok(api.simulate_post(f"{APPLICATION}/promote", json=promote))
        for configuration, name in ((first, "tmp"), (second, "first"), (first, "second")):
            ok(
                api.simulate_patch(
                    f"/api/v1/configurations/{configuration['id']}", json={"name": name}
                )
            )

        ok(api.simulate_post(f"{APPLICATION}/promote", json=promote))

        assert served(api, "prod") == {"second": {"n": 1}, "first": {"n": 2}}

    def test_is_all_or_nothing(self, api: TestClient, database: Json) -> None:
        release(api, database, "prod", version=1)
        api.simulate_patch(f"/api/v1/configurations/{database['id']}", json={"name": "db"})
        release(api, database, "dev", version=None)
        create(api, "cache", {"ttl": 1})
        create(api, "database", {"other": True})
        newest = api.simulate_get("/api/v1/changes", params={"sort": "-id", "limit": 1}).json

        result = api.simulate_post(f"{APPLICATION}/promote", json={"from": "dev", "to": "prod"})

        assert database["id"] in problem(result, 409)["detail"]
        assert served(api, "prod") == {"database": {"v": 1}}
        after = api.simulate_get("/api/v1/changes", params={"sort": "-id", "limit": 1}).json
        assert after == newest

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"to": "prod"}, "/from"),
            ({"from": "dev"}, "/to"),
            ({"from": "x", "to": "prod"}, "/from"),
            ({"from": "dev", "to": "x"}, "/to"),
            ({"from": "dev", "to": "dev"}, "/to"),
        ],
    )
    def test_refuses_what_is_invalid(
        self, api: TestClient, stages: Json, body: Json, pointer: str
    ) -> None:
        problem(api.simulate_post(f"{APPLICATION}/promote", json=body), 422, pointer)

    def test_of_an_unknown_application_is_404(self, api: TestClient) -> None:
        body = {"from": "dev", "to": "prod"}
        problem(api.simulate_post(f"{APPLICATION}/promote", json=body), 404)


def test_releases_are_in_the_audit_trail(api: TestClient, database: Json) -> None:
    release(api, database, "prod", version=1, message="first")
    release(api, database, "prod", version=3)
    roll_back(api, database, "prod", message="broken")
    release(api, database, "prod", version=None)
    ok(api.simulate_post(f"{APPLICATION}/promote", json={"from": "dev", "to": "prod"}))

    params = {"application_id": database["application_id"], "environment": "prod"}
    log = ok(api.simulate_get("/api/v1/changes", params=params))["items"]

    assert [
        (c["entity"], c["action"], c["version"], c["previous_version"], c["message"])
        for c in log
        if c["configuration_id"]
    ] == [
        ("release", "release", 1, None, "first"),
        ("release", "release", 3, 1, None),
        ("release", "rollback", 1, 3, "broken"),
        ("release", "withdraw", None, 1, None),
        ("release", "promote", 3, None, None),
    ]
