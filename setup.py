"""The compiled build. All else about the package is in pyproject.toml.

With GATEWAY_COMPILE=1 in the environment mypyc (https://mypyc.readthedocs.io) translates to C the
modules that every request, or every sync call, goes through. They do the same either way, in less
time. In them the types of a record's fields are imported for good, not only for type checking.
Types are checked when they run: tests hand over real parts, or what a Protocol asks for. A
coroutine of theirs that is a task of its own must not wait while it handles an exception: mypyc
would show that to whatever else runs meanwhile.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup

COMPILED = (
    "gateway/admission/addresses.py",
    "gateway/admission/recent.py",
    "gateway/admission/limits/memory_budgets.py",
    "gateway/admission/limits/admission.py",
    "gateway/admission/limits/gcra.py",
    "gateway/admission/shared/budgets.py",
    "gateway/admission/identity/identities.py",
    "gateway/protocols/http/framing.py",
    "gateway/admission/limits/rules.py",
    "gateway/admission/identity/token.py",
    "gateway/downstream/connection.py",
    "gateway/downstream/connection_state.py",
    "gateway/downstream/content.py",
    "gateway/downstream/deadline.py",
    "gateway/protocols/http/content_coding.py",
    "gateway/downstream/request.py",
    "gateway/durations.py",
    "gateway/stores/memo.py",
    "gateway/downstream/exchange.py",
    "gateway/protocols/http/fields.py",
    "gateway/proxy/forwarding.py",
    "gateway/protocols/http/host.py",
    "gateway/proxy/limits.py",
    "gateway/proxy/max_forwards.py",
    "gateway/ops/glances/callers.py",
    "gateway/ops/glances/failures.py",
    "gateway/ops/log/access_log.py",
    "gateway/ops/log/fields.py",
    "gateway/ops/metrics/metrics.py",
    "gateway/ops/log/notices.py",
    "gateway/ops/log/visible.py",
    "gateway/upstream/connections/write_batch.py",
    "gateway/proxy/checks.py",
    "gateway/proxy/pipeline.py",
    "gateway/downstream/listening/places.py",
    "gateway/downstream/listening/seat.py",
    "gateway/downstream/messages/parse_errors.py",
    "gateway/downstream/messages/portions.py",
    "gateway/downstream/messages/request_head.py",
    "gateway/downstream/messages/request_reader.py",
    "gateway/downstream/peer.py",
    "gateway/downstream/terms.py",
    "gateway/proxy/relay.py",
    "gateway/protocols/http/query.py",
    "gateway/protocols/theeye/redaction.py",
    "gateway/protocols/http/response_head.py",
    "gateway/protocols/http/target.py",
    "gateway/protocols/theeye/routes.py",
    "gateway/protocols/theeye/cors.py",
    "gateway/proxy/cycle.py",
    "gateway/admission/limits/buffers.py",
    "gateway/admission/limits/holds.py",
    "gateway/protocols/theeye/job.py",
    "gateway/protocols/theeye/job_state.py",
    "gateway/sync/create.py",
    "gateway/sync/created_hold.py",
    "gateway/sync/following/following.py",
    "gateway/sync/following/leaver.py",
    "gateway/sync/following/places.py",
    "gateway/sync/held_job.py",
    "gateway/sync/hold.py",
    "gateway/sync/jobs/access.py",
    "gateway/sync/jobs/creation.py",
    "gateway/sync/jobs/reader.py",
    "gateway/sync/jobs/result_reader.py",
    "gateway/sync/kept/result_key.py",
    "gateway/sync/kept/results.py",
    "gateway/sync/preferred.py",
    "gateway/sync/results/formats.py",
    "gateway/sync/results/formatter.py",
    "gateway/sync/snapshots.py",
    "gateway/sync/tethers/tethered.py",
    "gateway/sync/tethers/tethers.py",
    "gateway/sync/tethers/wish.py",
    "gateway/sync/wait_parameters.py",
    "gateway/upstream/messages/response_reader.py",
    "gateway/upstream/connections/connection.py",
    "gateway/upstream/exchange.py",
    "gateway/upstream/exchange_state.py",
    "gateway/upstream/failures.py",
    "gateway/upstream/messages/field_lines.py",
    "gateway/upstream/messages/received_content.py",
    "gateway/upstream/messages/response_framing.py",
    "gateway/upstream/messages/response_state.py",
    "gateway/upstream/messages/messages.py",
    "gateway/upstream/client.py",
    "gateway/upstream/connections/pool.py",
    "gateway/upstream/connections/shares.py",
    "gateway/upstream/signs.py",
    "gateway/upstream/tally.py",
    "gateway/upstream/upload.py",
)


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
