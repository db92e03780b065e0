"""Shared poller: one process of a host polls for a view, the others follow its copy on disk.

The process that has the lock leads: it polls as any would, saves each snapshot, and writes what
it knows into a state file, at least once a second. The others look at that file a few times a
second, and load the copy when it is another. When the leader ends, the kernel frees the lock, and
the next to ask for it leads. Where the leader says nothing any more, where its copy is not to be
had, or where there are no locks, a process polls by itself, as if nothing was shared.
"""

import math
import os
import threading
import time
from collections.abc import Callable
from enum import Enum
from logging import getLogger
from typing import TYPE_CHECKING, Final

from configsvc_client._fork import check_process
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.transport import HttpTransport
from configsvc_client._http.types import Transport
from configsvc_client._http.untraced import Untraced
from configsvc_client._values.entries import plain_tag
from configsvc_client._values.snapshot import EMPTY, Snapshot
from configsvc_client._view.crew import Member, look_for_crew
from configsvc_client._view.disk_cache import DiskCache
from configsvc_client._view.host_lock import HostLock
from configsvc_client._view.poller import Poller
from configsvc_client._view.shared_state import SharedState, StateFile
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import AuthError, ConfigSvcError
from configsvc_client.options import Options

if TYPE_CHECKING:
    from configsvc_client._view.reporter import Reporter

__all__ = ["SharedPoller", "share"]

_log = getLogger("configsvc_client")


class _Role(Enum):
    LEADING = "shared (leading)"
    FOLLOWING = "shared (following)"
    BY_ITSELF = "shared (by itself)"


class SharedPoller:
    """Updater that polls only where no other process of the host does.

    Its thread looks around; while this process polls, a :class:`Poller` does that.
    """

    TICK: Final = 0.25
    """Seconds between two looks at what the leader says."""

    PULSE: Final = 1.0
    """Seconds after which the leader writes its state even if it is the same."""

    PATIENCE: Final = 3.0
    """Seconds without a sign of the leader, or without its copy, until others poll themselves."""

    GRACE: Final = 2.0
    """Seconds that a process which takes over has for its first sign."""

    LONGEST: Final = 90.0
    """Seconds without a response to the leader, at least, until others ask themselves: it may be
    just that process which can't, such as for a callback that does not return."""

    def __init__(
        self,
        *,
        name: str,
        disk: DiskCache,
        transport: Transport,
        source: SnapshotSource,
        sync: Synchronizer,
        store: SnapshotStore,
        make_poller: Callable[[bool, Callable[[], None]], Poller],
        report: Callable[[], None],
        max_age: float,
        reporter: "Reporter | None" = None,
    ) -> None:
        """Create a poller without starting its thread.

        Args:
            name: the name of the view, for the thread and the log.
            disk: the copy on disk; the files of the lock and the state are beside it.
            transport: the transport of ``source``, closed when this is stopped.
            source: where to ask if it is not clear who has the newest snapshot.
            sync: puts snapshots in place.
            store: the snapshot that there is.
            make_poller: makes a poller: whether it begins with the whole snapshot, and what it
                calls after each poll.
            report: called when there is something new.
            max_age: seconds without a response to the leader until this process asks itself.
            reporter: tells the server who polls, and why a snapshot is rejected.
        """
        self._name = name
        self._disk = disk
        self._transport = transport
        self._source = source
        self._sync = sync
        self._store = store
        self._make_poller = make_poller
        self._report = report
        self._max_age = max_age
        self._reporter = reporter
        self._crew = disk.path.with_suffix(".crew")
        self._member = Member(self._crew)
        self._looked_at = -math.inf
        self._lock = HostLock(disk.path.with_suffix(".lock"))
        self._file = StateFile(disk.path.with_suffix(".state"))
        sync.saves, sync.saves_first = False, True
        self._role = _Role.FOLLOWING
        self._poller: Poller | None = None
        self._leader = ""
        self._written: object = None
        self._written_at = 0.0
        now = time.monotonic()
        self._heard_at = self._in_step_at = now
        self._applied: object = None
        self._loaded: object = None
        self._problem: str | None = None
        self._wake = threading.Event()
        self._is_stopped = self._is_inherited = False
        self._thread = threading.Thread(target=self._run, name=f"configsvc {name}", daemon=True)

    @property
    def mode(self) -> str:
        """Way in which changes come, for people."""
        return self._role.value

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the threads to end, also amid a request; the thread lets go of the lock."""
        self._is_stopped = True
        self._wake.set()
        self._transport.close()
        poller = self._poller
        if poller is not None:
            poller.stop()

    def join(self, timeout: float) -> None:
        """Wait for the end of the threads.

        Args:
            timeout: seconds to wait at most.
        """
        deadline = time.monotonic() + timeout
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        if self._poller is not None:
            self._poller.join(max(0.0, deadline - time.monotonic()))

    def report(self) -> None:
        """Tell the server, or the process that leads, of rejections that came up meanwhile."""
        if self._poller is not None:
            self._poller.report()
        self._wake.set()

    def after_fork_in_child(self) -> None:
        """Forget the parent's lock and connections, and end what runs on in the child."""
        self._is_inherited = True
        self._lock.after_fork_in_child()
        self._transport.after_fork_in_child()
        if self._poller is not None:
            self._poller.after_fork_in_child()

    def _run(self) -> None:
        try:
            while not self._is_ending():
                try:
                    self._tick()
                except Exception as error:  # noqa: BLE001 - a bug must not stop the updates
                    self._log_once(f"{type(error).__name__} while sharing polls", exc_info=True)
                if not self._is_inherited:
                    self._wake.wait(self.TICK)
                    self._wake.clear()
        finally:
            if not self._is_inherited:
                self._member.leave()
                if self._poller is not None:
                    self._poller.stop()
                self._lock.release()

    def _is_ending(self) -> bool:
        # In a greenlet that runs on in a child of a host without hooks, nothing else looks.
        check_process()
        return self._is_stopped or self._is_inherited

    def _tick(self) -> None:
        now, store = time.monotonic(), self._store
        generation = store.generation
        # The others may have newer tokens than a process that the server refuses.
        is_refused = store.failing and isinstance(store.error, AuthError)
        if is_refused and self._role is _Role.LEADING:
            self._leave()
        try:
            is_leading = not is_refused and self._lock.acquire()
        except OSError as error:
            self._log_once(f"No lock, so this process polls by itself: {error}")
            self._play(_Role.BY_ITSELF, saves=True)
            return
        if is_leading:
            self._lead(now)
            return
        state = self._file.read(max_age=self.PATIENCE)
        if state is not None and state.leader == self._leader:
            state = None
        if state is not None:
            self._heard_at = now
        if self._role is _Role.LEADING:
            self._play(_Role.FOLLOWING)
        if state is None:
            if now - self._heard_at > self.GRACE:
                self._play(_Role.BY_ITSELF)
        elif self._role is _Role.FOLLOWING:
            self._follow(state, generation, now)
            self._join(now)
        elif self._is_in_step(state, now):
            self._play(_Role.FOLLOWING)

    def _play(self, role: _Role, *, saves: bool = False) -> None:
        """Begin to lead, to follow, or to poll without others, unless it does so already."""
        self._sync.saves = saves
        if role is self._role:
            return
        _log.debug("%s: %s", self._name, role.value)
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.stop()
        self._heard_at = self._in_step_at = time.monotonic()
        self._applied = self._loaded = self._written = None
        if role is not _Role.FOLLOWING:
            self._member.leave()
            if self._reporter is not None:
                self._reporter.processes, self._reporter.of_followers = 1, ()
            # What nobody saved is fetched again, so that there is something to save.
            held = self._store.raw
            starts_full = saves and held is not None and self._sync.saved is not held
            self._poller = self._make_poller(starts_full, self._polled)
            self._poller.start()
        self._role = role

    def _polled(self) -> None:
        self._wake.set()
        self._report()

    def _lead(self, now: float) -> None:
        if self._role is not _Role.LEADING:
            self._leader = os.urandom(8).hex()
            self._play(_Role.LEADING, saves=True)
        store = self._store
        error = store.error if store.failing else None
        # In this order: each is good for what comes before it, or more.
        asked_at, confirmed_at = store.asked_at, store.confirmed_at
        held = store.raw or EMPTY
        self._count(held, now)
        is_there = self._sync.saved is held and store.stand_in is None
        state = SharedState(
            self._leader,
            0 if store.stand_in else store.generation,
            held.etag if is_there else None,
            asked_at,
            confirmed_at,
            None if error is None else SharedState.name_error(error),
        )
        if state == self._written and now - self._written_at < self.PULSE:
            return
        try:
            self._file.write(state)
        except OSError as problem:
            self._log_once(f"The state file can't be written: {problem}")
            return
        if state != self._written:
            self._report()
        self._written, self._written_at = state, now

    def _count(self, held: Snapshot, now: float) -> None:
        """Look once in a while who follows, and report what they reject."""
        reporter = self._reporter
        if reporter is None or now - self._looked_at < self.PULSE:
            return
        self._looked_at = now
        crew = look_for_crew(self._crew, plain_tag(held.etag))
        is_other = crew.reasons != reporter.of_followers
        reporter.processes, reporter.of_followers = 1 + crew.members, crew.reasons
        if is_other:
            # In a thread of its own, as a heartbeat must not wait for a server.
            reporter.report_soon()

    def _join(self, now: float) -> None:
        """Tell the process that leads that this one follows, and what it rejects."""
        raw = self._store.raw
        if self._reporter is None or self._role is not _Role.FOLLOWING or raw is None:
            return
        try:
            self._member.keep(plain_tag(raw.etag), self._sync.reasons(), now)
        except OSError as problem:
            self._log_once(f"The file of a follower can't be written: {problem}")

    def _leave(self) -> None:
        """Let others lead, and go on by itself."""
        self._lock.release()
        self._sync.saves = False
        self._role = _Role.BY_ITSELF

    def _is_in_step(self, state: SharedState, now: float) -> bool:
        held = self._store.raw
        is_recent = now - state.confirmed_at <= self._max_age
        return is_recent and held is not None and held.etag == state.etag is not None

    def _follow(self, state: SharedState, generation: int, now: float) -> None:
        poll = (state.leader, state.generation, state.etag, state.confirmed_at, state.error)
        if state.generation and now - state.confirmed_at > self._max_age:
            self._log_once("The process that leads gets no responses")
            self._play(_Role.BY_ITSELF)
            return
        if poll == self._applied:
            self._in_step_at = now
            return
        if state.generation and not self._take(state, generation):
            if now - self._in_step_at > self.PATIENCE:
                self._log_once("The copy of the process that leads is not to be had")
                self._play(_Role.BY_ITSELF)
            return
        self._applied, self._in_step_at = poll, now
        error = state.read_error()
        if error is not None:
            self._store.fail(error, is_own=False)
            self._sync.load_stand_in()
        self._report()

    def _take(self, state: SharedState, generation: int) -> bool:
        """Take the snapshot of the leader, and return whether this process is in step with it."""
        if state.etag is None:
            return False
        held, of_leader = self._store.raw, (state.leader, state.generation)
        snapshot = None
        if held is None or held.etag != state.etag or self._loaded != of_leader:
            if self._may_be_older(state):
                self._ask()
                return True
            found = self._disk.load(previous=held)
            if found is None or found.snapshot.etag != state.etag:
                return False
            self._disk.error = None
            snapshot = found.snapshot
        if not self._sync.adopt(snapshot, generation, confirmed_at=state.confirmed_at):
            return False
        self._loaded = of_leader
        return True

    def _may_be_older(self, state: SharedState) -> bool:
        """Return whether this process asked the server after the leader did, as a refresh does."""
        held = self._store.raw
        return (
            held is not None
            and held.etag != state.etag
            and self._store.stand_in is None
            and state.asked_at < self._store.confirmed_at
        )

    def _ask(self) -> None:
        """Let the server decide on which snapshot is the newest."""
        try:
            self._sync.update(self._source)
        except ConfigSvcError as error:
            _log.debug("%s: %s", self._name, error)

    def _log_once(self, problem: str, *, exc_info: bool = False) -> None:
        if problem != self._problem:
            level = _log.error if exc_info else _log.debug
            level("%s: %s", self._name, problem, exc_info=exc_info)
        self._problem = problem


def share(
    options: Options,
    application: str,
    environment: str,
    *,
    store: SnapshotStore,
    sync: Synchronizer,
    report: Callable[[], None],
    make_reporter: "Callable[[Transport], Reporter | None]" = lambda _: None,
) -> SharedPoller:
    """Return an updater of a view that shares its polls.

    Args:
        options: the settings of the client.
        application: name or id of the application.
        environment: name of the environment.
        store: the snapshot that there is.
        sync: puts snapshots in place; it has a copy on disk.
        report: called when there is something new.
        make_reporter: makes what tells the server who polls.
    """
    name = f"{application}/{environment}"

    def connect() -> tuple[Transport, SnapshotSource]:
        transport = Untraced(HttpTransport(options, retries=0))
        return transport, SnapshotSource(transport, application, environment)

    # A transport for as long as this process shares: pollers come and go.
    transport, source = connect()
    reporter = make_reporter(transport)

    def make_poller(starts_full: bool, report: Callable[[], None]) -> Poller:
        transport, source = connect()
        source.reporter = reporter
        schedule = PollSchedule(interval=options.poll_interval, long_poll=options.long_poll)
        # A process that takes over finds out at once how things are.
        schedule.probe()
        return Poller(
            name=name,
            transport=transport,
            source=source,
            sync=sync,
            store=store,
            schedule=schedule,
            report=report,
            starts_full=starts_full,
        )

    if sync.disk is None:
        raise ValueError("processes can't share polls without a copy on disk")
    return SharedPoller(
        name=name,
        disk=sync.disk,
        transport=transport,
        source=source,
        sync=sync,
        store=store,
        make_poller=make_poller,
        report=report,
        max_age=max(SharedPoller.LONGEST, options.stale_after, 2 * options.poll_interval),
        reporter=reporter,
    )
