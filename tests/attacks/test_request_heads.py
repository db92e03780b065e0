"""Heads of requests: every step linear in a bounded size, and no doubt where a body ends."""

import time

import pytest
from structlog.testing import capture_logs
from waitress.adjustments import Adjustments

from configsvc_server.serving.limits import Limits
from configsvc_server.serving.parser import ApiParser
from tests.attacks.wire import ask, connect, is_alive, read_answer, wait_for_close
from tests.support.servers import RunningServer

HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"


def parse(sent: bytes) -> ApiParser:
    parser = ApiParser(Adjustments(), Limits())
    rest = sent
    while rest and not parser.completed:
        rest = rest[parser.received(rest) :]
    return parser


HOSTILE = {
    "blanks before a value": (HEAD + b"X:%b\x01\r\n\r\n", b" "),
    "blanks inside a value": (HEAD + b"X: a%b\x01\r\n\r\n", b" "),
    "words in a value": (HEAD + b"X: %b\x01\r\n\r\n", b"a "),
    "a scheme in the target": (b"GET a://%b x HTTP/1.1\r\nHost: x\r\n\r\n", b"9"),
    "colons in the target": (b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n", b"a://"),
    "escapes in the target": (b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n", b"%%41"),
    "one header many times": (HEAD + b"%b\r\n", b"a:b\r\n"),
    "a value that is folded": (HEAD + b"X: a\r\n%b\r\n", b" a\r\n"),
    "entity tags": (HEAD + b"If-None-Match: %b\r\n\r\n", b'"a", '),
    "preferences": (HEAD + b"Prefer: %b\r\n\r\n", b"wait ,"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_time_to_parse_a_head_grows_with_its_size_only(name: str) -> None:
    """Four times the size takes about four times the time; if quadratic, sixteen times."""
    form, filling = HOSTILE[name]

    def cost(size: int) -> float:
        sent = form.replace(b"%b", filling.replace(b"%%", b"%") * (size // len(filling)))
        return min(_timed(sent) for _ in range(7))

    # A ratio of two measurements of the same run, of the least of several each.
    assert cost(14_000) < 9 * cost(3_500) + 0.002


def _timed(sent: bytes) -> float:
    started = time.thread_time()
    parse(sent)
    return time.thread_time() - started


def test_a_value_that_begins_with_blanks_is_read_without_them(live_server: RunningServer) -> None:
    answer = ask(live_server, HEAD + b"X-Request-ID:" + b" " * 15_000 + b"mine\r\n\r\n")

    assert answer.status == 200
    assert answer.headers["x-request-id"] == "mine"


def test_a_head_of_more_than_16_kib_is_refused(live_server: RunningServer) -> None:
    answer = ask(live_server, HEAD + b"X: " + b"x" * 16_384 + b"\r\n\r\n")

    assert answer.status == 431
    assert answer.document["limit"] == 16_384


def test_a_head_that_never_ends_is_refused(live_server: RunningServer) -> None:
    with connect(live_server) as sock:
        sock.sendall(HEAD + b"X: " + b"x" * 20_000)

        assert read_answer(sock).status == 431


def test_more_than_a_hundred_headers_are_refused(live_server: RunningServer) -> None:
    assert ask(live_server, HEAD + b"X: y\r\n" * 101 + b"\r\n").status == 431


def test_blank_lines_without_end_are_refused(live_server: RunningServer) -> None:
    assert ask(live_server, b"\r\n" * 1000).status == 400


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        (
            HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "/content-length",
        ),
        (HEAD + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", "/content-length"),
        (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "/content-length"),
        (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "/transfer-encoding"),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "/transfer-encoding"),
        (b"GET / HTTP/1.1\r\n\r\n", "/host"),
        (HEAD + b"Host: y\r\n\r\n", "/host"),
        (HEAD + b"X-Y: a\x00b\r\n\r\n", "/x-y"),
    ],
    ids=[
        "length and encoding",
        "two lengths",
        "long length",
        "encoded twice",
        "encoding in HTTP/1.0",
        "no host",
        "two hosts",
        "NUL",
    ],
)
def test_a_header_that_leaves_a_doubt_is_refused_and_named(
    live_server: RunningServer, sent: bytes, pointer: str
) -> None:
    with connect(live_server) as sock:
        sock.sendall(sent)
        answer = read_answer(sock)
        rest = wait_for_close(sock)

    assert answer.status in {400, 501}
    assert [error["pointer"] for error in answer.document["errors"]] == [pointer]
    assert answer.document["errors"][0]["in"] == "header"
    assert rest == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"GET http://[evil/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        HEAD + b"folded: a\r\n b\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"X : y\r\n\r\n",
        HEAD + b"X: y\nZ: 1\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
    ],
    ids=["no URL", "blanks", "old", "version", "folded", "no colon", "blank", "bare LF", "all LF"],
)
def test_a_head_that_is_malformed_gets_an_answer(live_server: RunningServer, sent: bytes) -> None:
    answer = ask(live_server, sent)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.document["detail"]


def test_a_refusal_says_what_was_asked_for(live_server: RunningServer) -> None:
    answer = ask(
        live_server,
        b"POST /api/v1/applications HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
    )

    assert answer.status == 413
    assert answer.document["instance"] == "/api/v1/applications"
    assert answer.document["limit"] == 1024 * 1024
    assert answer.document["errors"] == [
        {"pointer": "", "in": "body", "message": "must have at most 1048576 bytes"}
    ]


def test_a_long_path_is_refused_before_it_is_decoded(live_server: RunningServer) -> None:
    answer = ask(live_server, b"GET /" + b"%41" * 1000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer.status == 414
    assert answer.document["limit"] == 2048


def test_a_refusal_of_a_header_says_for_what_the_request_was(live_server: RunningServer) -> None:
    answer = ask(live_server, b"GET /health/live?a HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n")

    assert answer.document["instance"] == "/health/live"
    assert answer.document["errors"][0]["in"] == "header"


def test_a_refusal_of_head_has_no_body(live_server: RunningServer) -> None:
    with connect(live_server) as sock:
        sock.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
        sent = wait_for_close(sock)

    assert sent.startswith(b"HTTP/1.1 400 ")
    assert sent.endswith(b"\r\n\r\n")


def test_a_refusal_has_a_line_in_the_log(live_server: RunningServer) -> None:
    with capture_logs() as lines:
        answer = ask(live_server, b"GET /a HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n")

    [line] = [line for line in lines if line["event"] == "request refused"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["status"], line["peer"]) == (400, "127.0.0.1")


@pytest.mark.parametrize(
    "body",
    [
        b"1;" + b"x" * 2000 + b"\r\na\r\n0\r\n\r\n",
        b"1;" + b"x" * 2_000_000,
        b"1;x\r\na\r\n" * 40_000 + b"0\r\n\r\n",
        b"6\r\naaaaaa\r\n" * 40_000 + b"0\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
        b"1\r\nab\r\n0\r\n\r\n",
        b"f" * 30 + b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"1\na\n0\n\n",
    ],
    ids=[
        "long extension",
        "endless extension",
        "many extensions",
        "small chunks",
        "trailers",
        "longer than it says",
        "long size",
        "no size",
        "negative size",
        "bare LF",
    ],
)
def test_a_chunked_body_is_bounded_in_all_that_is_not_the_body(
    live_server: RunningServer, body: bytes
) -> None:
    head = b"POST /api/v1/applications HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    answer = ask(live_server, head + body)

    assert answer.status == 400
    assert "chunked body" in answer.document["detail"]
    assert is_alive(live_server)


def test_extensions_and_trailers_of_a_chunked_body_are_ignored(live_server: RunningServer) -> None:
    head = (
        b"POST /api/v1/applications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )

    answer = ask(
        live_server, head + b'8;a=b\r\n{"name":\r\n5 \r\n"one"\r\n1\r\n}\r\n0\r\nT: x\r\n\r\n'
    )

    assert answer.status == 201
