"""Revisions, differences, rollback and restoration."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonpatch
import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from configsvc_server.app import open_services
from configsvc_server.domain.digest import document_digest
from configsvc_server.domain.models import ConfigurationDocument
from configsvc_server.settings import Settings
from tests.server.http.support import OTHER_ULID, ULID, create, ok, problem, release, served
from tests.support.json_values import json_objects, same

DOCUMENT = ("name", "comments", "config", "overlays", "schema")

Json = dict[str, Any]


@pytest.fixture
def path(database_config: Json) -> str:
    return f"/api/v1/configurations/{database_config['id']}"


def document(of: Json) -> Json:
    return {member: of[member] for member in DOCUMENT}


class TestRevisions:
    def test_every_version_is_kept_with_its_author_message_and_digest(
        self, api: TestClient, database_config: Json, path: str
    ) -> None:
        api.simulate_patch(path, json={"config": {"host": None}, "message": "no more hosts"})

        first, second = ok(api.simulate_get(f"{path}/revisions"))["items"]

        assert document(first) == document(database_config)
        assert second == {
            "configuration_id": database_config["id"],
            "version": 2,
            "application_id": database_config["application_id"],
            "name": "database",
            "comments": None,
            "config": {"pool": {"size": 10, "timeout": 1.0}},
            "overlays": {},
            "schema": None,
            "digest": document_digest(ConfigurationDocument("database", second["config"])),
            "author": "anonymous",
            "message": "no more hosts",
            "created_at": ok(api.simulate_get(path))["updated_at"],
        }

    def test_a_message_in_the_body_goes_before_the_header(self, api: TestClient, path: str) -> None:
        headers = {"X-Change-Message": "header"}
        api.simulate_patch(path, json={"message": "body"}, headers=headers)
        api.simulate_patch(path, json={}, headers=headers)

        messages = [r["message"] for r in ok(api.simulate_get(f"{path}/revisions"))["items"]]
        assert messages == [None, "body", "header"]

    def test_has_pages_in_both_directions(self, api: TestClient, path: str) -> None:
        for _ in range(4):
            api.simulate_patch(path, json={})
        for sort, expected in (("version", [1, 2, 3, 4, 5]), ("-version", [5, 4, 3, 2, 1])):
            found: list[int] = []
            params: Json = {"limit": 2, "sort": sort}
            while True:
                page = ok(api.simulate_get(f"{path}/revisions", params=params))
                assert page["total"] == 5
                found += [r["version"] for r in page["items"]]
                if not page["has_more"]:
                    break
                params["after"] = page["next"]
            assert found == expected

    def test_one_has_an_etag(self, api: TestClient, path: str) -> None:
        result = api.simulate_get(f"{path}/revisions/1")

        assert ok(result)["version"] == 1
        again = api.simulate_get(
            f"{path}/revisions/1", headers={"If-None-Match": result.headers["etag"]}
        )
        assert again.status_code == 304

    @pytest.mark.parametrize("version", ["0", "2", "x", "-1", "1.0", "9" * 30])
    def test_one_that_is_not_there_is_404(self, api: TestClient, path: str, version: str) -> None:
        problem(api.simulate_get(f"{path}/revisions/{version}"), 404)

    @pytest.mark.parametrize("key", [ULID, "x"])
    def test_of_an_id_that_was_never_used_is_404(self, api: TestClient, key: str) -> None:
        for place in ("revisions", "revisions/1", "diff"):
            problem(api.simulate_get(f"/api/v1/configurations/{key}/{place}"), 404)

    def test_outlive_the_configuration_and_its_application(
        self, api: TestClient, path: str
    ) -> None:
        api.simulate_delete("/api/v1/applications/billing")

        assert ok(api.simulate_get(f"{path}/revisions"))["total"] == 1
        assert ok(api.simulate_get(f"{path}/revisions/1"))["name"] == "database"

    def test_go_on_where_an_id_is_used_again(
        self, api: TestClient, database_config: Json, path: str
    ) -> None:
        api.simulate_delete(path)
        create(api, "other", {"b": 1}, id=database_config["id"])

        found = ok(api.simulate_get(f"{path}/revisions"))["items"]
        assert [(r["version"], r["name"]) for r in found] == [(1, "database"), (2, "other")]


class TestDiff:
    def test_without_parameters_is_the_last_change(self, api: TestClient, path: str) -> None:
        api.simulate_patch(path, json={"config": {"pool": {"size": 20}, "x": 1, "host": None}})

        assert ok(api.simulate_get(f"{path}/diff")) == {
            "configuration_id": path.rpartition("/")[2],
            "from": {"version": 1, "environment": None},
            "to": {"version": 2, "environment": None},
            "patch": [
                {"op": "remove", "path": "/config/host"},
                {"op": "replace", "path": "/config/pool/size", "value": 20},
                {"op": "add", "path": "/config/x", "value": 1},
            ],
            "changes": [
                {"path": "/config/host", "kind": "removed", "old": "db"},
                {"path": "/config/pool/size", "kind": "changed", "old": 10, "new": 20},
                {"path": "/config/x", "kind": "added", "new": 1},
            ],
        }

    def test_of_the_first_version_is_with_nothing(self, api: TestClient, path: str) -> None:
        found = ok(api.simulate_get(f"{path}/diff"))

        assert found["from"] == {"version": None, "environment": None}
        assert {change["kind"] for change in found["changes"]} == {"added"}

    def test_may_go_backwards(self, api: TestClient, path: str) -> None:
        api.simulate_patch(path, json={"comments": "x"})

        found = ok(api.simulate_get(f"{path}/diff", params={"from": 2, "to": 1}))

        assert found["changes"] == [
            {"path": "/comments", "kind": "changed", "old": "x", "new": None}
        ]

    @pytest.mark.slow
    @given(
        before=json_objects(),
        after=json_objects(),
        name=st.sampled_from(["database", "db"]),
        overlay=json_objects(),
    )
    @hypothesis_settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_applied_to_one_side_gives_the_other(
        self,
        api: TestClient,
        database_config: Json,
        path: str,
        before: Json,
        after: Json,
        name: str,
        overlay: Json,
    ) -> None:
        first = ok(api.simulate_put(path, json={"name": "database", "config": before}))
        body = {"name": name, "config": after, "overlays": {"default": overlay}}
        second = ok(api.simulate_put(path, json=body))
        params = {"from": first["version"], "to": second["version"]}

        patch = ok(api.simulate_get(f"{path}/diff", params=params))["patch"]

        assert same(jsonpatch.apply_patch(document(first), patch), document(second))

    def test_of_environments_compares_what_they_serve(self, api: TestClient, stages: Json) -> None:
        created = create(api, "a", {"n": 1}, overlays={"prod": {"m": 1}})
        release(api, created, "prod")
        path = f"/api/v1/configurations/{created['id']}/diff"
        api.simulate_patch(path.removesuffix("/diff"), json={"config": {"n": 2}})

        found = ok(
            api.simulate_get(path, params={"from_environment": "prod", "to_environment": "dev"})
        )

        assert found["from"] == {"version": 1, "environment": "prod"}
        assert found["to"] == {"version": 2, "environment": "dev"}
        assert [(c["path"], c["kind"]) for c in found["changes"]] == [
            ("/config/m", "removed"),
            ("/config/n", "changed"),
        ]

    def test_tells_what_a_release_would_change(self, api: TestClient, stages: Json) -> None:
        created = create(api, "a", {"n": 1}, overlays={"prod": {"m": 1}})
        release(api, created, "prod")
        path = f"/api/v1/configurations/{created['id']}"
        api.simulate_patch(path, json={"config": {"n": 2}})

        found = ok(api.simulate_get(f"{path}/diff", params={"from_environment": "prod"}))

        assert found["to"] == {"version": 2, "environment": "prod"}
        assert found["patch"] == [{"op": "replace", "path": "/config/n", "value": 2}]

    def test_tells_what_a_promotion_would_change(self, api: TestClient, stages: Json) -> None:
        overlays = {"prod": {"url": "live"}, "staging": {"url": "sandbox"}}
        created = create(api, "a", {"n": 1}, overlays=overlays)
        release(api, created, "prod")
        path = f"/api/v1/configurations/{created['id']}"
        api.simulate_patch(path, json={"config": {"n": 2}})
        release(api, created, "staging")
        params = {
            "from_environment": "prod",
            "to_environment": "staging",
            "environment": "prod",
        }

        found = ok(api.simulate_get(f"{path}/diff", params=params))

        assert found["to"] == {"version": 2, "environment": "prod"}
        assert found["patch"] == [{"op": "replace", "path": "/config/n", "value": 2}]

    def test_with_an_environment_that_serves_nothing_everything_is_added(
        self, api: TestClient, stages: Json
    ) -> None:
        created = create(api, "a", {"n": 1})
        path = f"/api/v1/configurations/{created['id']}/diff"

        found = ok(api.simulate_get(path, params={"from_environment": "prod"}))

        assert found["from"] == {"version": None, "environment": "prod"}
        assert [(c["path"], c["kind"]) for c in found["changes"]] == [
            ("/config", "added"),
            ("/name", "added"),
        ]

    def test_versions_can_be_compared_for_an_environment(
        self, api: TestClient, stages: Json
    ) -> None:
        created = create(api, "a", {"n": 1}, overlays={"prod": {"n": 9}})
        path = f"/api/v1/configurations/{created['id']}"
        api.simulate_patch(path, json={"config": {"n": 2}})

        assert ok(api.simulate_get(f"{path}/diff", params={"environment": "prod"}))["patch"] == []

    def test_of_a_version_and_a_document(self, api: TestClient, path: str) -> None:
        body = {"from": 1, "document": {"name": "database", "config": {"host": "db"}}}

        found = ok(api.simulate_post(f"{path}/diff", json=body))

        assert found["to"] == {"version": None, "environment": None}
        assert found["patch"] == [{"op": "remove", "path": "/config/pool"}]
        assert ok(api.simulate_get(f"{path}/revisions"))["total"] == 1

    @pytest.mark.parametrize(
        ("params", "pointer"),
        [
            ({"from": "0"}, "/from"),
            ({"from": "7"}, "/from"),
            ({"to": "7"}, "/to"),
            ({"to": "x"}, "/to"),
            ({"environment": "x"}, "/environment"),
            ({"from_environment": "x"}, "/from_environment"),
            ({"from": "1", "from_environment": "dev"}, "/from"),
            ({"form": "1"}, "/form"),
        ],
    )
    def test_refuses_what_is_not_there(
        self, api: TestClient, stages: Json, params: Json, pointer: str
    ) -> None:
        created = create(api, "a", {})
        path = f"/api/v1/configurations/{created['id']}/diff"

        found = problem(api.simulate_get(path, params=params), 422, pointer)

        assert found["errors"][0]["in"] == "query"

    def test_refuses_a_body_that_is_invalid(self, api: TestClient, path: str) -> None:
        valid = {"name": "a", "config": {}}
        problem(api.simulate_post(f"{path}/diff", json={}), 422, "/document")
        problem(
            api.simulate_post(f"{path}/diff", json={"document": {"name": "a"}}),
            422,
            "/document/config",
        )
        problem(
            api.simulate_post(f"{path}/diff", json={"from": 9, "document": valid}), 422, "/from"
        )
        body = {"environment": "x", "document": valid}
        problem(api.simulate_post(f"{path}/diff", json=body), 422, "/environment")


class TestRollback:
    def test_makes_a_new_version_of_the_old_content(
        self, api: TestClient, database_config: Json, path: str
    ) -> None:
        api.simulate_patch(path, json={"name": "db", "config": {"pool": None}})

        result = api.simulate_post(f"{path}/rollback", json={"version": 1, "message": "broken"})

        assert ok(result)["version"] == 3
        assert result.headers["etag"] == '"3"'
        assert document(result.json) == document(database_config)
        assert ok(api.simulate_get(path)) == result.json
        assert served(api, "default") == {"database": database_config["config"]}
        change = ok(api.simulate_get("/api/v1/changes", params={"action": "rollback"}))["items"][0]
        assert (change["version"], change["source_version"]) == (3, 1)
        assert (change["previous_name"], change["name"]) == ("db", "database")
        assert change["message"] == "broken"

    @pytest.mark.slow
    @given(
        documents=st.lists(
            st.tuples(st.sampled_from(["a", "b"]), json_objects(), json_objects()),
            min_size=2,
            max_size=4,
        ),
        pick=st.integers(0, 11),
    )
    @hypothesis_settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_gives_exactly_the_revision(
        self, api: TestClient, billing: Json, documents: list[Any], pick: int
    ) -> None:
        nested = "/api/v1/applications/billing/configurations"
        name, config, overlay = documents[0]
        body = {"name": name, "config": config, "overlays": {"default": overlay}}
        created = ok(api.simulate_post(nested, json=body), 201)
        path = f"/api/v1/configurations/{created['id']}"
        for name, config, overlay in documents[1:]:
            body = {"name": name, "config": config, "overlays": {"default": overlay}}
            ok(api.simulate_put(path, json=body))
        version = 1 + pick % len(documents)

        rolled = ok(api.simulate_post(f"{path}/rollback", json={"version": version}))

        old = ok(api.simulate_get(f"{path}/revisions/{version}"))
        new = ok(api.simulate_get(f"{path}/revisions/{rolled['version']}"))
        assert same(document(new), document(old))
        assert new["digest"] == old["digest"]
        assert same(document(rolled), document(old))
        assert api.simulate_delete(path).status_code == 204

    def test_brings_back_overlays_of_environments_that_are_gone(
        self, api: TestClient, stages: Json
    ) -> None:
        created = create(api, "a", {}, overlays={"dev": {"x": 1}})
        path = f"/api/v1/configurations/{created['id']}"
        api.simulate_patch(path, json={"overlays": {"dev": None}})
        api.simulate_delete("/api/v1/applications/billing/environments/dev")

        rolled = ok(api.simulate_post(f"{path}/rollback", json={"version": 1}))

        assert rolled["overlays"] == {"dev": {"x": 1}}

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [({}, "/version"), ({"version": 2}, "/version"), ({"version": "1"}, "/version")],
    )
    def test_refuses_a_version_that_is_not_there(
        self, api: TestClient, path: str, body: Json, pointer: str
    ) -> None:
        problem(api.simulate_post(f"{path}/rollback", json=body), 422, pointer)

    def test_obeys_if_match(self, api: TestClient, path: str) -> None:
        api.simulate_patch(path, json={})
        body = {"version": 1}

        stale = api.simulate_post(f"{path}/rollback", json=body, headers={"If-Match": '"1"'})

        assert problem(stale, 412, "/if-match")["current_version"] == 2
        fresh = api.simulate_post(f"{path}/rollback", json=body, headers={"If-Match": '"2"'})
        assert ok(fresh)["version"] == 3

    def test_to_a_name_that_is_taken_now_is_refused(self, api: TestClient, path: str) -> None:
        api.simulate_patch(path, json={"name": "db"})
        create(api, "database", {})

        problem(api.simulate_post(f"{path}/rollback", json={"version": 1}), 409, "/name")

    def test_many_at_once_wait_for_each_other(
        self, settings: Settings, database_url: str, path: str
    ) -> None:
        """Also with one connection: a writer that holds the write lock must not need another."""
        small = settings.model_copy(update={"pool_size": 1, "database_timeout": 20.0})
        with open_services(small, database_url) as runtime, ThreadPoolExecutor(6) as pool:
            api = TestClient(runtime.app)
            results = list(
                pool.map(
                    lambda _: api.simulate_post(f"{path}/rollback", json={"version": 1}), range(24)
                )
            )

        assert sorted(ok(result)["version"] for result in results) == list(range(2, 26))

    def test_of_a_deleted_configuration_is_404(self, api: TestClient, path: str) -> None:
        api.simulate_delete(path)

        problem(api.simulate_post(f"{path}/rollback", json={"version": 1}), 404)


class TestRestore:
    def test_undoes_a_deletion(self, api: TestClient, database_config: Json, path: str) -> None:
        api.simulate_delete(path)

        result = api.simulate_post(f"{path}/restore")

        restored = ok(result)
        assert (restored["version"], result.headers["etag"]) == (2, '"2"')
        assert document(restored) == document(database_config)
        assert restored["created_at"] == database_config["created_at"]
        assert served(api, "default") == {"database": database_config["config"]}
        change = ok(api.simulate_get("/api/v1/changes", params={"action": "restore"}))["items"][0]
        assert (change["version"], change["source_version"]) == (2, 1)

    def test_can_choose_the_version_and_say_why(self, api: TestClient, path: str) -> None:
        api.simulate_patch(path, json={"config": {"x": 1}})
        api.simulate_delete(path)
        body = {"version": 1, "message": "needed after all"}

        restored = ok(api.simulate_post(f"{path}/restore", json=body))

        assert (restored["version"], "x" in restored["config"]) == (3, False)
        revision = ok(api.simulate_get(f"{path}/revisions/3"))
        assert revision["message"] == "needed after all"

    def test_of_what_is_not_deleted_is_refused(self, api: TestClient, path: str) -> None:
        problem(api.simulate_post(f"{path}/restore"), 409)

    def test_of_an_id_that_was_never_used_is_404(self, api: TestClient) -> None:
        problem(api.simulate_post(f"/api/v1/configurations/{OTHER_ULID}/restore"), 404)

    def test_refuses_a_condition_that_nothing_can_meet(self, api: TestClient, path: str) -> None:
        api.simulate_delete(path)

        result = api.simulate_post(f"{path}/restore", headers={"If-Match": "*"})

        problem(result, 400, "/if-match")

    def test_refuses_a_version_that_never_was(self, api: TestClient, path: str) -> None:
        api.simulate_delete(path)

        result = api.simulate_post(f"{path}/restore", json={"version": 5})

        problem(result, 422, "/version")

    def test_needs_the_application(self, api: TestClient, database_config: Json, path: str) -> None:
        api.simulate_delete("/api/v1/applications/billing")

        refused = problem(api.simulate_post(f"{path}/restore"), 409)

        application_id = database_config["application_id"]
        assert application_id in refused["detail"]
        body = {"id": application_id, "name": "billing"}
        ok(api.simulate_post("/api/v1/applications", json=body), 201)
        assert ok(api.simulate_post(f"{path}/restore"))["application_id"] == application_id

    def test_to_a_name_that_is_taken_now_is_refused(self, api: TestClient, path: str) -> None:
        api.simulate_delete(path)
        create(api, "database", {})

        problem(api.simulate_post(f"{path}/restore"), 409, "/name")
