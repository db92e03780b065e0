"""Bodies of responses, read and decoded piece by piece up to a limit."""

import zlib
from collections.abc import Iterator
from typing import Any, Final

from configsvc_client._http.connections import TooLargeError

__all__ = ["ENCODING", "BodyCutError", "EncodingError", "read_body"]

ENCODING: Final = "gzip"
"""Content coding that responses may have, for ``Accept-Encoding``."""

_PIECE: Final = 256 * 1024

_GZIP: Final = 16 + zlib.MAX_WBITS


class BodyCutError(Exception):
    """Body that is cut short: a compressed one, or one of chunks that can't be."""


class EncodingError(Exception):
    """Body that is not encoded as its response says; the message ends "the answer"."""


def read_body(raw: Any, max_size: int) -> bytes:
    """Return the body of a response, decoded.

    Args:
        raw: the response of urllib3, nothing of which has been read.
        max_size: bytes that the body may have, both as it comes and decoded.

    Raises:
        BodyCutError: a compressed body ends too soon, or a chunk has a negative size.
        EncodingError: the body can't be decoded.
        TooLargeError: there are more bytes than allowed.
    """
    length = raw.headers.get("Content-Length") or ""
    if length.isascii() and length.isdigit() and int(length[:20]) > max_size:
        raise TooLargeError
    coding = (raw.headers.get("Content-Encoding") or "identity").strip().lower()
    pieces = _pieces(raw, max_size)
    if coding in {"gzip", "x-gzip"}:
        pieces = _decompressed(pieces, max_size)
    elif coding != "identity":
        raise EncodingError(f"is encoded as {coding[:40]!r}, which was not asked for")
    return b"".join(pieces)


def _pieces(raw: Any, max_size: int) -> Iterator[bytes]:
    size = 0
    while True:
        try:
            piece = raw.read(_PIECE, decode_content=False)
        except ValueError:
            # What http.client makes of a chunk with a negative size.
            raise BodyCutError from None
        if not piece:
            return
        size += len(piece)
        if size > max_size:
            raise TooLargeError
        yield piece


def _decompressed(pieces: Iterator[bytes], max_size: int) -> Iterator[bytes]:
    """Yield what is in a gzip file of one or more members, and stop a bit beyond the size."""
    left = max_size
    member: Any = None
    for piece in pieces:
        data, has_more = piece, True
        while has_more:
            member = member or zlib.decompressobj(_GZIP)
            # One byte too much shows that there is more; the piece is never inflated whole.
            most = min(left + 1, _PIECE)
            try:
                found = member.decompress(data, most)
            except zlib.error as error:
                raise EncodingError(f"is no gzip, as it says it is ({error})") from None
            left -= len(found)
            if left < 0:
                raise TooLargeError
            yield found
            if member.eof:
                data, member = member.unused_data, None
                has_more = bool(data)
            else:
                data = member.unconsumed_tail
                has_more = bool(data) or len(found) == most
    if member is not None:
        raise BodyCutError
