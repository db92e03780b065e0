"""``/applications`` and ``/applications/{application}``."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from falcon.testing import TestClient

from configsvc_server.domain.models import MAX_COMMENTS, MAX_NAME
from tests.server.http.support import OTHER_ULID, ULID, problem

PATH = "/api/v1/applications"


class TestPost:
    def test_creates_with_an_id_and_timestamps(self, api: TestClient) -> None:
        result = api.simulate_post(PATH, json={"name": "billing", "comments": "of payments"})

        assert result.status_code == 201
        body = result.json
        assert body == {
            "id": body["id"],
            "name": "billing",
            "comments": "of payments",
            "created_at": body["created_at"],
            "updated_at": body["created_at"],
            "configuration_ids": [],
        }
        created = datetime.fromisoformat(body["created_at"])
        assert created.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)

    def test_answers_with_the_location_and_etag_that_a_get_has(self, api: TestClient) -> None:
        created = api.simulate_post(PATH, json={"name": "billing"})

        read = api.simulate_get(created.headers["location"])

        assert read.json == created.json
        assert read.headers["etag"] == created.headers["etag"]

    @pytest.mark.parametrize("given", [ULID, ULID.lower()])
    def test_takes_the_callers_own_ulid(self, api: TestClient, given: str) -> None:
        result = api.simulate_post(PATH, json={"id": given, "name": "billing"})

        assert result.status_code == 201
        assert result.json["id"] == ULID

    def test_ignores_read_only_members_sent_back(self, api: TestClient) -> None:
        body = {"name": "a", "created_at": "x", "updated_at": None, "configuration_ids": [1]}

        assert api.simulate_post(PATH, json=body).status_code == 201

    def test_refuses_a_name_that_is_taken(self, api: TestClient, billing: dict[str, Any]) -> None:
        document = problem(api.simulate_post(PATH, json={"name": "billing"}), 409, "/name")

        assert document["type"] == "urn:configsvc:problem:name-taken"
        assert "'billing'" in document["detail"]

    def test_refuses_an_id_that_is_taken(self, api: TestClient, billing: dict[str, Any]) -> None:
        body = {"id": billing["id"], "name": "other"}

        problem(api.simulate_post(PATH, json=body), 409, "/id")

    @pytest.mark.parametrize(
        ("body", "pointers"),
        [
            ({}, ["/name"]),
            ({"name": ""}, ["/name"]),
            ({"name": None}, ["/name"]),
            ({"name": 5}, ["/name"]),
            ({"name": "x" * (MAX_NAME + 1)}, ["/name"]),
            ({"name": ULID}, ["/name"]),
            ({"name": ULID.lower()}, ["/name"]),
            ({"name": "a", "comments": "x" * (MAX_COMMENTS + 1)}, ["/comments"]),
            ({"name": "a", "comments": []}, ["/comments"]),
            ({"name": "a", "id": "1"}, ["/id"]),
            ({"name": "a", "id": None}, ["/id"]),
            ({"name": "a", "nmae": "b", "a/b": 1}, ["/nmae", "/a~1b"]),
            ({"comments": 1, "id": True}, ["/name", "/id", "/comments"]),
        ],
    )
    def test_refuses_what_is_invalid_and_names_each_field(
        self, api: TestClient, body: dict[str, Any], pointers: list[str]
    ) -> None:
        problem(api.simulate_post(PATH, json=body), 422, *pointers)

        assert api.simulate_get(PATH).json["total"] == 0

    def test_suggests_the_member_that_was_probably_meant(self, api: TestClient) -> None:
        document = problem(
            api.simulate_post(PATH, json={"name": "a", "coments": ""}), 422, "/coments"
        )

        assert "did you mean 'comments'?" in document["detail"]

    @pytest.mark.parametrize("name", ["x" * MAX_NAME, "a/b c?d#e%", "\N{GRINNING FACE}", "..."])
    def test_takes_any_other_name(self, api: TestClient, name: str) -> None:
        created = api.simulate_post(PATH, json={"name": name})

        assert created.status_code == 201
        assert api.simulate_get(PATH, params={"name": name}).json["items"][0]["name"] == name


class TestGet:
    def test_finds_by_id_in_either_case_and_by_name(
        self, api: TestClient, billing: dict[str, Any]
    ) -> None:
        for key in (billing["id"], billing["id"].lower(), "billing"):
            assert api.simulate_get(f"{PATH}/{key}").json == billing

    def test_finds_a_name_that_needs_escaping(self, api: TestClient) -> None:
        created = api.simulate_post(PATH, json={"name": "é ?"}).json

        assert api.simulate_get(f"{PATH}/%C3%A9%20%3F").json == created

    def test_lists_the_ids_of_its_configurations(
        self, api: TestClient, database_config: dict[str, Any]
    ) -> None:
        assert api.simulate_get(f"{PATH}/billing").json["configuration_ids"] == [
            database_config["id"]
        ]

    @pytest.mark.parametrize("key", [ULID, "nobody", "%00", "%FF", "a%00b"])
    def test_answers_404_when_there_is_none(self, api: TestClient, key: str) -> None:
        document = problem(api.simulate_get(f"{PATH}/{key}"), 404)

        assert document["type"] == "urn:configsvc:problem:application-not-found"

    def test_accepts_a_slash_at_the_end(self, api: TestClient, billing: dict[str, Any]) -> None:
        assert api.simulate_get(f"{PATH}/billing/").json == billing
        assert api.simulate_get(f"{PATH}/").json["total"] == 1

    def test_head_answers_without_a_body(self, api: TestClient, billing: dict[str, Any]) -> None:
        result = api.simulate_head(f"{PATH}/billing")

        assert result.status_code == 200
        assert result.text == ""
        assert result.headers["etag"]


class TestPut:
    def test_replaces_and_takes_defaults_for_what_is_left_out(
        self, api: TestClient, billing: dict[str, Any]
    ) -> None:
        api.simulate_put(f"{PATH}/billing", json={"name": "billing", "comments": "x"})

        result = api.simulate_put(f"{PATH}/billing", json={"name": "invoices"})

        assert result.status_code == 200
        assert result.json["name"] == "invoices"
        assert result.json["comments"] is None
        assert result.json["created_at"] == billing["created_at"]
        assert result.json["updated_at"] > billing["updated_at"]
        problem(api.simulate_get(f"{PATH}/billing"), 404)

    def test_takes_back_what_a_get_gave(self, api: TestClient, billing: dict[str, Any]) -> None:
        edited = {**api.simulate_get(f"{PATH}/billing").json, "comments": "edited"}

        result = api.simulate_put(f"{PATH}/billing", json=edited)

        assert result.status_code == 200
        assert result.json["comments"] == "edited"

    def test_refuses_another_id(self, api: TestClient, billing: dict[str, Any]) -> None:
        body = {"name": "billing", "id": OTHER_ULID}

        problem(api.simulate_put(f"{PATH}/billing", json=body), 422, "/id")

    def test_refuses_a_name_that_is_taken(self, api: TestClient, billing: dict[str, Any]) -> None:
        api.simulate_post(PATH, json={"name": "other"})

        problem(api.simulate_put(f"{PATH}/other", json={"name": "billing"}), 409, "/name")
        assert api.simulate_get(f"{PATH}/other").status_code == 200

    def test_answers_404_when_there_is_none(self, api: TestClient) -> None:
        problem(api.simulate_put(f"{PATH}/nobody", json={"name": "x"}), 404)


class TestPatch:
    def test_changes_only_what_is_sent(self, api: TestClient, billing: dict[str, Any]) -> None:
        first = api.simulate_patch(f"{PATH}/billing", json={"comments": "x"})
        second = api.simulate_patch(f"{PATH}/billing", json={"name": "invoices"})

        assert first.json["name"] == "billing"
        assert second.json["comments"] == "x"

    def test_null_removes(self, api: TestClient, billing: dict[str, Any]) -> None:
        api.simulate_patch(f"{PATH}/billing", json={"comments": "x"})

        assert (
            api.simulate_patch(f"{PATH}/billing", json={"comments": None}).json["comments"] is None
        )

    @pytest.mark.parametrize("body", [{"name": None}, {"name": ""}, {"name": ULID}])
    def test_refuses_what_would_make_it_invalid(
        self, api: TestClient, billing: dict[str, Any], body: dict[str, Any]
    ) -> None:
        problem(api.simulate_patch(f"{PATH}/billing", json=body), 422, "/name")

    def test_refuses_another_id(self, api: TestClient, billing: dict[str, Any]) -> None:
        problem(api.simulate_patch(f"{PATH}/billing", json={"id": OTHER_ULID}), 422, "/id")


class TestDelete:
    def test_removes_it_and_its_configurations(
        self, api: TestClient, database_config: dict[str, Any]
    ) -> None:
        result = api.simulate_delete(f"{PATH}/billing")

        assert result.status_code == 204
        assert result.text == ""
        problem(api.simulate_get(f"{PATH}/billing"), 404)
        problem(api.simulate_get(f"/api/v1/configurations/{database_config['id']}"), 404)

    def test_frees_the_name(self, api: TestClient, billing: dict[str, Any]) -> None:
        api.simulate_delete(f"{PATH}/billing")

        assert api.simulate_post(PATH, json={"name": "billing"}).status_code == 201

    def test_answers_404_when_there_is_none(self, api: TestClient) -> None:
        problem(api.simulate_delete(f"{PATH}/nobody"), 404)


class TestConditions:
    def test_a_write_with_the_current_etag_goes_through(
        self, api: TestClient, billing: dict[str, Any]
    ) -> None:
        etag = api.simulate_get(f"{PATH}/billing").headers["etag"]

        for headers in ({"If-Match": etag}, {"If-Match": "*"}):
            result = api.simulate_patch(f"{PATH}/billing", json={"comments": "x"}, headers=headers)
            assert result.status_code == 200

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_a_write_with_an_old_etag_is_refused(
        self, api: TestClient, billing: dict[str, Any], method: str
    ) -> None:
        old = api.simulate_get(f"{PATH}/billing").headers["etag"]
        new = api.simulate_patch(f"{PATH}/billing", json={"comments": "x"}).headers["etag"]
        body = None if method == "DELETE" else {"name": "mine"}

        result = api.simulate_request(
            method, f"{PATH}/billing", json=body, headers={"If-Match": old}
        )

        document = problem(result, 412, "/if-match")
        assert document["current_etag"] == new == result.headers["etag"]
        assert api.simulate_get(f"{PATH}/billing").json["comments"] == "x"

    def test_a_new_configuration_changes_the_etag(
        self, api: TestClient, billing: dict[str, Any]
    ) -> None:
        before = api.simulate_get(f"{PATH}/billing").headers["etag"]
        api.simulate_post(f"{PATH}/billing/configurations", json={"name": "a", "config": {}})

        assert api.simulate_get(f"{PATH}/billing").headers["etag"] != before

    def test_a_get_with_the_current_etag_is_not_modified(
        self, api: TestClient, billing: dict[str, Any]
    ) -> None:
        etag = api.simulate_get(f"{PATH}/billing").headers["etag"]

        result = api.simulate_get(f"{PATH}/billing", headers={"If-None-Match": etag})

        assert result.status_code == 304
        assert result.text == ""
        assert result.headers["etag"] == etag


def test_every_write_leaves_a_change_with_who_and_why(api: TestClient) -> None:
    why = {"X-Change-Message": "because of é".encode().decode("latin-1"), "X-Request-ID": "r-1"}
    api.simulate_post(PATH, json={"name": "billing"}, headers=why)
    api.simulate_put(f"{PATH}/billing", json={"name": "invoices"})
    api.simulate_delete(f"{PATH}/invoices")

    changes = api.simulate_get("/api/v1/changes").json["items"]

    assert [(c["action"], c["entity"], c["name"], c["previous_name"]) for c in changes] == [
        ("create", "application", "billing", None),
        ("update", "application", "invoices", "billing"),
        ("delete", "application", "invoices", None),
    ]
    first = changes[0]
    assert (first["actor"], first["request_id"]) == ("anonymous", "r-1")
    assert first["message"] == "because of é"
