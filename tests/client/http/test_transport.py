"""HTTP: what is sent, what is repeated, and what is said when nothing comes back."""

import importlib.metadata
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import responses

from configsvc_client import ClosedError, ConfigClient, ServerError, TransportError
from tests.client.conftest import MakeClient
from tests.client.stub import Behaviour, Handler, StubServer, cut_body, drop, hang, status

APPLICATION: dict[str, Any] = {
    "id": "01K9YV5C7W3V0Y1Q3W6M8N2B4E",
    "name": "billing",
    "comments": None,
    "created_at": "2026-11-24T08:00:00.000000Z",
    "updated_at": "2026-11-24T08:00:00.000000Z",
    "configuration_ids": [],
}


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        mock.get("http://server/api/v1/applications/billing", json=APPLICATION)
        yield mock


def failing(times: int, code: int = 503, retry_after: str | None = "0") -> Behaviour:
    """Fail some times, then answer."""
    left = [times]

    def answer(handler: Handler) -> None:
        if left[0]:
            left[0] -= 1
            handler.reply(code, headers={"Retry-After": retry_after} if retry_after else {})
        else:
            handler.reply(204)

    return answer


def test_requests_name_the_client_and_its_version(mock: responses.RequestsMock) -> None:
    ConfigClient("http://server").applications.get("billing")
    version = importlib.metadata.version("configsvc-client")
    assert mock.calls[0].request.headers["User-Agent"].startswith(f"configsvc-client/{version} ")


def test_the_token_is_sent(mock: responses.RequestsMock) -> None:
    ConfigClient("http://server", token="t1").applications.get("billing")
    assert mock.calls[0].request.headers["Authorization"] == "Bearer t1"


def test_a_token_function_is_asked_each_time(mock: responses.RequestsMock) -> None:
    tokens = iter(["t1", "t2"])
    client = ConfigClient("http://server", token=lambda: next(tokens))
    client.applications.get("billing")
    client.applications.get("billing")
    sent = [call.request.headers["Authorization"] for call in mock.calls]
    assert sent == ["Bearer t1", "Bearer t2"]


def test_netrc_does_not_replace_the_token(
    mock: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine server login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ConfigClient("http://server", token="t1").applications.get("billing")
    assert mock.calls[0].request.headers["Authorization"] == "Bearer t1"


def test_a_path_in_the_url_is_kept() -> None:
    with responses.RequestsMock() as mock:
        mock.get("http://server/config/api/v1/applications/billing", json=APPLICATION)
        ConfigClient("http://server/config/").applications.get("billing")


def test_certificates_and_proxies_reach_requests(
    mock: responses.RequestsMock, tmp_path: Path
) -> None:
    authorities, certificate, key = files = [str(tmp_path / name) for name in ("ca", "c", "k")]
    for file in files:
        Path(file).touch()
    client = ConfigClient(
        "http://server",
        verify=authorities,
        cert=(certificate, key),
        proxies={"http": "http://p"},
    )
    client.applications.get("billing")
    sent = mock.calls[0].request.req_kwargs  # type: ignore[attr-defined]
    assert (sent["verify"], sent["cert"]) == (authorities, (certificate, key))
    assert sent["proxies"]["http"] == "http://p"


def test_both_timeouts_are_set(mock: responses.RequestsMock) -> None:
    ConfigClient("http://server").applications.get("billing")
    assert mock.calls[0].request.req_kwargs["timeout"] == (3.05, 10.0)  # type: ignore[attr-defined]


def test_what_may_be_repeated_is_repeated(stub: StubServer) -> None:
    stub.answer(failing(2))
    with ConfigClient(stub.url) as client:
        client.applications.delete("billing")
    assert stub.polls == 3


def test_a_post_is_not_repeated(stub: StubServer) -> None:
    stub.answer(failing(1))
    with ConfigClient(stub.url) as client, pytest.raises(ServerError):
        client.applications.create(name="billing")
    assert stub.polls == 1


def test_a_patch_that_may_have_arrived_is_not_repeated(stub: StubServer) -> None:
    stub.answer(drop)
    with ConfigClient(stub.url) as client, pytest.raises(TransportError):
        client.applications.update("billing", name="shop")
    assert stub.polls == 1


def test_attempts_are_limited(stub: StubServer) -> None:
    stub.answer(status(503, {"Retry-After": "0"}))
    with ConfigClient(stub.url, retries=2) as client, pytest.raises(ServerError):
        client.applications.get("billing")
    assert stub.polls == 3


def test_a_long_retry_after_is_left_to_the_caller(stub: StubServer) -> None:
    stub.answer(status(503, {"Retry-After": "120"}))
    with ConfigClient(stub.url) as client, pytest.raises(ServerError) as caught:
        client.applications.get("billing")
    assert caught.value.retry_after == 120
    assert stub.polls == 1


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2099 07:28:00 GMT", "soon"])
def test_a_retry_after_that_is_no_number_is_ignored(stub: StubServer, value: str) -> None:
    stub.answer(failing(1, retry_after=value))
    with ConfigClient(stub.url) as client:
        client.applications.delete("billing")
    assert stub.polls == 2


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(drop, "connection failed"), (cut_body, "cut short"), (hang, "no answer within")],
    ids=["dropped", "cut body", "hanging"],
)
def test_a_missing_answer_is_explained(stub: StubServer, behaviour: Behaviour, reason: str) -> None:
    stub.answer(behaviour)
    with (
        ConfigClient(stub.url, retries=0, timeout=0.3) as client,
        pytest.raises(TransportError, match=reason) as caught,
    ):
        client.applications.get("billing")
    assert caught.value.method == "GET"
    assert caught.value.path == "/api/v1/applications/billing"
    assert caught.value.request_id == stub.requests[0][2]["X-Request-ID"]


def test_a_refused_connection_is_explained(stub: StubServer) -> None:
    stub.stop()
    with (
        ConfigClient(stub.url, retries=0) as client,
        pytest.raises(TransportError, match=r"connection failed \(.*refused"),
    ):
        client.applications.get("billing")


def test_a_thread_has_its_own_session(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(status(204))
    client = make_client(stub.url)
    sessions = []

    def call() -> None:
        client.applications.delete("billing")
        sessions.append(client._transport._session())  # type: ignore[attr-defined]

    call()
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert sessions[0] is not sessions[1]


def test_connections_are_reused(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(status(204))
    client = make_client(stub.url)
    for _ in range(3):
        client.applications.delete("billing")
    assert stub.connections == 1


def test_a_closed_client_says_so() -> None:
    client = ConfigClient("http://server")
    client.close()
    assert repr(client) == "<ConfigClient http://server, closed>"
    with pytest.raises(ClosedError):
        client.applications.get("billing")
    with pytest.raises(ClosedError):
        client.application("billing")


def test_headers_of_a_get_are_not_those_of_the_one_before(
    mock: responses.RequestsMock, make_client: MakeClient
) -> None:
    tokens = iter(["one", "two"])
    client = make_client("http://server", token=lambda: next(tokens))

    for _ in range(2):
        client.applications.get("billing")

    first, second = (call.request.headers for call in mock.calls)
    assert first["X-Request-ID"] != second["X-Request-ID"]
    assert (first["Authorization"], second["Authorization"]) == ("Bearer one", "Bearer two")


def test_a_cookie_is_sent_until_it_is_taken_back(
    mock: responses.RequestsMock, make_client: MakeClient
) -> None:
    client = make_client("http://server")
    url = "http://server/api/v1/applications/billing"
    mock.replace("GET", url, json=APPLICATION, headers={"Set-Cookie": "server=a; Path=/"})
    client.applications.get("billing")
    mock.replace("GET", url, json=APPLICATION, headers={"Set-Cookie": "server=; Max-Age=0; Path=/"})

    client.applications.get("billing")
    client.applications.get("billing")

    sent = [call.request.headers.get("Cookie") for call in mock.calls]
    assert sent == [None, "server=a", None]
