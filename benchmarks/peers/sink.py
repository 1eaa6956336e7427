"""An upstream that reads a request's content to its end, then answers. Usage: sink.py PORT"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
MOST_HEAD_BYTES = 64 * 1024


class Sink(asyncio.Protocol):
    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, end, content = self._head.partition(b"\r\n\r\n")
            if not end:
                if len(head) > MOST_HEAD_BYTES:
                    self._transport.abort()
                return
            self._head = b""
            length = LENGTH.search(head + b"\r\n")
            self._left = (int(length[1]) if length else 0) - len(content)
        if self._left < 0:  # nobody here pipelines
            self._transport.abort()
        elif not self._left:
            self._transport.write(ANSWER)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
