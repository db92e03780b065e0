"""Sign-in with a browser: pages, cookies, forms."""

import re
from collections.abc import Iterator
from typing import Any

import falcon.testing
import psycopg
import pytest
from structlog.testing import capture_logs

from configsvc_server.http.cookies import safe_path
from tests.support.sign_in import TOKEN, TOKEN_ID, SignInServer, sign_in_server

HERE = "https://config.example.com"
OWN = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", **OWN}
ISSUER = {"name": "corp", "issuer": "https://issuer.example.com", "client_id": "configsvc"}
WORKLOADS = {
    "name": "ci",
    "issuer": "https://ci.example.com",
    "kind": "workload",
    "audiences": ["us"],
}
COOKIE = "__Host-configsvc-session"


@pytest.fixture
def server(database_url: str) -> Iterator[SignInServer]:
    with sign_in_server(database_url, [ISSUER, WORKLOADS], public_url=HERE) as server:
        yield server


@pytest.fixture
def http(server: SignInServer) -> falcon.testing.TestClient:
    return falcon.testing.TestClient(server.app)


def sign_in(http: falcon.testing.TestClient, **others: Any) -> falcon.testing.Result:
    return http.simulate_post(
        "/auth/token", body=f"token={TOKEN}&return_to=/docs", headers=FORM, **others
    )


def cookie_of(result: falcon.testing.Result) -> str:
    return f"{COOKIE}={result.cookies[COOKIE].value}"


def test_the_page_lists_issuers_of_persons_and_takes_a_token(
    http: falcon.testing.TestClient,
) -> None:
    page = http.simulate_get("/auth/sign-in", params={"return_to": "/docs?a=1&b=2"})

    assert page.status_code == 200
    assert re.findall(r'href="(/auth/[^"]*start[^"]*)"', page.text) == [
        "/auth/corp/start?return_to=/docs%3Fa%3D1%26b%3D2"
    ]
    assert 'action="/auth/token"' in page.text
    assert 'value="/docs?a=1&amp;b=2"' in page.text


def test_the_page_needs_and_allows_no_script(http: falcon.testing.TestClient) -> None:
    page = http.simulate_get("/auth/sign-in")
    policy = page.headers["Content-Security-Policy"]

    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert page.headers["Cache-Control"] == "no-store"


def test_the_way_to_begin_is_escaped(http: falcon.testing.TestClient) -> None:
    page = http.simulate_get("/auth/sign-in", params={"return_to": '/"><script>alert(1)</script>'})

    assert "<script" not in page.text


def test_a_token_begins_a_session(http: falcon.testing.TestClient) -> None:
    answer = sign_in(http)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/docs")
    cookie = answer.cookies[COOKIE]
    assert cookie.http_only
    assert cookie.secure
    assert cookie.path == "/"
    assert not cookie.domain
    assert cookie.same_site == "Lax"
    assert cookie.max_age == 12 * 3600
    me = http.simulate_get("/api/v1/me", headers={"Cookie": cookie_of(answer)})
    assert me.json["name"] == "token:ci"


def test_a_wrong_token_begins_none(http: falcon.testing.TestClient) -> None:
    answer = http.simulate_post("/auth/token", body="token=wrong", headers=FORM)

    assert answer.status_code == 401
    assert COOKIE not in answer.cookies
    assert "not known" in answer.text
    assert "wrong" not in answer.text


def test_a_sign_in_that_fails_is_in_the_log_and_not_in_the_audit_trail(
    http: falcon.testing.TestClient, database_url: str
) -> None:
    with capture_logs() as logs:
        http.simulate_post("/auth/token", body="token=wrong", headers=FORM)
        http.simulate_get("/auth/corp/callback", params={"code": "stolen", "state": "x"})

    failed = [entry for entry in logs if entry["event"] == "sign-in failed"]
    assert [entry["issuer"] for entry in failed] == [None, "corp"]
    assert all(entry["error"] for entry in failed)
    assert "wrong" not in str(failed)
    assert "stolen" not in str(failed)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM changes").fetchone() == (0,)


def test_over_http_the_cookies_have_no_prefix(database_url: str) -> None:
    with sign_in_server(database_url, public_url="http://localhost:8080") as server:
        answer = falcon.testing.TestClient(server.app).simulate_post(
            "/auth/token",
            body=f"token={TOKEN}",
            headers={**FORM, "Origin": "http://localhost:8080"},
        )

    cookie = answer.cookies["configsvc-session"]
    assert cookie.http_only
    assert not cookie.secure


def test_a_session_ends_at_the_sign_out(http: falcon.testing.TestClient) -> None:
    cookie = cookie_of(sign_in(http))

    answer = http.simulate_post("/auth/sign-out", headers={**OWN, "Cookie": cookie})

    assert answer.headers["Location"] == "/auth/sign-in"
    assert answer.cookies[COOKIE].value == ""
    assert http.simulate_get("/api/v1/me", headers={"Cookie": cookie}).status_code == 401


def test_a_session_ends_with_its_token(
    http: falcon.testing.TestClient, server: SignInServer
) -> None:
    cookie = cookie_of(sign_in(http))

    del server.tokens[TOKEN_ID]

    assert http.simulate_get("/api/v1/me", headers={"Cookie": cookie}).status_code == 401


@pytest.mark.parametrize("path", ["/auth/ci/start", "/auth/nobody/start", "/auth/ci/callback"])
def test_one_signs_in_at_issuers_of_persons_only(
    http: falcon.testing.TestClient, path: str
) -> None:
    assert http.simulate_get(path).status_code == 404


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/", "/"),
        ("/docs?x=1#y", "/docs?x=1#y"),
        (None, "/"),
        ("", "/"),
        ("docs", "/"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        (" //evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\u2215evil", "/"),
        ("/" + "a" * 600, "/"),
    ],
)
def test_one_goes_on_to_a_path_of_this_server(text: str | None, expected: str) -> None:
    assert safe_path(text) == expected


def test_sessions_are_listed_and_ended(http: falcon.testing.TestClient) -> None:
    cookie = cookie_of(sign_in(http))
    token = http.simulate_get("/api/v1/me", headers={"Cookie": cookie}).json["csrf_token"]

    listed = http.simulate_get("/api/v1/sessions", headers={"Cookie": cookie})
    (session,) = listed.json["items"]
    assert session["principal"] == "token:ci"
    assert session["token_id"] == TOKEN_ID
    answer = http.simulate_delete(
        f"/api/v1/sessions/{session['id']}", headers={"Cookie": cookie, "X-CSRF-Token": token}
    )

    assert answer.status_code == 204
    assert http.simulate_get("/api/v1/me", headers={"Cookie": cookie}).status_code == 401


@pytest.mark.parametrize("body", ["token=" + "a" * 5000, "&".join(["a=1"] * 50), b"\xff=\xff"])
def test_a_form_is_small_and_text(http: falcon.testing.TestClient, body: Any) -> None:
    answer = http.simulate_post("/auth/token", body=body, headers=FORM)

    assert answer.status_code in {400, 401, 413}
