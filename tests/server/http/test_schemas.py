"""Schemas of configurations: what they refuse, when, and where they say the fault is."""

from typing import Any

import pytest
from falcon.testing import TestClient

from tests.server.http.support import ULID, create, ok, problem, release, served

APPLICATION = "/api/v1/applications/billing"
NESTED = f"{APPLICATION}/configurations"
VALIDATE = "/api/v1/configurations/validate"

PORT: dict[str, Any] = {
    "type": "object",
    "required": ["port"],
    "properties": {"port": {"type": "integer", "minimum": 1}},
}

Json = dict[str, Any]


def path_of(configuration: Json) -> str:
    return f"/api/v1/configurations/{configuration['id']}"


class TestTheSchemaItself:
    def test_is_kept_with_the_configuration(self, api: TestClient, billing: Json) -> None:
        created = create(api, "a", {"port": 1}, schema=PORT)

        assert ok(api.simulate_get(path_of(created)))["schema"] == PORT
        assert ok(api.simulate_get(f"{path_of(created)}/revisions/1"))["schema"] == PORT

    @pytest.mark.parametrize(
        ("schema", "pointer"),
        [
            ({"type": "strnig"}, "/schema/type"),
            ({"properties": {"a": {"minimum": "1"}}}, "/schema/properties/a/minimum"),
            ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "/schema/properties/a/$ref"),
            ({"$ref": "https://example.com/schema.json"}, "/schema/$ref"),
            ({"$ref": "file:///etc/passwd"}, "/schema/$ref"),
            ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/schema/$schema"),
            ({"pattern": "("}, "/schema/pattern"),
        ],
    )
    def test_is_checked(self, api: TestClient, billing: Json, schema: Json, pointer: str) -> None:
        body = {"name": "a", "config": {}, "schema": schema}

        problem(api.simulate_post(NESTED, json=body), 422, pointer)
        assert ok(api.simulate_get(NESTED))["total"] == 0

    @pytest.mark.parametrize("schema", [True, [], "x", 1])
    def test_is_an_object(self, api: TestClient, billing: Json, schema: Any) -> None:
        body = {"name": "a", "config": {}, "schema": schema}

        problem(api.simulate_post(NESTED, json=body), 422, "/schema")

    def test_may_be_removed(self, api: TestClient, billing: Json) -> None:
        created = create(api, "a", {"port": 1}, schema=PORT)

        assert ok(api.simulate_patch(path_of(created), json={"schema": None}))["schema"] is None

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("schema", "config"),
        [
            ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 60 + "!"}),
            ({"$ref": "#"}, {}),
            (
                {
                    "$ref": "#/$defs/d40",
                    "$defs": {
                        "d0": {"type": "object"},
                        **{
                            f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
                            for n in range(1, 41)
                        },
                    },
                },
                {},
            ),
            (
                {
                    "$defs": {"large": {"default": "x" * 100_000}},
                    "properties": {f"p{n}": {"$ref": "#/$defs/large"} for n in range(1000)},
                },
                {},
            ),
        ],
        ids=["nested repetition", "endless reference", "doubling", "large defaults"],
    )
    def test_can_not_hold_the_server(
        self, api: TestClient, billing: Json, schema: Json, config: Json
    ) -> None:
        body = {"name": "a", "config": config, "schema": schema}

        result = api.simulate_post(NESTED, json=body)

        pointers = [error["pointer"] for error in result.json["errors"]]
        problem(result, 422, *pointers)
        assert {pointer[: len("/schema")] for pointer in pointers} == {"/schema"}
        assert ok(api.simulate_get(NESTED))["total"] == 0


class TestValues:
    def test_have_to_meet_it(self, api: TestClient, billing: Json) -> None:
        body = {"name": "a", "config": {"port": "80"}, "schema": PORT}

        found = problem(api.simulate_post(NESTED, json=body), 422, "/config/port")

        assert found["errors"][0]["schema_pointer"] == "/properties/port/type"
        assert found["errors"][0]["environments"] == ["default"]

    def test_that_are_missing_are_named(self, api: TestClient, billing: Json) -> None:
        body = {"name": "a", "config": {}, "schema": PORT}

        found = problem(api.simulate_post(NESTED, json=body), 422, "/config/port")

        assert "required" in found["errors"][0]["message"]

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_of_a_refused_write_stay(self, api: TestClient, billing: Json, method: str) -> None:
        created = create(api, "a", {"port": 1}, schema=PORT)
        body = {"name": "a", "config": {"port": 0}, "schema": PORT}

        problem(api.simulate_request(method, path_of(created), json=body), 422, "/config/port")

        assert ok(api.simulate_get(path_of(created))) == created
        assert ok(api.simulate_get(f"{path_of(created)}/revisions"))["total"] == 1

    def test_are_checked_as_each_environment_resolves_them(
        self, api: TestClient, stages: Json
    ) -> None:
        body = {
            "name": "a",
            "config": {"port": 1},
            "overlays": {"prod": {"port": 0}, "dev": {"port": None}},
            "schema": PORT,
        }

        found = problem(
            api.simulate_post(NESTED, json=body), 422, "/overlays/prod/port", "/overlays/dev/port"
        )

        assert [e["environments"] for e in found["errors"]] == [["prod"], ["dev"]]

    def test_that_are_wrong_everywhere_are_named_once(self, api: TestClient, stages: Json) -> None:
        body = {"name": "a", "config": {}, "overlays": {"prod": {"x": 1}}, "schema": PORT}

        found = problem(api.simulate_post(NESTED, json=body), 422, "/config/port")

        assert found["errors"][0]["environments"] == ["default", "dev", "staging", "prod"]
        assert found["detail"] == "/config/port is required."

    def test_that_no_environment_serves_need_not_meet_it(
        self, api: TestClient, billing: Json
    ) -> None:
        created = create(api, "a", {}, overlays={"default": {"port": 1}}, schema=PORT)

        assert served(api, "default") == {"a": {"port": 1}}
        assert created["config"] == {}

    def test_would_break_in_an_environment_without_overlay(
        self, api: TestClient, billing: Json
    ) -> None:
        create(api, "a", {}, overlays={"default": {"port": 1}}, schema=PORT)

        found = problem(
            api.simulate_post(f"{APPLICATION}/environments", json={"name": "dev"}),
            422,
            "/auto_release",
        )

        assert found["errors"][0]["environments"] == ["dev"]
        body = {"name": "dev", "auto_release": False}
        ok(api.simulate_post(f"{APPLICATION}/environments", json=body), 201)


class TestChangingIt:
    def test_is_refused_where_a_released_value_would_break(
        self, api: TestClient, stages: Json
    ) -> None:
        created = create(api, "a", {"port": "80"})
        release(api, created, "prod")
        body = {"name": "a", "config": {"port": 80}, "schema": PORT}

        found = problem(api.simulate_put(path_of(created), json=body), 422, "/schema")

        (error,) = found["errors"]
        assert "version 1" in error["message"]
        assert "'prod'" in error["message"]
        assert error["environments"] == ["prod"]
        assert error["schema_pointer"] == "/properties/port/type"

    def test_is_possible_once_the_value_is_released(self, api: TestClient, stages: Json) -> None:
        created = create(api, "a", {"port": "80"})
        release(api, created, "prod")
        fixed = ok(api.simulate_patch(path_of(created), json={"config": {"port": 80}}))
        release(api, created, "prod", version=fixed["version"])

        assert ok(api.simulate_patch(path_of(created), json={"schema": PORT}))["schema"] == PORT

    def test_may_come_with_the_value_that_meets_it(self, api: TestClient, billing: Json) -> None:
        created = create(api, "a", {"port": "80"})
        body = {"name": "a", "config": {"port": 80}, "schema": PORT}

        assert ok(api.simulate_put(path_of(created), json=body))["version"] == 2


class TestReleases:
    @pytest.fixture
    def broken_in_prod(self, api: TestClient, billing: Json) -> Json:
        """A configuration that meets its schema everywhere but in prod, which came later."""
        created = create(api, "a", {}, overlays={"default": {"port": 1}}, schema=PORT)
        body = {"name": "prod", "protected": True}
        ok(api.simulate_post(f"{APPLICATION}/environments", json=body), 201)
        return created

    def test_have_to_meet_it(self, api: TestClient, broken_in_prod: Json) -> None:
        path = f"{path_of(broken_in_prod)}/releases"

        found = problem(api.simulate_post(path, json={"environment": "prod"}), 422, "/version")

        assert found["errors"][0]["environments"] == ["prod"]
        assert "/port" in found["errors"][0]["message"]

    def test_promotion_has_to_meet_it_and_moves_nothing_otherwise(
        self, api: TestClient, broken_in_prod: Json
    ) -> None:
        create(api, "b", {})
        body = {"from": "default", "to": "prod"}

        problem(api.simulate_post(f"{APPLICATION}/promote", json=body), 422, "/to")

        assert served(api, "prod") == {}


class TestRollback:
    def test_to_what_an_environment_would_break_by_is_refused(
        self, api: TestClient, billing: Json
    ) -> None:
        created = create(api, "a", {}, overlays={"default": {"port": 1}}, schema=PORT)
        ok(api.simulate_put(path_of(created), json={"name": "a", "config": {"port": 1}}))
        ok(api.simulate_post(f"{APPLICATION}/environments", json={"name": "dev"}), 201)

        result = api.simulate_post(f"{path_of(created)}/rollback", json={"version": 1})

        problem(result, 422, "/config/port")


class TestValidate:
    def test_shows_what_each_environment_would_serve_and_writes_nothing(
        self, api: TestClient, stages: Json
    ) -> None:
        body = {
            "application_id": stages["id"],
            "name": "a",
            "config": {"port": 1},
            "overlays": {"prod": {"port": 2}},
            "schema": PORT,
        }

        found = ok(api.simulate_post(VALIDATE, json=body))

        assert found == {
            "valid": True,
            "environments": {
                "default": {"port": 1},
                "dev": {"port": 1},
                "staging": {"port": 1},
                "prod": {"port": 2},
            },
        }
        assert ok(api.simulate_get(NESTED))["total"] == 0

    def test_answers_as_the_write_would(self, api: TestClient, stages: Json) -> None:
        created = create(api, "a", {"port": "80"})
        release(api, created, "prod")
        body = {"application_id": stages["id"], "name": "a", "config": {"port": 80}}

        problem(api.simulate_post(VALIDATE, json=body), 409, "/name")
        body["id"] = created["id"]
        ok(api.simulate_post(VALIDATE, json=body))
        body["schema"] = PORT
        problem(api.simulate_post(VALIDATE, json=body), 422, "/schema")
        body["config"] = {}
        problem(api.simulate_post(VALIDATE, json=body), 422, "/config/port")

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"application_id": ULID}, "/application_id"),
            ({"id": ULID}, "/id"),
            ({"name": ""}, "/name"),
            ({"config": []}, "/config"),
            ({"overlays": {"prod": 1}}, "/overlays/prod"),
            ({"overlays": {"x": {}}}, "/overlays/x"),
        ],
    )
    def test_names_what_is_wrong(
        self, api: TestClient, stages: Json, change: Json, pointer: str
    ) -> None:
        body = {"application_id": stages["id"], "name": "a", "config": {}, **change}

        problem(api.simulate_post(VALIDATE, json=body), 422, pointer)

    def test_knows_that_an_environment_serves_the_name_still(
        self, api: TestClient, billing: Json
    ) -> None:
        created = create(api, "first", {})
        api.simulate_patch(path_of(created), json={"name": "second"})
        release(api, created, "default", version=1)
        body = {"application_id": billing["id"], "name": "first", "config": {}}

        tried = problem(api.simulate_post(VALIDATE, json=body), 409, "/name")
        written = problem(
            api.simulate_post(NESTED, json={"name": "first", "config": {}}), 409, "/name"
        )

        assert tried["detail"] == written["detail"]
        assert created["id"] in tried["detail"]
        assert "'default'" in tried["detail"]

    def test_what_is_left_out_of_a_change_stays_as_it_is(
        self, api: TestClient, billing: Json
    ) -> None:
        created = create(api, "a", {"port": 1}, schema=PORT)

        body = {"id": created["id"], "config": {"port": "80"}}
        problem(api.simulate_post(VALIDATE, json=body), 422, "/config/port")
        found = ok(api.simulate_post(VALIDATE, json={"id": created["id"]}))
        assert found["environments"] == {"default": {"port": 1}}

    def test_a_new_one_needs_its_members(self, api: TestClient) -> None:
        result = api.simulate_post(VALIDATE, json={})

        problem(result, 422, "/application_id", "/name", "/config")

    def test_a_configuration_of_another_application_can_not_move(
        self, api: TestClient, database_config: Json
    ) -> None:
        shop = ok(api.simulate_post("/api/v1/applications", json={"name": "shop"}), 201)
        body = {
            "application_id": shop["id"],
            "id": database_config["id"],
            "name": "a",
            "config": {},
        }

        problem(api.simulate_post(VALIDATE, json=body), 422, "/application_id")


def test_defaults_are_in_the_snapshot_beside_the_values(api: TestClient, billing: Json) -> None:
    schema = {"properties": {"port": {"type": "integer", "default": 80}}}
    create(api, "a", {"host": "x"}, schema=schema)
    create(api, "b", {"host": "x"})

    path = f"{APPLICATION}/environments/default/snapshot"
    found = ok(api.simulate_get(path))["configurations"]

    assert (found["a"]["config"], found["a"]["defaults"]) == ({"host": "x"}, {"/port": 80})
    assert "defaults" not in found["b"]


def test_defaults_of_parents_come_before_those_of_their_members(
    api: TestClient, billing: Json
) -> None:
    inner = {"type": "object", "default": {}, "properties": {"a": {"default": 1.0}}}
    schema = {"properties": {"zzz": inner, "b": inner, "long-name": inner}}
    create(api, "a", {}, schema=schema)

    path = f"{APPLICATION}/environments/default/snapshot"
    found = ok(api.simulate_get(path))["configurations"]["a"]["defaults"]

    pointers = list(found)
    assert len(pointers) == 6
    for name in ("zzz", "b", "long-name"):
        assert pointers.index(f"/{name}") < pointers.index(f"/{name}/a")
    assert found["/b/a"] == 1.0


def test_secrets_are_named_in_the_snapshot_beside_the_values(
    api: TestClient, billing: Json
) -> None:
    schema = {"properties": {"password": {"x-secret": True}, "token": {"writeOnly": True}}}
    create(api, "a", {"password": "p", "host": "h"}, schema=schema)
    create(api, "b", {"password": "p"})

    found = ok(api.simulate_get(f"{APPLICATION}/environments/default/snapshot"))["configurations"]

    assert found["a"]["secrets"] == ["/password", "/token"]
    assert found["a"]["config"] == {"password": "p", "host": "h"}
    assert "secrets" not in found["b"]


def test_secrets_in_the_snapshot_of_a_past_time_are_those_of_then(
    api: TestClient, billing: Json
) -> None:
    created = create(api, "a", {"p": "1"}, schema={"properties": {"p": {"x-secret": True}}})
    ok(api.simulate_patch(path_of(created), json={"schema": None}))
    path = f"{APPLICATION}/environments/default/snapshot"

    past = ok(api.simulate_get(path, params={"at": created["updated_at"]}))

    assert past["configurations"]["a"]["secrets"] == ["/p"]
    assert "secrets" not in ok(api.simulate_get(path))["configurations"]["a"]
