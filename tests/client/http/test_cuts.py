"""Answers that are cut short: what is tried again, and what is never taken for whole."""

import pytest

from configsvc_client import ConfigSvcError, ServerError, TransportError
from tests.client.conftest import MakeClient
from tests.client.http.test_bounds import BODY
from tests.client.stub import Behaviour, Handler, StubServer

CUT_HEADERS = [
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nETag: ",
    b'HTTP/1.1 200 OK\r\nETag: "1"\r\n',
    b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 0\r\n\r',
    b"HTTP/1.1 204 No Content\r\nETag: ",
]
CUT_BODIES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n",
]


def cut(*answers: bytes) -> Behaviour:
    """Send one of these to each request and close, then answer well."""
    left = list(answers)

    def answer(handler: Handler) -> None:
        if left:
            handler.wfile.write(left.pop(0))
            handler.close_connection = True
        else:
            handler.reply(200, BODY)

    return answer


@pytest.mark.parametrize("answer", CUT_HEADERS)
def test_cut_headers_are_no_success(
    stub: StubServer, make_client: MakeClient, answer: bytes
) -> None:
    stub.answer(cut(answer))
    with pytest.raises(TransportError, match="headers of the answer were cut short"):
        make_client(stub.url, retries=0).applications.delete("billing")


@pytest.mark.parametrize("answer", [*CUT_HEADERS, *CUT_BODIES, b""])
def test_a_cut_answer_of_a_get_is_asked_for_again(
    stub: StubServer, make_client: MakeClient, answer: bytes
) -> None:
    stub.answer(cut(answer, answer))
    assert make_client(stub.url, retries=2).applications.get("billing").name == "billing"
    assert stub.polls == 3


@pytest.mark.parametrize("answer", [*CUT_HEADERS, *CUT_BODIES])
def test_a_cut_answer_of_a_post_is_not(
    stub: StubServer, make_client: MakeClient, answer: bytes
) -> None:
    stub.answer(cut(answer))
    with pytest.raises(TransportError, match="cut short"):
        make_client(stub.url).applications.create(name="billing")
    assert stub.polls == 1


def test_a_repetition_after_a_cut_answer_is_confessed(
    stub: StubServer, make_client: MakeClient
) -> None:
    left = [True]

    def answer(handler: Handler) -> None:
        if left:
            left.pop()
            handler.wfile.write(CUT_BODIES[0])
            handler.close_connection = True
        else:
            handler.reply(500)

    stub.answer(answer)
    with pytest.raises(ServerError, match="sent more than once"):
        make_client(stub.url).applications.replace("billing", name="shop")


def test_an_answer_without_a_length_ends_with_the_connection(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(cut(b"HTTP/1.0 200 OK\r\n\r\n" + BODY))
    assert make_client(stub.url, retries=0).applications.get("billing").name == "billing"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 abc\x1b[31m\r\nERROR all is lost\r\n\r\n",
        b'HTTP/1.1 409 X\r\nContent-Length: 30\r\n\r\n{"detail": "a\\nERROR \\u001b["}',
    ],
)
def test_an_answer_makes_no_other_lines_in_a_log(
    stub: StubServer, make_client: MakeClient, answer: bytes
) -> None:
    stub.answer(cut(answer))
    with pytest.raises(ConfigSvcError) as raised:
        make_client(stub.url, retries=0).applications.get("billing")
    assert str(raised.value).isprintable()
