"""Redirects: where they lead, and whether that is the same server."""

from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from configsvc_client._http.credentials import redacted

__all__ = ["is_http", "is_same_server", "shown", "target_of"]

_REDIRECTS: Final = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}

_PORTS: Final = {"http": 80, "https": 443}

_MAX_SHOWN: Final = 300
"""Characters of a target that are shown."""


def target_of(response: requests.Response) -> SplitResult | None:
    """Return the absolute URL that a redirect leads to; ``None`` for other responses."""
    location = response.headers.get("Location")
    if response.status_code not in _REDIRECTS or not location:
        return None
    # http.client has decoded the header as Latin-1, though it is UTF-8 if anything.
    location = location.encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        target = urlsplit(urljoin(response.url, location))
        # Looking at the port is what checks it.
        is_usable = target.port != 0
    except ValueError:
        return None
    return target if is_usable else None


def is_http(target: SplitResult) -> bool:
    """Return whether a target can be asked."""
    return target.scheme in _PORTS and bool(target.hostname)


def is_same_server(home: SplitResult, target: SplitResult) -> bool:
    """Return whether a target is the same server, or its usual port of TLS."""
    if home.hostname != target.hostname:
        return False
    ports = (home.port or _PORTS[home.scheme], target.port or _PORTS[target.scheme])
    if home.scheme == target.scheme:
        return ports[0] == ports[1]
    return home.scheme == "http" and ports == (_PORTS["http"], _PORTS["https"])


def shown(target: SplitResult | None) -> str | None:
    """Return a target without what may be a secret, and without what would break a line."""
    if target is None:
        return None
    url = target._replace(netloc=target.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return redacted(url)[:_MAX_SHOWN] + ("?…" if target.query else "")
