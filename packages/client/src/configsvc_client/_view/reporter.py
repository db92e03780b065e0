"""Reporter: tells the server who polls for a view, and why a snapshot is rejected.

Who polls is a header of polls that are made anyway. Reasons are sent once for each version and set
of reasons, before the next poll, so that they are there when the poll says what is served now.
Nothing here keeps a view from being up to date: whatever fails is dropped, or tried again later.
"""

import json
import math
import threading
import time
from logging import getLogger
from typing import TYPE_CHECKING, Final

from configsvc_client._http.api import PREFIX, Api, segment
from configsvc_client._http.instance import Instance
from configsvc_client._http.poll_schedule import PollSchedule
from configsvc_client._http.types import Request, Transport, require_ok
from configsvc_client._values.entries import plain_tag
from configsvc_client._values.snapshot import Snapshot

# Here too, so that no thread imports it while another one forks.
from configsvc_client._view.rejections import MOST, Reason
from configsvc_client._view.store import SnapshotStore
from configsvc_client._view.synchronizer import Synchronizer
from configsvc_client.errors import ConfigSvcError, ServerError
from configsvc_client.options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Reporter"]

_log = getLogger("configsvc_client")


class Reporter:
    """Reporter of one view in one process."""

    PATIENCE: Final = 2.0
    """Seconds that the server may take for a report; the next poll waits for it."""

    RETRY: Final = 10.0
    """Seconds until a report that did not arrive is sent again."""

    PAUSE: Final = 3600.0
    """Seconds until a server that knows no reports, or refuses them, is sent another."""

    LONGEST_INTERVAL: Final = 3600
    """Seconds between two polls that the header may promise at most."""

    def __init__(
        self,
        instance: Instance,
        application: str,
        environment: str,
        *,
        transport: Transport,
        sync: Synchronizer,
        store: SnapshotStore,
        options: Options,
    ) -> None:
        """Create a reporter that has told nothing.

        Args:
            instance: the identity of the client.
            application: name or id of the application.
            environment: name of the environment.
            transport: sends the reports.
            sync: knows the reasons.
            store: the snapshot that there is.
            options: the settings of the client.
        """
        self.processes: int = 1
        """Number of processes that follow the polls."""
        self.of_followers: Sequence[Reason] = ()
        """Reasons of those that follow."""
        self._instance = instance
        self._application = application
        self._environment = environment
        self._transport = transport
        self._sync = sync
        self._store = store
        longest = max(options.long_poll, options.poll_interval * (1 + PollSchedule.JITTER))
        self._interval = min(self.LONGEST_INTERVAL, math.ceil(longest))
        self._told: tuple[str, tuple[Reason, ...]] | None = None
        self._due = -math.inf
        self._sending = threading.Lock()

    def header(self, current: Snapshot | None) -> str:
        """Return the header of a poll.

        Args:
            current: the snapshot that it has the tag of; ``None`` where there is none.
        """
        rejects = None
        if current is not None:
            count = len(self._reasons())
            told = self._told
            if count or (told is not None and told[1] and told[0] == plain_tag(current.etag)):
                rejects = count
        return self._instance.header(
            interval=self._interval, processes=self.processes, rejects=rejects
        )

    def report(self) -> bool:
        """Send the reasons to reject the snapshot if they are not known, and return whether it did.

        It raises nothing.
        """
        try:
            news = self._news()
            if news is None or not self._sending.acquire(blocking=False):
                return False
            try:
                self._send(*news)
            finally:
                self._sending.release()
        except Exception:  # noqa: BLE001 - see above
            _log.debug("A report of %s failed", self._environment, exc_info=True)
            self._due = time.monotonic() + self.RETRY
            return False
        return True

    def report_soon(self) -> None:
        """Send them in a thread of its own, where there is something new while a poll waits."""
        if self._news() is not None:
            threading.Thread(target=self.report, name="configsvc report", daemon=True).start()

    def _reasons(self) -> tuple[Reason, ...]:
        own = self._sync.reasons()
        if not self.of_followers:
            return own
        return tuple(dict.fromkeys((*own, *self.of_followers)))[:MOST]

    def _news(self) -> tuple[str, tuple[Reason, ...]] | None:
        """Return the version and the reasons, if the server is to be told of them now."""
        held = self._store.raw
        if held is None or self._store.stand_in is not None:
            return None
        if self._store.failing:
            # The server may have lost what it was told when it is found again.
            self._told = None
            return None
        version, reasons = plain_tag(held.etag), self._reasons()
        if version is None or time.monotonic() < self._due:
            return None
        known = self._told[1] if self._told is not None and self._told[0] == version else ()
        return None if reasons == known else (version, reasons)

    def _send(self, version: str, reasons: tuple[Reason, ...]) -> None:
        body = {"version": version, "rejections": [reason._asdict() for reason in reasons]}
        try:
            application = Api(self._transport).application_path(self._application)
            path = f"{PREFIX}{application}/environments/{segment(self._environment)}/instances/"
            request = Request(
                "POST",
                f"{path}{segment(self._instance.id)}/rejections",
                headers={"Content-Type": "application/json"},
                body=json.dumps(body, ensure_ascii=False).encode(errors="replace"),
                read_timeout=self.PATIENCE,
            )
            require_ok(self._transport.send(request))
        except ConfigSvcError as error:
            _log.debug("A report did not arrive: %s", error)
            is_refused = error.status is not None and not isinstance(error, ServerError)
            self._due = time.monotonic() + (self.PAUSE if is_refused else self.RETRY)
        else:
            self._told = version, reasons
