"""Redirects: which are followed, and what the others say."""

from collections.abc import Iterator

import pytest

from configsvc_client import AuthError, ServerError
from tests.client.conftest import MakeClient
from tests.client.http.test_bounds import BODY
from tests.client.stub import Behaviour, Handler, StubServer, status, stub_server


@pytest.fixture
def other() -> Iterator[StubServer]:
    """Another server."""
    with stub_server() as server:
        server.answer(status(200, body=BODY))
        yield server


def to(location: str, code: int = 302) -> Behaviour:
    return status(code, {"Location": location}, b"moved")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_get_is_followed_with_the_token_at_the_same_server(
    stub: StubServer, make_client: MakeClient, code: int
) -> None:
    def answer(handler: Handler) -> None:
        if handler.path.startswith("/new"):
            handler.reply(200, BODY)
        else:
            handler.reply(code, headers={"Location": "/new/billing?a=b"})

    stub.answer(answer)
    client = make_client(stub.url, token="t1")
    assert client.applications.get("billing").name == "billing"
    assert [path for _, path, _ in stub.requests][-1] == "/new/billing?a=b"
    assert [headers["Authorization"] for _, _, headers in stub.requests] == ["Bearer t1"] * 2


@pytest.mark.parametrize("way", ["token", "url"])
def test_credentials_are_not_sent_to_another_server(
    stub: StubServer, other: StubServer, make_client: MakeClient, way: str
) -> None:
    stub.answer(to(f"{other.url}/billing"))
    url = stub.url if way == "token" else stub.url.replace("://", "://ada:pw@")
    client = make_client(url, token="t1" if way == "token" else None)
    assert client.applications.get("billing").name == "billing"
    assert stub.requests[0][2]["Authorization"]
    assert other.requests[0][2]["Authorization"] is None


def test_a_refusal_by_another_server_says_that_it_got_no_token(
    stub: StubServer, other: StubServer, make_client: MakeClient
) -> None:
    stub.answer(to(f"{other.url}/login?secret=1"))
    other.answer(status(401))
    with pytest.raises(AuthError, match=f"led to {other.url}, which is not sent") as caught:
        make_client(stub.url, token="t1").applications.get("billing")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("verb", ["create", "delete"])
def test_a_redirect_of_a_write_is_an_error_that_says_where_it_leads(
    stub: StubServer, make_client: MakeClient, verb: str, code: int
) -> None:
    stub.answer(to("https://ada:pw@new.example.com/api/v1/applications?secret=1", code))
    applications = make_client(stub.url).applications
    with pytest.raises(
        ServerError, match=r"leads to https://new\.example\.com/api/v1/applications\?…, and a write"
    ) as caught:
        applications.create(name="a") if verb == "create" else applications.delete("a")
    assert caught.value.status == code
    assert stub.polls == 1


def test_redirects_in_a_circle_say_where_they_lead(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(to("/round"))
    with pytest.raises(ServerError, match=f"leads to {stub.url}/round, again and again"):
        make_client(stub.url).applications.get("billing")
    assert stub.polls == 11


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("ftp://files.example.com/a", "leads to ftp://files.example.com/a"),
        ("file:///etc/passwd", "leads to file:///etc/passwd"),
        ("http://[nowhere", "leads nowhere"),
        ("http://a:99999/", "leads nowhere"),
        ("", "leads nowhere"),
    ],
)
def test_a_redirect_that_can_not_be_followed_is_an_error(
    stub: StubServer, make_client: MakeClient, location: str, shown: str
) -> None:
    stub.answer(to(location))
    with pytest.raises(ServerError, match=shown):
        make_client(stub.url).applications.get("billing")


def test_the_body_of_a_redirect_is_not_read(stub: StubServer, make_client: MakeClient) -> None:
    def answer(handler: Handler) -> None:
        if handler.path == "/new":
            handler.reply(200, BODY)
        else:
            handler.wfile.write(
                b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 300000000\r\n\r\n"
            )
            handler.stub.stopping.wait()

    stub.answer(answer)
    client = make_client(stub.url, timeout=20, total_timeout=20, max_response_size=10_000)
    assert client.applications.get("billing").name == "billing"
