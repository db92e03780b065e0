"""Limits of the serving side: deadlines of each phase of a connection, and caps a peer and in all.

See decision 0012.
"""

from dataclasses import dataclass
from typing import Final

from configsvc_server.http.peers import Network

__all__ = ["Limits", "fit_to_open_files"]

_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a connection may take, and how long each of its phases may last."""

    max_body_bytes: int = _MEBIBYTE
    """Largest request body."""
    head_timeout: float = 10.0
    """Seconds from the first byte of a request to the end of its head."""
    body_timeout: float = 60.0
    """Seconds from the end of the head to the end of the body."""
    queue_timeout: float = 10.0
    """Seconds that a request may wait for a thread."""
    stall_timeout: float = 30.0
    """Seconds that a client may take nothing of its response."""
    idle_timeout: float = 120.0
    """Seconds that a connection may be open without a request."""
    max_connections: int = 2000
    """Open connections in all."""
    max_connections_per_peer: int = 1000
    """Open connections of one peer: an IPv4 address, or the /64 network of an IPv6 address."""
    max_buffered_bytes: int = 256 * _MEBIBYTE
    """Bytes in memory of bodies that are not read to their end, and of responses not yet taken."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks of reverse proxies, which have no cap and whose ``X-Forwarded-For`` counts."""

    HEAD_BYTES = 16 * 1024
    """Largest head of a request: its first line and headers."""

    PATH_BYTES = 2048
    """Longest path, without the query: to decode it takes the time of the thread that reads."""

    HEAD_LINES = 100
    """Most headers of a request."""

    OVERSIZE = 16
    """Bodies up to this many times ``max_body_bytes`` are read and discarded, and the connection
    stays open when the application refuses them; with larger ones it is closed."""

    RESPONSE_SECONDS = 60.0
    """Seconds that a client has to take a response, besides those for its size."""

    RESPONSE_RATE = 16 * 1024
    """Bytes a second that a client has to take on the average."""

    LINGER_SECONDS = 2.0
    """Seconds that what a refused client still sends is read and discarded, so that the
    response is not lost by a reset."""

    RESERVE = 32
    """Connections beyond ``max_connections`` that are accepted for health checks alone."""


def fit_to_open_files(wanted: int, *, others: int) -> int:
    """Return how many connections there may be, and raise the soft limit of open files for them.

    Args:
        wanted: how many connections are wanted.
        others: how many files are needed for everything else.

    Returns:
        ``wanted``, or less where the hard limit of open files is too low.
    """
    try:
        import resource  # noqa: PLC0415 - Windows has neither the module nor the limit
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + Limits.RESERVE + others
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - Limits.RESERVE - others))
