"""``/changes``: the audit trail and the change feed."""

from typing import Final, get_args

import falcon

from configsvc_server.domain.models import Action, ChangeFilter, Entity
from configsvc_server.domain.pages import DEFAULT_LIMIT, MAX_LIMIT, NumberedRequest
from configsvc_server.domain.strict_json import dumps
from configsvc_server.http.pagination import next_link
from configsvc_server.http.preferences import wait_wanted
from configsvc_server.http.query_params import QueryReader
from configsvc_server.http.representations import change_item
from configsvc_server.services.changes import FeedService

__all__ = ["ChangesResource"]

_FILTERS: Final = frozenset(
    {"application_id", "configuration_id", "actor", "action", "entity", "environment"}
)
_MAX_NUMBER: Final = 2**63 - 1


class ChangesResource:
    """Everything that was ever committed, in that order."""

    def __init__(self, service: FeedService) -> None:
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List changes; with ``Prefer: wait=N``, once there are any."""
        request, wanted = _read(req)
        wait = wait_wanted(req)
        if wait and not request.descending:
            page, granted = self._service.wait(
                request,
                wanted,
                timeout=wait,
                is_abandoned=req.env.get("waitress.client_disconnected", lambda: False),
            )
            if granted:
                resp.set_header("Preference-Applied", f"wait={wait}")
        else:
            page = self._service.page(request, wanted)
        # Where nothing came, the way on is from where the caller was.
        last = page.last if page.last is not None else request.after or 0
        resp.set_header("Vary", "Prefer")
        resp.set_header("Cache-Control", "no-cache")
        if page.has_more:
            resp.set_header("Link", next_link(req, str(last)))
        resp.data = dumps(
            {
                "items": [change_item(change) for change in page.items],
                "limit": request.limit,
                "has_more": page.has_more,
                "next": str(last),
            }
        )

    on_head = on_get


def _read(req: falcon.Request) -> tuple[NumberedRequest, ChangeFilter]:
    reader = QueryReader(req, _FILTERS | {"limit", "after", "sort"})
    request = NumberedRequest(
        limit=reader.integer("limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        after=reader.integer("after", None, 0, _MAX_NUMBER),
        descending=reader.choice("sort", ["id", "-id"]) == "-id",
    )
    wanted = ChangeFilter(
        application_id=reader.ulid("application_id"),
        configuration_id=reader.ulid("configuration_id"),
        actor=reader.text("actor"),
        action=reader.choice("action", get_args(Action)),
        entity=reader.choice("entity", get_args(Entity)),
        environment=reader.text("environment"),
    )
    if reader.raw("environment") is not None and reader.raw("application_id") is None:
        reader.refuse("environment", "needs application_id: names are those of one application")
    reader.finish()
    return request, wanted
