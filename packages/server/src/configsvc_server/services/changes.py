"""Change feed use cases: read the audit trail, or wait for what comes next."""

from collections.abc import Callable
from dataclasses import replace

from configsvc_server.cache.parking import Parking
from configsvc_server.cache.responses import ResponseCache
from configsvc_server.cache.waiters import Waiters
from configsvc_server.db.database import Database
from configsvc_server.domain.access.grants import Access, Role
from configsvc_server.domain.models import Change, ChangeFilter
from configsvc_server.domain.pages import KeysetPosition, Page, PageRequest
from configsvc_server.repositories import Repositories

__all__ = ["ChangeService"]


class ChangeService:
    """Reads changes in the order of their commits.

    A reader that follows the ids gets each change once: a change becomes visible only when all
    changes with lower ids are.
    """

    def __init__(self, database: Database, cache: ResponseCache, *, waiters: Waiters) -> None:
        """Create the service.

        Args:
            database: where the changes are stored.
            cache: keeps the pages of those who wait, until the next change.
            waiters: slots to wait in.
        """
        self._database = database
        self._cache = cache
        self._waiters = waiters

    def list(self, request: PageRequest, wanted: ChangeFilter) -> Page[Change]:
        """Return one page of the changes that pass a filter.

        A last page ends at the newest change, whether that passes or not, so that the next request
        does not search it again.
        """
        with self._database.autocommit() as connection:
            changes = Repositories(connection).changes
            # Read before the page: a change committed in between is then on the page, or after
            # this id, and is never skipped.
            last_id = changes.last_id()
            page = changes.page(request, wanted)
        page = page.of([_readable_part(change, wanted.access) for change in page.items])
        if request.sort.descending or page.has_more:
            return page
        if wanted.access.installation != Role.ADMIN:
            # How many there are that one may not read is not told, not even by the cursor.
            return replace(page, last=page.last or request.after)
        positions = [position for position in (page.last, request.after) if position is not None]
        return replace(page, last=max([(last_id,), *positions]))

    def wait(
        self,
        request: PageRequest,
        wanted: ChangeFilter,
        *,
        timeout: float,
        is_abandoned: Callable[[], bool],
        parking: Parking | None = None,
    ) -> tuple[Page[Change], bool]:
        """Return the changes that pass a filter once there are any.

        Args:
            request: which part, in ascending order.
            wanted: the filter.
            timeout: how long to wait at most, in seconds.
            is_abandoned: returns whether the client has gone.
            parking: where the server puts the request aside; ``None`` to wait in the thread.

        Returns:
            The page, and whether the server agreed to wait. It does not where too many
            wait already, or while evictions do not arrive.

        Raises:
            Parked: the request is put aside, and run again.
        """
        if parking is not None and parking.position is not None:
            request = replace(request, after=parking.position)

        def read(after: KeysetPosition | None) -> Page[Change]:
            page = self._shared_page(replace(request, after=after), wanted)
            if parking is not None:
                parking.position = page.last
            return page

        page = read(request.after)
        if page.items or self._waiters.is_closed:
            return page, True
        with self._waiters.slot(parking) as slot:
            if not slot.granted:
                return page, False
            for _ in slot.changes(wanted, timeout=timeout, is_abandoned=is_abandoned):
                page = read(page.last)
                if page.items:
                    break
        return page, True

    def _shared_page(self, request: PageRequest, wanted: ChangeFilter) -> Page[Change]:
        """Return a page, read once for all who follow the feed in the same way."""
        return self._cache.change_pages.get((request, wanted), lambda: self.list(request, wanted))


def _readable_part(change: Change, access: Access) -> Change:
    """Return a change without the environments that one may not read."""
    if change.application_id is None:
        return change
    readable = access.readable_environments(change.application_id)
    if readable is None:
        return change
    return replace(
        change, environments=tuple(name for name in change.environments if name in readable)
    )
