"""Parent of two processes: for each line on its input, it prints what each of them reads."""

import contextlib
import multiprocessing
import signal
import sys
from multiprocessing.connection import Connection
from types import FrameType

from tests.hosts.applications.reading import answer


def serve(connection: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # The end of the parent closes the connection, a moment before it ends its children.
    with contextlib.suppress(EOFError):
        while connection.recv():
            connection.send(answer())


def end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def main(method: str) -> None:
    context = multiprocessing.get_context(method)
    connections = []
    for _ in range(2):
        ours, theirs = context.Pipe()
        # A daemon, as multiprocessing calls what it ends with its parent.
        context.Process(target=serve, args=(theirs,), daemon=True).start()  # type: ignore[attr-defined,unused-ignore]
        connections.append(ours)
    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    for _ in sys.stdin:
        for connection in connections:
            connection.send(True)
        print(";".join(connection.recv() for connection in connections), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
