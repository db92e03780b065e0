"""Table of hosts: each way to run an application that the client is tested in."""

import importlib.util
import sys
from functools import partial

from tests.hosts.running import Host, Kernel, celery, children, kernel, web

__all__ = ["HOSTS", "why_not"]

_APPLICATIONS = "tests.hosts.applications"
_PYTHON = (sys.executable, "-m")

# Gevent itself advises against it; gunicorn leaves no other way without a file of settings.
_PATCHED_LATE = "MonkeyPatchWarning|monkey.patch_all"


def _gunicorn(worker: str, *flags: str, shown: str = "", expected: str | None = None) -> Host:
    application = f"{_APPLICATIONS}.asgi" if worker == "asgi" else f"{_APPLICATIONS}.wsgi"
    return Host(
        "gunicorn",
        shown or " ".join(("-k", worker, *flags)),
        web(
            *(*_PYTHON, "gunicorn", "--workers", "2", "--bind", "127.0.0.1:0"),
            *("--no-control-socket", "-k", worker, *flags, f"{application}:application"),
            listens=r"Listening at: http://(\S+)",
            path="/async" if worker == "asgi" else "",
        ),
        workers=2,
        needs="gevent" if worker == "gevent" else "gunicorn",
        expected=expected,
    )


def _uwsgi(*flags: str, workers: int = 1) -> Host:
    # The wheel is a module and no program; this is what its script does.
    run = "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"
    return Host(
        "uWSGI",
        " ".join(flags) or "(none)",
        web(
            *(sys.executable, "-c", run, "--http-socket", "127.0.0.1:0", "--die-on-term"),
            *("--module", f"{_APPLICATIONS}.wsgi", *flags),
            listens=r"bound to TCP address (\S+)",
        ),
        workers=workers,
        needs="pyuwsgi",
    )


def _uvicorn(
    shown: str, *flags: str, module: str = "asgi", path: str = "", workers: int = 1
) -> Host:
    return Host(
        "uvicorn",
        " ".join((f"({shown})", *flags)),
        web(
            *(*_PYTHON, "uvicorn", f"{_APPLICATIONS}.{module}:application", "--port", "0", *flags),
            listens=r"running on http://(\S+)",
            path=path,
        ),
        workers=workers,
        needs="uvicorn",
    )


def _celery(*flags: str, workers: int = 1) -> Host:
    return Host(
        "Celery",
        " ".join(flags),
        celery(*flags),
        workers=workers,
        needs="celery",
        expected="superuser privileges|SecurityWarning",
    )


HOSTS = (
    _gunicorn("sync"),
    _gunicorn("sync", "--preload"),
    _gunicorn("gthread", "--threads", "4"),
    _gunicorn("gthread", "--threads", "4", "--preload"),
    _gunicorn("gevent"),
    _gunicorn("gevent", "--preload", expected=_PATCHED_LATE),
    _gunicorn(
        "gevent",
        *("--preload", "--config", f"python:{_APPLICATIONS}.patched_gevent"),
        shown="-k gevent --preload, patched in its settings",
    ),
    _gunicorn("asgi"),
    _gunicorn("asgi", "--preload"),
    Host(
        "eventlet",
        "(patched at the start)",
        web(*_PYTHON, f"{_APPLICATIONS}.green", listens=r"Listening at: http://(\S+)"),
        needs="eventlet",
        expected="EventletDeprecationWarning",
    ),
    _uwsgi(),
    _uwsgi("--enable-threads"),
    _uwsgi("--master", "--processes", "2", "--enable-threads", workers=2),
    _uwsgi(
        *("--master", "--processes", "2", "--enable-threads", "--py-call-uwsgi-fork-hooks"),
        workers=2,
    ),
    _uwsgi("--master", "--lazy-apps", "--threads", "2"),
    _uwsgi("--gevent", "10", "--gevent-early-monkey-patch"),
    _uwsgi(
        *("--gevent", "10", "--gevent-early-monkey-patch", "--master", "--processes", "2"),
        workers=2,
    ),
    _uvicorn("sync endpoint", path="/sync"),
    _uvicorn("async endpoint", path="/async"),
    _uvicorn("sync endpoint", "--workers", "2", path="/sync", workers=2),
    _uvicorn("AsyncConfigClient", module="asgi_awaiting"),
    _uvicorn("AsyncConfigClient", "--workers", "2", module="asgi_awaiting", workers=2),
    _celery("--pool", "prefork", "--concurrency", "2", workers=2),
    _celery("--pool", "threads", "--concurrency", "2"),
    _celery("--pool", "gevent", "--concurrency", "2"),
    Host("multiprocessing", "fork", children("fork"), workers=2),
    Host("multiprocessing", "spawn", children("spawn"), workers=2),
    Host("multiprocessing", "forkserver", children("forkserver"), workers=2),
    Host("Jupyter", "ipykernel", kernel, needs="ipykernel"),
    Host(
        "Jupyter",
        "ipykernel, AsyncConfigClient at top level",
        partial(kernel, setup=Kernel.AWAITING),
        needs="ipykernel",
    ),
)


def why_not(host: Host) -> str | None:
    """Return why a host can't be run here, if it can't."""
    if sys.platform == "win32":
        return "these hosts are stopped by SIGTERM, which Windows doesn't have"
    if host.needs and importlib.util.find_spec(host.needs) is None:
        return f"{host.needs} isn't installed: there is no wheel of it for this platform"
    return None
