"""Strict JSON: what is accepted, what is refused, and that nothing is lost."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_server.domain.errors import InvalidError, MalformedJsonError
from configsvc_server.domain.strict_json import (
    MAX_DEPTH,
    MAX_INTEGER,
    MIN_INTEGER,
    StoredObject,
    dumps,
    dumps_stored,
    json_pointer,
    loads,
)
from tests.support.json_values import json_objects, same


@given(json_objects())
def test_what_was_written_is_read_back_equal(value: dict[str, Any]) -> None:
    assert same(loads(dumps(value)), value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_in_at_most_24_characters(value: float) -> None:
    assert len(dumps(value)) <= 24


@given(json_objects())
def test_a_stored_object_goes_out_as_it_is_and_can_be_read(value: dict[str, Any]) -> None:
    stored = StoredObject(dumps(value))

    assert json.loads(dumps_stored({"config": stored, "version": 3})) == {
        "config": value,
        "version": 3,
    }
    assert same(dict(stored), value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([], ""),
        (["a", 0, "b"], "/a/0/b"),
        (["a/b", "c~d"], "/a~1b/c~0d"),
        ([""], "/"),
    ],
)
def test_a_json_pointer_is_escaped_by_rfc_6901(path: list[str | int], expected: str) -> None:
    assert json_pointer(path) == expected


@pytest.mark.parametrize(
    ("text", "pointer", "message"),
    [
        (b"", "", "is not JSON"),
        (b'{"a": }', "", "line 1, column 7"),
        (b'{"a": 1} x', "", "is not JSON"),
        (b"{'a': 1}", "", "is not JSON"),
        (b'{"a": "\xff"}', "", "is not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "", "is not JSON"),
        (b'{"a": "\x00"}', "", "is not JSON"),
        (b'{"a": 1, "a": 2}', "/a", "more than once"),
        (b'{"x": [0, {"a/b": 1, "c": 2, "a/b": 3}]}', "/x/1/a~1b", "more than once"),
        (b'{"a": [NaN]}', "/a/0", "no NaN"),
        (b'{"a": {"b": -Infinity}}', "/a/b", "no NaN or Infinity"),
    ],
)
def test_malformed_json_is_refused_with_its_pointer(
    text: bytes, pointer: str, message: str
) -> None:
    with pytest.raises(MalformedJsonError) as caught:
        loads(text)

    assert caught.value.pointer == pointer
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "pointer", "message"),
    [
        (b'{"a": "x\\u0000"}', "/a", "NUL"),
        (b'{"a": {"b\\u0000": 1}}', "/a", "key with a NUL"),
        (b'{"a": ["\\ud800"]}', "/a/0", "lone surrogate"),
        (b'{"\\udfff": 1}', "", "key with a lone surrogate"),
        (b'{"a": 9223372036854775808}', "/a", "64 bits"),
        (b'{"a": -9223372036854775809}', "/a", "64 bits"),
        pytest.param(b'{"a": 1' + b"0" * 5000 + b"}", "/a", "64 bits", id="huge"),
        pytest.param(b'{"a": -1' + b"0" * 5000 + b"}", "/a", "64 bits", id="huge negative"),
        (b'{"a": 1e400}', "/a", "double"),
        (b'{"a": -1e400}', "/a", "double"),
    ],
)
def test_what_cannot_be_stored_exactly_is_refused(text: bytes, pointer: str, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        loads(text)

    [error] = caught.value.errors
    assert error.pointer == pointer
    assert message in error.message


@pytest.mark.parametrize("number", [MIN_INTEGER, MAX_INTEGER, 2**53 + 1, 0])
def test_integers_of_64_bits_are_exact(number: int) -> None:
    assert loads(b'{"a": %d}' % number) == {"a": number}


def test_a_surrogate_pair_is_one_character() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(("text", "expected"), [("1.0", 1.0), ("1e2", 100.0), ("5e-324", 5e-324)])
def test_a_number_with_a_fraction_or_exponent_is_a_float(text: str, expected: float) -> None:
    value = loads(text.encode())

    assert isinstance(value, float)
    assert value == expected


@pytest.mark.parametrize("text", [b"1e-400", b"-1e-400", b"-0.0", b"-0e5"])
def test_there_is_but_one_zero_for_doubles(text: bytes) -> None:
    assert dumps(loads(text)) == b"0.0"


def nested(levels: int) -> list[bytes]:
    return [
        b"[" * levels + b"]" * levels,
        b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1),
    ]


@pytest.mark.parametrize("text", nested(MAX_DEPTH))
def test_the_greatest_depth_is_accepted(text: bytes) -> None:
    assert loads(text)


@pytest.mark.parametrize("text", nested(MAX_DEPTH + 1))
def test_one_level_deeper_is_refused_with_its_pointer(text: bytes) -> None:
    with pytest.raises(InvalidError, match="64 levels") as caught:
        loads(text)

    assert caught.value.errors[0].pointer.count("/") == MAX_DEPTH


@pytest.mark.parametrize(
    "text",
    [b"[" * 500_000, b'{"a":' * 200_000, *nested(200_000)],
    ids=["open arrays", "open objects", "arrays", "objects"],
)
def test_bottomless_nesting_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidError, match="64 levels"):
        loads(text)


def test_not_a_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        dumps({"a": math.nan})
