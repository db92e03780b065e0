"""Peers: who a connection and a request come from, as far as that can be trusted."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

__all__ = ["Network", "client_address", "is_within", "peer_of"]

Network: TypeAlias = IPv4Network | IPv6Network


@lru_cache(maxsize=4096)
def peer_of(address: str) -> str:
    """Return what counts as one peer: an IPv4 address, or the /64 network of an IPv6 address.

    Whoever has one IPv6 address has the 2**64 of its network.
    """
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed or address)


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Return whether an address belongs to one of the networks."""
    parsed = _parse(address) if networks else None
    return parsed is not None and any(parsed in network for network in networks)


def client_address(peer: str, headers: Mapping[str, str], proxies: Sequence[Network]) -> str:
    """Return the address of the client that a request comes from.

    Args:
        peer: address of the other end of the connection.
        headers: headers of the request, named in capitals with underscores.
        proxies: networks whose ``X-Forwarded-For`` can be trusted; whoever else sends it may
            write into it what he likes.
    """
    if not is_within(peer, proxies):
        return peer
    address = peer
    for hop in reversed(headers.get("X_FORWARDED_FOR", "").split(",")):
        if _parse(hop.strip()) is None:
            break
        address = hop.strip()
        if not is_within(address, proxies):
            break
    return address


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
