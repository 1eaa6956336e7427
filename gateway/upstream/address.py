"""Where an upstream listens, and how to connect there."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import UpstreamConfig

UNIX = "unix:"


class Address:
    """``http://host:port``, ``https://host:port`` or ``unix:/path/of/a/socket``."""

    def __init__(self, config: UpstreamConfig) -> None:
        self._path = config.url.removeprefix(UNIX) if config.url.startswith(UNIX) else ""
        url = URL("http://localhost" if self._path else config.url)
        assert url.host, "checked when the settings were read"
        assert url.port, "checked when the settings were read"
        self._host, self._port = url.host, url.port
        self._tls = _trusting(config.ca_file) if url.scheme == "https" else None
        self.host = (url.host_port_subcomponent or "").encode("ascii")
        """The value of ``Host`` for requests to it."""

    async def dial(
        self, protocol: Callable[[], asyncio.Protocol]
    ) -> tuple[asyncio.BaseTransport, asyncio.Protocol]:
        """Connect a new protocol.

        Raises:
            OSError: refused, not reachable, or (as ``ssl.SSLError``) not trusted.
        """
        loop = asyncio.get_running_loop()
        if self._path:
            return await loop.create_unix_connection(protocol, self._path)
        return await loop.create_connection(protocol, self._host, self._port, ssl=self._tls)


def _trusting(ca_file: str) -> ssl.SSLContext:
    """The system's certificate authorities, or those of the file alone. HTTP/1.1 is offered."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.set_alpn_protocols(["http/1.1"])
    return context
