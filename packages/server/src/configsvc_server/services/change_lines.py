"""Lines of the log for changes: one for each that was committed, without what it has written."""

from typing import Any

import structlog

from configsvc_server.domain.models import Change

__all__ = ["log_change"]

_log = structlog.stdlib.get_logger("configsvc.changes")


def log_change(change: Change) -> None:
    """Write the line of a change.

    Values, comments, messages and what grants give are left out: they are in the audit trail, for
    those who may read it.
    """
    fields: dict[str, Any] = {
        "action": change.action,
        "entity": change.entity,
        "name": change.name,
        "application_id": change.application_id,
        "configuration_id": change.configuration_id,
        "version": change.version,
        "environments": list(change.environments) or None,
        "actor": change.provenance.actor,
        "request_id": change.provenance.request_id,
    }
    _log.info("change", **{key: value for key, value in fields.items() if value is not None})
