"""Snapshot history: what is remembered of snapshots, and for how long."""

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_server.cache.snapshots import CachedSnapshot, EntryText, SnapshotHistory
from configsvc_server.domain.entity_tags import EntityTags

KEY = ("app", "default")


def snapshot(content: Mapping[str, int], key: tuple[str, str] = KEY) -> CachedSnapshot:
    entries = {
        name: EntryText(hashlib.sha256(str(value).encode()).digest(), 0, 0)
        for name, value in content.items()
    }
    return CachedSnapshot(key, repr(sorted(content.items())), b"", b"", entries)


def known(base: CachedSnapshot) -> EntityTags:
    return EntityTags(strong=frozenset({base.etag}))


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2)), min_size=1), st.data())
def test_between_any_two_snapshots_everything_that_differs_is_named(
    contents: list[dict[str, int]], data: st.DataObject
) -> None:
    """Also where an older one is recorded later, as a slow read does."""
    history = SnapshotHistory(max_bytes=10**9)
    for content in contents:
        history.record(snapshot(content))
    base, target = data.draw(st.sampled_from(contents)), data.draw(st.sampled_from(contents))

    found = history.find(snapshot(target), known(snapshot(base)))

    assert found is not None
    assert found.etag == snapshot(base).etag
    differing = {name for name in base | target if base.get(name) != target.get(name)}
    assert differing <= found.changed


def test_other_environments_are_not_looked_at() -> None:
    history = SnapshotHistory(max_bytes=10**9)
    base = snapshot({"a": 1})
    history.record(base)

    other = snapshot({"a": 1}, ("app", "prod"))

    assert history.find(other, known(base)) is None


@pytest.mark.slow
def test_so_many_changes_of_one_environment_are_remembered_and_no_more() -> None:
    history = SnapshotHistory(max_bytes=10**9)
    names = [f"n{index}" for index in range(SnapshotHistory.MAX_STEPS + 50)]
    versions = [snapshot(dict.fromkeys(names, 0) | {name: 1}) for name in names]
    for version in versions:
        history.record(version)

    assert history.find(versions[-1], known(versions[0])) is None
    assert history.find(versions[-1], known(versions[-100])) is not None


def test_what_was_changed_longest_ago_gives_room() -> None:
    one = snapshot({"a": 1})
    history = SnapshotHistory(max_bytes=2 * one.size + 100)
    keys = [("app", environment) for environment in ("x", "y", "z")]
    for key in keys:
        history.record(snapshot({"a": 1}, key))

    remembered = [history.find(snapshot({"a": 1}, key), known(one)) is not None for key in keys]

    assert remembered == [False, True, True]
