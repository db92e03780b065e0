"""``/configurations``, ``/configurations/{id}`` and those of one application."""

from typing import Any

import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from tests.server.http.support import OTHER_ULID, ULID, problem
from tests.support.json_values import json_objects, same

PATH = "/api/v1/configurations"

Json = dict[str, Any]


class TestPost:
    def test_creates_version_1(self, api: TestClient, billing: Json) -> None:
        body = {"application_id": billing["id"], "name": "database", "config": {"a": 1}}

        result = api.simulate_post(PATH, json=body)

        assert result.status_code == 201
        created = result.json
        assert created == {
            "id": created["id"],
            "application_id": billing["id"],
            "name": "database",
            "comments": None,
            "config": {"a": 1},
            "overlays": {},
            "schema": None,
            "version": 1,
            "created_at": created["created_at"],
            "updated_at": created["created_at"],
            "updated_by": "anonymous",
        }
        assert result.headers["etag"] == '"1"'
        assert api.simulate_get(result.headers["location"]).json == created

    def test_takes_the_callers_own_ulid(self, api: TestClient, billing: Json) -> None:
        body = {"id": ULID.lower(), "application_id": billing["id"], "name": "a", "config": {}}

        assert api.simulate_post(PATH, json=body).json["id"] == ULID

    def test_finds_the_application_in_lower_case(self, api: TestClient, billing: Json) -> None:
        body = {"application_id": billing["id"].lower(), "name": "a", "config": {}}

        assert api.simulate_post(PATH, json=body).json["application_id"] == billing["id"]

    def test_refuses_an_application_that_does_not_exist(self, api: TestClient) -> None:
        body = {"application_id": ULID, "name": "a", "config": {}}

        problem(api.simulate_post(PATH, json=body), 422, "/application_id")

    def test_refuses_a_name_that_the_application_has(
        self, api: TestClient, database_config: Json
    ) -> None:
        body = {
            "application_id": database_config["application_id"],
            "name": "database",
            "config": {},
        }

        problem(api.simulate_post(PATH, json=body), 409, "/name")

    def test_two_applications_may_use_one_name(
        self, api: TestClient, database_config: Json
    ) -> None:
        other = api.simulate_post("/api/v1/applications", json={"name": "other"}).json
        body = {"application_id": other["id"], "name": "database", "config": {}}

        assert api.simulate_post(PATH, json=body).status_code == 201

    def test_refuses_an_id_that_is_taken(self, api: TestClient, database_config: Json) -> None:
        body = {
            "id": database_config["id"],
            "application_id": database_config["application_id"],
            "name": "other",
            "config": {},
        }

        problem(api.simulate_post(PATH, json=body), 409, "/id")

    @pytest.mark.parametrize(
        ("body", "pointers"),
        [
            ({}, ["/application_id", "/name", "/config"]),
            ({"application_id": "billing", "name": "a", "config": {}}, ["/application_id"]),
            ({"application_id": ULID, "name": "a", "config": []}, ["/config"]),
            ({"application_id": ULID, "name": "a", "config": None}, ["/config"]),
            ({"application_id": ULID, "name": "a", "config": "{}"}, ["/config"]),
            ({"application_id": ULID, "name": "a", "config": {}, "scheme": {}}, ["/scheme"]),
        ],
    )
    def test_refuses_what_is_invalid_and_names_each_field(
        self, api: TestClient, body: Json, pointers: list[str]
    ) -> None:
        problem(api.simulate_post(PATH, json=body), 422, *pointers)


class TestNested:
    def test_creates_in_the_application_of_the_path(self, api: TestClient, billing: Json) -> None:
        path = "/api/v1/applications/billing/configurations"

        created = api.simulate_post(path, json={"name": "a", "config": {}})

        assert created.status_code == 201
        assert created.json["application_id"] == billing["id"]
        assert created.headers["location"] == f"{PATH}/{created.json['id']}"

    def test_accepts_the_applications_id_in_the_body_too(
        self, api: TestClient, billing: Json
    ) -> None:
        body = {"application_id": billing["id"], "name": "a", "config": {}}

        for key in ("billing", billing["id"]):
            body["name"] = key.lower()
            path = f"/api/v1/applications/{key}/configurations"
            assert api.simulate_post(path, json=body).status_code == 201

    def test_refuses_another_application_in_the_body(self, api: TestClient, billing: Json) -> None:
        body = {"application_id": ULID, "name": "a", "config": {}}
        path = "/api/v1/applications/billing/configurations"

        problem(api.simulate_post(path, json=body), 422, "/application_id")

    @pytest.mark.parametrize("key", ["nobody", ULID])
    def test_answers_404_without_the_application(self, api: TestClient, key: str) -> None:
        path = f"/api/v1/applications/{key}/configurations"

        problem(api.simulate_get(path), 404)
        problem(api.simulate_post(path, json={"name": "a", "config": {}}), 404)

    def test_lists_only_those_of_the_application(
        self, api: TestClient, database_config: Json
    ) -> None:
        api.simulate_post("/api/v1/applications", json={"name": "other"})
        api.simulate_post(
            "/api/v1/applications/other/configurations", json={"name": "a", "config": {}}
        )

        listed = api.simulate_get("/api/v1/applications/billing/configurations").json

        assert listed["items"] == [database_config]
        assert listed["total"] == 1


class TestGet:
    def test_finds_by_id_in_either_case(self, api: TestClient, database_config: Json) -> None:
        for key in (database_config["id"], database_config["id"].lower()):
            assert api.simulate_get(f"{PATH}/{key}").json == database_config

    @pytest.mark.parametrize("key", [ULID, "database", "%00", "x" * 300])
    def test_answers_404_when_there_is_none(self, api: TestClient, key: str) -> None:
        document = problem(api.simulate_get(f"{PATH}/{key}"), 404)

        assert document["type"] == "urn:configsvc:problem:configuration-not-found"


class TestPut:
    def test_replaces_as_the_next_version(self, api: TestClient, database_config: Json) -> None:
        path = f"{PATH}/{database_config['id']}"

        result = api.simulate_put(path, json={"name": "db", "config": {"host": "new"}})

        assert result.status_code == 200
        assert result.json == {
            **database_config,
            "name": "db",
            "config": {"host": "new"},
            "version": 2,
            "updated_at": result.json["updated_at"],
        }
        assert result.headers["etag"] == '"2"'
        assert result.json["updated_at"] > database_config["updated_at"]
        assert api.simulate_get(path).json == result.json

    def test_takes_back_what_a_get_gave(self, api: TestClient, database_config: Json) -> None:
        path = f"{PATH}/{database_config['id']}"

        result = api.simulate_put(path, json={**database_config, "comments": "edited"})

        assert result.status_code == 200
        assert result.json["comments"] == "edited"
        assert result.json["version"] == 2

    @pytest.mark.parametrize("member", ["id", "application_id"])
    def test_refuses_to_change_an_id(
        self, api: TestClient, database_config: Json, member: str
    ) -> None:
        body = {"name": "db", "config": {}, member: OTHER_ULID}

        result = api.simulate_put(f"{PATH}/{database_config['id']}", json=body)

        problem(result, 422, f"/{member}")

    @pytest.mark.parametrize(
        ("body", "pointer"), [({"name": "db"}, "/config"), ({"config": {}}, "/name")]
    )
    def test_refuses_to_wipe_what_has_no_default(
        self, api: TestClient, database_config: Json, body: Json, pointer: str
    ) -> None:
        problem(api.simulate_put(f"{PATH}/{database_config['id']}", json=body), 422, pointer)

    def test_refuses_a_name_that_the_application_has(
        self, api: TestClient, database_config: Json
    ) -> None:
        nested = "/api/v1/applications/billing/configurations"
        other = api.simulate_post(nested, json={"name": "other", "config": {}}).json

        result = api.simulate_put(f"{PATH}/{other['id']}", json={"name": "database", "config": {}})

        problem(result, 409, "/name")
        assert api.simulate_get(f"{PATH}/{other['id']}").json == other

    def test_answers_404_when_there_is_none(self, api: TestClient) -> None:
        problem(api.simulate_put(f"{PATH}/{ULID}", json={"name": "a", "config": {}}), 404)


class TestPatch:
    @pytest.mark.parametrize("content_type", ["application/json", "application/merge-patch+json"])
    def test_merges_into_the_config(
        self, api: TestClient, database_config: Json, content_type: str
    ) -> None:
        result = api.simulate_patch(
            f"{PATH}/{database_config['id']}",
            body='{"config": {"pool": {"size": 20, "timeout": null}, "user": "me"}}',
            headers={"Content-Type": content_type},
        )

        assert result.status_code == 200
        assert result.json["config"] == {"host": "db", "pool": {"size": 20}, "user": "me"}
        assert result.json["name"] == "database"
        assert result.json["version"] == 2

    def test_keeps_null_values_that_it_does_not_touch(self, api: TestClient, billing: Json) -> None:
        nested = "/api/v1/applications/billing/configurations"
        created = api.simulate_post(nested, json={"name": "a", "config": {"x": None}}).json

        result = api.simulate_patch(f"{PATH}/{created['id']}", json={"config": {"y": 1}})

        assert result.json["config"] == {"x": None, "y": 1}

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"config": None}, "/config"),
            ({"config": [1]}, "/config"),
            ({"name": None}, "/name"),
            ({"version": 1, "nmae": "x"}, "/nmae"),
            ({"application_id": ULID}, "/application_id"),
        ],
    )
    def test_refuses_what_would_make_it_invalid(
        self, api: TestClient, database_config: Json, body: Json, pointer: str
    ) -> None:
        path = f"{PATH}/{database_config['id']}"

        problem(api.simulate_patch(path, json=body), 422, pointer)
        assert api.simulate_get(path).json == database_config

    def test_refuses_to_grow_beyond_what_a_put_can_send(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"{PATH}/{database_config['id']}"
        half = "x" * 600_000
        assert api.simulate_patch(path, json={"config": {"a": half}}).status_code == 200

        problem(api.simulate_patch(path, json={"config": {"b": half}}), 422, "/config")


class TestDelete:
    def test_removes_it(self, api: TestClient, database_config: Json) -> None:
        path = f"{PATH}/{database_config['id']}"

        assert api.simulate_delete(path).status_code == 204
        problem(api.simulate_get(path), 404)
        problem(api.simulate_delete(path), 404)

    def test_an_id_made_again_continues_its_numbering(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"{PATH}/{database_config['id']}"
        api.simulate_put(path, json={"name": "database", "config": {"v": 2}})
        api.simulate_delete(path)

        again = api.simulate_post(
            "/api/v1/applications/billing/configurations",
            json={"id": database_config["id"], "name": "database", "config": {}},
        )

        assert again.status_code == 201
        assert again.json["version"] == 3


class TestConditions:
    @pytest.mark.parametrize(
        ("header", "status"),
        [('"1"', 200), ('"0", "1"', 200), ("*", 200), ('"2"', 412), ('W/"1"', 412), ('"1x"', 412)],
    )
    def test_if_match_guards_a_write(
        self, api: TestClient, database_config: Json, header: str, status: int
    ) -> None:
        result = api.simulate_put(
            f"{PATH}/{database_config['id']}",
            json={"name": "database", "config": {}},
            headers={"If-Match": header},
        )

        assert result.status_code == status

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_an_outdated_write_is_told_the_current_version_and_changes_nothing(
        self, api: TestClient, database_config: Json, method: str
    ) -> None:
        path = f"{PATH}/{database_config['id']}"
        theirs = api.simulate_put(path, json={"name": "database", "config": {"by": "them"}}).json
        body = None if method == "DELETE" else {"name": "database", "config": {"by": "me"}}

        result = api.simulate_request(method, path, json=body, headers={"If-Match": '"1"'})

        document = problem(result, 412, "/if-match")
        assert document["current_version"] == 2
        assert result.headers["etag"] == '"2"'
        assert api.simulate_get(path).json == theirs

    @pytest.mark.parametrize("header", ["1", "", '"1', '"1" "2"', "**", "w", '"1",x'])
    def test_a_header_that_cannot_be_understood_is_refused(
        self, api: TestClient, database_config: Json, header: str
    ) -> None:
        path = f"{PATH}/{database_config['id']}"

        for result, field in (
            (api.simulate_delete(path, headers={"If-Match": header}), "/if-match"),
            (api.simulate_get(path, headers={"If-None-Match": header}), "/if-none-match"),
        ):
            problem(result, 400, field)

    def test_a_long_header_of_commas_does_not_hold_the_server(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"{PATH}/{database_config['id']}"

        # Time exponential in its length would not end before the test is ended.
        for hostile in ('"a"' + ", " * 5000 + "x", '"a"' + " " * 5000 + "x", ", " * 5000 + "x"):
            problem(
                api.simulate_get(path, headers={"If-None-Match": hostile}), 400, "/if-none-match"
            )

    @pytest.mark.parametrize(
        ("header", "status"),
        [('"1"', 304), ('W/"1"', 304), ('"0", "1"', 304), ("*", 304), ('"2"', 200)],
    )
    def test_if_none_match_saves_a_transfer(
        self, api: TestClient, database_config: Json, header: str, status: int
    ) -> None:
        result = api.simulate_get(
            f"{PATH}/{database_config['id']}", headers={"If-None-Match": header}
        )

        assert result.status_code == status
        assert result.headers["etag"] == '"1"'

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_if_none_match_keeps_a_write_from_what_exists(
        self, api: TestClient, database_config: Json, method: str
    ) -> None:
        path = f"{PATH}/{database_config['id']}"
        body = None if method == "DELETE" else {"name": "a", "config": {}}

        result = api.simulate_request(method, path, json=body, headers={"If-None-Match": "*"})

        problem(result, 412, "/if-none-match")
        assert api.simulate_get(path).json == database_config

    def test_of_two_writers_without_if_match_the_later_wins_and_both_revisions_exist(
        self, api: TestClient, database_config: Json
    ) -> None:
        path = f"{PATH}/{database_config['id']}"
        api.simulate_put(path, json={"name": "database", "config": {"by": "first"}})
        api.simulate_put(path, json={"name": "database", "config": {"by": "second"}})

        assert api.simulate_get(path).json["config"] == {"by": "second"}
        revisions = api.simulate_get(f"{path}/revisions").json["items"]
        assert [r["config"].get("by") for r in revisions] == [None, "first", "second"]


class TestHistory:
    def test_a_deleted_application_leaves_a_change_for_each_configuration(
        self, api: TestClient, database_config: Json
    ) -> None:
        api.simulate_delete("/api/v1/applications/billing")

        log = api.simulate_get(
            "/api/v1/changes", params={"application_id": database_config["application_id"]}
        )
        assert [(c["action"], c["entity"], c["name"], c["version"]) for c in log.json["items"]] == [
            ("create", "application", "billing", None),
            ("create", "configuration", "database", 1),
            ("delete", "configuration", "database", 1),
            ("delete", "application", "billing", None),
        ]

    def test_a_refused_write_leaves_no_trace(self, api: TestClient, database_config: Json) -> None:
        path = f"{PATH}/{database_config['id']}"
        api.simulate_put(path, json={"name": "", "config": {}})
        api.simulate_put(path, json={"name": "x", "config": {}}, headers={"If-Match": '"7"'})

        assert api.simulate_get(f"{path}/revisions").json["total"] == 1
        assert len(api.simulate_get("/api/v1/changes").json["items"]) == 2

    @pytest.mark.parametrize("message", ["x" * 1025, "\xff", "a\x00b"])
    def test_a_message_that_is_no_text_is_refused(
        self, api: TestClient, database_config: Json, message: str
    ) -> None:
        result = api.simulate_delete(
            f"{PATH}/{database_config['id']}", headers={"X-Change-Message": message}
        )

        problem(result, 422, "/x-change-message")


class TestRoundTrip:
    @pytest.mark.slow
    @given(value=json_objects())
    @hypothesis_settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_any_object_comes_back_equal_in_value_and_type(
        self, api: TestClient, database_config: Json, value: Json
    ) -> None:
        path = f"{PATH}/{database_config['id']}"

        written = api.simulate_put(path, json={"name": "database", "config": value})

        assert written.status_code == 200, written.text
        assert same(written.json["config"], value)
        assert same(api.simulate_get(path).json["config"], value)

    @pytest.mark.parametrize(
        ("sent", "returned"),
        [
            ("1", "1"),
            ("1.0", "1.0"),
            ("1e2", "100.0"),
            ("1E+2", "100.0"),
            ("0.1", "0.1"),
            ("1e16", "1e+16"),
            ("1e300", "1e+300"),
            ("123456789012345678901234567890.0", "1.2345678901234568e+29"),
            ("5e-324", "5e-324"),
            ("1e-400", "0.0"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("9007199254740993", "9007199254740993"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
        ],
    )
    def test_numbers_come_back_as_documented(
        self, api: TestClient, billing: Json, sent: str, returned: str
    ) -> None:
        result = api.simulate_post(
            "/api/v1/applications/billing/configurations",
            body='{"name": "a", "config": {"n": ' + sent + "}}",
            headers={"Content-Type": "application/json"},
        )

        assert f'"config":{{"n":{returned}}}' in result.text
