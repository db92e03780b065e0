"""``/changes``: the audit trail and the change feed."""

from typing import Final, get_args

import falcon

from configsvc_server.domain.models import Action, ChangeFilter, Entity
from configsvc_server.domain.pages import PageRequest
from configsvc_server.http.conditional import read_wait
from configsvc_server.http.context import client_disconnected, parking_of, principal_of
from configsvc_server.http.pagination import (
    encode_cursor,
    fit_items,
    next_link,
    page_body,
    read_sequence_request,
)
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import change_item
from configsvc_server.services.changes import ChangeService

__all__ = ["ChangesResource"]

_FILTERS: Final = frozenset(
    {"application_id", "configuration_id", "actor", "action", "entity", "environment"}
)


class ChangesResource:
    """All changes, in the order of their commits."""

    def __init__(self, service: ChangeService) -> None:
        self._service = service

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List changes; with ``Prefer: wait=N``, once there are any."""
        request, wanted = _read(req)
        wait = read_wait(req)
        if wait and not request.sort.descending:
            page, granted = self._service.wait(
                request,
                wanted,
                timeout=wait,
                is_abandoned=client_disconnected(req),
                parking=parking_of(req),
            )
            if granted:
                resp.set_header("Preference-Applied", f"wait={wait}")
        else:
            page = self._service.list(request, wanted)
        page, items = fit_items(page, change_item)
        # Where nothing came, the caller goes on from where it was.
        cursor = encode_cursor(request.sort, page.last or request.after or (0,))
        resp.set_header("Vary", "Prefer")
        resp.set_header("Cache-Control", "no-cache")
        if page.has_more:
            resp.set_header("Link", next_link(req, cursor))
        resp.data = page_body(
            items, {"limit": request.limit, "has_more": page.has_more, "next": cursor}
        )

    on_head = on_get


def _read(req: falcon.Request) -> tuple[PageRequest, ChangeFilter]:
    params = QueryParams(req, _FILTERS | {"limit", "after", "sort"})
    request = read_sequence_request(params, "id")
    wanted = ChangeFilter(
        application_id=params.ulid("application_id"),
        configuration_id=params.ulid("configuration_id"),
        actor=params.text("actor"),
        action=params.choice("action", get_args(Action)),
        entity=params.choice("entity", get_args(Entity)),
        environment=params.text("environment"),
        access=principal_of(req).access,
    )
    if params.raw("environment") is not None and params.raw("application_id") is None:
        params.refuse("environment", "needs application_id: names are those of one application")
    params.finish()
    return request, wanted
