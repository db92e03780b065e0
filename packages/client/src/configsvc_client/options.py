"""Settings of a client, checked once."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["MAX_WAIT", "Options", "Token", "token_problem"]

MAX_WAIT: Final = 60.0
"""Seconds that a server waits for a change at most."""

Token = str | Callable[[], str]
"""Token, or a function that returns it and is called before each request."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_INSTANCE_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")


class Options:
    """Settings of a client; :class:`~configsvc_client.ConfigClient` describes them.

    They do not change. No dataclass, since those take long to import, and ``repr`` shows no
    secrets: it shows no settings.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        timeout: tuple[float, float] = (3.05, 10.0),
        retries: int = 3,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        poll_interval: float = 30.0,
        long_poll: float = 30.0,
        start_timeout: float = 10.0,
        stale_after: float = 90.0,
        cache_dir: Path | None = None,
        share_polls: bool = False,
        total_timeout: float = 30.0,
        max_response_size: int = 64 * 1024 * 1024,
        service: str | None = None,
        service_version: str | None = None,
        instance_id: str | None = None,
        report: bool = True,
    ) -> None:
        """Check the settings.

        Raises:
            ValueError: a setting has an impossible value; the message says what is possible.
        """
        self.url: str = url
        """Base URL; credentials in it are moved to ``credentials``, so that it can be shown."""
        self.token: Token | None = token or None
        self.timeout: tuple[float, float] = timeout
        self.retries: int = retries
        self.verify: bool | str = verify
        self.cert: str | tuple[str, str] | None = cert
        self.proxies: Mapping[str, str] | None = proxies
        self.poll_interval: float = poll_interval
        self.long_poll: float = long_poll
        self.start_timeout: float = start_timeout
        self.stale_after: float = stale_after
        self.cache_dir: Path | None = cache_dir
        self.share_polls: bool = share_polls
        self.total_timeout: float = total_timeout
        self.max_response_size: int = max_response_size
        self.service: str | None = service
        self.service_version: str | None = service_version
        self.instance_id: str | None = instance_id
        self.report: bool = report
        self.credentials: tuple[str, str] | None = None
        """Name and password from the URL."""
        self._set_url()
        self._check()

    def _check(self) -> None:
        if not callable(self.token) and self.token is not None:
            problem = token_problem(self.token)
            if problem is not None:
                raise ValueError(f"token must be a string that a header can have; it {problem}")
        for name in ("poll_interval", "stale_after", "total_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be a number of seconds above 0")
        for name in ("start_timeout", "retries"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} can't be negative")
        if self.max_response_size <= 0:
            raise ValueError("max_response_size must be a number of bytes above 0")
        if min(self.timeout) <= 0:
            raise ValueError("timeout must be two numbers of seconds above 0: (connect, read)")
        if not 0 <= self.long_poll <= MAX_WAIT:
            raise ValueError(f"long_poll must be 0 to {MAX_WAIT:g} seconds; 0 turns it off")
        if self.instance_id is not None and not _INSTANCE_ID.fullmatch(self.instance_id):
            raise ValueError("instance_id must have 1 to 64 characters of A-Z a-z 0-9 . _ ~ -")
        for proxy in (self.proxies or {}).values():
            if _parts(proxy if "://" in proxy else f"http://{proxy}") is None:
                raise ValueError(
                    "proxies must have URLs like http://proxy.example.com:3128,"
                    f" not {_shown(proxy)!r}"
                )
        self._check_files()

    def _set_url(self) -> None:
        if self.url.lower().startswith("file:"):
            return
        parts = _checked_url(self.url)
        name, _, password = parts.netloc.rpartition("@")[0].partition(":")
        if name or password:
            self.credentials = unquote(name), unquote(password)
        clean = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        self.url = clean.geturl().rstrip("/")

    def _check_files(self) -> None:
        if self.share_polls and self.cache_dir is None:
            raise ValueError("share_polls needs a cache_dir, through which processes share")
        cert = (self.cert,) if isinstance(self.cert, str) else self.cert or ()
        authorities = () if isinstance(self.verify, bool) else (self.verify,)
        for name, files in (("verify", authorities), ("cert", cert)):
            for file in files:
                if not Path(file).exists():
                    raise ValueError(f"{name}: there is no file {os.fspath(file)!r}")


def environment_url() -> str:
    """Return the environment variable ``CONFIGSVC_URL``.

    Raises:
        ValueError: the variable is not set.
    """
    url = os.environ.get("CONFIGSVC_URL")
    if not url:
        raise ValueError("Where is the server? Give ConfigClient(url) or set CONFIGSVC_URL.")
    return url


def token_problem(token: object) -> str | None:
    """Return what is wrong with a token, without a word of it; ``None`` where it is usable."""
    if not isinstance(token, str):
        return f"is of type {type(token).__name__}"
    if not token:
        return "is empty"
    if "\n" in token or "\r" in token:
        return "has a line break (read from a file? Then strip it)"
    if _CONTROL.search(token):
        return "has a control character"
    try:
        token.encode("latin-1")
    except UnicodeEncodeError:
        pass
    else:
        return None
    return "has characters beyond Latin-1"


def _checked_url(url: str) -> SplitResult:
    parts = _parts(url)
    if parts is None or parts.scheme not in {"http", "https"}:
        raise ValueError(f"url must be like https://config.example.com, not {_shown(url)!r}")
    if parts.query or parts.fragment:
        raise ValueError(f"url must end before any ? or #, unlike {_shown(url)!r}")
    return parts


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL; ``None`` where it has no host, or no port that can be."""
    try:
        parts = urlsplit(url)
        # Looking at the port is what checks it.
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_address else None


def _shown(url: str) -> str:
    """Return a URL, maybe a malformed one, without what may be a secret in it."""
    scheme, mark, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    if "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    address, cut, *_ = [*re.split(r"([?#])", rest, maxsplit=1), ""]
    return f"{scheme}{mark}{address}{f'{cut}…' if cut else ''}"
