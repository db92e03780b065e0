"""Receivers of request bodies: of known length or chunked, in linear time and bounded memory.

They take the place of waitress's, whose chunked one has no bound on what is not the body:
extensions, trailers, and chunks of one byte.
"""

import re
from io import BytesIO
from typing import Final

from configsvc_server.domain.errors import FieldError
from configsvc_server.serving.refusals import Refusal

__all__ = ["BodyBuffer", "ChunkedBody", "FixedBody"]

# RFC 9112, section 7.1. Sizes of more digits than this are of no body that is accepted.
_CHUNK_HEAD: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?")

_MAX_LINE: Final = 1024
_MAX_TRAILERS: Final = 8 * 1024
_FREE_CHUNKS: Final = 200
_CHUNK_BYTES: Final = 512


class BodyBuffer:
    """Buffer of a body in memory, which discards everything once it exceeds its limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._file = BytesIO()
        self.received = 0
        """Bytes that were received, also of what was discarded."""

    def __len__(self) -> int:
        return self._file.getbuffer().nbytes

    @property
    def is_exceeded(self) -> bool:
        """Whether there was more than the limit."""
        return self.received > self._limit

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes, or only count them beyond the limit."""
        self.received += len(data)
        if self.is_exceeded:
            self._file = BytesIO()
        else:
            self._file.write(data)

    def getfile(self) -> BytesIO:
        """Return the body as a file, from its beginning."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Free the memory."""
        self._file = BytesIO()


class FixedBody:
    """Receiver of a body whose length is known."""

    error: Refusal | None = None

    def __init__(self, length: int, buffer: BodyBuffer) -> None:
        self._left = length
        self.buffer = buffer

    @property
    def completed(self) -> bool:
        """Whether the body is complete."""
        return not self._left

    def received(self, data: bytes) -> int:
        """Take what belongs to the body, and return how many bytes that is."""
        taken = min(self._left, len(data))
        self.buffer.append(memoryview(data)[:taken])
        self._left -= taken
        return taken

    def getfile(self) -> BytesIO:
        """Return the body as a file."""
        return self.buffer.getfile()

    def getbuf(self) -> BodyBuffer:
        """Return the buffer."""
        return self.buffer


class ChunkedBody:
    """Receiver of a chunked body (RFC 9112, section 7.1)."""

    def __init__(self, buffer: BodyBuffer) -> None:
        self.buffer = buffer
        self.error: Refusal | None = None
        self.completed = False
        self._left = 0
        self._needs_line_end = False
        self._in_trailers = False
        self._line = b""
        self._chunks = 0
        self._trailers = 0

    def received(self, data: bytes) -> int:
        """Take what belongs to the body, and return how many bytes that is."""
        at = 0
        while at < len(data) and not (self.completed or self.error):
            if self._left:
                taken = min(self._left, len(data) - at)
                self.buffer.append(memoryview(data)[at : at + taken])
                self._left -= taken
                self._needs_line_end = not self._left
                at += taken
            else:
                at = self._take_line(data, at)
        return at

    def getfile(self) -> BytesIO:
        """Return the body as a file."""
        return self.buffer.getfile()

    def getbuf(self) -> BodyBuffer:
        """Return the buffer."""
        return self.buffer

    def __len__(self) -> int:
        return len(self.buffer)

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at, at + _MAX_LINE + 2)
        taken = (end + 1 if end >= 0 else min(len(data), at + _MAX_LINE + 2)) - at
        self._line += data[at : at + taken]
        if len(self._line) > _MAX_LINE:
            self._refuse(f"a line of more than {_MAX_LINE} bytes between chunks")
        elif end >= 0:
            line, self._line = self._line, b""
            if line.endswith(b"\r\n"):
                self._end_line(line[:-2])
            else:
                self._refuse("a line that does not end with CR LF")
        return at + taken

    def _end_line(self, line: bytes) -> None:
        if self._in_trailers:
            self._trailers += len(line)
            self.completed = not line
            if self._trailers > _MAX_TRAILERS:
                self._refuse(f"trailers of more than {_MAX_TRAILERS} bytes")
        elif self._needs_line_end:
            self._needs_line_end = False
            if line:
                self._refuse("a chunk that is longer than its size says")
        else:
            found = _CHUNK_HEAD.fullmatch(line)
            if found is None:
                self._refuse("a chunk whose size is not hexadecimal")
                return
            self._left = int(found[1], 16)
            self._in_trailers = not self._left
            self._chunks += 1
            if self._chunks > _FREE_CHUNKS + self.buffer.received // _CHUNK_BYTES:
                # Each takes as long as hundreds of bytes, of the one thread that reads for all.
                self._refuse(f"chunks of less than {_CHUNK_BYTES} bytes")

    def _refuse(self, what: str) -> None:
        message = f"must not have {what}"
        self.error = Refusal(
            400,
            f"The chunked body {message}.",
            errors=[FieldError("", message)],
            location="body",
        )
