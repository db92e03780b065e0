"""Snapshot documents and deltas: read, shared with what was there before, and written."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from configsvc_client._values.entries import (
    delta_base,
    parse_document,
    plain_tag,
    snapshot_tag,
)
from configsvc_client._values.frozen import FrozenDict, is_same
from configsvc_client._values.secrets import mark_default_secrets, mark_secrets
from configsvc_client._values.snapshot import EMPTY, Snapshot

__all__ = ["read_delta", "read_snapshot", "share", "with_digests", "write_snapshot"]

# json.dumps with arguments makes an encoder each time.
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def read_snapshot(body: bytes, etag: str | None, *, previous: Snapshot | None = None) -> Snapshot:
    """Read the response of the snapshot endpoint.

    Args:
        body: the body of the response.
        etag: the ETag of the response.
        previous: a snapshot to share unchanged configurations with.

    Raises:
        ValueError: the body is not a snapshot; the message says why.
    """
    entries = _Entries(previous or EMPTY)
    head = parse_document(body, entries.add)
    return entries.snapshot(head, etag)


def read_delta(body: bytes, etag: str | None, *, base: Snapshot) -> Snapshot:
    """Read a delta from the snapshot endpoint, and apply it.

    Args:
        body: the body of the response.
        etag: the ETag of the response, which is that of the result.
        base: the snapshot that the delta is for.

    Raises:
        ValueError: the delta is not one for ``base``, or does not lead to the snapshot that has
            this ETag; the message says why.
    """
    entries = _Entries.of(base)
    head = parse_document(body, entries.add)
    if base.digests is None or delta_base(body) != base.version:
        raise ValueError("is a delta for another snapshot")
    removed = head.get("removed")
    if not isinstance(removed, list) or not all(isinstance(name, str) for name in removed):
        raise ValueError("is a delta that does not say what is gone")
    entries.remove(removed)
    entries.sort()
    result = entries.snapshot(head, etag)
    if result.digests is None:
        raise ValueError("is a delta that does not lead to the snapshot with its ETag")
    return result


def with_digests(snapshot: Snapshot, digests: Mapping[str, bytes]) -> Snapshot:
    """Return a snapshot with the digests of its entries, if its ETag is put together from them."""
    head = (snapshot.application_id, snapshot.application, snapshot.environment)
    if snapshot.configs.keys() != digests.keys() or (
        snapshot_tag(head, digests) != plain_tag(snapshot.etag)
    ):
        return snapshot
    return Snapshot(
        application=snapshot.application,
        application_id=snapshot.application_id,
        environment=snapshot.environment,
        etag=snapshot.etag,
        configs=snapshot.configs,
        provenance=snapshot._provenance,
        defaults=snapshot._defaults,
        secrets=snapshot._secrets,
        digests=digests,
    )


def share(snapshot: Snapshot, previous: Snapshot) -> Snapshot:
    """Return a snapshot that has the very objects of ``previous`` wherever they are equal."""
    configs, defaults = dict(snapshot.configs), dict(snapshot._defaults)
    for name, config in snapshot.configs.items():
        old = previous.configs.get(name)
        secrets = snapshot._secrets.get(name, ()), previous._secrets.get(name, ())
        # With other marks it is shown in another way.
        if old is None or secrets[0] != secrets[1]:
            continue
        if is_same(old, config):
            configs[name] = old
        if name in defaults:
            _put(defaults, name, defaults[name], previous._defaults)
    return Snapshot(
        application=snapshot.application,
        application_id=snapshot.application_id,
        environment=snapshot.environment,
        etag=snapshot.etag,
        configs=FrozenDict(configs),
        provenance=snapshot._provenance,
        defaults=defaults,
        secrets=snapshot._secrets,
        digests=snapshot.digests,
    )


def write_snapshot(snapshot: Snapshot) -> bytes:
    """Return a document that :func:`read_snapshot` reads as the same values.

    It need not be equal to that of the server, so its digests are not those of ``snapshot``.
    """
    head = {
        "application_id": snapshot.application_id,
        "application": snapshot.application,
        "environment": snapshot.environment,
    }
    # One by one, so that other threads can run in between.
    members = ",".join(
        f"{_dumps(name)}:{_dumps(_entry(snapshot, name))}" for name in snapshot.configs
    )
    text = f'{_dumps(head)[:-1]},"configurations":{{{members}}}}}'
    return text.encode("utf-8", "surrogatepass")


def _entry(snapshot: Snapshot, name: str) -> dict[str, Any]:
    configuration_id, version, updated_at = snapshot._provenance[name]
    entry = {
        "id": configuration_id,
        "version": version,
        "updated_at": updated_at,
        "config": snapshot.configs[name],
    }
    if name in snapshot._defaults:
        entry["defaults"] = snapshot._defaults[name]
    if name in snapshot._secrets:
        entry["secrets"] = snapshot._secrets[name]
    return entry


class _Entries:
    """Entries of a snapshot that is being read; those that are as before are shared."""

    def __init__(self, before: Snapshot) -> None:
        self._before = before
        self._configs: dict[str, Any] = {}
        self._provenance: dict[str, tuple[str, int, str]] = {}
        self._defaults: dict[str, Mapping[str, Any]] = {}
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._digests: dict[str, bytes | None] = {}

    @classmethod
    def of(cls, before: Snapshot) -> "_Entries":
        """Return the entries of a snapshot, to which others can be added."""
        entries = cls(before)
        entries._configs = dict(before.configs)
        entries._provenance = dict(before._provenance)
        entries._defaults = dict(before._defaults)
        entries._secrets = dict(before._secrets)
        entries._digests = dict(before.digests or {})
        return entries

    def add(self, name: str, entry: Any, digest: bytes | None) -> None:
        """Add an entry of a document, in the place of another of that name.

        Raises:
            ValueError: it is none.
        """
        before = self._before
        self._digests[name] = digest
        is_same_text = digest is not None and digest == (before.digests or {}).get(name)
        try:
            self._provenance[name] = (
                before._provenance[name] if is_same_text else _provenance(entry)
            )
            secrets = _secrets(entry)
            defaults = _defaults(entry)
            if defaults and secrets:
                defaults = mark_default_secrets(defaults, secrets)
            # With other marks they are shown in another way.
            is_as_before = secrets == before._secrets.get(name, ())
            _put(self._defaults, name, defaults, before._defaults if is_as_before else {})
            _put(self._secrets, name, secrets, before._secrets)
            self._configs[name] = self._config(name, entry, is_same_text=is_same_text)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"is no snapshot ({error!r})") from None

    def remove(self, names: Sequence[str]) -> None:
        """Remove entries, those that are there."""
        for name in names:
            for members in (self._configs, self._provenance, self._digests):
                members.pop(name, None)
            self._defaults.pop(name, None)
            self._secrets.pop(name, None)

    def sort(self) -> None:
        """Put the entries in the order of the server: by the code points of their names."""
        self._configs = dict(sorted(self._configs.items()))

    def snapshot(self, head: Mapping[str, Any], etag: str | None) -> Snapshot:
        """Return the snapshot of these entries.

        Args:
            head: the other members of the document.
            etag: its ETag; digests are kept only if it is put together from them.

        Raises:
            ValueError: a member is missing.
        """
        try:
            names = [str(head[name]) for name in ("application_id", "application", "environment")]
        except KeyError as error:
            raise ValueError(f"is no snapshot ({error!r})") from None
        digests = {name: digest for name, digest in self._digests.items() if digest is not None}
        tag = snapshot_tag(names, digests) if len(digests) == len(self._digests) else None
        is_checked = tag is not None and tag == plain_tag(etag)
        return Snapshot(
            application=names[1],
            application_id=names[0],
            environment=names[2],
            etag=f'"{tag}"' if is_checked else etag,
            configs=FrozenDict(self._configs),
            provenance=self._provenance,
            defaults=self._defaults,
            secrets=self._secrets,
            digests=digests if is_checked else None,
        )

    def _config(self, name: str, entry: Mapping[str, Any], *, is_same_text: bool) -> FrozenDict:
        before = self._before
        if is_same_text:
            shared: FrozenDict = before.configs[name]
            return shared
        config = entry["config"]
        if not isinstance(config, FrozenDict):
            raise TypeError("config is not an object")
        old = before.configs.get(name)
        secrets = self._secrets.get(name, ())
        # With other marks it is shown in another way.
        if old is not None and secrets == before._secrets.get(name, ()) and is_same(old, config):
            return old  # type: ignore[no-any-return]
        return mark_secrets(config, secrets) if secrets else config


def _put(found: dict[str, Any], name: str, value: Any, before: Mapping[str, Any]) -> None:
    """Set an optional part of an entry, shared with the one before if it is the same."""
    if not value:
        found.pop(name, None)
        return
    shared = before.get(name)
    found[name] = shared if shared is not None and is_same(shared, value) else value


def _provenance(entry: Mapping[str, Any]) -> tuple[str, int, str]:
    updated_at = entry["updated_at"]
    datetime.fromisoformat(updated_at).astimezone(UTC)
    return str(entry["id"]), int(entry["version"]), updated_at


def _defaults(entry: Mapping[str, Any]) -> FrozenDict | None:
    defaults = entry.get("defaults")
    if not defaults:
        return None
    if not isinstance(defaults, FrozenDict) or not all(
        pointer.startswith("/") for pointer in defaults
    ):
        raise TypeError("defaults are no object of JSON Pointers")
    return defaults


def _secrets(entry: Mapping[str, Any]) -> tuple[str, ...]:
    secrets = entry.get("secrets") or []
    if not isinstance(secrets, list) or not all(isinstance(item, str) for item in secrets):
        raise TypeError("secrets are no array of JSON Pointers")
    return tuple(secrets)
