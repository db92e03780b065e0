"""Deltas of snapshots, their compressed form, and the tags by which they are checked."""

import gzip
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import pytest
from falcon.testing import Result, TestClient

from configsvc_server.app import open_services
from configsvc_server.settings import Settings

PATH = "/api/v1/applications/billing/environments/default/snapshot"
NESTED = "/api/v1/applications/billing/configurations"
FORMAT = "configsvc-delta"

Json = dict[str, Any]


@pytest.fixture
def ids(api: TestClient, billing: Json) -> dict[str, str]:
    """Ids of ten configurations, too large for a delta of one to be half of them."""
    return {name: create(api, name) for name in (f"c{index}" for index in range(10))}


def create(api: TestClient, name: str, **config: Any) -> str:
    body = {"name": name, "config": {"text": name * 100, **config}}
    return str(api.simulate_post(NESTED, json=body).json["id"])


def update(api: TestClient, identifier: str, **config: Any) -> None:
    path = f"/api/v1/configurations/{identifier}"
    assert api.simulate_patch(path, json={"config": config}).status_code == 200


def snapshot(api: TestClient) -> Result:
    return api.simulate_get(PATH)


def delta(api: TestClient, etag: str, **headers: str) -> Result:
    return api.simulate_get(
        PATH, headers={"If-None-Match": etag, "A-IM": FORMAT} | {"Accept-Encoding": ""} | headers
    )


def patched(base: Json, change: Json) -> Json:
    kept = {k: v for k, v in base["configurations"].items() if k not in change["removed"]}
    configurations = kept | change["configurations"]
    heads = {key: change[key] for key in ("application_id", "application", "environment")}
    return heads | {"configurations": dict(sorted(configurations.items()))}


class TestDelta:
    def test_it_has_what_changed_and_what_is_gone_and_nothing_else(
        self, api: TestClient, ids: dict[str, str]
    ) -> None:
        before = snapshot(api)
        update(api, ids["c3"], x=1)
        create(api, "new")
        api.simulate_delete(f"/api/v1/configurations/{ids['c5']}")
        after = snapshot(api)

        answer = delta(api, before.headers["etag"])

        assert answer.status_code == 226
        assert answer.headers["im"] == FORMAT
        assert answer.headers["delta-base"] == before.headers["etag"]
        assert answer.headers["etag"] == after.headers["etag"]
        assert answer.headers["cache-control"] == "no-store, im"
        assert list(answer.json["configurations"]) == ["c3", "new"]
        assert answer.json["removed"] == ["c5"]
        assert f'"{answer.json["base"]}"' == before.headers["etag"]
        assert patched(before.json, answer.json) == after.json

    def test_entries_are_those_of_the_snapshot_to_the_byte(
        self, api: TestClient, ids: dict[str, str]
    ) -> None:
        etag = snapshot(api).headers["etag"]
        update(api, ids["c3"], x=1.0, y={"é": None})

        answer = delta(api, etag)

        member = answer.content.partition(b'"configurations":{')[2].rpartition(b'},"removed"')[0]
        assert member in snapshot(api).content

    def test_it_spans_several_changes(self, api: TestClient, ids: dict[str, str]) -> None:
        before = snapshot(api)
        for name in ("c1", "c2", "c1"):
            update(api, ids[name], by=name)
            snapshot(api)

        answer = delta(api, before.headers["etag"])

        assert list(answer.json["configurations"]) == ["c1", "c2"]
        assert patched(before.json, answer.json) == snapshot(api).json

    def test_what_came_and_went_is_in_none(self, api: TestClient, ids: dict[str, str]) -> None:
        before = snapshot(api)
        identifier = create(api, "guest")
        snapshot(api)
        api.simulate_delete(f"/api/v1/configurations/{identifier}")
        update(api, ids["c1"], x=1)

        assert patched(before.json, delta(api, before.headers["etag"]).json) == snapshot(api).json

    def test_a_new_name_of_the_application_is_in_it(
        self, api: TestClient, ids: dict[str, str]
    ) -> None:
        before = snapshot(api)
        api.simulate_patch("/api/v1/applications/billing", json={"name": "invoices"})

        answer = api.simulate_get(
            PATH.replace("billing", "invoices"),
            headers={"If-None-Match": before.headers["etag"], "A-IM": FORMAT},
        )

        assert answer.status_code == 226
        assert answer.json["application"] == "invoices"
        assert answer.json["configurations"] == {}

    @pytest.mark.parametrize("accepted", [FORMAT, f"vcdiff, {FORMAT.title()};q=0.5"])
    def test_it_is_chosen_by_name(
        self, api: TestClient, ids: dict[str, str], accepted: str
    ) -> None:
        etag = snapshot(api).headers["etag"]
        update(api, ids["c3"], x=1)

        assert delta(api, etag, **{"A-IM": accepted}).status_code == 226

    @pytest.mark.parametrize("accepted", ["", "vcdiff", f"{FORMAT};q=0", f"{FORMAT}s"])
    def test_without_it_the_whole_is_sent(
        self, api: TestClient, ids: dict[str, str], accepted: str
    ) -> None:
        etag = snapshot(api).headers["etag"]
        update(api, ids["c3"], x=1)

        answer = delta(api, etag, **{"A-IM": accepted})

        assert (answer.status_code, answer.content) == (200, snapshot(api).content)

    def test_an_unknown_tag_gets_the_whole(self, api: TestClient, ids: dict[str, str]) -> None:
        assert delta(api, '"another"').status_code == 200

    def test_without_a_tag_there_is_no_delta(self, api: TestClient, ids: dict[str, str]) -> None:
        assert api.simulate_get(PATH, headers={"A-IM": FORMAT}).status_code == 200

    def test_what_is_no_smaller_is_sent_whole(self, api: TestClient, ids: dict[str, str]) -> None:
        etag = snapshot(api).headers["etag"]
        for identifier in list(ids.values())[:6]:
            update(api, identifier, x=1)

        assert delta(api, etag).status_code == 200

    def test_a_past_snapshot_is_sent_whole(self, api: TestClient, ids: dict[str, str]) -> None:
        etag = snapshot(api).headers["etag"]
        update(api, ids["c3"], x=1)
        headers = {"If-None-Match": etag, "A-IM": FORMAT}
        at = snapshot(api).json["configurations"]["c3"]["updated_at"]

        answer = api.simulate_get(PATH, params={"at": at}, headers=headers)

        assert answer.status_code == 200

    def test_nothing_changed_is_304(self, api: TestClient, ids: dict[str, str]) -> None:
        assert delta(api, snapshot(api).headers["etag"]).status_code == 304

    def test_all_who_wait_get_one_made_once(
        self,
        api: TestClient,
        pool: ThreadPoolExecutor,
        waiting: threading.Semaphore,
        ids: dict[str, str],
    ) -> None:
        etag = snapshot(api).headers["etag"]
        waiters = [pool.submit(delta, api, etag, Prefer="wait=20") for _ in range(8)]
        for _ in waiters:
            waiting.acquire()
        update(api, ids["c3"], x=1)

        answers = [waiter.result(10) for waiter in waiters]

        assert {answer.status_code for answer in answers} == {226}
        assert {answer.headers["preference-applied"] for answer in answers} == {"wait=20"}
        assert len({answer.content for answer in answers}) == 1

    def test_a_server_that_keeps_nothing_sends_the_whole(
        self, settings: Settings, database_url: str
    ) -> None:
        with open_services(settings.model_copy(update={"cache_bytes": 0}), database_url) as runtime:
            api = TestClient(runtime.app)
            api.simulate_post("/api/v1/applications", json={"name": "billing"})
            created = [create(api, f"c{index}") for index in range(5)]
            etag = snapshot(api).headers["etag"]
            update(api, created[0], x=1)

            assert delta(api, etag).status_code == 200

    def test_it_is_as_the_openapi_document_says(self, api: TestClient, ids: dict[str, str]) -> None:
        etag = snapshot(api).headers["etag"]
        update(api, ids["c3"], x=1)
        document = api.simulate_get("/openapi.json").json
        schema = {
            "$ref": "#/components/schemas/SnapshotDelta",
            "components": document["components"],
        }

        jsonschema.Draft202012Validator(schema).validate(delta(api, etag).json)


class TestTag:
    def test_it_can_be_computed_from_the_document(
        self, api: TestClient, ids: dict[str, str]
    ) -> None:
        """By the scheme that docs/api.md promises."""
        update(api, ids["c3"], größe=1.0)
        answer = snapshot(api)
        document = answer.json
        parts = [document[key].encode() for key in ("application_id", "application", "environment")]
        for name, entry in sorted(document["configurations"].items()):
            text = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
            assert text in answer.text
            parts += [name.encode(), hashlib.sha256(text.encode()).digest()]

        digest = hashlib.sha256(b"\0".join(parts)).hexdigest()

        assert answer.headers["etag"] == f'"{digest[:32]}"'

    def test_a_past_snapshot_has_the_same(self, api: TestClient, ids: dict[str, str]) -> None:
        now = snapshot(api)
        at = now.json["configurations"]["c9"]["updated_at"]

        assert api.simulate_get(PATH, params={"at": at}).headers["etag"] == now.headers["etag"]


class TestGzip:
    def test_the_whole_is_compressed(self, api: TestClient, ids: dict[str, str]) -> None:
        plain = snapshot(api)

        answer = api.simulate_get(PATH, headers={"Accept-Encoding": "br, gzip"})

        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.content) == plain.content
        assert "Accept-Encoding" in answer.headers["vary"]
        assert "content-encoding" not in plain.headers

    def test_each_form_has_a_tag_of_its_own_and_either_is_known(
        self, api: TestClient, ids: dict[str, str]
    ) -> None:
        plain = snapshot(api).headers["etag"]
        coded = api.simulate_get(PATH, headers={"Accept-Encoding": "gzip"}).headers["etag"]

        assert coded == plain[:-1] + '-gzip"'
        for etag in (plain, coded, f"W/{coded}"):
            answer = api.simulate_get(PATH, headers={"If-None-Match": etag})
            assert (answer.status_code, answer.headers["etag"]) == (304, plain)
            answer = api.simulate_get(
                PATH, headers={"If-None-Match": etag, "Accept-Encoding": "gzip"}
            )
            assert (answer.status_code, answer.headers["etag"]) == (304, coded)

    @pytest.mark.parametrize("accepted", ["gzip;q=0", "identity", "br", "*;q=0", "gzip;q=0, *"])
    def test_not_where_it_is_not_accepted(
        self, api: TestClient, ids: dict[str, str], accepted: str
    ) -> None:
        answer = api.simulate_get(PATH, headers={"Accept-Encoding": accepted})

        assert "content-encoding" not in answer.headers

    def test_not_where_it_is_not_worth_it(self, api: TestClient, billing: Json) -> None:
        answer = api.simulate_get(PATH, headers={"Accept-Encoding": "gzip"})

        assert "content-encoding" not in answer.headers
        assert "-gzip" not in answer.headers["etag"]

    def test_a_large_delta_is_compressed_and_has_the_tag_of_the_result(
        self, api: TestClient, ids: dict[str, str]
    ) -> None:
        coded = api.simulate_get(PATH, headers={"Accept-Encoding": "gzip"}).headers["etag"]
        update(api, ids["c3"], text="x" * 2000)

        answer = delta(api, coded, **{"Accept-Encoding": "gzip"})

        assert answer.status_code == 226
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["etag"] == snapshot(api).headers["etag"]
        assert list(json.loads(gzip.decompress(answer.content))["configurations"]) == ["c3"]
