"""Entity tags of a condition: which states of a resource a caller names (RFC 9110, section 13)."""

from dataclasses import dataclass

__all__ = ["EntityTags"]


@dataclass(frozen=True, slots=True)
class EntityTags:
    """Set of entity tags, without quotes, or any tag at all; of these, some may be excluded."""

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    is_any: bool = False
    excluded: "EntityTags | None" = None
    """Tags that are not among them: what ``If-None-Match`` of a write names."""

    def excludes(self, etag: str) -> bool:
        """Return whether a tag is an excluded one, weak or not."""
        return self.excluded is not None and self.excluded.matches_weakly(etag)

    def matches_strongly(self, etag: str) -> bool:
        """Return whether a strong tag is among them (RFC 9110, section 8.8.3.2)."""
        return (self.is_any or etag in self.strong) and not self.excludes(etag)

    def matches_weakly(self, etag: str) -> bool:
        """Return whether a tag is among them, weak or not."""
        return self.is_any or etag in self.strong or etag in self.weak
