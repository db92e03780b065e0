"""Followers of the change feed, through the SDK and over HTTP alone, which note every change."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import requests

from benchmarks.ledger import Caller, Ledger
from configsvc_client import ConfigClient, ConfigSvcError

_WAIT: Final = 20
"""Seconds that a follower through the SDK lets the server wait."""


@dataclass
class Follower:
    """Follower of the change feed, through the SDK or over HTTP alone."""

    name: str
    servers: Sequence[str]
    """Those to ask; another one after each failure."""
    application: str | None = None
    """The name of the only application that it follows."""
    ids: list[int] = field(default_factory=list)
    """The changes that it was told of."""
    closed: threading.Event = field(default_factory=threading.Event)
    client: ConfigClient | None = None

    def run(self, ledger: Ledger) -> None:
        """Follow until :meth:`close`."""
        try:
            self._follow(ledger)
        except (ConfigSvcError, requests.RequestException) as error:
            if not self.closed.is_set():
                ledger.violated(f"{self.name} ended: {error}")

    def close(self) -> None:
        """End it."""
        self.closed.set()

    def _follow(self, ledger: Ledger) -> None:
        raise NotImplementedError


class SdkFollower(Follower):
    """Follower through the SDK."""

    def _follow(self, ledger: Ledger) -> None:
        with ConfigClient(self.servers[0], long_poll=_WAIT) as client:
            self.client = client
            with client.changes.follow(from_start=True, application=self.application) as feed:
                for change in feed:
                    self.ids.append(change.id)

    def close(self) -> None:
        """End it, also a wait."""
        super().close()
        if self.client is not None:
            self.client.close()


class HttpFollower(Follower):
    """Follower over HTTP, which asks another server after each failure."""

    def _follow(self, ledger: Ledger) -> None:
        callers = [Caller(ledger, server) for server in self.servers]
        number, after = 0, ""
        while not self.closed.is_set():
            response = callers[number % len(callers)].call(
                "GET",
                "/api/v1/changes?limit=200" + (f"&after={after}" if after else ""),
                expected=[200],
                # So short that a follower can be ended.
                headers={"Prefer": "wait=2"},
                timeout=_WAIT,
            )
            if response is None:
                number += 1
                self.closed.wait(0.1)
                continue
            page = response.json()
            self.ids.extend(item["id"] for item in page["items"])
            after = page["next"] or after
