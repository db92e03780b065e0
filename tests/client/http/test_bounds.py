"""Bounds of a request: the time that it may take as a whole, and the bytes that may come."""

import gzip
import json
import time
import tracemalloc
import zlib

import pytest

from configsvc_client import ServerError, TransportError
from configsvc_client._http.bodies import read_body
from configsvc_client._http.connections import TooLargeError
from configsvc_client._http.types import Request
from tests.client.conftest import MakeClient
from tests.client.http.test_transport import APPLICATION
from tests.client.stub import Behaviour, Handler, StubServer, status

MEGABYTE = 1024 * 1024
BODY = json.dumps(APPLICATION).encode()


def packed(body: bytes, coding: str = "gzip") -> Behaviour:
    return status(200, {"Content-Encoding": coding}, body)


def dripping(head: bytes) -> Behaviour:
    """Send the head, then a byte now and then, for ever."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(head)
        while not handler.stub.stopping.wait(0.02):
            handler.wfile.write(b"a")

    return answer


def endless(head: bytes, piece: bytes) -> Behaviour:
    """Send the head, then the same piece for ever."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(head)
        while not handler.stub.stopping.is_set():
            handler.wfile.write(piece)

    return answer


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"],
    ids=["status line", "headers", "body"],
)
def test_a_dripping_answer_ends_with_the_time_for_the_whole_request(
    stub: StubServer, make_client: MakeClient, head: bytes
) -> None:
    stub.answer(dripping(head))
    client = make_client(stub.url, total_timeout=0.3, timeout=10)
    with pytest.raises(TransportError, match="time for the whole request is over"):
        client.applications.get("billing")
    assert stub.polls == 1


def test_a_dripping_long_poll_ends_too(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"))
    client = make_client(stub.url, total_timeout=0.2)
    with pytest.raises(TransportError, match="time for the whole request is over"):
        client._transport.send(Request("GET", "/x", read_timeout=0.2))


def test_retries_end_with_the_time_for_the_whole_request(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(status(503, {"Retry-After": "1"}))
    client = make_client(stub.url, total_timeout=0.5, retries=1000)
    with pytest.raises(ServerError, match="503"):
        client.applications.get("billing")
    assert stub.polls == 1


def test_a_connection_is_of_use_after_a_request_that_had_little_time_left(
    stub: StubServer, make_client: MakeClient
) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.6)
        handler.reply(200, BODY)

    stub.answer(slow)
    client = make_client(stub.url, total_timeout=1.1, retries=0)
    for _ in range(3):
        assert client.applications.get("billing").name == "billing"
    assert stub.connections == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65536),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400\r\n" + b"a" * 1024 + b"\r\n",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "trailers", "interim answers"],
)
def test_an_endless_answer_is_refused(
    stub: StubServer, make_client: MakeClient, head: bytes, piece: bytes
) -> None:
    stub.answer(endless(head, piece))
    client = make_client(stub.url, max_response_size=MEGABYTE)
    with pytest.raises(ServerError, match="larger than the 1048576 bytes of max_response_size"):
        client.applications.get("billing")
    assert stub.polls == 1


@pytest.mark.parametrize("piece", [b"X-A: b\r\n", b"a" * 1024], ids=["lines", "one line"])
def test_endless_headers_are_refused(
    stub: StubServer, make_client: MakeClient, piece: bytes
) -> None:
    stub.answer(endless(b"HTTP/1.1 200 OK\r\n", piece))
    with pytest.raises((ServerError, TransportError)):
        make_client(stub.url, retries=0).applications.get("billing")


def test_an_announced_size_is_enough_to_refuse(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(endless(b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n", b""))
    with pytest.raises(ServerError, match="→ 200: the answer is larger than") as caught:
        make_client(stub.url).applications.get("billing")
    assert caught.value.status == 200
    assert caught.value.request_id == stub.requests[0][2]["X-Request-ID"]


def test_an_answer_of_just_the_size_is_read(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(status(200, body=BODY))
    client = make_client(stub.url, max_response_size=len(BODY))
    assert client.applications.get("billing").name == "billing"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity"])
def test_a_compressed_answer_is_read(
    stub: StubServer, make_client: MakeClient, coding: str
) -> None:
    body = BODY if coding == "identity" else gzip.compress(BODY)
    stub.answer(packed(body, coding))
    assert make_client(stub.url).applications.get("billing").name == "billing"
    assert stub.requests[0][2]["Accept-Encoding"] == "gzip"


def test_a_compressed_answer_may_have_several_members(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(packed(gzip.compress(BODY[:7]) + gzip.compress(BODY[7:])))
    assert make_client(stub.url).applications.get("billing").name == "billing"


@pytest.mark.slow
def test_a_large_compressed_answer_is_whole(stub: StubServer, make_client: MakeClient) -> None:
    comments = "".join(map(str, range(400_000))) + "x" * 3_000_000
    stub.answer(packed(gzip.compress(json.dumps({**APPLICATION, "comments": comments}).encode())))
    assert make_client(stub.url).applications.get("billing").comments == comments


def test_a_compressed_answer_that_is_too_large_is_refused(
    stub: StubServer, make_client: MakeClient
) -> None:
    stub.answer(packed(gzip.compress(b"a" * (MEGABYTE + 1))))
    with pytest.raises(ServerError, match="larger than"):
        make_client(stub.url, max_response_size=MEGABYTE).applications.get("billing")


class Raw:
    """A response of urllib3, as far as a body is read from it."""

    def __init__(self, body: bytes) -> None:
        self.headers = {"Content-Encoding": "gzip"}
        self._body = body

    def read(self, size: int, *, decode_content: bool) -> bytes:
        assert not decode_content
        piece, self._body = self._body[:size], self._body[size:]
        return piece


@pytest.mark.slow
def test_a_gzip_bomb_is_never_inflated() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(200)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            read_body(Raw(bomb), 2 * MEGABYTE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * MEGABYTE


def test_a_cut_gzip_file_is_a_cut_answer(stub: StubServer, make_client: MakeClient) -> None:
    stub.answer(packed(gzip.compress(BODY)[:-9]))
    with pytest.raises(TransportError, match="the answer was cut short"):
        make_client(stub.url, retries=0).applications.get("billing")


@pytest.mark.parametrize(("coding", "what"), [("gzip", "is no gzip"), ("br", "encoded as 'br'")])
def test_an_answer_that_can_not_be_decoded_is_a_server_error(
    stub: StubServer, make_client: MakeClient, coding: str, what: str
) -> None:
    stub.answer(packed(b"{}{}", coding))
    with pytest.raises(ServerError, match=what):
        make_client(stub.url).applications.get("billing")


def test_an_error_page_that_is_compressed_keeps_its_status(
    stub: StubServer, make_client: MakeClient
) -> None:
    problem = gzip.compress(b'{"detail": "There is none."}')
    stub.answer(status(422, {"Content-Encoding": "gzip"}, problem))
    with pytest.raises(Exception, match="→ 422: There is none"):
        make_client(stub.url).applications.get("billing")
