"""The copy on disk: a snapshot and the deltas after it."""

import logging
import os
import stat
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from configsvc_client._values.snapshot import Snapshot
from configsvc_client._values.snapshot_documents import read_delta, read_snapshot
from configsvc_client._view.disk_cache import DiskCache
from tests.client.snapshot_documents import delta, entry, etag_of, whole

Entries = dict[str, dict[str, Any]]


def state(n: int) -> Entries:
    """A few kilobytes, of which a little differs from one number to the next."""
    return {
        "counter": entry({"n": n}, n + 1, secrets=["/n"]),
        **{f"large{index}": entry({"text": "é" * 300}) for index in range(9)},
    }


class Process:
    """One of several processes that follow the same view and share its file."""

    def __init__(self, folder: Path) -> None:
        self.cache = DiskCache(folder, url="http://x", application="billing", environment="prod")
        self.snapshot: Snapshot | None = None
        self._state = 0

    @property
    def path(self) -> Path:
        return self.cache.path

    def fetch(self, n: int) -> None:
        """Get a state as a whole, and save it."""
        body = whole(state(n))
        self._save(read_snapshot(body, etag_of(state(n))), body, n)

    def follow(self, n: int) -> None:
        """Get a state by a delta, and save it."""
        assert self.snapshot is not None
        body = delta(state(self._state), state(n))
        self._save(read_delta(body, etag_of(state(n)), base=self.snapshot), body, n)

    def _save(self, snapshot: Snapshot, body: bytes, n: int) -> None:
        self.snapshot, self._state = snapshot, n
        self.cache.save(snapshot, body)
        assert self.cache.error is None

    def load(self) -> int:
        """Return the state that a new process finds."""
        saved = Process(self.path.parent).cache.load()
        assert saved is not None
        assert saved.snapshot.digests is not None, "a delta could not be applied to it"
        assert len(saved.snapshot) == 10
        return int(saved.snapshot["counter"]["n"])


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    one = Process(tmp_path)
    yield one
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [one.path]


def inode(process: Process) -> int:
    return process.path.stat().st_ino


def test_a_delta_is_appended(process: Process) -> None:
    process.fetch(0)
    before = process.path.read_bytes()
    process.follow(1)
    process.follow(2)

    after = process.path.read_bytes()

    assert after.startswith(before)
    assert len(after) < 1.5 * len(before)
    assert process.load() == 2


def test_the_age_is_that_of_the_last_delta(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    process.fetch(0)
    now += 100
    process.follow(1)
    now += 7

    saved = process.cache.load()

    assert saved is not None
    assert saved.age == 7


def test_when_deltas_have_grown_to_half_of_it_the_file_is_written_anew(process: Process) -> None:
    process.fetch(0)
    sizes = []
    for n in range(1, 40):
        process.follow(n)
        sizes.append(process.path.stat().st_size)
        assert process.load() == n

    assert any(after < before for before, after in pairwise(sizes))
    assert max(sizes) < 2 * sizes[0]


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_a_torn_end_is_ignored_and_the_rest_used(process: Process, cut: int) -> None:
    process.fetch(0)
    process.follow(1)
    process.follow(2)
    with process.path.open("r+b") as file:
        file.truncate(process.path.stat().st_size - cut)

    assert process.load() == 1
    process.follow(3)
    assert process.load() == 3


def test_an_altered_delta_ends_what_is_used(process: Process) -> None:
    process.fetch(0)
    for n in (1, 2, 3):
        process.follow(n)
    process.path.write_bytes(process.path.read_bytes().replace(b'"n":2', b'"n":7'))

    assert process.load() == 1


def test_a_file_that_is_gone_is_written_whole(process: Process) -> None:
    process.fetch(0)
    process.path.unlink()
    process.follow(1)
    process.follow(2)

    assert process.load() == 2


def test_a_file_that_others_may_read_is_replaced(process: Process) -> None:
    process.fetch(0)
    process.path.chmod(0o644)
    process.follow(1)

    assert process.load() == 1


def test_a_link_is_replaced_and_not_followed(process: Process, tmp_path: Path) -> None:
    process.fetch(0)
    content = process.path.read_bytes()
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    process.path.rename(outside)
    process.path.symlink_to(outside)
    process.follow(1)

    assert process.load() == 1
    assert outside.read_bytes() == content


def test_a_delta_on_what_is_not_in_the_file_writes_it_whole(
    process: Process, tmp_path: Path
) -> None:
    process.fetch(0)
    other = Process(tmp_path)
    other.fetch(5)
    process.follow(1)

    assert process.load() == 1


def test_of_several_processes_one_appends(process: Process, tmp_path: Path) -> None:
    others = [process, *(Process(tmp_path) for _ in range(3))]
    for each in others:
        each.fetch(0)
    first = inode(process)
    for n in range(1, 4):
        for each in others:
            each.follow(n)
            assert process.load() == n

    assert inode(process) == first
    assert process.path.read_bytes().count(b'"base": "') == 3


def test_several_processes_write_it_anew_once(process: Process, tmp_path: Path) -> None:
    others = [process, *(Process(tmp_path) for _ in range(3))]
    for each in others:
        each.fetch(0)
    inodes = set()
    for n in range(1, 60):
        for each in others:
            each.follow(n)
            inodes.add(inode(each))
        assert process.load() == n

    assert len(inodes) < 10


def test_a_record_that_does_not_belong_there_is_passed_over(
    process: Process, tmp_path: Path
) -> None:
    """Two processes that append the same change at the same moment."""
    process.fetch(0)
    length = process.path.stat().st_size
    process.follow(1)
    record = process.path.read_bytes()[length:]
    with process.path.open("ab") as file:
        file.write(record)
    process.follow(2)

    assert process.load() == 2


def test_a_new_process_goes_on_with_the_file(process: Process, tmp_path: Path) -> None:
    process.fetch(0)
    process.follow(1)
    before = inode(process)
    other = Process(tmp_path)
    saved = other.cache.load()
    assert saved is not None
    other.snapshot, other._state = saved.snapshot, 1
    other.follow(2)

    assert process.load() == 2
    assert inode(process) == before


def test_a_delta_that_does_not_fit_on_the_disk_harms_nothing(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    process.fetch(0)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100]))
    with pytest.raises(AssertionError):
        process.follow(1)
    monkeypatch.undo()

    assert "No space left" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert process.load() == 0
    process.follow(2)
    assert process.load() == 2


def test_secrets_are_secrets_after_a_start_from_disk(process: Process) -> None:
    old = {"a": entry({"p": "s1"}, secrets=["/p"])}
    body = whole(old)
    process.cache.save(read_snapshot(body, etag_of(old)), body)
    saved = process.cache.load()

    assert saved is not None
    assert saved.snapshot["a"]["p"] == "s1"
    assert "s1" not in repr(saved.snapshot["a"])


def test_who_knows_a_snapshot_reads_only_what_came_after_it(process: Process) -> None:
    process.fetch(0)
    process.follow(1)
    reader = process.snapshot
    process.follow(2)
    process.follow(3)
    # What is before is not even looked at.
    content = process.path.read_bytes()
    process.path.write_bytes(content.replace("é".encode(), b"e ", 1))

    saved = process.cache.load(previous=reader)

    assert reader is not None
    assert saved is not None
    assert saved.snapshot["counter"] == {"n": 3}
    assert saved.snapshot["large0"] is reader["large0"]


def test_what_is_as_before_is_shared_also_if_the_file_begins_later(process: Process) -> None:
    process.fetch(1)
    reader = process.snapshot
    process.fetch(0)
    process.follow(1)
    process.follow(2)
    process.follow(1)
    assert reader is not None
    other = Process(process.path.parent)
    # As if it had got there by another way.
    known = read_snapshot(whole(state(1)), '"another"')

    saved = other.cache.load(previous=known)

    assert saved is not None
    assert saved.snapshot["counter"] is known["counter"]
    assert saved.snapshot["large0"] is known["large0"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    one = Process(tmp_path)
    os.mkfifo(one.path)
    assert one.cache.load() is None
    assert "it is no regular file" in str(one.cache.error)


def test_a_file_that_everybody_may_write_is_ignored_and_replaced(process: Process) -> None:
    process.fetch(0)
    process.path.chmod(0o666)
    other = Process(process.path.parent)
    assert other.cache.load() is None
    assert "everybody may write it" in str(other.cache.error)
    process.follow(1)
    assert process.load() == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)
def test_a_file_of_another_user_is_ignored_and_replaced(process: Process) -> None:
    process.fetch(0)
    os.chown(process.path, 12345, 12345)
    other = Process(process.path.parent)
    assert other.cache.load() is None
    assert "it is another user's" in str(other.cache.error)
    process.follow(1)
    assert process.load() == 1
