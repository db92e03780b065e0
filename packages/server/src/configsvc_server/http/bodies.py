"""Request bodies: from bytes to a validated JSON object, and its members with their types."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final, cast

import falcon

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.identifiers import normalize_ulid
from configsvc_server.domain.strict_json import JsonObject, dumps, loads
from configsvc_server.http.context import caller_of
from configsvc_server.http.errors import BodyTooLargeError, UnsupportedMediaTypeError
from configsvc_server.http.validation import Validator, type_name
from configsvc_server.turns import Turns

__all__ = [
    "MERGE_PATCH",
    "BodyReader",
    "boolean_field",
    "integer_field",
    "object_field",
    "optional_text_field",
    "text_field",
    "ulid_field",
]

_JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
"""Media type of a JSON Merge Patch (RFC 7396)."""

_GROWTH: Final = 4
"""How many times as long a document can be as the service writes it, at most."""

_CHARSETS = {None, "utf-8", "utf8"}


class BodyReader:
    """Reads bodies, the large ones of them in turns.

    To parse a megabyte occupies the interpreter for up to half a second, and every body that is
    parsed at the same time makes all other requests slower.
    """

    LARGE = 64 * 1024
    """Bytes above which a body is large."""

    LARGE_AT_ONCE = 2
    """Large bodies that are parsed at the same time; of one caller, one less."""

    MAX_WAITING = 8
    """Large bodies that may wait for their turn, each in a thread."""

    WAIT_TIMEOUT = 5.0
    """Seconds that each of them may wait."""

    def __init__(self, validator: Validator, limit: int) -> None:
        """Create the reader.

        Args:
            validator: validates what was read.
            limit: see :attr:`limit`.
        """
        self._validator = validator
        self.limit = limit
        """How many bytes a body may have."""
        self._turns = Turns(
            at_once=self.LARGE_AT_ONCE,
            max_waiting=self.MAX_WAITING,
            timeout=self.WAIT_TIMEOUT,
            refusal="Too many large bodies are being read.",
        )

    @property
    def waiting(self) -> int:
        """How many large bodies wait for their turn now."""
        return self._turns.waiting

    def read(self, req: falcon.Request, schema: str) -> JsonObject:
        """Return the body of a POST or PUT, valid by the schema component ``schema``.

        Raises:
            UnsupportedMediaTypeError: it is not JSON.
            BodyTooLargeError: it has too many bytes.
            UnavailableError: it is large, and others are before it.
            MalformedJsonError, InvalidError: see :mod:`configsvc_server.domain.strict_json`.
        """
        _require_type(req, (_JSON,))
        return self._parse(req, schema)

    def read_optional(self, req: falcon.Request, schema: str) -> JsonObject:
        """Return the body of a POST that need not have one; an empty one stands for ``{}``."""
        if req.content_length in {None, 0} and not req.get_header("Transfer-Encoding"):
            return {}
        return self.read(req, schema)

    def read_patch(self, req: falcon.Request, schema: str) -> JsonObject:
        """Return the body of a PATCH, which may also be a JSON Merge Patch (see ``read``)."""
        _require_type(req, (MERGE_PATCH, _JSON))
        return self._parse(req, schema)

    def check(self, document: JsonObject, schema: str) -> None:
        """Check a document that was made from one that was sent.

        Raises:
            InvalidError: it is not valid by the schema component ``schema``.
        """
        self._validator.check(document, schema)

    def _parse(self, req: falcon.Request, schema: str) -> JsonObject:
        if (req.content_length or 0) > self.limit:
            raise BodyTooLargeError(self.limit)
        body = req.bounded_stream.read(self.limit + 1)
        if len(body) > self.limit:
            raise BodyTooLargeError(self.limit)
        with self._turns.turn(caller_of(req)) if len(body) > self.LARGE else nullcontext():
            return self._validated(body, schema)

    def _validated(self, body: bytes, schema: str) -> JsonObject:
        document = loads(body)
        if not isinstance(document, Mapping):
            message = f"must be a JSON object, not {type_name(document)}"
            raise InvalidError([FieldError("", message)])
        self._validator.check(document, schema)
        self._require_size(body, document)
        return document

    def _require_size(self, body: bytes, document: JsonObject) -> None:
        """Refuse what would be too large to be sent back as the service writes it.

        That differs where numbers do: ``1e15`` becomes ``1000000000000000.0``.
        """
        if len(body) * _GROWTH <= self.limit:
            return
        size = len(dumps(document))
        if size > self.limit:
            message = f"would have {size} bytes as it is kept; at most {self.limit} are possible"
            raise InvalidError([FieldError("", message)])


def _require_type(req: falcon.Request, accepted: tuple[str, ...]) -> None:
    given = req.content_type
    expected = " or ".join(accepted)
    media_type, parameters = falcon.parse_header(given or "")
    if media_type.lower() not in accepted:
        raise UnsupportedMediaTypeError("Content-Type", given, expected)
    charset = parameters.get("charset")
    if (charset.lower() if charset else None) not in _CHARSETS:
        raise UnsupportedMediaTypeError("Content-Type", given, f"{expected} in UTF-8")
    encoding = req.get_header("Content-Encoding")
    if encoding and encoding.lower() != "identity":
        raise UnsupportedMediaTypeError("Content-Encoding", encoding, "the body uncompressed")


def text_field(body: JsonObject, name: str) -> str:
    """Return a member that is a string by the schema."""
    return cast("str", body[name])


def optional_text_field(body: JsonObject, name: str) -> str | None:
    """Return a member that is a string, null or missing by the schema."""
    return cast("str | None", body.get(name))


def object_field(body: JsonObject, name: str) -> JsonObject:
    """Return a member that is an object by the schema."""
    return cast("JsonObject", body[name])


def ulid_field(body: JsonObject, name: str) -> str | None:
    """Return a member that is a ULID by the schema, or ``None`` where it is missing."""
    given = optional_text_field(body, name)
    return None if given is None else normalize_ulid(given)


def integer_field(body: JsonObject, name: str) -> int | None:
    """Return a member that is an integer, null or missing by the schema.

    JSON Schema takes 2.0 for an integer, so this does too.
    """
    value = cast("int | float | None", body.get(name))
    return None if value is None else int(value)


def boolean_field(body: JsonObject, name: str) -> bool | None:
    """Return a member that is true, false or missing by the schema."""
    return cast("bool | None", body.get(name))
