"""Trying what tokens are verified with, and the certificates' ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import ClientError

from gateway.admission.identity.jwks import NoKeys
from gateway.admission.identity.key_set import fetched_keys
from gateway.cli.trying.finding import Finding, Grade, of_failure
from gateway.downstream.listening.tls import end_of
from gateway.protocols.theeye.redaction import redacted_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config import Config, IdentityConfig

DAY_SECONDS = 86400.0
SOON_DAYS = 14
"""A certificate that ends earlier is told of."""
_FILES = ("secret_file", "public_key_file")


async def try_keys(config: IdentityConfig, seconds: float) -> list[Finding]:
    """None with ``identity.mode`` "opaque". Files have been read with the settings."""
    if config.mode != "verify":
        return []
    if not config.jwks_url:
        name = next((name for name in _FILES if getattr(config, name)), "secret")
        return [Finding(f"identity.{name}", Grade.OK, "can be used")]
    what = f"identity.jwks_url {redacted_address(config.jwks_url)}"
    try:
        async with asyncio.timeout(seconds):
            keys = await fetched_keys(config.jwks_url)
    except NoKeys as failure:
        hint = "is this the address of a key set (RFC 7517)?"
        return [Finding(what, Grade.FAILED, str(failure), hint)]
    except ClientError as failure:
        cause = getattr(failure, "os_error", None) or getattr(failure, "certificate_error", None)
        return [of_failure(what, cause or failure)]
    except (OSError, ValueError) as failure:
        return [of_failure(what, failure)]
    return [Finding(what, Grade.OK, f"{len(keys)} keys")]


def try_certificates(config: Config, now: float) -> Iterator[Finding]:
    """``now`` is in seconds since 1970."""
    for section, path in (
        ("listen", config.listen.tls_cert_file),
        ("admin", config.admin.tls_cert_file),
    ):
        end = end_of(path) if path else None
        if end is None:
            continue
        days = (end - now) / DAY_SECONDS
        what = f"{section}.tls_cert_file"
        if days < 0:
            yield Finding(what, Grade.FAILED, f"it ended {-days:.1f} days ago", "renew it")
        else:
            verdict, hint = (Grade.NOTE, "renew it") if days < SOON_DAYS else (Grade.OK, "")
            yield Finding(what, verdict, f"it ends in {days:.1f} days", hint)
