"""The OpenAPI document, and a fuzzer that holds the application to it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from falcon.testing import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from configsvc_server.app import open_services
from configsvc_server.http.errors import WsgiApp
from configsvc_server.http.openapi.document import build_openapi
from configsvc_server.http.schemas import load_schemas
from configsvc_server.settings import Settings
from tests.support.issuers import stub_issuer

OPERATIONS = sorted(
    f"{method.upper()} {path}"
    for path, item in build_openapi()["paths"].items()
    for method in item
    if method != "parameters"
)
SIGN_IN_OPERATIONS = [operation for operation in OPERATIONS if " /auth/" in operation]


def test_it_is_served_and_has_every_schema(api: TestClient) -> None:
    document: dict[str, Any] = api.simulate_get("/openapi.json").json

    assert document["openapi"] == "3.1.0"
    assert document["components"]["schemas"].keys() == load_schemas().keys()
    assert len(OPERATIONS) == 57


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
    if " /auth/" not in operation
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
    existing = {
        "application": database_config["application_id"],
        "id": database_config["id"],
        "environment": "default",
        "version": 1,
    }

    def hit(case: Any) -> None:
        case.path_parameters = {
            name: existing.get(name, value) for name, value in case.path_parameters.items()
        }

    fuzz(app, operation, mode, hit)


@pytest.fixture
def sign_in_app(settings: Settings, database_url: str, tmp_path: Path) -> Iterator[WsgiApp]:
    """The application with an issuer."""
    path = tmp_path / "auth.toml"
    update = {"auth": "required", "auth_file": path, "public_url": "http://localhost"}
    with stub_issuer() as issuer:
        path.write_text(
            f"""
            [[issuers]]
            name = "corp"
            issuer = "{issuer.url}"
            client_id = "configsvc"
            """
        )
        with open_services(settings.model_copy(update=update), database_url) as runtime:
            yield runtime.app


@pytest.mark.no_cover
@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "mode"),
    [
        (operation, mode)
        for operation in SIGN_IN_OPERATIONS
        for mode in ("positive", "negative")
        # What takes no input can't get a wrong one.
        if mode == "positive" or "sign-out" not in operation
    ],
)
def test_no_sign_in_gets_an_undocumented_answer(
    sign_in_app: WsgiApp, operation: str, mode: str
) -> None:
    def hit(case: Any) -> None:
        case.path_parameters = dict.fromkeys(case.path_parameters or {}, "corp")
        case.headers = {**(case.headers or {}), "Origin": "http://localhost"}

    fuzz(sign_in_app, operation, mode, hit)


def fuzz(app: WsgiApp, operation: str, mode: str, hit: Callable[[Any], None]) -> None:
    """Send made-up requests, and check each answer by the document.

    Args:
        app: the application.
        operation: its method and path.
        mode: ``positive`` for what the document allows, ``negative`` for what it forbids.
        hit: makes a request one for what there is; made-up ids alone would test little but 404.
    """
    # Each worker imports this module, and this takes long.
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    method, path = operation.split(" ", 1)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)

    @hypothesis_settings(
        max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(
        schema[path][method].as_strategy(generation_mode=schemathesis.GenerationMode(mode)),
        st.booleans(),
    )
    def send(case: Any, hits: bool) -> None:
        if hits:
            hit(case)
        case.call_and_validate(
            checks=[
                not_a_server_error,
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_schema_conformance,
                checks.unsupported_method,
            ]
        )

    send()
