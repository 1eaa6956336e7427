"""A fork server as a program: each child says who it is, and ends as it is told to."""

from __future__ import annotations

import os
import random
import socket
import ssl
import sys
from typing import NamedTuple

from gateway.server.forking.forked import forked


class Said(NamedTuple):
    """By a child."""

    pid: int
    descriptors: int
    """How many it was given."""
    random: float
    by_openssl: str
    """Random as well, by OpenSSL."""


def drawn() -> float:
    return random.random()  # noqa: S311 - it is compared with another one


def main(descriptor: int) -> int:
    # From here on their generators have a state, which children could have in common.
    drawn()
    ssl.RAND_bytes(8)
    descriptors = forked(socket.socket(fileno=descriptor))
    if descriptors is None:
        return 0
    with socket.socket(fileno=descriptors[0]) as channel:
        said = os.getpid(), len(descriptors), drawn(), ssl.RAND_bytes(8).hex()
        channel.send(repr(said).encode())
        told = channel.recv(16)
    return int(told or b"0")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
