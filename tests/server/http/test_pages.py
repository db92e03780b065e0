"""Content-Security-Policy of every route: nothing unsafe, no frames, no forms to elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import falcon
import falcon.inspect
import falcon.testing
import pytest
from falcon.testing import Result, TestClient

from configsvc_server.http.errors import WsgiApp
from configsvc_server.settings import Settings

HERE = "https://config.example.com"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": HERE}

_VALUES = {
    "application": "x",
    "asset": "start.js",
    "environment": "x",
    "id": "x",
    "instance": "web-1",
    "issuer": "corp",
    "version": "1",
}

PAGES = {
    ("GET", "/docs"),
    ("GET", "/auth/sign-in"),
    # The issuer is away, the attempt to sign in unknown, the token wrong: pages that say so.
    ("GET", "/auth/{issuer}/start"),
    ("GET", "/auth/{issuer}/callback"),
    ("POST", "/auth/token"),
}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with every page there is: an issuer to sign in at, which is away."""
    path = tmp_path / "auth.toml"
    path.write_text(
        '[[issuers]]\nname = "corp"\nissuer = "http://127.0.0.1:1"\nclient_id = "configsvc"\n'
    )
    return settings.model_copy(
        update={"auth": "required", "auth_file": path, "public_url": HERE, "rate_limit": None}
    )


def _answers(app: WsgiApp) -> Iterator[tuple[str, str, Result]]:
    assert isinstance(app, falcon.App)
    client = TestClient(app)
    for route in falcon.inspect.inspect_routes(app):
        path = route.path.format_map(_VALUES)
        for method in route.methods:
            if not method.internal:
                result = client.simulate_request(
                    method.method, path, headers=FORM, body="token=configsvc_wrong"
                )
                yield method.method, route.path, result


def _directives(result: Result) -> dict[str, list[str]]:
    policy = result.headers["content-security-policy"]
    words = [directive.split() for directive in policy.split(";")]
    return {name: values for name, *values in words}


def test_no_policy_allows_what_is_unsafe(app: WsgiApp) -> None:
    answers = list(_answers(app))

    assert {method for method, _, _ in answers} >= {"GET", "HEAD", "POST", "PUT", "DELETE"}
    for method, path, result in answers:
        directives = _directives(result)
        where = f"{method} {path}: {directives}"
        assert "unsafe" not in result.headers["content-security-policy"], where
        assert directives["default-src"] == ["'none'"], where
        assert directives["frame-ancestors"] == ["'none'"], where
        assert directives["base-uri"] == ["'none'"], where
        assert directives["form-action"] in (["'none'"], ["'self'"]), where


def test_every_page_is_among_them(app: WsgiApp) -> None:
    found = {
        (method, path)
        for method, path, result in _answers(app)
        if method != "HEAD" and result.headers.get("content-type", "").startswith("text/html")
    }

    assert found == PAGES


def test_no_page_has_styles_or_scripts_within(app: WsgiApp) -> None:
    for method, path, result in _answers(app):
        if (method, path) in PAGES:
            assert "style=" not in result.text, path
            assert "<style" not in result.text, path
            assert "<script>" not in result.text, path
            assert not re.search(r"<[^>]*\son\w+=", result.text), path
