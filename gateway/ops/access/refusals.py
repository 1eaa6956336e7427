"""What operators, and those who are none, are refused with."""

from __future__ import annotations

from gateway.errors import GatewayError

CHALLENGE = (b"WWW-Authenticate", b'Bearer realm="theeye-sync-gateway operators"')


class OperatorTokenNeeded(GatewayError):
    """There is no token and no session, or one that is wrong (RFC 6750, 3)."""

    status, code = 401, "OperatorTokenNeeded"


class OperatorsOnly(GatewayError):
    """It comes from where no operator asks, or from a page of another site."""

    status, code = 403, "OperatorsOnly"


class NotFound(GatewayError):
    status, code = 404, "NotFound"


class MethodNotAllowed(GatewayError):
    """The ``Allow`` among its fields has the methods there are (RFC 9110, 15.5.6)."""

    status, code = 405, "MethodNotAllowed"
