"""OpenAPI paths of environments, snapshots, history, releases and changes."""

from configsvc_server.http import PREFIX
from configsvc_server.http.openapi.nodes import (
    WRITE,
    Node,
    answer,
    entity,
    header,
    not_modified,
    operation,
    page,
    parameter,
)
from configsvc_server.http.openapi.resource_paths import resource

__all__ = ["history_paths"]

_NUMBERED = ("Limit", "Offset", "After")


def history_paths() -> Node:
    """Return the paths of this module."""
    application = f"{PREFIX}/applications/{{application}}"
    configuration = f"{PREFIX}/configurations/{{id}}"
    return {
        f"{application}/environments": _environments(),
        f"{application}/environments/{{environment}}": resource(
            "Environment",
            "environments",
            keys=["Application", "Environment"],
            an="an environment",
            delete_problems=[409],
        ),
        f"{application}/environments/{{environment}}/snapshot": _snapshot(),
        **_fleet(f"{application}/environments/{{environment}}"),
        f"{application}/promote": _promote(),
        f"{PREFIX}/configurations/validate": _validate(),
        f"{configuration}/revisions": _revisions(),
        f"{configuration}/revisions/{{version}}": _revision(),
        f"{configuration}/diff": _diff(),
        f"{configuration}/rollback": _act(
            "rollBackConfiguration",
            "history",
            "Make a new version from the content of an earlier one",
            body="Rollback",
            response=entity("Configuration"),
            parameters=["IfMatch", "IfNoneMatchOfWrite"],
            problems=(412,),
        ),
        f"{configuration}/restore": _restore(),
        f"{configuration}/releases": _releases(),
        f"{configuration}/releases/rollback": _act(
            "rollBackRelease",
            "releases",
            "Make an environment serve again what it served before",
            body="ReleaseRollback",
            response=answer("Release", "Released."),
            status=201,
            parameters=["IfMatch", "IfNoneMatchOfWrite"],
            problems=(412,),
        ),
        f"{PREFIX}/changes": _changes(),
    }


def _act(
    operation_id: str,
    tag: str,
    summary: str,
    *,
    body: str,
    response: Node,
    status: int = 200,
    parameters: list[str] | None = None,
    problems: tuple[int, ...] = (),
) -> Node:
    return {
        "parameters": [parameter("Id")],
        "post": operation(
            operation_id,
            tag,
            summary,
            parameters=[*(parameters or []), "ChangeMessage"],
            body=body,
            responses={status: response},
            problems=(*WRITE, 404, 409, *problems),
        ),
    }


def _environments() -> Node:
    return {
        "parameters": [parameter("Application")],
        "get": operation(
            "listEnvironments",
            "environments",
            "List the environments of an application",
            parameters=_NUMBERED,
            responses={200: page("EnvironmentPage")},
            problems=(404, 422, 503),
        ),
        "post": operation(
            "createEnvironment",
            "environments",
            "Create an environment",
            parameters=["ChangeMessage"],
            body="EnvironmentCreate",
            responses={201: entity("Environment", created=True)},
            problems=(*WRITE, 404, 409),
        ),
    }


def _snapshot() -> Node:
    changed = entity("Snapshot")
    changed["headers"]["Preference-Applied"] = header("PreferenceApplied")
    changed["headers"]["Content-Encoding"] = header("ContentEncoding")
    unchanged = not_modified()
    unchanged["headers"]["Preference-Applied"] = header("PreferenceApplied")
    delta = answer("SnapshotDelta", "What has changed since the snapshot in `If-None-Match`.")
    delta["headers"] = {
        **changed["headers"],
        "IM": header("IM"),
        "Delta-Base": header("DeltaBase"),
    }
    return {
        "parameters": [parameter("Application"), parameter("Environment")],
        "get": operation(
            "getSnapshot",
            "snapshots",
            "Get every configuration that an environment serves at once",
            parameters=[
                "At",
                "IfNoneMatch",
                "Prefer",
                "AIm",
                "AcceptEncoding",
                "InstanceHeader",
            ],
            responses={200: changed, 226: delta, 304: unchanged},
            problems=(400, 404, 422, 503),
        ),
    }


def _fleet(environment: str) -> Node:
    counted = answer("Convergence", "How many have it, and what the others do.")
    counted["headers"] = {"Preference-Applied": header("PreferenceApplied")}
    keys = [parameter("Application"), parameter("Environment")]
    one = {**answer("Instance", "As it is now."), "description": "As it is now, or was."}
    one["content"] = {
        "application/json": {
            "schema": {
                "oneOf": [
                    {"$ref": "#/components/schemas/Instance"},
                    {"$ref": "#/components/schemas/InstanceMoment"},
                ]
            }
        }
    }
    return {
        f"{environment}/instances": {
            "parameters": keys,
            "get": operation(
                "listInstances",
                "fleet",
                "List the processes that poll an environment, and what each of them serves",
                parameters=["Limit", "Offset", "After", "InstanceState", "InstanceService"],
                responses={200: page("InstancePage")},
                problems=(404, 422, 503),
            ),
        },
        f"{environment}/instances/{{instance}}": {
            "parameters": [*keys, parameter("Instance")],
            "get": operation(
                "getInstance",
                "fleet",
                "Get an instance, or with `at` what it served at that time",
                parameters=["At"],
                responses={200: one},
                problems=(404, 422, 503),
            ),
        },
        f"{environment}/instances/{{instance}}/rejections": {
            "parameters": [*keys, parameter("Instance")],
            "post": operation(
                "reportRejections",
                "fleet",
                "Report what an instance could not use of a snapshot",
                body="RejectionReport",
                responses={204: {"description": "Recorded."}},
                problems=(*WRITE, 404),
            ),
        },
        f"{environment}/convergence": {
            "parameters": keys,
            "get": operation(
                "getConvergence",
                "fleet",
                "Count the instances that serve a snapshot, or wait until all of them do",
                parameters=["SnapshotVersion", "Prefer"],
                responses={200: counted},
                problems=(404, 422, 503),
            ),
        },
    }


def _promote() -> Node:
    return {
        "parameters": [parameter("Application")],
        "post": operation(
            "promote",
            "releases",
            "Release in one environment what another serves, all or nothing",
            parameters=["ChangeMessage"],
            body="Promote",
            responses={200: answer("Promotion", "Done.")},
            problems=(*WRITE, 404, 409),
        ),
    }


def _validate() -> Node:
    return {
        "post": operation(
            "validateConfiguration",
            "configurations",
            "Try a configuration without writing it",
            body="ConfigurationValidate",
            responses={200: answer("Validation", "It could be written.")},
            problems=(*WRITE, 409),
        ),
    }


def _revisions() -> Node:
    return {
        "parameters": [parameter("Id")],
        "get": operation(
            "listRevisions",
            "history",
            "List the revisions of a configuration, also of a deleted one",
            parameters=[*_NUMBERED, "VersionSort"],
            responses={200: page("RevisionPage")},
            problems=(404, 422, 503),
        ),
    }


def _revision() -> Node:
    return {
        "parameters": [parameter("Id"), parameter("Version")],
        "get": operation(
            "getRevision",
            "history",
            "Get a revision",
            parameters=["IfNoneMatch"],
            responses={200: entity("Revision"), 304: not_modified()},
            problems=(400, 404, 503),
        ),
    }


def _diff() -> Node:
    return {
        "parameters": [parameter("Id")],
        "get": operation(
            "diffConfiguration",
            "history",
            "Compare versions, or what environments serve",
            parameters=["From", "To", "FromEnvironment", "ToEnvironment", "For"],
            responses={200: answer("Diff", "What differs.")},
            problems=(404, 422, 503),
        ),
        "post": operation(
            "diffDocument",
            "history",
            "Compare a version with a document",
            body="DiffRequest",
            responses={200: answer("Diff", "What differs.")},
            problems=(*WRITE, 404),
        ),
    }


def _restore() -> Node:
    node = _act(
        "restoreConfiguration",
        "history",
        "Bring a deleted configuration back",
        body="Restore",
        response=entity("Configuration"),
    )
    node["post"]["requestBody"]["required"] = False
    return node


def _releases() -> Node:
    return {
        "parameters": [parameter("Id")],
        "get": operation(
            "listReleases",
            "releases",
            "List the releases of a configuration",
            parameters=[*_NUMBERED, "IdSort", "InEnvironment", "Current"],
            responses={200: page("ReleasePage")},
            problems=(404, 422, 503),
        ),
        "post": operation(
            "release",
            "releases",
            "Release a version of a configuration, or withdraw it",
            parameters=["IfMatch", "IfNoneMatchOfWrite", "ChangeMessage"],
            body="ReleaseCreate",
            responses={
                200: answer("Release", "It serves that version already."),
                201: answer("Release", "Released."),
            },
            problems=(*WRITE, 404, 409, 412),
        ),
    }


def _changes() -> Node:
    log = page("ChangePage")
    log["headers"]["Preference-Applied"] = header("PreferenceApplied")
    filters = ["ApplicationId", "ConfigurationId", "Actor", "Action", "Entity", "InEnvironment"]
    return {
        "get": operation(
            "listChanges",
            "changes",
            "List changes in the order of their commits, or wait for the next ones",
            parameters=["Limit", "After", "IdSort", *filters, "Prefer"],
            responses={200: log},
            problems=(422, 503),
        ),
    }
