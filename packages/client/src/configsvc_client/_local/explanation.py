"""Explanation of a value: where it comes from, and what it hides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, NamedTuple

from configsvc_client._local.files import Layer
from configsvc_client._values.frozen import freeze
from configsvc_client._values.merging import leaves
from configsvc_client._values.paths import json_pointer, locate
from configsvc_client._values.snapshot import Snapshot

__all__ = ["Explainer", "Explanation"]

_DEFAULT: Final = "schema default"
_ABSENT: Final = object()
_REMOVED: Final = object()


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """Explanation of where a value comes from.

    Example:
        >>> app.explain("database.pool_size")
        /database/pool_size: 10
          from the server: version 3 of 2026-...
    """

    path: str
    """JSON Pointer to the value, from the name of the configuration on."""
    value: Any
    """Value; ``None`` where there is none."""
    exists: bool
    """Whether there is a value, which may be ``None`` too."""
    source: str | None
    """``variable``, ``override file``, ``file``, ``server``, ``disk``, ``fallback`` or ``schema
    default``, which is for bound objects that ask for it; ``None`` where there is nothing."""
    detail: str
    """Name of the variable or file, or version and time of the revision."""
    hidden: "tuple[Explanation, ...]" = ()
    """What would be there without it, the next one first."""
    parts: "tuple[Explanation, ...]" = ()
    """Values inside it that come from elsewhere."""

    def __repr__(self) -> str:
        lines = [f"{self.path}: {_shown(self)}"]
        if self.source is not None:
            lines.append(f"  {'from' if self.exists else 'removed by'} {self._origin}")
        lines += [
            f"  hides {_shown(other)} from {other._origin}"
            if other.exists
            else f"  hides its removal by {other._origin}"
            for other in self.hidden
        ]
        for part in self.parts:
            lines += [f"  {line}" for line in repr(part).splitlines()]
        return "\n".join(lines)

    @property
    def _origin(self) -> str:
        kind = {"disk": "copy on disk", _DEFAULT: "default of the schema"}
        name = f"the {kind.get(self.source or '', self.source)}"
        return f"{name}: {self.detail}" if self.detail else name


class _Claim(NamedTuple):
    """Layer with what it has at a path."""

    source: str
    detail: str
    value: Any
    is_patch: bool


class Explainer:
    """Explainer of the values of one snapshot; it looks at what is in memory only."""

    def __init__(
        self,
        snapshot: Snapshot,
        raw: Snapshot,
        *,
        source: str,
        patches: Sequence[tuple[str, str, Mapping[str, Any]]] = (),
        documents: Mapping[str, tuple[Layer, ...]] | None = None,
        fallback: Mapping[str, tuple[Layer, ...]] | None = None,
    ) -> None:
        """Create an explainer.

        Args:
            snapshot: the snapshot, with overrides.
            raw: the snapshot as it was fetched.
            source: where it was fetched.
            patches: kind, origin and patch of the overrides, the highest last.
            documents: what the configurations are made of, if not of revisions of a server.
            fallback: what the fallback is made of.
        """
        self._snapshot = snapshot
        self._raw = raw
        self._source = source
        self._patches = patches
        self._documents = documents or {}
        self._fallback = (fallback or {}) if source != "fallback" else {}

    def explain(self, path: str) -> Explanation:
        """Return where the value at a path comes from.

        Args:
            path: dotted, or a JSON Pointer.
        """
        known = {**self._raw.configs, **self._snapshot.configs}
        name, steps = locate(known, path)
        return self._explain(name, steps)

    def _explain(self, name: str, steps: list[str]) -> Explanation:
        pointer = json_pointer([name, *steps])
        value = _reach(self._snapshot.configs, [name, *steps])
        claims = list(self._claims(name, steps))
        winner = _winner(claims)
        if winner is None:
            return Explanation(pointer, None, False, None, "")
        top = claims[winner]
        hidden = [
            _explanation(pointer, claim.value, claim.source, claim.detail)
            for claim in claims[winner + 1 :]
            if claim.value is not _ABSENT
        ]
        if value is _ABSENT and top.value is not _REMOVED:
            # What a fallback or schema has is not merged into the configuration.
            default = next((claim for claim in claims if claim.source == _DEFAULT), None)
            if default is None:
                return Explanation(pointer, None, False, None, "", tuple(hidden))
            rest = tuple(other for other in hidden if other.source != _DEFAULT)
            return Explanation(pointer, default.value, True, _DEFAULT, "", rest)
        inner = dict.fromkeys(
            (*steps, *leaf)
            for claim in claims[:winner]
            if isinstance(claim.value, Mapping)
            for leaf in leaves(claim.value)
        )
        parts = tuple(self._explain(name, list(leaf)) for leaf in inner)
        return _explanation(pointer, value, top.source, top.detail, tuple(hidden), parts)

    def _claims(self, name: str, steps: list[str]) -> Iterator[_Claim]:
        """Yield what each layer has at a path, the highest first."""
        for kind, origin, patch in reversed(self._patches):
            if name not in patch:
                continue
            value = _reach(self._masked(name, patch[name]), steps, is_patch=True)
            if value is not _ABSENT:
                yield _Claim(kind, origin, value, is_patch=True)
        layers = self._documents.get(name)
        if layers is None and name in self._raw.configs:
            value = _reach(self._raw.configs, [name, *steps])
            yield _Claim(self._source, self._revision(name), value, is_patch=False)
        for layer in reversed(layers or ()):
            value = _reach(self._masked(name, layer.document), steps, is_patch=layer.is_patch)
            if value is not _ABSENT or not layer.is_patch:
                yield _Claim(self._source, layer.origin, value, layer.is_patch)
        for layer in reversed(self._fallback.get(name, ())):
            value = _reach(self._masked(name, layer.document), steps, is_patch=layer.is_patch)
            if value is not _ABSENT:
                yield _Claim("fallback", layer.origin, value, is_patch=False)
        if name in self._raw.configs:
            default = self._raw.defaults(name).get(json_pointer(steps), _ABSENT)
            if default is not _ABSENT:
                for step in reversed(steps):
                    default = {step: default}
                value = _reach(self._masked(name, default), steps)
                yield _Claim(_DEFAULT, "", value, is_patch=False)

    def _masked(self, name: str, document: Any) -> Any:
        """Return values of a layer with what the schema says is secret masked."""
        is_object = isinstance(document, Mapping)
        return self._raw._masked(name, freeze(document)) if is_object else document

    def _revision(self, name: str) -> str:
        revision = self._raw.provenance(name)
        at = revision.updated_at.astimezone(UTC)
        return f"version {revision.version} of {at:%Y-%m-%d %H:%M} UTC"


def _winner(claims: Sequence[_Claim]) -> int | None:
    """Return the index of the layer that a value comes from.

    An object is of the lowest layer that is merged into it; the others have parts of it.
    """
    found: int | None = None
    for index, claim in enumerate(claims):
        if not isinstance(claim.value, Mapping):
            return index if found is None else found
        found = index
        if not claim.is_patch:
            return found
    return found


def _reach(document: Mapping[str, Any], steps: Sequence[str], *, is_patch: bool = False) -> Any:
    value: Any = document
    for step in steps:
        if isinstance(value, Mapping):
            if step not in value:
                return _ABSENT
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            # A patch that puts something else there removes what was inside.
            return _REMOVED if is_patch else _ABSENT
    return _REMOVED if is_patch and value is None else value


def _explanation(
    pointer: str,
    value: Any,
    source: str,
    detail: str,
    hidden: tuple[Explanation, ...] = (),
    parts: tuple[Explanation, ...] = (),
) -> Explanation:
    exists = value is not _ABSENT and value is not _REMOVED
    shown = value if exists else None
    return Explanation(pointer, shown, exists, source, detail, hidden, parts)


def _shown(explanation: Explanation) -> str:
    value = explanation.value
    if not explanation.exists:
        return "nothing"
    if isinstance(value, Mapping):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return repr(value)
