"""Instances of an environment, what they report, and whether a release has arrived."""

from http import HTTPStatus
from typing import Any, Final, cast, get_args

import falcon

from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.fleet import (
    Convergence,
    Instance,
    InstanceMoment,
    InstanceState,
    Rejection,
)
from configsvc_server.domain.strict_json import JsonObject, dumps
from configsvc_server.http.bodies import BodyReader, text_field
from configsvc_server.http.conditional import has_no_cache, read_wait
from configsvc_server.http.context import client_disconnected, parking_of, principal_of
from configsvc_server.http.instances import INSTANCE_ID, is_version
from configsvc_server.http.pagination import ListOrder, read_page_request, show_page
from configsvc_server.http.query_params import QueryParams
from configsvc_server.http.representations import format_timestamp
from configsvc_server.services.fleet import FleetService

__all__ = [
    "ConvergenceResource",
    "InstanceResource",
    "InstancesResource",
    "RejectionsResource",
]

_ORDER: Final = ListOrder(("instance",), unique="instance")
_VERSION_EXPECTED: Final = "must be the ETag of a snapshot without quotes: 32 hexadecimal digits"


class InstancesResource:
    """All instances of an environment."""

    def __init__(self, service: FleetService) -> None:
        self._service = service

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """List the instances."""
        params = QueryParams(req, frozenset({"limit", "offset", "after", "state", "service"}))
        request = read_page_request(params, _ORDER)
        state = cast("InstanceState | None", params.choice("state", get_args(InstanceState)))
        service = params.text("service")
        params.finish()
        page, served = self._service.list(
            principal_of(req), application, environment, request, state=state, service=service
        )
        resp.set_header("Cache-Control", "no-store")
        show_page(req, resp, request, page, lambda instance: _item(instance, served))

    on_head = on_get


class InstanceResource:
    """One instance, now or at a past time."""

    def __init__(self, service: FleetService) -> None:
        self._service = service

    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        application: str,
        environment: str,
        instance: str,
    ) -> None:
        """Get the instance, or with ``at`` what it served at that time."""
        params = QueryParams(req, frozenset({"at"}))
        timestamp = params.timestamp("at")
        params.finish()
        resp.set_header("Cache-Control", "no-store")
        if timestamp is None:
            found, served = self._service.get(principal_of(req), application, environment, instance)
            resp.data = dumps(_item(found, served))
            return
        moment, snapshot = self._service.at(
            principal_of(req), application, environment, instance, timestamp
        )
        members = {**_moment(instance, moment), "at": format_timestamp(timestamp)}
        resp.data = b'%b,"snapshot":%b}' % (
            dumps(members)[:-1],
            b"null" if snapshot is None else snapshot.body,
        )

    on_head = on_get


class RejectionsResource:
    """What an instance could not use of a snapshot."""

    def __init__(self, service: FleetService, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    def on_post(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        application: str,
        environment: str,
        instance: str,
    ) -> None:
        """Report it, instead of what was reported before."""
        body = self._bodies.read(req, "RejectionReport")
        if not INSTANCE_ID.fullmatch(instance):
            message = "must have 1 to 64 characters of A-Z, a-z, 0-9 and -._~"
            raise InvalidError([FieldError("/instance", message)])
        given = cast("list[dict[str, Any]]", body["rejections"])
        self._service.report(
            principal_of(req),
            application,
            environment,
            instance,
            text_field(body, "version"),
            [Rejection(item["configuration"], item["pointer"], item["message"]) for item in given],
        )
        resp.status = HTTPStatus.NO_CONTENT


class ConvergenceResource:
    """How many instances serve a snapshot."""

    def __init__(self, service: FleetService) -> None:
        self._service = service

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, application: str, environment: str
    ) -> None:
        """Count them; with ``Prefer: wait=N``, once all have it or have rejected it."""
        params = QueryParams(req, frozenset({"version"}))
        version = params.text("version")
        if version is not None and not is_version(version):
            params.refuse("version", _VERSION_EXPECTED)
        params.finish()
        wait = read_wait(req)
        resp.set_header("Vary", "Prefer")
        resp.set_header("Cache-Control", "no-store")
        if wait:
            found, granted = self._service.wait(
                principal_of(req),
                application,
                environment,
                version=version,
                timeout=wait,
                is_abandoned=client_disconnected(req),
                parking=parking_of(req),
            )
            if granted:
                resp.set_header("Preference-Applied", f"wait={wait}")
        else:
            found = self._service.convergence(
                principal_of(req),
                application,
                environment,
                version=version,
                bypass_cache=has_no_cache(req),
            )
        resp.data = dumps(_convergence(found))

    on_head = on_get


def _item(instance: Instance, served: str) -> JsonObject:
    about = instance.about
    return {
        "id": about.id,
        "service": about.service,
        "version": about.version,
        "sdk": about.sdk,
        "host": about.host,
        "processes": about.processes,
        "serves": instance.serves,
        "state": instance.state(served),
        "rejections": [_rejection(rejection) for rejection in instance.rejections],
        "first_seen_at": format_timestamp(instance.first_seen_at),
        "last_seen_at": format_timestamp(instance.last_seen_at),
        "since": format_timestamp(instance.since),
        "address": instance.address,
        "principal": instance.principal,
    }


def _moment(instance: str, moment: InstanceMoment) -> JsonObject:
    return {
        "id": instance,
        "serves": moment.serves,
        "since": format_timestamp(moment.since),
        "gone": moment.is_gone,
        "rejections": [_rejection(rejection) for rejection in moment.rejections],
    }


def _convergence(found: Convergence) -> JsonObject:
    return {
        "version": found.version,
        "serves": found.serves,
        "state": found.state,
        "instances": found.instances,
        "current": found.current,
        "behind": found.behind,
        "rejecting": found.rejecting,
        "gone": found.gone,
        "rejections": [
            {**_rejection(count.rejection), "instances": count.instances}
            for count in found.rejections
        ],
    }


def _rejection(rejection: Rejection) -> dict[str, str | None]:
    return {
        "configuration": rejection.configuration,
        "pointer": rejection.pointer,
        "message": rejection.message,
    }
