"""Credentials: what is sent, and that they stand nowhere else."""

import base64
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from configsvc_client import AuthError, ConfigClient, TransportError
from configsvc_client._http.credentials import redacted
from tests.client.conftest import MakeClient
from tests.client.http.test_bounds import BODY
from tests.client.stub import StubServer, eventually, status

SECRET = "s3cr3t-t0k3n"


def with_user_info(url: str, user_info: str) -> str:
    return url.replace("://", f"://{user_info}@")


def everything_about(error: BaseException) -> str:
    """Return all that a logger or an error tracker could find, local variables too."""
    shown: list[str] = []
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        found = left.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        left += [found.__cause__, found.__context__]
        trace = traceback.TracebackException.from_exception(found, capture_locals=True)
        # The frames of the tests know the secret anyway.
        shown += [str(frame.locals) for frame in trace.stack if "/tests/" not in frame.filename]
        shown += [*trace.format_exception_only(), repr(vars(found)), repr(found.args)]
    return "\n".join(shown)


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        (f"{SECRET}\n", "has a line break"),
        (f"{SECRET}\r\nX-A: b", "has a line break"),
        (f"{SECRET}\0", "has a control character"),
        (f"{SECRET}…", "has characters beyond Latin-1"),
        (SECRET.encode(), "is of type bytes"),
        (7, "is of type int"),
    ],
)
def test_a_token_that_no_header_can_have_is_refused_at_construction(
    token: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        ConfigClient("http://server", token=token)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_empty_token_is_none(
    stub: StubServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIGSVC_TOKEN", "")
    stub.answer(status(204))
    make_client(stub.url).applications.delete("billing")
    assert stub.requests[0][2]["Authorization"] is None


def raising() -> str:
    raise RuntimeError(f"the vault does not know {SECRET}")


TOKEN_FUNCTIONS: list[tuple[Callable[[], Any], str]] = [
    (raising, r"the token function raised RuntimeError \(.*test_credentials.py:\d+\)"),
    (lambda: None, "what the token function returned is of type NoneType"),
    (lambda: "", "what the token function returned is empty"),
    (lambda: f"{SECRET}\n", "what the token function returned has a line break"),
    (lambda: f"{SECRET}…", "has characters beyond Latin-1"),
    (SECRET.encode, "is of type bytes"),
]


@pytest.mark.parametrize(("token", "problem"), TOKEN_FUNCTIONS)
def test_a_token_function_without_a_token_is_one_clear_error(
    stub: StubServer, make_client: MakeClient, token: Callable[[], Any], problem: str
) -> None:
    client = make_client(stub.url, token=token)
    with pytest.raises(AuthError, match=problem) as caught:
        client.applications.get("billing")
    assert SECRET not in everything_about(caught.value)
    assert (caught.value.method, caught.value.path) == ("GET", "/api/v1/applications/billing")
    assert not stub.requests


@pytest.mark.parametrize(("token", "problem"), TOKEN_FUNCTIONS)
def test_a_poller_without_a_token_logs_one_line(
    stub: StubServer,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    token: Callable[[], Any],
    problem: str,
) -> None:
    app = make_client(stub.url, token=token, start_timeout=0).application("billing")
    with caplog.at_level(logging.INFO):
        app.on_change(print)
        eventually(lambda: app.status().polls > 2)
    assert len(caplog.records) == 1
    assert "\n" not in caplog.text.strip()
    assert SECRET not in caplog.text + repr(app.status())


def test_credentials_in_the_url_are_sent(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(status(204))
    url = with_user_info(stub.url, "ada%40example:p%3Ass%20wörd")
    make_client(url).applications.delete("billing")
    scheme, _, value = (stub.requests[0][2]["Authorization"] or "").partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value).decode() == "ada@example:p:ss wörd"


def test_a_token_goes_before_credentials_in_the_url(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(status(204))
    make_client(with_user_info(stub.url, "ada:pw"), token="t1").applications.delete("billing")
    assert stub.requests[0][2]["Authorization"] == "Bearer t1"


def test_credentials_in_the_url_are_not_shown(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(status(401))
    client = make_client(with_user_info(stub.url, f"ada:{SECRET}"))
    with pytest.raises(AuthError) as caught:
        client.applications.get("billing")
    assert stub.url in repr(client)
    assert SECRET not in repr(client) + repr(client._options) + everything_about(caught.value)


@pytest.mark.parametrize("way", ["token", "url"])
@pytest.mark.parametrize("cause", ["refused", "dropped", "unknown", "TLS"])
def test_a_failure_shows_no_credentials_not_even_in_local_variables(
    stub: StubServer, make_client: MakeClient, way: str, cause: str
) -> None:
    url = stub.url
    if cause == "refused":
        stub.stop()
    elif cause == "dropped":
        stub.answer(lambda handler: setattr(handler, "close_connection", True))
    elif cause == "unknown":
        url = "http://nowhere.invalid"
    else:
        url = stub.url.replace("http:", "https:")
    options = {"token": SECRET} if way == "token" else {}
    client = make_client(
        url if way == "token" else with_user_info(url, f"ada:{SECRET}"), retries=0, **options
    )
    with pytest.raises(TransportError) as caught:
        client.applications.get("billing")
    basic = base64.b64encode(f"ada:{SECRET}".encode()).decode()
    shown = everything_about(caught.value)
    assert SECRET not in shown
    assert basic not in shown


@pytest.mark.parametrize(
    "proxy",
    [
        f"http://ada:{SECRET}@127.0.0.1:9",
        f"ftp://ada:{SECRET}@127.0.0.1:9",
        f"socks9://ada:{SECRET}@127.0.0.1:9",
    ],
)
def test_credentials_of_a_proxy_are_not_shown(make_client: MakeClient, proxy: str) -> None:
    client = make_client("http://server", proxies={"http": proxy}, retries=0)
    with pytest.raises(TransportError) as caught:
        client.applications.get("billing")
    shown = everything_about(caught.value) + repr(client) + repr(client._options)
    assert SECRET not in shown


@pytest.mark.parametrize(
    "proxy",
    [
        f"http://ada:{SECRET}@[not-an-address",
        f"http://ada:x/{SECRET}@127.0.0.1:9",
        f"http://ada:{SECRET}@",
        f"http://ada:{SECRET}@127.0.0.1:port",
    ],
)
def test_an_impossible_proxy_is_refused_without_its_credentials(proxy: str) -> None:
    with pytest.raises(ValueError, match="proxies") as caught:
        ConfigClient("http://server", proxies={"http": proxy})
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_proxy_without_a_scheme_is_possible(make_client: MakeClient) -> None:
    client = make_client("http://server", proxies={"http": "127.0.0.1:9"}, retries=0)
    with pytest.raises(TransportError, match="proxy can't be reached"):
        client.applications.get("billing")


@pytest.mark.parametrize(
    "url",
    [
        f"ada:{SECRET}@config.internal",
        f"https://ada:{SECRET}/x@config.internal",
        f"ftp://ada:{SECRET}@config.internal",
        f"https://config.internal?token={SECRET}",
        f"https://config.internal#{SECRET}",
        f"https://ada:{SECRET}@[config.internal",
    ],
)
def test_an_impossible_url_is_refused_without_what_is_secret_in_it(url: str) -> None:
    with pytest.raises(ValueError, match="url must") as caught:
        ConfigClient(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_query_is_not_shown(stub: StubServer, make_client: MakeClient) -> None:
    stub.stop()
    with pytest.raises(TransportError) as caught:
        list(make_client(stub.url, retries=0).applications.list(q=SECRET))
    assert SECRET not in str(caught.value) + repr(caught.value.__cause__)


def test_a_text_without_credentials_stays_as_it_is() -> None:
    text = "https://config.internal/a@b //c mail@example.com"
    assert redacted(text, ["http://proxy:3128"]) == text


def test_an_answer_is_not_asked_for_with_the_credentials_of_netrc(
    stub: StubServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    stub.answer(status(200, body=BODY))
    make_client(stub.url).applications.get("billing")
    assert stub.requests[0][2]["Authorization"] is None
