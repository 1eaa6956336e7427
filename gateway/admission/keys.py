"""The keys that tokens are verified with: one of the settings', or a set that is fetched (JWKS).

A set (RFC 7517) is fetched at the start, now and then, and when a token names a key that is not in
it; all in all at most every ten seconds, whatever clients send. While it cannot be had the last one
holds.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import jwt
import msgspec
from aiohttp import ClientSession, DummyCookieJar
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway import signing_keys
from gateway.admission.claims import Key
from gateway.errors import KeysUnavailable
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from gateway.config import IdentityConfig

_log = logging.getLogger(__name__)
FETCH_SECONDS = 5.0
"""What one fetch may take, and a request wait for it."""
GAP_SECONDS = 10.0
"""Between the beginnings of two fetches."""
REFRESH_SECONDS = 300.0
"""How long a key that was withdrawn may still be taken."""
SECRET_BYTES = 32
SET_BYTES = 256 * 1024
SET_KEYS = 100
_ASKING = {"Accept": "application/json", "Accept-Encoding": "identity"}
_ASYMMETRIC = ("RSA", "EC", "OKP")
"""A set is public, so a symmetric key in it, or a private one, is known to everybody."""


class Keys(Protocol):
    """Where verification gets its keys from."""

    when_replaced: Callable[[], None]
    """Called when a key that tokens were verified with no longer holds."""

    def at_hand(self, key_id: str | None) -> Key | None:
        """The key of that id, without one the key if there is but one; None if there is none."""
        raise NotImplementedError

    def may_come(self, key_id: str | None) -> bool:
        """Whether ``named`` may know a key of that id that is not at hand, or must say why not."""
        raise NotImplementedError

    async def named(self, key_id: str | None) -> Key | None:
        """The same as ``at_hand``, after a fetch where that may help.

        Raises:
            KeysUnavailable: nobody can tell at the moment.
        """
        raise NotImplementedError

    async def keep_fresh(self) -> None:
        """Do, until cancelled, what keeps the keys true."""
        raise NotImplementedError


def keys_of(config: IdentityConfig, clock: Callable[[], float]) -> Keys | None:
    """What the settings verify tokens with; None where tokens are opaque.

    Raises:
        UnusableKey: the file that had been read when the settings were checked is so no longer.
    """
    if config.mode == "opaque":
        if config.secret or config.secret_file or config.public_key_file or config.jwks_url:
            _log.warning('identity.mode is "opaque": no token is verified, though there is a key')
        return None
    if config.jwks_url:
        return KeySet(config.jwks_url, clock)
    if config.public_key_file:
        return OneKey(Key("RS256", signing_keys.public_key(config.public_key_file)))
    if config.secret_file:
        secret = signing_keys.shared_secret(config.secret_file)
    else:
        secret = signing_keys.checked_secret(config.secret.encode())
    if len(secret) < SECRET_BYTES:
        _log.warning(
            "the secret of identity has less than %d bytes (RFC 7518, 3.2):"
            " whoever has a token can try to guess it",
            SECRET_BYTES,
        )
    return OneKey(Key("HS256", secret))


class OneKey:
    """A key for every token, whatever id that names."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self.when_replaced: Callable[[], None] = _nothing

    def at_hand(self, key_id: str | None) -> Key:  # noqa: ARG002 - there is one key
        return self._key

    def may_come(self, key_id: str | None) -> bool:  # noqa: ARG002
        return False

    async def named(self, key_id: str | None) -> Key:
        return self.at_hand(key_id)

    async def keep_fresh(self) -> None:
        """It stays as it is."""


class KeySet:
    """The keys at ``url``; ``clock`` gives monotonic seconds."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str | None, Key] = {}
        self._tasks = Tasks()
        self._fetch: asyncio.Task[None] | None = None
        self._fetch_began = -math.inf
        self._is_failing: bool | None = None
        self.when_replaced: Callable[[], None] = _nothing

    def at_hand(self, key_id: str | None) -> Key | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def may_come(self, key_id: str | None) -> bool:
        if self._is_failing is not False:
            return True
        is_fetching = self._fetch is not None and not self._fetch.done()
        return key_id is not None and (is_fetching or self._may_fetch)

    async def named(self, key_id: str | None) -> Key | None:
        key = self.at_hand(key_id)
        if key is None and self.may_come(key_id):
            await self._refresh()
            key = self.at_hand(key_id)
        if key is None and self._is_failing is not False:
            raise KeysUnavailable(
                "No keys to verify tokens with can be had now",
                fields=((b"Retry-After", b"%d" % GAP_SECONDS),),
            )
        return key

    async def keep_fresh(self) -> None:
        """Fetch the set at once and then now and then, more often while it cannot be had."""
        try:
            while True:
                await self._refresh()
                await asyncio.sleep(GAP_SECONDS if self._is_failing else REFRESH_SECONDS)
        finally:
            await self._tasks.aclose()

    @property
    def _may_fetch(self) -> bool:
        return self._clock() - self._fetch_began >= GAP_SECONDS

    async def _refresh(self) -> None:
        """Wait for the fetch that is under way, or for another where enough time has passed."""
        if self._fetch is None or (self._fetch.done() and self._may_fetch):
            self._fetch_began = self._clock()
            self._fetch = self._tasks.spawn(self._fetched(), name="fetch keys")
        await asyncio.shield(self._fetch)

    async def _fetched(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                keys = keys_in(await _content(self._url))
        except _NoKeys as failure:
            self._failed(str(failure))
        except TimeoutError:
            self._failed("no answer in time")
        except Exception as failure:
            # Whatever is wrong with what answers there: the next fetch may find it mended.
            self._failed(type(failure).__name__)
        else:
            self._hold(keys)

    def _hold(self, keys: dict[str | None, Key]) -> None:
        if self._is_failing is not False:
            _log.info("identity.jwks_url: keys to verify tokens with: %d", len(keys))
        self._is_failing = False
        was, self._keys = self._keys, keys
        if any(keys.get(name) != key for name, key in was.items()):
            self.when_replaced()

    def _failed(self, reason: str) -> None:
        if not self._is_failing:
            _log.warning("identity.jwks_url: no keys to be had: %s", reason)
        self._is_failing = True


class _NoKeys(Exception):
    """What was fetched is no key set that can be used: why."""


async def _content(url: str) -> bytes:
    async with (
        ClientSession(
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
            headers=_ASKING,
        ) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise _NoKeys(f"status {response.status}")
        content = b""
        async for piece in response.content.iter_any():
            content += piece
            if len(content) > SET_BYTES:
                raise _NoKeys(f"more than {SET_BYTES} bytes")
        return content


def keys_in(content: bytes) -> dict[str | None, Key]:
    """The keys of a set (RFC 7517, 5) that signatures can be verified with, by their id.

    Raises:
        _NoKeys: there is none.
    """
    try:
        document = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        raise _NoKeys("not JSON") from None
    members = document.get("keys") if isinstance(document, dict) else None
    found: dict[str | None, Key] = {}
    for member in members[:SET_KEYS] if isinstance(members, list) else ():
        key = _key(member) if isinstance(member, dict) else None
        if key is not None:
            name = member.get("kid")
            found[name if isinstance(name, str) else None] = key
    if not found:
        raise _NoKeys("no key for signatures in it")
    return found


def _key(member: dict[str, Any]) -> Key | None:
    is_public = member.get("kty") in _ASYMMETRIC and "d" not in member
    if not is_public or member.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(member)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, NotImplementedError):
        # Others may come with it that are usable (RFC 7517, 5: unknown ones are ignored).
        return None
    if isinstance(key.key, RSAPublicKey) and not signing_keys.is_long_enough(key.key):
        return None
    return Key(key.algorithm_name, key.key)


def _nothing() -> None: ...
