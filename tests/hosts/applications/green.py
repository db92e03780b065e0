"""WSGI server of eventlet, patched before anything else is imported."""

import eventlet

eventlet.monkey_patch()

import eventlet.wsgi  # noqa: E402 - after the patch

from tests.hosts.applications.wsgi import application  # noqa: E402 - after the patch

if __name__ == "__main__":
    listener = eventlet.listen(("127.0.0.1", 0))
    print(f"Listening at: http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    eventlet.wsgi.server(listener, application, log_output=False)
