"""Snapshots and what differs between them."""

import json
import pickle
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configsvc_client._values.diff import compare
from configsvc_client._values.frozen import freeze
from configsvc_client._values.paths import find
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._values.snapshot_documents import read_snapshot
from tests.client.values.test_frozen import JSON


def body(configurations: Mapping[str, Any], version: int = 1) -> bytes:
    return json.dumps(
        {
            "application_id": "01K9YV5C7W3V0Y1Q3W6M8N2B4E",
            "application": "billing",
            "environment": "default",
            "configurations": {
                name: {
                    "id": "01K9YV5C7W3V0Y1Q3W6M8N2B4D",
                    "version": version,
                    "updated_at": "2026-11-24T08:00:00Z",
                    "config": config,
                }
                for name, config in configurations.items()
            },
        }
    ).encode()


def snapshot(**configurations: Any) -> Snapshot:
    return read_snapshot(body(configurations), '"e1"')


def test_a_snapshot_is_a_mapping_of_configurations() -> None:
    subject = snapshot(a={"x": 1}, b={})
    assert dict(subject) == {"a": {"x": 1}, "b": {}}
    assert list(subject.keys()) == ["a", "b"]
    assert list(subject.values()) == [{"x": 1}, {}]
    assert list(subject.items()) == [("a", {"x": 1}), ("b", {})]
    assert (len(subject), "a" in subject, "c" in subject) == (2, True, False)
    assert repr(subject) == "<Snapshot billing/default e1: a, b>"
    assert repr(snapshot()) == "<Snapshot billing/default e1: empty>"


def test_a_snapshot_knows_the_revisions() -> None:
    found = read_snapshot(body({"a": {}}, 7), '"e1"').provenance("a")
    assert (found.version, found.updated_at) == (7, datetime(2026, 11, 24, 8, tzinfo=UTC))


@pytest.mark.parametrize(
    ("etag", "version"), [('"e1"', "e1"), ('W/"e1"', "e1"), (None, None), ("", None)]
)
def test_the_version_is_the_etag_without_quotes(etag: str | None, version: str | None) -> None:
    assert read_snapshot(body({}), etag).version == version


def test_what_has_not_changed_is_shared_with_the_snapshot_before() -> None:
    old = snapshot(a={"x": [1]}, b={"y": 1})
    new = read_snapshot(body({"a": {"x": [1]}, "b": {"y": 1.0}}), '"e2"', previous=old)
    assert new["a"] is old["a"]
    assert new["b"] is not old["b"]


def test_a_snapshot_survives_pickling() -> None:
    subject = snapshot(a={"x": 1})
    copy = pickle.loads(pickle.dumps(subject))
    assert copy == subject
    assert copy.provenance("a") == subject.provenance("a")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"1",
        b'{"configurations": []}',
        b'{"configurations": {"a": 1}}',
        body({"a": []}),
        body({"a": {}}).replace(b"2026", b"year"),
        body({"a": {}}).replace(b"2026-11-24T08:00:00Z", b"0001-01-01T00:00:00+14:00"),
        re.sub(b'"version": *[0-9]+', b'"version": 1e999', body({"a": {}})),
        body({"a": {}}).replace(b'"application_id"', b'"x"'),
        b"[" * 100_000,
    ],
)
def test_what_is_no_snapshot_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_snapshot(text, None)


def test_differences_are_shown_one_on_a_line() -> None:
    old = {"a": {"x": 1, "gone": [1]}, "b": {}}
    new = {"a": {"x": 2, "new/er": None}, "b": {}}
    found = compare(old, new)
    assert repr(found) == "- /a/gone: [1]\n+ /a/new~1er: None\n~ /a/x: 1 → 2"
    assert [difference.kind for difference in found] == ["removed", "added", "changed"]
    assert len(found[1:]) == 2


def test_no_differences_are_shown_as_such() -> None:
    assert repr(compare({"a": 1}, {"a": 1})) == "no differences"


def test_types_that_python_calls_equal_differ() -> None:
    assert repr(compare({"a": 1}, {"a": True})) == "~ /a: 1 → True"


OBJECTS = st.dictionaries(st.text(), st.dictionaries(st.text(), JSON, max_size=3), max_size=3)


@settings(max_examples=40)
@given(OBJECTS)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert not compare(freeze(value), freeze(value))


@settings(max_examples=40)
@given(OBJECTS, OBJECTS)
def test_each_difference_has_the_values_at_its_path(one: Any, other: Any) -> None:
    one, other = freeze(one), freeze(other)
    for difference in compare(one, other):
        if difference.kind != "added":
            assert find(one, difference.path) == difference.old
        if difference.kind != "removed":
            assert find(other, difference.path) == difference.new
    assert bool(compare(one, other)) == bool(compare(other, one))


@pytest.mark.skipif(
    (3, 12) <= sys.version_info < (3, 12, 7), reason="what is interned is never collected there"
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["regular", "spaced"])
def test_names_are_the_strings_of_the_program_that_reads_by_them(
    separators: tuple[str, str],
) -> None:
    document = json.loads(body({"database": {"pool": {"size": 1}}}))
    text = json.dumps(document, separators=separators).encode()
    found = read_snapshot(text, '"e1"')
    (name,), (member,), (inner,) = found, found["database"], found["database"]["pool"]
    assert name is sys.intern("database")
    assert member is sys.intern("pool")
    assert inner is sys.intern("size")
