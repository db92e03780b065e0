"""Host check: requests for other host names than those of this server are refused.

A page of another site can have its own name point at an address that only the browser of its
visitor reaches (DNS rebinding), and is then of one origin with what answers there. What gives it
away is ``Host``, in which the browser sends that name.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

import falcon

from configsvc_server.http.errors import MisdirectedRequestError
from configsvc_server.http.resources.health import PATHS as HEALTH_PATHS

__all__ = ["ALL_HOSTS", "HostCheck", "is_loopback"]

ALL_HOSTS = "*"
"""Stands for every host name."""

_MAX_LENGTH = 300  # A name has at most 253 characters (RFC 1035).

_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Za-z:.%]+)\]|(?P<name>[0-9A-Za-z_.-]+))(?::[0-9]*)?")

_LOCALHOST = "localhost"


class HostCheck:
    """Middleware that refuses requests whose ``Host`` is not allowed.

    IP addresses, ``localhost`` and the names below it always are: no name server decides what
    they stand for. Health checks are answered whatever they ask for.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Allow ``names``; ``*.example.com`` stands for every name below ``example.com``."""
        lowered = [name.lower() for name in names]
        self._names = frozenset(name for name in lowered if not name.startswith("*."))
        self._suffixes = tuple(name[1:] for name in lowered if name.startswith("*."))
        self._is_known = lru_cache(maxsize=256)(self._is_allowed)

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Refuse the request if it is meant for another host.

        Raises:
            MisdirectedRequestError: it is.
        """
        # Without one (HTTP/1.0) it does not come from a browser.
        host = req.get_header("Host")
        if host is None or req.path in HEALTH_PATHS:
            return
        if len(host) > _MAX_LENGTH or not self._is_known(host):
            raise MisdirectedRequestError

    def _is_allowed(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        if found["name"] is None:
            return _is_address(found["address"])
        name = found["name"].removesuffix(".").lower()
        return (
            name in self._names
            or (bool(self._suffixes) and name.endswith(self._suffixes))
            or _is_local(name)
            or _is_address(name)
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach ``host``, an address or a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return _is_local(host.lower())


def _is_local(name: str) -> bool:
    return name == _LOCALHOST or name.endswith(f".{_LOCALHOST}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
