"""Verification of a history after failures: against itself, and against what clients noted.

Nothing that was acknowledged may be missing, nothing may be there by half, and every follower
must have been told each change once and in order.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, Final

from benchmarks.followers import Follower
from benchmarks.ledger import Caller, Ledger, seal_of
from benchmarks.witnesses import API, PATIENCE, SHARED

Item = Mapping[str, Any]

_DIFFERENCES: Final = 5
"""How many differing ids are named."""


class History:
    """Everything that a server has in its history, read page by page."""

    def __init__(self, ledger: Ledger, server: str) -> None:
        """Read it all.

        Args:
            ledger: of the load; its answers are counted there.
            server: the address of a server that is ready.
        """
        self._caller = Caller(ledger, server)
        self.changes = list(self._pages(f"{API}/changes"))
        """All of them, oldest first, as the API shows them."""
        self.changes_of: dict[str, list[Item]] = {}
        for change in self.changes:
            if change["entity"] == "configuration":
                self.changes_of.setdefault(change["configuration_id"], []).append(change)
        self.configurations = list(self._pages(f"{API}/configurations"))
        self.revisions = {
            found["id"]: list(self._pages(f"{API}/configurations/{found['id']}/revisions"))
            for found in self.configurations
        }
        self.releases = {
            found["id"]: list(self._pages(f"{API}/configurations/{found['id']}/releases"))
            for found in self.configurations
        }
        self.served = {
            environment: self._snapshot(environment) for environment in ("default", "prod")
        }

    @property
    def versions(self) -> int:
        """How many revisions there are."""
        return sum(map(len, self.revisions.values()))

    def _pages(self, path: str) -> Iterator[Item]:
        after, more = "", True
        while more:
            page = self._get(f"{path}?limit=1000" + (f"&after={after}" if after else ""))
            yield from page["items"]
            more, after = page["has_more"], page["next"]

    def _snapshot(self, environment: str) -> dict[str, Item]:
        path = f"{API}/applications/{SHARED}/environments/{environment}/snapshot"
        return {entry["id"]: entry for entry in self._get(path)["configurations"].values()}

    def _get(self, path: str) -> Any:
        response = self._caller.insist("GET", path, expected=[200], patience=PATIENCE)
        if response is None:
            raise RuntimeError(f"{path} can't be read, so nothing can be verified.")
        return response.json()


def verify(ledger: Ledger, history: History, followers: Sequence[Follower]) -> list[str]:
    """Return what is wrong, a line each; an empty list where all promises were kept."""
    return [
        *ledger.violations,
        *_check_log(history),
        *(line for found in history.configurations for line in _check_one(found, history)),
        *_check_served(history),
        *_check_promotions(ledger, history),
        *_check_acknowledged(ledger, history),
        *_check_authors(ledger, history),
        *(line for follower in followers for line in _check_follower(follower, history)),
    ]


def _check_log(history: History) -> Iterator[str]:
    """The ids of the log ascend, and so do its timestamps, from one act to the next."""
    for before, after in pairwise(history.changes):
        together = before["request_id"] == after["request_id"]
        if after["id"] <= before["id"]:
            yield f"change {after['id']} comes after {before['id']}"
        if after["created_at"] < before["created_at"] or (
            after["created_at"] == before["created_at"] and not together
        ):
            yield f"change {after['id']} is not later than change {before['id']}"


def _check_one(found: Item, history: History) -> Iterator[str]:
    """Each version of a configuration is there as a whole: revision, change, release."""
    name, newest = found["id"], found["version"]
    every = list(range(1, newest + 1))
    revisions = history.revisions[name]
    if [revision["version"] for revision in revisions] != every:
        yield f"{name} is at version {newest} and has {len(revisions)} revisions"
    if revisions and revisions[-1]["config"] != found["config"]:
        yield f"{name} differs from its last revision"
    for before, after in pairwise(revisions):
        if after["created_at"] <= before["created_at"]:
            yield f"{name} version {after['version']} is not later than the one before"
    changes = history.changes_of.get(name, [])
    if [(c["version"], c["created_at"]) for c in changes] != [
        (r["version"], r["created_at"]) for r in revisions
    ]:
        yield f"{name} has other changes than revisions"
    if any(change["environments"] != ["default"] for change in changes):
        yield f"{name} has a version that was not released at once"
    for environment in ("default", "prod"):
        released = [r for r in history.releases[name] if r["environment"] == environment]
        versions = [release["version"] for release in released]
        if environment == "default" and versions != every:
            yield f"{name} has other releases in default than versions"
        if [release["previous_version"] for release in released] != [None, *versions][:-1]:
            yield f"the releases of {name} in {environment} do not follow one another"


def _check_served(history: History) -> Iterator[str]:
    """The environments serve what was released last."""
    for environment, served in history.served.items():
        expected = {
            name: releases[-1]["version"]
            for name, every in history.releases.items()
            if (releases := [r for r in every if r["environment"] == environment])
            and releases[-1]["application_id"] == _application(history)
        }
        if {name: entry["version"] for name, entry in served.items()} != expected:
            yield f"{environment} serves other versions than were released"


def _application(history: History) -> str:
    return next(str(c["application_id"]) for c in history.changes if c["name"] == SHARED)


def _check_promotions(ledger: Ledger, history: History) -> Iterator[str]:
    """Each promotion has made all releases that it had to make, as one act, or none."""
    application = _application(history)
    default: dict[str, int] = {}
    prod: dict[str, int] = {}
    found: dict[str, dict[str, int]] = {}
    for request_id, group in groupby(history.changes, lambda change: change["request_id"]):
        moved: dict[str, int] = {}
        for change in group:
            if change["application_id"] != application:
                continue
            if change["entity"] == "configuration":
                default[change["configuration_id"]] = change["version"]
            elif change["entity"] == "release":
                moved[change["configuration_id"]] = change["version"]
        if moved:
            if request_id in found:
                yield f"promotion {request_id} was made in two parts"
            if {**prod, **moved} != default or any(
                prod.get(name) == version for name, version in moved.items()
            ):
                yield f"promotion {request_id} released {len(moved)} versions, not what it had to"
            prod.update(moved)
            found[request_id] = moved
    for request_id, released in ledger.promotions.items():
        told = {release["configuration_id"]: release["version"] for release in released}
        if told != found.get(request_id, {}):
            yield f"promotion {request_id} was acknowledged and is lost"


def _check_acknowledged(ledger: Ledger, history: History) -> Iterator[str]:
    """Each acknowledged version is in the history, with its value and its time."""
    for note in ledger.acknowledgements:
        revisions = history.revisions.get(note.configuration, [])
        if len(revisions) < note.version:
            yield f"{note.configuration} version {note.version} was acknowledged and is lost"
            continue
        revision = revisions[note.version - 1]
        if seal_of(revision["config"]) != note.seal:
            yield f"{note.configuration} version {note.version} has another value"
        if revision["created_at"] != note.updated_at:
            yield f"{note.configuration} version {note.version} has another time"


def _check_authors(ledger: Ledger, history: History) -> Iterator[str]:
    """Each version was sent by somebody, and nothing that was sent was written twice."""
    seals: set[str] = set()
    for name, revisions in history.revisions.items():
        for revision in revisions:
            seal = seal_of(revision["config"])
            if seal is None or not ledger.was_attempted(seal):
                yield f"{name} version {revision['version']} was written by nobody"
            elif seal in seals:
                yield f"{name} version {revision['version']} was written twice"
            else:
                seals.add(seal)


def _check_follower(follower: Follower, history: History) -> Iterator[str]:
    """A follower was told each change once, in order, and none was left out."""
    application = _application(history) if follower.application else None
    expected = [
        change["id"]
        for change in history.changes
        if application is None or change["application_id"] == application
    ]
    if follower.ids == expected:
        return
    told = set(follower.ids)
    missing = [change for change in expected if change not in told]
    twice = len(follower.ids) - len(told)
    extra = sorted(told - set(expected))
    yield (
        f"{follower.name} was told {len(follower.ids)} of {len(expected)} changes: "
        f"{len(missing)} missing {missing[:_DIFFERENCES]}, {twice} twice, "
        f"{len(extra)} not in the log {extra[:_DIFFERENCES]}"
    )
