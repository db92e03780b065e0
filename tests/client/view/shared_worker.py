"""A process that follows a view with others of its host; told by lines what to do."""

import ctypes
import json
import logging
import os
import signal
import sys
from pathlib import Path

from configsvc_client import ConfigClient, ConfigView
from configsvc_client._http.poll_schedule import PollSchedule


def say(what: object) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def report(app: ConfigView) -> None:
    status = app.status()
    facts = {
        "value": app.get("database.pool_size"),
        "mode": status.mode,
        "stale": status.stale,
        "age": status.age,
        "polls": status.polls,
        "error": str(status.last_error) if status.last_error else None,
        "cache_error": status.cache_error,
    }
    say(facts)


def main() -> None:
    url, folder, level = sys.argv[1:]
    logging.basicConfig(level=level)
    for name, seconds in (("BACKOFF_BASE", 0.01), ("BACKOFF_CAP", 0.05)):
        setattr(PollSchedule, name, seconds)
    token = Path(folder, f"token-{os.getpid()}")
    client = ConfigClient(
        url,
        cache_dir=folder,
        share_polls=True,
        token=lambda: token.read_text() if token.exists() else "good",
    )
    app = client.application("billing")
    for line in sys.stdin:
        match line.strip():
            case "report":
                report(app)
            case "refresh":
                say(app.refresh())
            case "fork":
                # As hosts do that are no Python: its hooks are not called.
                pid = ctypes.PyDLL(None).fork()
                if pid == 0:
                    signal.pause()
                say(pid)
            case "close":
                client.close()
                say("closed")


if __name__ == "__main__":
    main()
