"""Request parser: waitress's, in time linear in the size of the head, with every size bounded.

RFC 9112 is the syntax. What it lets a server refuse is refused: two ways of telling where a body
ends, headers folded over lines, line ends that are not CR LF.
"""

import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError

from configsvc_server.domain.errors import FieldError
from configsvc_server.serving.bodies import BodyBuffer, ChunkedBody, FixedBody
from configsvc_server.serving.limits import Limits
from configsvc_server.serving.refusals import Refusal

__all__ = ["ApiParser"]

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_VERSION: Final = re.compile(rb"HTTP/1\.[01]")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")

_END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_BLANK_BYTES: Final = 64


class ApiParser(HTTPRequestParser):
    """Parser of one request."""

    # waitress's stubs are wrong about these.
    path: str
    headers: dict[str, str]
    command: Any
    error: Any
    body_rcv: Any

    def __init__(self, adj: Adjustments, limits: Limits) -> None:
        super().__init__(adj)
        self._limits = limits
        self._head = bytearray()
        self._blank = 0

    @property
    def buffered(self) -> int:
        """How many bytes of the body are in memory."""
        return 0 if self.body_rcv is None else len(self.body_rcv.getbuf())

    def received(self, data: bytes) -> int:
        """Take what belongs to this request, and return how many bytes that is."""
        if self.completed:
            return 0
        if self.body_rcv is None:
            return self._receive_head(data)
        return self._receive_body(data)

    def refuse(self, refusal: Refusal) -> None:
        """Complete the request with an error instead of a response of the application."""
        self.error = refusal
        self.completed = True
        self.expect_continue = False
        self.close()

    def _receive_head(self, data: bytes) -> int:
        start = len(self._head)
        # Line ends may stand before a request (RFC 9112, section 2.2).
        kept = data if start else data.lstrip(b"\r\n")
        self._blank += len(data) - len(kept)
        self._head += kept
        found = self._head.find(_END_OF_HEAD, max(0, start - len(_END_OF_HEAD) + 1))
        end = found + len(_END_OF_HEAD) if found >= 0 else len(self._head)
        if self._blank > _MAX_BLANK_BYTES:
            self.refuse(_malformed("A request must begin with its first line."))
        elif found < 0 and b"\n\n" in self._head:
            self.refuse(_malformed("Each line of a head must end with CR LF."))
        elif end > self._limits.HEAD_BYTES:
            self.refuse(_head_too_large(self._limits.HEAD_BYTES))
        elif found >= 0:
            head = bytes(self._head[:end])
            self.headers_finished = True
            self._head.clear()
            self._parse(head)
            return len(data) - (start + len(kept) - end)
        return len(data)

    def _parse(self, head: bytes) -> None:
        try:
            self.parse_header(head)
        except _RefusedError as error:
            self.refuse(error.refusal)
        except ParsingError as error:
            self.refuse(_malformed(f"{error}."))
        except ValueError:
            # A target such as http://[ is no URL.
            self.refuse(_malformed("The target of the request is no valid URL."))

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the head of the request.

        waitress's patterns need time quadratic in what does not match them, so they are given
        only what is known to match.
        """
        first_line, _, block = header_plus.partition(b"\r\n")
        lines = block.split(b"\r\n")[:-2]
        self._take_first_line(first_line)
        if len(lines) > self._limits.HEAD_LINES:
            raise _RefusedError(
                Refusal(431, f"The request has more than {self._limits.HEAD_LINES} headers.")
            )
        names, clean = [], [first_line]
        for line in lines:
            name, value = _split(line)
            names.append(name.lower())
            clean.append(name + b": " + value)
        is_old = first_line.endswith(b"1.0")
        _check_framing(names, dict(zip(names, clean[1:], strict=True)), is_old=is_old)
        super().parse_header(b"\r\n".join([*clean, b"", b""]))
        if self.version == "1.1" and names.count(b"host") != 1:
            raise _RefusedError(_invalid("Host", "must be sent once (RFC 9112, section 3.2)"))
        self._prepare_body()

    def _take_first_line(self, line: bytes) -> None:
        """Check the first line, and remember what a refusal of the rest has to say."""
        parts = line.split(b" ")
        if (
            len(parts) != 3  # noqa: PLR2004
            or not _TOKEN.fullmatch(parts[0])
            or not _TARGET.fullmatch(parts[1])
            or not _VERSION.fullmatch(parts[2])
        ):
            raise _RefusedError(_malformed("The first line must be METHOD TARGET HTTP/1.1."))
        path = parts[1].partition(b"?")[0]
        if len(path) > self._limits.PATH_BYTES:
            detail = f"The path must have at most {self._limits.PATH_BYTES} bytes."
            raise _RefusedError(Refusal(414, detail, limit=self._limits.PATH_BYTES))
        self.command = parts[0].decode()
        self.version = parts[2][-3:].decode()
        self.path = unquote_to_bytes(path).decode("latin-1")

    def _prepare_body(self) -> None:
        limits = self._limits
        buffer = BodyBuffer(limits.max_body_bytes)
        if self.chunked:
            self.body_rcv = ChunkedBody(buffer)
        elif self.content_length:
            self.body_rcv = FixedBody(self.content_length, buffer)
        else:
            self.body_rcv = None
            self.completed = True
        is_oversize = self.content_length > limits.max_body_bytes
        if self.content_length > limits.max_body_bytes * limits.OVERSIZE or (
            is_oversize and self.expect_continue
        ):
            self.refuse(_body_too_large(limits.max_body_bytes))

    def _receive_body(self, data: bytes) -> int:
        limits = self._limits
        body = self.body_rcv
        consumed: int = body.received(data)
        buffer = body.getbuf()
        if body.error is not None:
            self.refuse(body.error)
        elif buffer.received > limits.max_body_bytes * limits.OVERSIZE:
            self.refuse(_body_too_large(limits.max_body_bytes))
        elif body.completed:
            self.completed = True
            # To the application a chunked body is one of known length. If that is over the
            # limit, it refuses it by the length alone: the bytes are not kept.
            self.headers["CONTENT_LENGTH"] = str(buffer.received)
        return consumed


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.body)
        self.refusal = refusal


def _split(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name):
        raise _RefusedError(_malformed("A header must be a name, a colon and a value on one line."))
    value = value.strip(b" \t")
    if not _VALUE.fullmatch(value):
        raise _RefusedError(_invalid(name.decode(), "must not have control characters"))
    return name, value


def _check_framing(names: list[bytes], lines: dict[bytes, bytes], *, is_old: bool) -> None:
    """Refuse a head that leaves in doubt where the body ends (request smuggling)."""
    length = lines.get(b"content-length")
    if length is not None:
        value = length.partition(b": ")[2]
        if names.count(b"content-length") > 1 or not _LENGTH.fullmatch(value):
            message = "must be sent once, as a number of at most 15 digits"
            raise _RefusedError(_invalid("Content-Length", message))
        if b"transfer-encoding" in lines:
            message = "must be left out beside Transfer-Encoding (RFC 9112, section 6.3)"
            raise _RefusedError(_invalid("Content-Length", message))
    encoding = lines.get(b"transfer-encoding")
    if encoding is not None:
        value = encoding.partition(b": ")[2].lower()
        if names.count(b"transfer-encoding") > 1 or value != b"chunked" or is_old:
            message = "must be chunked, sent once by HTTP/1.1, or left out"
            raise _RefusedError(_invalid("Transfer-Encoding", message, code=501))


def _malformed(detail: str) -> Refusal:
    return Refusal(400, detail, errors=[FieldError("", "must be as RFC 9112 says")])


def _invalid(header: str, message: str, *, code: int = 400) -> Refusal:
    error = FieldError(f"/{header.lower()}", message)
    return Refusal(code, f"The header {header} {message}.", errors=[error])


def _head_too_large(limit: int) -> Refusal:
    detail = f"The first line and the headers must have at most {limit} bytes together."
    return Refusal(431, detail, limit=limit)


def _body_too_large(limit: int) -> Refusal:
    return Refusal(
        413,
        f"The body has more than {limit} bytes.",
        errors=[FieldError("", f"must have at most {limit} bytes")],
        location="body",
        limit=limit,
    )
