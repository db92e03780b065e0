"""Environments: their life, their rules, and what they begin with."""

from typing import Any

import pytest
from falcon.testing import TestClient

from configsvc_server.domain.models import MAX_ENVIRONMENTS
from tests.server.http.support import ULID, create, ok, problem, release, served

PATH = "/api/v1/applications/billing/environments"

Json = dict[str, Any]


class TestBirth:
    def test_every_application_has_the_environment_default(
        self, api: TestClient, billing: Json
    ) -> None:
        page = ok(api.simulate_get(PATH))

        (default,) = page["items"]
        assert page["total"] == 1
        assert default == {
            "etag": api.simulate_get(f"{PATH}/default").headers["etag"].strip('"'),
            "application_id": billing["id"],
            "name": "default",
            "position": 0,
            "auto_release": True,
            "protected": False,
            "created_at": billing["created_at"],
            "updated_at": billing["created_at"],
        }

    def test_a_new_one_is_last_in_the_order_of_promotion(
        self, api: TestClient, billing: Json
    ) -> None:
        result = api.simulate_post(PATH, json={"name": "prod", "protected": True})

        created = ok(result, 201)
        assert (created["position"], created["auto_release"], created["protected"]) == (
            1,
            False,
            True,
        )
        assert ok(api.simulate_get(result.headers["location"])) == created

    def test_one_that_releases_by_itself_begins_with_the_newest_versions(
        self, api: TestClient, database_config: Json
    ) -> None:
        api.simulate_post(PATH, json={"name": "dev"})
        api.simulate_post(PATH, json={"name": "staging", "auto_release": False})

        assert served(api, "dev") == {"database": database_config["config"]}
        assert served(api, "staging") == {}

    def test_the_last_place_is_not_overtaken(self, api: TestClient, billing: Json) -> None:
        ok(api.simulate_post(PATH, json={"name": "last", "position": 2**31 - 1}), 201)

        assert ok(api.simulate_post(PATH, json={"name": "z"}), 201)["position"] == 2**31 - 1

    def test_a_name_is_taken_only_once(self, api: TestClient, billing: Json) -> None:
        api.simulate_post(PATH, json={"name": "dev"})

        problem(api.simulate_post(PATH, json={"name": "dev"}), 409, "/name")

    def test_there_is_a_limit(self, api: TestClient, billing: Json) -> None:
        for number in range(MAX_ENVIRONMENTS - 1):
            ok(api.simulate_post(PATH, json={"name": f"e{number}"}), 201)

        problem(api.simulate_post(PATH, json={"name": "one-more"}), 409)

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/name"),
            ({"name": ""}, "/name"),
            ({"name": "a b"}, "/name"),
            ({"name": "../x"}, "/name"),
            ({"name": "prod\n"}, "/name"),
            ({"name": "x" * 65}, "/name"),
            ({"name": "a", "position": -1}, "/position"),
            ({"name": "a", "position": 2**31}, "/position"),
            ({"name": "a", "protected": "yes"}, "/protected"),
            ({"name": "a", "protected": True, "auto_release": True}, "/auto_release"),
            ({"name": "a", "colour": "red"}, "/colour"),
            ({"name": "a", "message": "x" * 1025}, "/message"),
        ],
    )
    def test_refuses_what_is_invalid(
        self, api: TestClient, billing: Json, body: Json, pointer: str
    ) -> None:
        problem(api.simulate_post(PATH, json=body), 422, pointer)

    def test_there_are_none_of_an_application_that_is_not_there(self, api: TestClient) -> None:
        problem(api.simulate_get(PATH), 404)
        problem(api.simulate_post(PATH, json={"name": "dev"}), 404)
        problem(api.simulate_get(f"{PATH}/default"), 404)


class TestList:
    def test_is_in_the_order_of_promotion(self, api: TestClient, stages: Json) -> None:
        api.simulate_patch(f"{PATH}/prod", json={"position": 0})

        names = [environment["name"] for environment in ok(api.simulate_get(PATH))["items"]]
        assert names == ["default", "prod", "dev", "staging"]

    def test_has_pages(self, api: TestClient, stages: Json) -> None:
        first = api.simulate_get(PATH, params={"limit": 3})
        second = api.simulate_get(PATH, params={"limit": 3, "after": first.json["next"]})

        assert first.json["has_more"]
        assert f"after={first.json['next']}" in first.headers["link"]
        assert [e["name"] for e in second.json["items"]] == ["prod"]
        assert second.json["next"] is None

    def test_refuses_a_cursor_that_is_none(self, api: TestClient, billing: Json) -> None:
        problem(api.simulate_get(PATH, params={"after": "x"}), 422, "/after")


class TestChange:
    def test_put_sets_defaults_and_keeps_the_position(self, api: TestClient, stages: Json) -> None:
        changed = ok(api.simulate_put(f"{PATH}/prod", json={}))

        assert (changed["position"], changed["auto_release"], changed["protected"]) == (
            3,
            True,
            False,
        )

    def test_what_a_get_gave_can_be_put_back(self, api: TestClient, stages: Json) -> None:
        prod = ok(api.simulate_get(f"{PATH}/prod"))

        changed = ok(api.simulate_put(f"{PATH}/prod", json={**prod, "position": 9}))

        assert changed == {**prod, "position": 9, "updated_at": changed["updated_at"]}

    def test_what_becomes_protected_ceases_to_release_by_itself(
        self, api: TestClient, stages: Json
    ) -> None:
        changed = ok(api.simulate_patch(f"{PATH}/dev", json={"protected": True}))

        assert (changed["auto_release"], changed["protected"]) == (False, True)

    def test_a_protected_one_can_not_be_made_to_release_by_itself(
        self, api: TestClient, stages: Json
    ) -> None:
        result = api.simulate_patch(f"{PATH}/prod", json={"auto_release": True})

        problem(result, 422, "/auto_release")

    def test_it_can_not_be_renamed(self, api: TestClient, stages: Json) -> None:
        problem(api.simulate_patch(f"{PATH}/prod", json={"name": "live"}), 422, "/name")
        problem(
            api.simulate_put(f"{PATH}/prod", json={"application_id": ULID}), 422, "/application_id"
        )

    def test_if_match_refuses_what_somebody_else_has_changed(
        self, api: TestClient, stages: Json
    ) -> None:
        etag = api.simulate_get(f"{PATH}/dev").headers["etag"]
        stale = {"If-Match": etag}
        ok(api.simulate_patch(f"{PATH}/dev", json={"position": 7}, headers=stale))

        problem(
            api.simulate_patch(f"{PATH}/dev", json={"position": 8}, headers=stale), 412, "/if-match"
        )
        problem(api.simulate_delete(f"{PATH}/dev", headers=stale), 412, "/if-match")

    def test_if_none_match_saves_the_body(self, api: TestClient, stages: Json) -> None:
        etag = api.simulate_get(f"{PATH}/dev").headers["etag"]

        assert api.simulate_get(f"{PATH}/dev", headers={"If-None-Match": etag}).status_code == 304

    def test_leaves_what_it_serves_as_it_is(self, api: TestClient, stages: Json) -> None:
        create(api, "database", {"a": 1})
        api.simulate_patch(f"{PATH}/staging", json={"auto_release": True})

        assert served(api, "staging") == {}
        create(api, "cache", {"b": 1})
        assert served(api, "staging") == {"cache": {"b": 1}}


class TestDelete:
    def test_ends_it(self, api: TestClient, stages: Json) -> None:
        assert api.simulate_delete(f"{PATH}/dev").status_code == 204

        problem(api.simulate_get(f"{PATH}/dev"), 404)
        problem(api.simulate_get(f"{PATH}/dev/snapshot"), 404)
        problem(api.simulate_delete(f"{PATH}/dev"), 404)

    def test_default_stays(self, api: TestClient, billing: Json) -> None:
        problem(api.simulate_delete(f"{PATH}/default"), 409)

    def test_a_protected_one_has_to_be_unprotected_first(
        self, api: TestClient, stages: Json
    ) -> None:
        problem(api.simulate_delete(f"{PATH}/prod"), 409)
        api.simulate_patch(f"{PATH}/prod", json={"protected": False})
        assert api.simulate_delete(f"{PATH}/prod").status_code == 204

    def test_made_again_under_its_name_it_serves_nothing_of_the_one_before(
        self, api: TestClient, stages: Json
    ) -> None:
        database = create(api, "database", {"a": 1})
        release(api, database, "staging")
        api.simulate_delete(f"{PATH}/staging")
        ok(api.simulate_post(PATH, json={"name": "staging", "auto_release": False}), 201)

        assert served(api, "staging") == {}
        release(api, database, "staging")
        assert served(api, "staging") == {"database": {"a": 1}}


class TestProtection:
    def test_what_a_protected_environment_serves_can_not_be_deleted(
        self, api: TestClient, stages: Json
    ) -> None:
        database = create(api, "database", {"a": 1})
        release(api, database, "prod")

        refused = api.simulate_delete(f"/api/v1/configurations/{database['id']}")

        assert "prod" in problem(refused, 409)["detail"]
        problem(api.simulate_delete("/api/v1/applications/billing"), 409)
        assert served(api, "prod") == served(api, "dev") == {"database": {"a": 1}}

    def test_once_withdrawn_it_can(self, api: TestClient, stages: Json) -> None:
        database = create(api, "database", {"a": 1})
        release(api, database, "prod")
        release(api, database, "prod", version=None)

        assert api.simulate_delete("/api/v1/applications/billing").status_code == 204

    def test_no_write_moves_it(self, api: TestClient, stages: Json) -> None:
        database = create(api, "database", {"a": 1})
        release(api, database, "prod")
        path = f"/api/v1/configurations/{database['id']}"
        api.simulate_patch(path, json={"config": {"a": 2}})
        api.simulate_post(f"{path}/rollback", json={"version": 1})

        assert served(api, "prod") == {"database": {"a": 1}}
        found = ok(api.simulate_get(f"{PATH}/prod/snapshot"))["configurations"]["database"]
        assert found["version"] == 1


def test_every_act_is_in_the_audit_trail(api: TestClient, stages: Json) -> None:
    api.simulate_patch(f"{PATH}/dev", json={"position": 5, "message": "later"})
    api.simulate_delete(f"{PATH}/dev", headers={"X-Change-Message": "not needed"})

    log = ok(api.simulate_get("/api/v1/changes", params={"entity": "environment"}))["items"]

    assert [(c["action"], c["name"], c["message"]) for c in log] == [
        ("create", "dev", None),
        ("create", "staging", None),
        ("create", "prod", None),
        ("update", "dev", "later"),
        ("delete", "dev", "not needed"),
    ]
