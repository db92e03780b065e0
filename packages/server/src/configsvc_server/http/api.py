"""The routes."""

from collections.abc import Sequence
from dataclasses import dataclass

import falcon

from configsvc_server.http import errors
from configsvc_server.http.applications import ApplicationResource, ApplicationsResource
from configsvc_server.http.bodies import BodyReader
from configsvc_server.http.configurations import (
    ApplicationConfigurationsResource,
    ConfigurationResource,
    ConfigurationsResource,
)
from configsvc_server.http.docs import (
    DocsAssetResource,
    DocsResource,
    IndexResource,
    OpenApiResource,
)
from configsvc_server.http.health import HealthResource, LivenessResource
from configsvc_server.http.middleware import AccessLog, CorsMiddleware
from configsvc_server.http.openapi import build_openapi
from configsvc_server.http.snapshots import SnapshotResource
from configsvc_server.http.validation import Validator
from configsvc_server.http.wsgi import WsgiApp
from configsvc_server.services.applications import ApplicationService
from configsvc_server.services.configurations import ConfigurationService
from configsvc_server.services.health import HealthService
from configsvc_server.services.snapshots import SnapshotService

__all__ = ["Services", "create_api"]


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases that the routes lead to."""

    applications: ApplicationService
    configurations: ConfigurationService
    snapshots: SnapshotService
    health: HealthService


def create_api(
    services: Services, *, max_body_bytes: int, cors_origins: Sequence[str] = ()
) -> WsgiApp:
    """Return the WSGI application.

    Args:
        services: the use cases.
        max_body_bytes: how large a request body may be.
        cors_origins: origins of other sites whose pages may call the API; none by default.
    """
    app = falcon.App(middleware=[AccessLog()])
    if cors_origins:
        app.add_middleware(CorsMiddleware(cors_origins))
    # A URL with a slash at its end is the same resource, answered directly.
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.auto_parse_qs_csv = False
    app.req_options.keep_blank_qs_values = True
    errors.register(app)

    openapi = build_openapi()
    bodies = BodyReader(Validator(openapi), max_body_bytes)
    health = HealthResource(services.health)
    nested = ApplicationConfigurationsResource(services.configurations, bodies)
    app.add_route("/api/v1/applications", ApplicationsResource(services.applications, bodies))
    app.add_route(
        "/api/v1/applications/{application}", ApplicationResource(services.applications, bodies)
    )
    app.add_route("/api/v1/applications/{application}/configurations", nested)
    app.add_route("/api/v1/configurations", ConfigurationsResource(services.configurations, bodies))
    app.add_route(
        "/api/v1/configurations/{id}", ConfigurationResource(services.configurations, bodies)
    )
    app.add_route(
        "/api/v1/applications/{application}/environments/{environment}/snapshot",
        SnapshotResource(services.snapshots),
    )
    app.add_route("/health", health)
    app.add_route("/health/live", LivenessResource())
    app.add_route("/health/ready", health)
    app.add_route("/openapi.json", OpenApiResource(openapi))
    app.add_route("/docs", DocsResource())
    app.add_route("/docs/{asset}", DocsAssetResource())
    app.add_route("/", IndexResource())
    return app
