"""Tokens that were refused: what is sent after them, and when."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from configsvc_client import AuthError
from configsvc_client._http.credentials import credentials_of
from configsvc_client._http.token_watch import TokenWatch
from configsvc_client._http.transport import HttpTransport
from configsvc_client._http.types import Request, Response
from configsvc_client.options import Options
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, status, stub_server


class Tokens:
    """A token function that counts its calls."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def sent(stub: StubServer) -> list[str | None]:
    return [headers["Authorization"] for *_, headers in stub.requests]


@pytest.mark.parametrize("write", [False, True])
def test_a_token_that_rotated_amid_a_request_is_sent_at_once(
    stub: StubServer, make_client: MakeClient, write: bool
) -> None:
    stub.answer(
        lambda handler: handler.reply(
            204 if handler.headers["Authorization"] == "Bearer new" else 401
        )
    )
    client = make_client(stub.url, token=Tokens("old", "new"), retries=0)
    if write:
        client.releases._api.call("POST", "/tokens", body={})
    else:
        client.applications.delete("billing")
    assert sent(stub) == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(
    ("token", "code", "requests"),
    [
        (Tokens("old"), 401, 1),
        (Tokens("old", "new", "newer"), 401, 2),
        (Tokens("old", "new"), 403, 1),
        (Tokens("old", "new"), 404, 1),
        ("old", 401, 1),
    ],
    ids=["the same", "refused as well", "403", "404", "no function"],
)
def test_a_refusal_is_asked_again_once_and_for_a_reason(
    stub: StubServer, make_client: MakeClient, token: Any, code: int, requests: int
) -> None:
    stub.answer(status(code))
    with pytest.raises(Exception, match=str(code)):
        make_client(stub.url, token=token).applications.get("billing")
    assert len(stub.requests) == requests


def test_a_function_that_fails_after_a_refusal_leaves_the_refusal(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(status(401))
    with pytest.raises(AuthError) as caught:
        make_client(stub.url, token=Tokens("old", "")).applications.get("billing")
    assert caught.value.status == 401


@pytest.fixture
def other() -> Iterator[StubServer]:
    """Another server."""
    with stub_server() as server:
        yield server


def test_a_refusal_by_another_server_asks_for_no_token(
    stub: StubServer, other: StubServer, make_client: MakeClient
) -> None:
    stub.answer(status(302, {"Location": f"{other.url}/elsewhere"}))
    other.answer(status(401))
    token = Tokens("old", "new")
    with pytest.raises(AuthError):
        make_client(stub.url, token=token).applications.get("billing")
    assert (token.calls, len(stub.requests), sent(other)) == (1, 1, [None])


# Afterwards -------------------------------------------------------------------------------


def answer(code: int) -> Response:
    return Response(Request("GET", "/x"), code, {}, b"", "request-1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


Watch = Callable[[Any], tuple[TokenWatch, Any]]


@pytest.fixture
def refused(clock: Clock) -> Watch:
    """Makes a watch over a token that was refused."""

    def make(token: Any) -> tuple[TokenWatch, Any]:
        options = Options(url="http://server", token=token)
        watch = TokenWatch(options, clock)
        sent = credentials_of(options)
        assert not isinstance(sent, str)
        watch.answered(answer(403), sent)
        return watch, sent

    return make


def test_another_token_is_found_after_a_pause(refused: Watch, clock: Clock) -> None:
    token = Tokens("old", "new")
    watch, _ = refused(token)
    assert not watch.has_other()
    clock.now += watch.EVERY_CALL
    assert watch.has_other()
    assert token.calls == 2


def test_a_function_is_not_asked_for_each_look(refused: Watch, clock: Clock) -> None:
    token = Tokens("old")
    watch, _ = refused(token)
    for _ in range(600):
        clock.now += 0.1
        assert not watch.has_other()
    assert token.calls - 1 <= 60 / watch.EVERY_CALL


def test_a_token_that_is_accepted_is_no_longer_watched(refused: Watch, clock: Clock) -> None:
    token = Tokens("old", "new")
    watch, sent = refused(token)
    watch.answered(answer(200), sent)
    clock.now += 100
    assert not watch.has_other()
    assert token.calls == 1


def test_a_token_that_can_not_change_is_not_watched(refused: Watch, clock: Clock) -> None:
    watch, _ = refused("old")
    clock.now += 100
    assert not watch.has_other()


def test_a_function_that_gives_a_token_again_is_noticed(stub: StubServer) -> None:
    token = Tokens("", "new")
    transport = HttpTransport(Options(url=stub.url, token=token), retries=0)
    with pytest.raises(AuthError, match="is empty"):
        transport.send(Request("GET", "/x"))
    transport._watch._looked_at -= TokenWatch.EVERY_CALL
    assert transport.has_other_token()
