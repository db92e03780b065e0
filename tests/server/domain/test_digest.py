"""Canonical JSON and the digest of a document."""

import json
from typing import Any

import pytest
from hypothesis import given

from configsvc_server.domain.digest import canonical, document_digest
from configsvc_server.domain.models import ConfigurationDocument
from tests.support.json_values import json_objects


@given(json_objects())
def test_the_order_of_members_does_not_matter(value: dict[str, Any]) -> None:
    reordered = dict(reversed(value.items()))

    assert canonical(reordered) == canonical(value)


@given(json_objects())
def test_canonical_json_is_equal_when_read_as_doubles(value: dict[str, Any]) -> None:
    written = json.dumps(value)

    assert json.loads(canonical(value), parse_int=float) == json.loads(written, parse_int=float)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 8785, sections 3.2.2 and 3.2.3
        (
            {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27]},
            b'{"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}',
        ),
        ({"literals": [None, True, False]}, b'{"literals":[null,true,false]}'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'.encode()),
        (1.0, b"1"),
        (
            {"b": '\n\x1f"\\/\x7f\u20ac', "a": [1, True]},
            b'{"a":[1,true],"b":"\\n\\u001f\\"\\\\/\x7f\xe2\x82\xac"}',
        ),
    ],
)
def test_canonical_json_is_that_of_rfc_8785(value: Any, expected: bytes) -> None:
    assert canonical(value) == expected


def test_integers_beyond_a_double_stay_distinct() -> None:
    assert canonical([2**53]) == b"[9007199254740992]"
    assert canonical([2**53 + 1]) == b"[9007199254740993]"


def test_every_part_of_the_document_counts() -> None:
    digests = {
        document_digest(ConfigurationDocument("a", {})),
        document_digest(ConfigurationDocument("b", {})),
        document_digest(ConfigurationDocument("a", {}, comments="")),
        document_digest(ConfigurationDocument("a", {"a": 1})),
    }

    assert len(digests) == 4
    assert all(len(digest) == 64 for digest in digests)
