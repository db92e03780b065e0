"""OpenAPI paths of applications, configurations and health checks."""

from collections.abc import Sequence

from configsvc_server.http import PREFIX
from configsvc_server.http.bodies import MERGE_PATCH
from configsvc_server.http.openapi.nodes import (
    PAGING,
    WRITE,
    Node,
    answer,
    entity,
    not_modified,
    operation,
    page,
    parameter,
)

__all__ = ["resource", "resource_paths"]


def resource_paths() -> Node:
    """Return the paths of this module."""
    application = f"{PREFIX}/applications/{{application}}"
    return {
        f"{PREFIX}/applications": _applications(),
        application: _application(),
        f"{application}/configurations": _nested_configurations(),
        f"{PREFIX}/configurations": _configurations(),
        f"{PREFIX}/configurations/{{id}}": _configuration(),
        **_health(),
    }


def _applications() -> Node:
    return {
        "get": operation(
            "listApplications",
            "applications",
            "List applications",
            parameters=[*PAGING, "Name", "Text"],
            responses={200: page("ApplicationPage")},
            problems=(422, 503),
        ),
        "post": operation(
            "createApplication",
            "applications",
            "Create an application",
            parameters=["ChangeMessage"],
            body="ApplicationCreate",
            responses={201: entity("Application", created=True)},
            problems=(*WRITE, 409),
        ),
    }


def _application() -> Node:
    return resource(
        "Application",
        "applications",
        keys=["Application"],
        an="an application",
        delete_problems=[409],
    )


def _configuration() -> Node:
    return resource(
        "Configuration",
        "configurations",
        keys=["Id"],
        an="a configuration",
        delete_problems=[409],
    )


def resource(
    kind: str, tag: str, *, keys: Sequence[str], an: str, delete_problems: Sequence[int] = ()
) -> Node:
    """Describe the methods of one resource."""
    found = {200: entity(kind)}
    return {
        "parameters": [parameter(key) for key in keys],
        "get": operation(
            f"get{kind}",
            tag,
            f"Get {an}",
            parameters=["IfNoneMatch"],
            responses={**found, 304: not_modified()},
            problems=(400, 404, 503),
        ),
        "put": operation(
            f"replace{kind}",
            tag,
            f"Replace {an}",
            parameters=["IfMatch", "IfNoneMatchOfWrite", "ChangeMessage"],
            body=f"{kind}Replace",
            responses=found,
            problems=(*WRITE, 404, 409, 412),
        ),
        "patch": operation(
            f"update{kind}",
            tag,
            f"Change parts of {an}",
            parameters=["IfMatch", "IfNoneMatchOfWrite", "ChangeMessage"],
            body=f"{kind}Patch",
            media_types=(MERGE_PATCH, "application/json"),
            responses=found,
            problems=(*WRITE, 404, 409, 412),
        ),
        "delete": operation(
            f"delete{kind}",
            tag,
            f"Delete {an}",
            parameters=["IfMatch", "IfNoneMatchOfWrite", "ChangeMessage"],
            responses={204: {"description": "It is gone."}},
            problems=(400, 404, *delete_problems, 412, 422, 503),
        ),
    }


def _configurations() -> Node:
    return {
        "get": operation(
            "listConfigurations",
            "configurations",
            "List configurations",
            parameters=[*PAGING, "ApplicationId", "Name", "Text"],
            responses={200: page("ConfigurationPage")},
            problems=(422, 503),
        ),
        "post": operation(
            "createConfiguration",
            "configurations",
            "Create a configuration",
            parameters=["ChangeMessage"],
            body="ConfigurationCreate",
            responses={201: entity("Configuration", created=True)},
            problems=(*WRITE, 409),
        ),
    }


def _nested_configurations() -> Node:
    return {
        "parameters": [parameter("Application")],
        "get": operation(
            "listConfigurationsOfApplication",
            "configurations",
            "List the configurations of an application",
            parameters=[*PAGING, "Name", "Text"],
            responses={200: page("ConfigurationPage")},
            problems=(404, 422, 503),
        ),
        "post": operation(
            "createConfigurationInApplication",
            "configurations",
            "Create a configuration in an application",
            parameters=["ChangeMessage"],
            body="ConfigurationCreateInApplication",
            responses={201: entity("Configuration", created=True)},
            problems=(*WRITE, 404, 409),
        ),
    }


def _health() -> Node:
    def check(name: str, summary: str, *, can_fail: bool) -> Node:
        answers = {200: answer("Health", "All is well.")}
        if can_fail:
            answers[503] = answer(
                "Health", "Something is not, or the server is about to stop; `checks` says what."
            )
        return {"get": operation(name, "operations", summary, responses=answers)}

    report = operation(
        "getHealthReport",
        "operations",
        "How the server is, in every detail",
        responses={200: answer("HealthReport", "The report, also of a server that is not well.")},
        problems=(503,),
    )
    return {
        f"{PREFIX}/health": {"get": report},
        "/health": check("getHealth", "All health checks", can_fail=True),
        "/health/live": check("getLiveness", "Whether the process answers", can_fail=False),
        "/health/ready": check(
            "getReadiness", "Whether the database and its migrations are ready", can_fail=True
        ),
    }
