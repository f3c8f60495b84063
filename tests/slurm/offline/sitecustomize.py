"""Python imports this by itself where it is on its path: a job that opens a connection fails."""

import os
import sys

OPENING = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in OPENING:
        raise PermissionError(f"a job opens a connection: {event} {arguments}")


if "SLURM_JOB_ID" in os.environ:
    sys.addaudithook(refuse)
