"""Routes of the API, and the services that they lead to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import falcon

from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.http import PREFIX, errors
from configsvc_server.http.authentication import Authentication
from configsvc_server.http.bodies import BodyReader
from configsvc_server.http.cookies import CookieJar
from configsvc_server.http.errors import WsgiApp
from configsvc_server.http.hosts import ALL_HOSTS, HostCheck
from configsvc_server.http.middleware import (
    AccessLog,
    CorsMiddleware,
    OptionsMiddleware,
    SecurityHeaders,
    TracedResponse,
)
from configsvc_server.http.openapi.document import build_openapi
from configsvc_server.http.peers import peer_of
from configsvc_server.http.rate_limits import RateLimits
from configsvc_server.http.request_metrics import RequestMeter
from configsvc_server.http.resources.access import (
    GrantResource,
    GrantsResource,
    MeResource,
    TokenResource,
    TokenRotateResource,
    TokensResource,
)
from configsvc_server.http.resources.applications import ApplicationResource, ApplicationsResource
from configsvc_server.http.resources.changes import ChangesResource
from configsvc_server.http.resources.configurations import (
    ApplicationConfigurationsResource,
    ConfigurationResource,
    ConfigurationsResource,
    ValidateResource,
)
from configsvc_server.http.resources.docs import (
    DocsAssetResource,
    DocsResource,
    IndexResource,
    OpenApiResource,
)
from configsvc_server.http.resources.environments import EnvironmentResource, EnvironmentsResource
from configsvc_server.http.resources.health import (
    LIVENESS_PATH,
    PATHS,
    HealthReportResource,
    HealthResource,
    LivenessResource,
)
from configsvc_server.http.resources.instances import (
    ConvergenceResource,
    InstanceResource,
    InstancesResource,
    RejectionsResource,
)
from configsvc_server.http.resources.metrics import METRICS_PATH, Expose, MetricsResource
from configsvc_server.http.resources.releases import (
    PromoteResource,
    ReleaseRollbackResource,
    ReleasesResource,
)
from configsvc_server.http.resources.revisions import (
    DiffResource,
    RestoreResource,
    RevisionResource,
    RevisionsResource,
    RollbackResource,
)
from configsvc_server.http.resources.sessions import SessionResource, SessionsResource
from configsvc_server.http.resources.sign_in import SignIn, sign_in_routes
from configsvc_server.http.resources.snapshots import SnapshotResource
from configsvc_server.http.validation import Validator
from configsvc_server.identity.identities import Identities
from configsvc_server.services.access import AccessService
from configsvc_server.services.applications import ApplicationService
from configsvc_server.services.changes import ChangeService
from configsvc_server.services.configurations import ConfigurationService
from configsvc_server.services.environments import EnvironmentService
from configsvc_server.services.fleet import FleetService
from configsvc_server.services.grants import GrantService
from configsvc_server.services.health import HealthService
from configsvc_server.services.health_report import HealthReport
from configsvc_server.services.history import HistoryService
from configsvc_server.services.releases import ReleaseService
from configsvc_server.services.sessions import SessionService
from configsvc_server.services.snapshots import SnapshotService
from configsvc_server.services.tokens import TokenService
from configsvc_server.telemetry.requests import RequestMetrics

__all__ = ["Services", "create_api"]


@dataclass(frozen=True, slots=True)
class Services:
    """Use cases that the routes lead to."""

    applications: ApplicationService
    configurations: ConfigurationService
    history: HistoryService
    environments: EnvironmentService
    releases: ReleaseService
    snapshots: SnapshotService
    changes: ChangeService
    fleet: FleetService
    health: HealthService
    report: HealthReport
    access: AccessService
    tokens: TokenService
    grants: GrantService
    sessions: SessionService
    identities: Identities


def create_api(
    services: Services,
    *,
    max_body_bytes: int,
    auth_required: bool = False,
    refuses_proxies: bool = False,
    rate_limit: str | None = None,
    public_url: str = "http://localhost:8080",
    cors_origins: Sequence[str] = (),
    allowed_hosts: Sequence[str] = (ALL_HOSTS,),
    metrics: RequestMetrics | None = None,
    expose: Expose | None = None,
    is_traced: bool = False,
) -> WsgiApp:
    """Return the WSGI application.

    Args:
        services: the use cases.
        max_body_bytes: how large a request body may be.
        auth_required: whether the API is only for those who show who they are.
        refuses_proxies: without authentication, whether to refuse what came through a proxy.
        rate_limit: how often each principal may ask, such as ``1000/second``; ``None`` for any.
        public_url: where browsers reach this server, without a slash at the end.
        cors_origins: origins of other sites whose pages may call the API; none by default.
        allowed_hosts: names that a request may be meant for; all by default.
        metrics: what requests are counted in.
        expose: renders the metrics that this port has; ``None`` if it has none.
        is_traced: whether the framework is instrumented for traces.
    """
    cookies = CookieJar(public_url)
    app = falcon.App()
    if is_traced:
        app.add_middleware(TracedResponse())
    if metrics is not None:
        app.add_middleware(RequestMeter(metrics, cookies))
    app.add_middleware(AccessLog())
    if ALL_HOSTS not in allowed_hosts:
        app.add_middleware(HostCheck(allowed_hosts))
    app.add_middleware(OptionsMiddleware())
    app.add_middleware(SecurityHeaders())
    if cors_origins:
        app.add_middleware(CorsMiddleware(cors_origins))
    limits = RateLimits(rate_limit)
    app.add_middleware(
        Authentication(
            is_required=auth_required,
            tokens=services.access,
            identities=services.identities,
            sessions=services.sessions,
            cookies=cookies,
            limits=limits,
            refuses_proxies=refuses_proxies,
        )
    )
    # A URL with a slash at its end is the same resource, answered directly.
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.auto_parse_qs_csv = False
    app.req_options.keep_blank_qs_values = True
    errors.register(app, name_application=services.grants.name_application)

    validator, document = _contract()
    bodies = BodyReader(validator, max_body_bytes)
    health = HealthResource(services.health)
    resources = _resources(services, bodies) | {
        "/me": MeResource(services.grants, services.tokens, is_required=auth_required)
    }
    for path, resource in resources.items():
        app.add_route(f"{PREFIX}{path}", resource)
    if auth_required:
        sign_in = SignIn(
            services.identities,
            services.sessions,
            cookies,
            public_url,
            _token_sign_in(services.access, limits),
        )
        for path, resource in sign_in_routes(sign_in).items():
            app.add_route(path, resource)
    for path in PATHS:
        app.add_route(path, LivenessResource() if path == LIVENESS_PATH else health)
    if expose is not None:
        app.add_route(METRICS_PATH, MetricsResource(expose))
    app.add_route("/openapi.json", document)
    app.add_route("/docs", DocsResource())
    app.add_route("/docs/{asset}", DocsAssetResource())
    app.add_route("/", IndexResource())
    return app


@cache
def _contract() -> tuple[Validator, OpenApiResource]:
    """Return what is made of the OpenAPI document, once: it is the same for each application."""
    document = build_openapi()
    return Validator(document), OpenApiResource(document)


def _token_sign_in(
    access: AccessService, limits: RateLimits
) -> Callable[[str, falcon.Request], Principal]:
    """Return what finds the principal of an API token that a person signs in with."""

    def authenticate(secret: str, req: falcon.Request) -> Principal:
        try:
            return access.authenticate(
                secret, address=req.remote_addr, client=req.get_header("User-Agent")
            )
        except UnauthenticatedError:
            limits.failed(peer_of(req.remote_addr))
            raise

    return authenticate


def _resources(services: Services, bodies: BodyReader) -> dict[str, object]:
    """Return the resources below the prefix of the API, by path."""
    one = "/configurations/{id}"
    application = "/applications/{application}"
    environment = f"{application}/environments/{{environment}}"
    return {
        "/applications": ApplicationsResource(services.applications, bodies),
        application: ApplicationResource(services.applications, bodies),
        f"{application}/configurations": ApplicationConfigurationsResource(
            services.configurations, bodies
        ),
        f"{application}/environments": EnvironmentsResource(services.environments, bodies),
        environment: EnvironmentResource(services.environments, bodies),
        f"{environment}/snapshot": SnapshotResource(services.snapshots, services.fleet),
        f"{environment}/instances": InstancesResource(services.fleet),
        f"{environment}/instances/{{instance}}": InstanceResource(services.fleet),
        f"{environment}/instances/{{instance}}/rejections": RejectionsResource(
            services.fleet, bodies
        ),
        f"{environment}/convergence": ConvergenceResource(services.fleet),
        f"{application}/promote": PromoteResource(services.releases, bodies),
        "/configurations": ConfigurationsResource(services.configurations, bodies),
        "/configurations/validate": ValidateResource(services.configurations, bodies),
        one: ConfigurationResource(services.configurations, bodies),
        f"{one}/revisions": RevisionsResource(services.history),
        f"{one}/revisions/{{version}}": RevisionResource(services.history),
        f"{one}/diff": DiffResource(services.history, bodies),
        f"{one}/rollback": RollbackResource(services.history, bodies),
        f"{one}/restore": RestoreResource(services.history, bodies),
        f"{one}/releases": ReleasesResource(services.releases, bodies),
        f"{one}/releases/rollback": ReleaseRollbackResource(services.releases, bodies),
        "/changes": ChangesResource(services.changes),
        "/health": HealthReportResource(services.report),
        "/sessions": SessionsResource(services.sessions),
        "/sessions/{id}": SessionResource(services.sessions),
        "/tokens": TokensResource(services.tokens, bodies),
        "/tokens/{id}": TokenResource(services.tokens),
        "/tokens/{id}/rotate": TokenRotateResource(services.tokens, bodies),
        "/grants": GrantsResource(services.grants, bodies),
        "/grants/{id}": GrantResource(services.grants),
    }
