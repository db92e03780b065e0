"""Numbers are written as short as documented, everywhere: an answer is no larger than its document.

``1e308`` has five characters, and 309 where it is written out.
"""

import json
from typing import Any, Final

import pytest
from falcon.testing import TestClient

from tests.server.http.support import create, ok, problem

MANY: Final = 2000

NUMBERS: Final = {
    "1e308": "1e+308",
    "1.7976931348623157e308": "1.7976931348623157e+308",
    "1e300": "1e+300",
    "1e-308": "1e-308",
    "5e-324": "5e-324",
    "1e2": "100.0",
    "1.0": "1.0",
    "1": "1",
    "9223372036854775807": "9223372036854775807",
    "-0.0": "0.0",
    "-1e-400": "0.0",
}
"""What is sent, and what is answered."""


@pytest.fixture(autouse=True)
def _billing(api: TestClient) -> None:
    ok(api.simulate_post("/api/v1/applications", json={"name": "billing"}), 201)


def config_text() -> str:
    return "{{{}}}".format(",".join(f'"{sent}":[{sent}]' for sent in NUMBERS))


def write(api: TestClient, config: str) -> dict[str, Any]:
    """Create a configuration of this very text, in an environment with and without overlay."""
    ok(api.simulate_post("/api/v1/applications/billing/environments", json={"name": "dev"}), 201)
    result = api.simulate_post(
        "/api/v1/applications/billing/configurations",
        body=f'{{"name":"numbers","overlays":{{"dev":{{"more":1e308}}}},"config":{config}}}',
        headers={"Content-Type": "application/json"},
    )
    document: dict[str, Any] = ok(result, 201)
    return document


def answers(api: TestClient, configuration: dict[str, Any]) -> dict[str, str]:
    """Return the text of every kind of answer that has the numbers."""
    one = f"/api/v1/configurations/{configuration['id']}"
    environments = "/api/v1/applications/billing/environments"
    paths = {
        "GET": one,
        "list": "/api/v1/applications/billing/configurations",
        "revision": f"{one}/revisions/1",
        "revisions": f"{one}/revisions",
        "diff": f"{one}/diff",
        "snapshot": f"{environments}/default/snapshot",
        "snapshot with overlay": f"{environments}/dev/snapshot",
        "past snapshot": f"{environments}/default/snapshot?at={configuration['updated_at']}",
    }
    found = {name: api.simulate_get(path) for name, path in paths.items()}
    document = {name: configuration[name] for name in ("name", "config", "overlays")}
    found["PUT"] = api.simulate_put(one, json=document)
    found["validation"] = api.simulate_post(
        "/api/v1/configurations/validate",
        json={**document, "id": configuration["id"]},
    )
    for name, result in found.items():
        assert result.status_code == 200, (name, result.text[:500])
    return {name: result.text for name, result in found.items()}


def test_numbers_are_written_as_documented_in_every_answer(api: TestClient) -> None:
    configuration = write(api, config_text())

    for name, text in answers(api, configuration).items():
        for sent, kept in NUMBERS.items():
            assert f'"{sent}":[{kept}]' in text or f'/config/{sent}"' in text, (name, sent)
        assert "0" * 20 not in text, name


def test_no_answer_is_far_larger_than_its_document(api: TestClient) -> None:
    config = '{{"numbers":[{}]}}'.format(",".join(["1e308"] * MANY))
    configuration = write(api, config)

    for name, text in answers(api, configuration).items():
        # A diff and a validation have the document twice or thrice.
        assert len(text) < 4 * len(config), name


def test_an_error_does_not_write_a_number_out(api: TestClient) -> None:
    schema = {"properties": {"n": {"enum": [1e308] * 12}}}
    body = {"name": "numbers", "config": {"n": -1e308}, "schema": schema}

    result = api.simulate_post("/api/v1/applications/billing/configurations", json=body)

    problem(result, 422, "/config/n")
    assert len(result.text) < 2000


def test_a_document_that_grows_beyond_a_body_is_refused(api: TestClient) -> None:
    numbers = ",".join(["1e15"] * 100_000)

    result = api.simulate_post(
        "/api/v1/applications/billing/configurations",
        body=f'{{"name":"numbers","config":{{"n":[{numbers}]}}}}',
        headers={"Content-Type": "application/json"},
    )

    assert "as it is kept" in problem(result, 422, "")["detail"]


def test_a_number_that_is_kept_can_be_sent_back_and_stays(api: TestClient) -> None:
    configuration = write(api, config_text())
    path = f"/api/v1/configurations/{configuration['id']}"
    first = api.simulate_get(path).text

    for _ in range(2):
        body = json.dumps(json.loads(api.simulate_get(path).text))
        ok(api.simulate_put(path, body=body, headers={"Content-Type": "application/json"}))

    digests = {
        ok(api.simulate_get(f"{path}/revisions/{version}"))["digest"] for version in (1, 2, 3)
    }
    assert len(digests) == 1
    assert json.loads(first)["config"] == json.loads(api.simulate_get(path).text)["config"]


def test_values_of_different_types_stay_different(api: TestClient) -> None:
    made = create(api, "types", {"a": 1, "b": 1.0, "c": True})

    text = api.simulate_get(f"/api/v1/configurations/{made['id']}/revisions").text

    assert '"config":{"a":1,"b":1.0,"c":true}' in text
