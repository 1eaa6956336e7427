"""The compiled build. All else about the package is in pyproject.toml.

With GATEWAY_COMPILE=1 in the environment mypyc (https://mypyc.readthedocs.io) translates to C the
modules that every request goes through. They do the same either way, in less time. In them the
types of a record's fields are imported for good, not only for type checking, and tests cannot put
made-up parts in (``pytest.mark.fakes``). A coroutine of theirs that is a task of its own must not
wait while it handles an exception: mypyc would show that to whatever else runs meanwhile.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup

COMPILED = (
    "gateway/admission/addresses.py",
    "gateway/admission/budgets.py",
    "gateway/admission/gcra.py",
    "gateway/admission/identity.py",
    "gateway/admission/kinds.py",
    "gateway/admission/message.py",
    "gateway/admission/rules.py",
    "gateway/admission/token.py",
    "gateway/content.py",
    "gateway/content_coding.py",
    "gateway/downstream.py",
    "gateway/durations.py",
    "gateway/exchange.py",
    "gateway/fields.py",
    "gateway/forwarding.py",
    "gateway/host.py",
    "gateway/limits.py",
    "gateway/max_forwards.py",
    "gateway/ops/access_log.py",
    "gateway/ops/metrics.py",
    "gateway/ops/notices.py",
    "gateway/ops/visible.py",
    "gateway/outbox.py",
    "gateway/pipeline.py",
    "gateway/places.py",
    "gateway/portions.py",
    "gateway/proxy/relay.py",
    "gateway/query.py",
    "gateway/redaction.py",
    "gateway/response_head.py",
    "gateway/routes.py",
    "gateway/turn.py",
    "gateway/upstream/answer.py",
    "gateway/upstream/connection.py",
    "gateway/upstream/exchange.py",
    "gateway/upstream/failures.py",
    "gateway/upstream/field_lines.py",
    "gateway/upstream/framing.py",
    "gateway/upstream/messages.py",
    "gateway/upstream/origin.py",
    "gateway/upstream/pool.py",
    "gateway/upstream/shares.py",
    "gateway/upstream/signs.py",
    "gateway/upstream/upload.py",
)
"""Not ``inbound.py`` and ``connection.py``: mypyc compiles no subclass of a class with slots."""


def extensions() -> list[Extension]:
    if os.environ.get("GATEWAY_COMPILE") != "1":
        return []
    try:
        from mypyc.build import mypycify  # noqa: PLC0415 - only this build needs it
    except ImportError:
        message = (
            "GATEWAY_COMPILE=1 needs what requirements-build.lock and requirements.lock list to be"
            " installed, and pip's --no-build-isolation"
        )
        raise SystemExit(message) from None
    return mypycify([*COMPILED], opt_level="3")


if __name__ == "__main__":
    setup(ext_modules=extensions())
