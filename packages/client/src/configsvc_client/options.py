"""Settings of a client, checked once."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

__all__ = ["MAX_WAIT", "Options", "Token"]

MAX_WAIT: Final = 60.0
"""Seconds that a server waits for a change at most."""

Token = str | Callable[[], str]
"""Token, or a function that returns it and is called before each request."""


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Settings of a client; :class:`~configsvc_client.ConfigClient` describes them."""

    url: str
    token: Token | None = field(default=None, repr=False)
    timeout: tuple[float, float] = (3.05, 10.0)
    retries: int = 3
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    proxies: Mapping[str, str] | None = None
    poll_interval: float = 30.0
    long_poll: float = 30.0
    start_timeout: float = 10.0
    stale_after: float = 90.0
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: a setting has an impossible value; the message says what is possible.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"url must be like https://config.example.com, not {self.url!r}")
        if parts.query or parts.fragment:
            raise ValueError(f"url must end before any ? or #, unlike {self.url!r}")
        object.__setattr__(self, "url", self.url.rstrip("/"))
        for name in ("poll_interval", "stale_after"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be a number of seconds above 0")
        for name in ("start_timeout", "retries"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} can't be negative")
        if min(self.timeout) <= 0:
            raise ValueError("timeout must be two numbers of seconds above 0: (connect, read)")
        if not 0 <= self.long_poll <= MAX_WAIT:
            raise ValueError(f"long_poll must be 0 to {MAX_WAIT:g} seconds; 0 turns it off")


def environment_url() -> str:
    """Return the environment variable ``CONFIGSVC_URL``.

    Raises:
        ValueError: the variable is not set.
    """
    url = os.environ.get("CONFIGSVC_URL")
    if not url:
        raise ValueError("Where is the server? Give ConfigClient(url) or set CONFIGSVC_URL.")
    return url
