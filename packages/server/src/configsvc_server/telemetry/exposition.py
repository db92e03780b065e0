"""Exposition: what a registry has, in the format that a scraper asks for."""

import gzip
from dataclasses import dataclass

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

__all__ = ["Exposition", "render"]

# What is scraped every few seconds is not worth more of the processor's time.
_COMPRESSION_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Exposition:
    """Ready-made answer to a scrape."""

    body: bytes
    content_type: str
    content_encoding: str | None


def render(registry: Collector, *, accept: str = "", compressed: bool = False) -> Exposition:
    """Return everything that a process exports.

    Args:
        registry: what it exports.
        accept: formats that the scraper takes; OpenMetrics where it does, otherwise text.
        compressed: whether it takes gzip.
    """
    encode, content_type = choose_encoder(accept)
    body = bytes(encode(registry))
    if not compressed:
        return Exposition(body, content_type, None)
    return Exposition(gzip.compress(body, _COMPRESSION_LEVEL), content_type, "gzip")
