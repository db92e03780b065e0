"""Parser of requests: what arrives in pieces is what arrives at once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.adjustments import Adjustments

from configsvc_server.serving.limits import Limits
from configsvc_server.serving.parser import ApiParser

HEAD = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-One:  two \r\n"


def parse(pieces: list[bytes]) -> tuple[ApiParser, bytes]:
    """Return the parser, and what it has left for the next request."""
    parser = ApiParser(Adjustments(), Limits(max_body_bytes=1000))
    rest = b""
    for piece in pieces:
        rest += piece
        while rest and not parser.completed:
            taken = parser.received(rest)
            rest = rest[taken:]
            if not taken:
                break
    return parser, rest


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def chunked(chunks: list[bytes]) -> bytes:
    parts = [b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    return b"".join(parts) + b"0\r\nTrailer: x\r\n\r\n"


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=8),
    places=st.lists(st.integers(0, 2000), max_size=10),
)
def test_a_chunked_body_is_the_same_however_it_arrives(
    chunks: list[bytes], places: list[int]
) -> None:
    sent = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(chunks)

    parser, rest = parse(cut(sent + b"next", places))

    assert parser.error is None
    assert parser.completed
    assert parser.get_body_stream().read() == b"".join(chunks)
    assert parser.headers["CONTENT_LENGTH"] == str(len(b"".join(chunks)))
    assert rest == b"next"


@given(
    body=st.binary(min_size=1, max_size=1000),
    places=st.lists(st.integers(0, 2000), max_size=10),
    blank=st.integers(0, 5),
)
def test_a_body_of_known_length_is_the_same_however_it_arrives(
    body: bytes, places: list[int], blank: int
) -> None:
    sent = b"\r\n" * blank + HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body

    parser, rest = parse(cut(sent + b"next", places))

    assert parser.error is None
    assert parser.get_body_stream().read() == body
    assert (parser.path, parser.headers["X_ONE"], rest) == ("/a", "two", b"next")


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_whatever_arrives_is_taken_or_refused(sent: bytes, places: list[int]) -> None:
    parser, rest = parse(cut(sent, places))

    assert parser.completed or not rest


@pytest.mark.parametrize(("size", "is_over"), [(1000, False), (1001, True), (16_000, True)])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_over_the_limit_is_read_to_its_end_and_not_kept(
    size: int, is_over: bool, is_chunked: bool
) -> None:
    if is_chunked:
        sent = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"x" * size])
    else:
        sent = HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size

    parser, rest = parse([sent, b"next"])

    assert rest == b"next"
    assert parser.error is None
    assert parser.buffered == (0 if is_over else size)
    assert parser.headers["CONTENT_LENGTH"] == str(size)


def test_a_body_far_over_the_limit_is_not_read() -> None:
    parser, _ = parse([HEAD + b"Content-Length: 16001\r\n\r\n"])

    assert parser.error.code == 413
