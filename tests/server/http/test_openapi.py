"""The OpenAPI document, and a fuzzer that holds the application to it."""

import json
from typing import Any

import jsonschema
import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from configsvc_server.http.errors import WsgiApp
from configsvc_server.http.openapi.document import build_openapi
from configsvc_server.http.schemas import load_schemas
from configsvc_server.settings import Settings

OPERATIONS = sorted(
    f"{method.upper()} {path}"
    for path, item in build_openapi()["paths"].items()
    for method in item
    if method != "parameters"
)


def test_it_is_served_and_has_every_schema(api: TestClient) -> None:
    document: dict[str, Any] = api.simulate_get("/openapi.json").json

    assert document["openapi"] == "3.1.0"
    assert document["components"]["schemas"].keys() == load_schemas().keys()
    assert len(OPERATIONS) == 47


@pytest.mark.parametrize("name", load_schemas())
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(dict(load_schemas()[name]))


def test_every_reference_leads_somewhere() -> None:
    document = build_openapi()
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings by which nobody waits, whatever a made-up header wishes."""
    return settings.model_copy(update={"max_waiters": 0})


CASES = [
    pytest.param(operation, mode, id=f"{operation} {mode}")
    for operation in OPERATIONS
    for mode in ("positive", "negative")
    # What takes no input can't get a wrong one.
    if mode == "positive" or "/health" not in operation
]


# To trace a thousand made-up requests takes longer than they do; other tests cover what they reach.
@pytest.mark.no_cover
@pytest.mark.slow
@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_no_request_gets_an_undocumented_answer_or_a_5xx(
    app: WsgiApp,
    database_config: dict[str, Any],
    operation: str,
    mode: str,
) -> None:
    # Each worker imports this module, and this takes long.
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    method, path = operation.split(" ", 1)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    existing = {
        "application": database_config["application_id"],
        "id": database_config["id"],
        "environment": "default",
        "version": 1,
    }

    @hypothesis_settings(
        max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(
        schema[path][method].as_strategy(generation_mode=schemathesis.GenerationMode(mode)),
        st.booleans(),
    )
    def fuzz(case: Any, hit: bool) -> None:
        if hit:  # made-up ids alone would test little but 404
            case.path_parameters = {
                name: existing.get(name, value) for name, value in case.path_parameters.items()
            }
        case.call_and_validate(
            checks=[
                not_a_server_error,
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_schema_conformance,
                checks.unsupported_method,
            ]
        )

    fuzz()
