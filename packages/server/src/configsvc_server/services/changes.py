"""The audit trail, which is the change feed at once: read it, or wait for what comes next."""

from collections.abc import Callable
from dataclasses import replace

from configsvc_server.cache.responses import ANYTHING
from configsvc_server.cache.waiters import Waiters
from configsvc_server.db.database import Database
from configsvc_server.domain.models import Change, ChangeFilter
from configsvc_server.domain.pages import NumberedPage, NumberedRequest
from configsvc_server.repositories import Repositories

__all__ = ["FeedService"]


class FeedService:
    """Reads changes in the order of their commits.

    Whoever follows the ids meets every change once: a change becomes visible only when all
    with lower ids are.
    """

    PAUSE = 0.05
    """Seconds between two looks at the database of one waiter, however much happens that its
    filter does not let through."""

    def __init__(self, database: Database, *, waiters: Waiters) -> None:
        """Serve the feed.

        Args:
            database: where it is.
            waiters: lets callers wait.
        """
        self._database = database
        self._waiters = waiters

    def page(self, request: NumberedRequest, wanted: ChangeFilter) -> NumberedPage[Change]:
        """Return the changes that pass a filter.

        The page ends where the log does, if nothing more of it passes: whoever goes on from
        there does not meet again what has been looked at.
        """
        with self._database.autocommit() as connection:
            changes = Repositories.over(connection).changes
            # Before the page: what is visible then is in it, if it passes.
            last = changes.last_id()
            page = changes.page(request, wanted)
        if request.descending or page.has_more:
            return page
        return replace(page, last=max(last, page.last or 0, request.after or 0))

    def wait(
        self,
        request: NumberedRequest,
        wanted: ChangeFilter,
        *,
        timeout: float,
        is_abandoned: Callable[[], bool] = lambda: False,
    ) -> tuple[NumberedPage[Change], bool]:
        """Return the changes that pass a filter once there are any.

        Args:
            request: which part.
            wanted: the filter.
            timeout: how long to wait at most, in seconds.
            is_abandoned: tells whether the caller has gone away.

        Returns:
            The page, and whether the wish to wait was granted. It is not where too many
            wait already, or while news of changes does not arrive.
        """
        cursor = request.after

        def look() -> tuple[NumberedPage[Change], bool]:
            nonlocal cursor
            page = self.page(replace(request, after=cursor), wanted)
            cursor = page.last
            return page, bool(page.items)

        return self._waiters.wait(
            look,
            topic=lambda: wanted.application_id or ANYTHING,
            timeout=timeout,
            is_abandoned=is_abandoned,
            pause=0.0 if wanted == ChangeFilter() else self.PAUSE,
        )
