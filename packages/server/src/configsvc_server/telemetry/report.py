"""Parts of the health report, from what the components know of themselves."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from configsvc_server.telemetry.readings import CacheReading, ServingReading, WaiterReading

__all__ = ["Part", "caches_part", "connections_part", "lanes_part", "pools_part", "waiters_part"]

Part: TypeAlias = dict[str, Any]
"""A JSON object."""


def pools_part(pools: Mapping[str, Mapping[str, int]]) -> Part:
    """Return the state of the pools of connections.

    Args:
        pools: what ``psycopg_pool`` tells of each; it leaves out what is 0.
    """
    return {
        name: {
            "connections": stats.get("pool_size", 0),
            "limit": stats.get("pool_max", 0),
            "in_use": max(0, stats.get("pool_size", 0) - stats.get("pool_available", 0)),
            "waiting": stats.get("requests_waiting", 0),
            "errors": stats.get("requests_errors", 0) + stats.get("connections_errors", 0),
        }
        for name, stats in pools.items()
    }


def caches_part(readings: Iterable[CacheReading]) -> Part:
    """Return the state of the caches."""
    return {
        reading.name: {
            "entries": reading.entries,
            "hits": reading.hits,
            "misses": reading.misses,
            **({} if reading.size is None else {"bytes": reading.size}),
            **({} if reading.limit is None else {"limit_bytes": reading.limit}),
        }
        for reading in readings
    }


def waiters_part(reading: WaiterReading) -> Part:
    """Return the state of the slots to wait in."""
    return {
        "waiting": reading.waiting,
        "limit": reading.limit,
        "refused": reading.refused_full + reading.refused_not_listening,
    }


def connections_part(reading: ServingReading) -> Part:
    """Return the state of the connections of clients."""
    return {
        "open": sum(reading.phases.values()),
        "limit": reading.limit,
        "phases": dict(reading.phases),
        "shed_requests": reading.shed,
    }


def lanes_part(reading: ServingReading) -> Part:
    """Return the state of the threads for each kind of request."""
    return {
        lane.name: {
            "threads": lane.threads,
            "limit": lane.limit,
            "busy": lane.busy,
            "queued": lane.queued,
        }
        for lane in reading.lanes
    }
