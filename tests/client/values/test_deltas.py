"""Deltas: applied to a snapshot, and checked by the tag of the result."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_client._values.snapshot import Snapshot
from configsvc_client._values.snapshot_documents import (
    read_delta,
    read_snapshot,
    share,
    write_snapshot,
)
from tests.client.snapshot_documents import Entries, delta, entry, etag_of, whole
from tests.support.json_values import scalars, texts

OLD = {"a": entry({"x": [{"y": 1}]}), "b": entry({}, defaults={"/p": 1}), "c": entry({"z": "é"})}
NEW = {"a": entry({"x": [{"y": 2}]}, 2), "aa": entry({"new": True}), "c": OLD["c"]}

configs = st.dictionaries(texts, scalars | st.lists(scalars, max_size=2), max_size=2)
documents = st.dictionaries(
    st.sampled_from(["a", "é", "\U0001f600", "\ue000", "configurations"]),
    st.builds(entry, configs, st.integers(1, 3)),
)


def read(entries: Entries) -> Snapshot:
    snapshot = read_snapshot(whole(entries), etag_of(entries))
    assert snapshot.digests is not None
    return snapshot


def content(snapshot: Snapshot) -> Any:
    return [
        (name, config, snapshot.provenance(name), snapshot.defaults(name))
        for name, config in snapshot.items()
    ]


@given(documents, documents)
def test_a_delta_leads_to_what_the_whole_would_be(old: Entries, new: Entries) -> None:
    """The order of names included, which is that of code points."""
    result = read_delta(delta(old, new), etag_of(new), base=read(old))

    assert content(result) == content(read(new))
    assert (result.etag, result.digests) == (etag_of(new), read(new).digests)


def test_what_did_not_change_is_shared() -> None:
    base = read(OLD)

    result = read_delta(delta(OLD, NEW), etag_of(NEW), base=base)

    assert result["c"] is base["c"]
    assert base["a"] == {"x": [{"y": 1}]}


def test_a_new_version_of_equal_content_is_shared() -> None:
    new = {**OLD, "a": entry({"x": [{"y": 1}]}, 2)}
    base = read(OLD)

    result = read_delta(delta(OLD, new), etag_of(new), base=base)

    assert result["a"] is base["a"]
    assert result.provenance("a").version == 2


def test_defaults_and_secrets_go_with_the_entry_that_had_them() -> None:
    old = {"a": entry({"p": "s"}, defaults={"/q": 1}, secrets=["/p"])}
    new = {"a": entry({"p": "s"}, 2)}

    result = read_delta(delta(old, new), etag_of(new), base=read(old))

    assert result.defaults("a") == {}
    assert repr(result["a"]) == "{'p': 's'}"


@pytest.mark.parametrize(
    ("body", "etag"),
    [
        (delta(OLD, NEW), etag_of(OLD)),
        (delta(OLD, NEW), None),
        (delta(OLD, NEW).replace(b'"y":2', b'"y":3'), etag_of(NEW)),
        (delta(OLD, NEW).replace(b'"removed":["b"]', b'"removed":[]'), etag_of(NEW)),
        (delta(OLD, NEW).replace(b'"removed":["b"]', b'"removed":["b","c"]'), etag_of(NEW)),
        (delta(OLD, NEW).replace(b'"aa"', b'"ab"'), etag_of(NEW)),
        (delta(OLD, NEW).replace(b'"billing"', b'"billings"'), etag_of(NEW)),
        (delta(NEW, OLD), etag_of(OLD)),
        (delta(OLD, NEW).replace(b'"removed":["b"]', b'"gone":["b"]'), etag_of(NEW)),
        (delta(OLD, NEW).replace(b'"removed":["b"]', b'"removed":[["b"]]'), etag_of(NEW)),
        (json.dumps(json.loads(delta(OLD, NEW))).encode(), etag_of(NEW)),
        (delta(OLD, NEW)[:-20], etag_of(NEW)),
        (b"{}", etag_of(NEW)),
        (whole(NEW), etag_of(NEW)),
    ],
    ids=[
        "another tag",
        "no tag",
        "another value",
        "not removed",
        "too much removed",
        "another name",
        "another application",
        "another base",
        "no list of what is gone",
        "no names of what is gone",
        "written in another way",
        "cut",
        "empty",
        "whole",
    ],
)
def test_a_delta_that_does_not_lead_there_is_refused(body: bytes, etag: str | None) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - by the parser or by us
        read_delta(body, etag, base=read(OLD))


def test_a_lost_update_is_noticed() -> None:
    """A client that has another state than the tag says, for whatever reason."""
    middle = {**OLD, "c": entry({"z": "changed"}, 2)}
    wrong = read(OLD)
    wrong.etag = etag_of(middle)
    final = {**middle, "a": entry({}, 2)}

    with pytest.raises(ValueError, match="does not lead"):
        read_delta(delta(middle, final), etag_of(final), base=wrong)


@pytest.mark.parametrize(
    "form",
    [
        lambda etag: etag,
        lambda etag: f"W/{etag}",
        lambda etag: etag[:-1] + '-gzip"',
    ],
)
def test_a_tag_is_that_of_the_content_whatever_form_it_came_in(form: Callable[[str], str]) -> None:
    snapshot = read_snapshot(whole(OLD), form(etag_of(OLD)))

    assert snapshot.etag == etag_of(OLD)
    assert snapshot.digests is not None


@pytest.mark.parametrize(
    ("body", "etag"),
    [
        (whole(OLD), '"3"'),
        (whole(OLD), None),
        (json.dumps(json.loads(whole(OLD))).encode(), etag_of(OLD)),
        (json.dumps(json.loads(whole(OLD)), indent=1).encode(), etag_of(OLD)),
        (b" " + whole(OLD), etag_of(OLD)),
    ],
    ids=["another tag", "no tag", "with blanks", "indented", "a blank before"],
)
def test_another_server_is_read_as_well_but_no_delta_of_it_could_be_checked(
    body: bytes, etag: str | None
) -> None:
    snapshot = read_snapshot(body, etag)

    assert content(snapshot)[0][:2] == ("a", {"x": [{"y": 1}]})
    assert sorted(snapshot) == ["a", "b", "c"]
    assert snapshot.digests is None or body != whole(OLD)


def test_equal_names_are_one_string_in_memory() -> None:
    snapshot = read({"a": entry({"some_name": 1}), "b": entry({"some_name": 2})})

    (one,), (other,) = snapshot["a"], snapshot["b"]

    assert one is other


def test_equal_entries_of_a_whole_snapshot_are_shared() -> None:
    before = read(OLD)

    after = read_snapshot(whole(NEW), etag_of(NEW), previous=before)

    assert after["c"] is before["c"]


def test_with_other_marks_an_equal_configuration_is_another() -> None:
    plain = {"a": entry({"p": "s"})}
    marked = {"a": entry({"p": "s"}, secrets=["/p"])}

    result = read_delta(delta(plain, marked), etag_of(marked), base=read(plain))

    assert "s" not in repr(result["a"]).replace("'p'", "")
    assert result["a"]["p"] == "s"


def test_defaults_of_secrets_are_masked_and_with_other_marks_are_others() -> None:
    defaults = {"/p": "hunter2", "/o": {"k": "hunter3"}, "/list": ["hunter4"], "/q": "open"}
    plain = {"a": entry({}, defaults=defaults)}
    marked = {"a": entry({}, defaults=defaults, secrets=["/p", "/o/*", "/list/0"])}

    result = read_delta(delta(plain, marked), etag_of(marked), base=read(plain))

    assert result.defaults("a") == defaults
    assert "hunter" not in repr(result.defaults("a"))
    assert "open" in repr(result.defaults("a"))
    assert "hunter" not in repr(share(read(marked), read(plain)).defaults("a"))


@given(documents)
def test_a_written_snapshot_is_read_as_the_same_values(entries: Entries) -> None:
    snapshot = read(entries)

    assert content(read_snapshot(write_snapshot(snapshot), None)) == content(snapshot)


@pytest.mark.parametrize("secrets", ["/p", {"/p": 1}, [1]])
def test_secrets_that_are_no_list_of_pointers_are_refused(secrets: Any) -> None:
    with pytest.raises(ValueError, match="no snapshot"):
        read_snapshot(whole({"a": entry({}, secrets=secrets)}), None)
