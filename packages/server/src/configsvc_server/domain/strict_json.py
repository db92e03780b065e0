"""Strict JSON: a reader that refuses what can't be stored exactly, and an exact writer.

RFC 8259 leaves to each implementation what happens to duplicate keys, huge numbers or lone
surrogates. A configuration must not change on its way through the service, so what cannot
be kept exactly is refused, with a JSON Pointer (RFC 6901) to it:

- integers are exact from -2**63 to 2**63 - 1, others are refused;
- a number with a fraction or an exponent is an IEEE 754 double and stays one: ``1.0`` stays
  ``1.0``, ``1e2`` comes back as ``100.0``, and what rounds to infinity (``1e400``) is refused;
- negative zero comes back as zero: for a configuration they are one value;
- the order of members means nothing: objects are unordered (RFC 8259, section 4).
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeGuard, cast

from configsvc_server.domain.errors import FieldError, InvalidError, MalformedJsonError

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "MIN_INTEGER",
    "JsonObject",
    "JsonValue",
    "StoredObject",
    "dumps",
    "dumps_stored",
    "is_array",
    "is_object",
    "json_pointer",
    "loads",
]

JsonValue: TypeAlias = (
    str | int | float | bool | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)
"""Any JSON value."""

JsonObject: TypeAlias = Mapping[str, JsonValue]
"""A JSON object."""

MAX_DEPTH = 64
"""Levels of nested objects and arrays that are accepted, the outermost included."""

MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**63 - 1

# Python refuses to convert longer digit strings at all (CVE-2020-10735); any integer of
# more digits than this is out of range anyway.
_MAX_INTEGER_DIGITS = 20

# json.dumps with arguments makes an encoder each time.
_write = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels"


class _RepeatedKey(dict[str, JsonValue]):
    """An object with a duplicate key; kept until the path to it is known."""

    repeated: str


class _NotANumber(float):
    """``NaN`` or ``Infinity`` written as such, as opposed to a number that overflows."""


def is_object(value: JsonValue) -> TypeGuard[JsonObject]:
    """Return whether ``value`` is a JSON object."""
    return isinstance(value, Mapping)


def is_array(value: JsonValue) -> TypeGuard[Sequence[JsonValue]]:
    """Return whether ``value`` is a JSON array."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def json_pointer(path: Iterable[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of ``path``, the empty string for the root."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def loads(body: bytes) -> JsonValue:
    """Parse a JSON text.

    Args:
        body: the text, in UTF-8.

    Returns:
        The value, which :func:`dumps` writes without loss.

    Raises:
        MalformedJsonError: the text is not UTF-8, is not JSON, has a duplicate key in an
            object, or contains ``NaN`` or ``Infinity``.
        InvalidError: the text is JSON, but can't be stored exactly (see the module).
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJsonError(f"is not UTF-8: {error.reason} at byte {error.start}") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_NotANumber,
            parse_float=_double,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise MalformedJsonError(
            f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise InvalidError([FieldError("", _TOO_DEEP)]) from None
    # A NUL or a lone surrogate can get into a string only by an escape.
    _check(value, [], strings="\\u" in text)
    return cast("JsonValue", value)


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    seen: set[str] = set()
    marked = _RepeatedKey(result)
    marked.repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return marked


def _integer(digits: str) -> int:
    if len(digits) > _MAX_INTEGER_DIGITS:
        return MAX_INTEGER + 1 if digits[0] != "-" else MIN_INTEGER - 1
    return int(digits)


def _double(digits: str) -> float:
    # Negative zero is false, too.
    return float(digits) or 0.0


def _check(value: object, path: list[str | int], *, strings: bool) -> None:
    if isinstance(value, dict):
        _check_object(value, path, strings=strings)
    elif isinstance(value, list):
        if len(path) >= MAX_DEPTH:
            raise InvalidError([FieldError(json_pointer(path), _TOO_DEEP)])
        for index, item in enumerate(value):
            path.append(index)
            _check(item, path, strings=strings)
            path.pop()
    elif isinstance(value, str):
        if strings:
            _check_text(value, path)
    else:
        _check_number(value, path)


def _check_object(value: dict[str, JsonValue], path: list[str | int], *, strings: bool) -> None:
    if isinstance(value, _RepeatedKey):
        raise MalformedJsonError("is given more than once", json_pointer([*path, value.repeated]))
    if len(path) >= MAX_DEPTH:
        raise InvalidError([FieldError(json_pointer(path), _TOO_DEEP)])
    for key, item in value.items():
        if strings:
            _check_text(key, path, what="has a key with")
        path.append(key)
        _check(item, path, strings=strings)
        path.pop()


def _check_text(value: str, path: list[str | int], *, what: str = "has") -> None:
    if "\0" in value:
        message = f"{what} a NUL character (\\u0000), which cannot be stored"
        raise InvalidError([FieldError(json_pointer(path), message)])
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        code = f"\\u{ord(value[error.start]):04x}"
        message = f"{what} a lone surrogate ({code}), which is not a character"
        raise InvalidError([FieldError(json_pointer(path), message)]) from None


def _check_number(value: object, path: list[str | int]) -> None:
    if isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            message = f"must be an integer from {MIN_INTEGER} to {MAX_INTEGER} (64 bits)"
            raise InvalidError([FieldError(json_pointer(path), message)])
    elif isinstance(value, _NotANumber):
        raise MalformedJsonError(
            "must be a number: JSON has no NaN or Infinity", json_pointer(path)
        )
    elif isinstance(value, float) and math.isinf(value):
        message = "must be a number of at most about 1.8e308 in magnitude (a 64-bit double)"
        raise InvalidError([FieldError(json_pointer(path), message)])


def dumps(value: JsonValue) -> bytes:
    """Return ``value`` as compact JSON in UTF-8."""
    return _write(value).encode()


_EMPTY = len(b"{}")


class StoredObject(Mapping[str, JsonValue]):
    """JSON object as the text that is stored; it is parsed if a member is asked for.

    Where it only goes on to a caller, it takes no more memory than its text, which may be a
    twentieth of what the parsed value takes.
    """

    __slots__ = ("_members", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        """The JSON text, as :func:`dumps` has written it."""
        self._members: JsonObject | None = None

    def _parsed(self) -> JsonObject:
        if self._members is None:
            self._members = cast("JsonObject", json.loads(self.text))
        return self._members

    def __getitem__(self, name: str) -> JsonValue:
        return self._parsed()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed())

    def __len__(self) -> int:
        return len(self._parsed())


def dumps_stored(value: JsonObject) -> bytes:
    """Return an object, some members of which may be as they are stored, as JSON in UTF-8."""
    stored = {name: item for name, item in value.items() if isinstance(item, StoredObject)}
    if not stored:
        return dumps(value)
    # Each call costs more than a few members do, so the others are written at once.
    others = dumps({name: item for name, item in value.items() if name not in stored})
    texts = [b"%b:%b" % (dumps(name), item.text) for name, item in stored.items()]
    return b"%b%b%b}" % (others[:-1], b"," if len(others) > _EMPTY else b"", b",".join(texts))
