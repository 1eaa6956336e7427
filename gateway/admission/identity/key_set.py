"""A set of keys at an address (JWKS), as it was when it was last fetched.

It is fetched at the start, now and then, and when a token names a key that is not in it; all in all
at most every ten seconds, whatever clients send. While it cannot be had the last one holds.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import ClientSession, DummyCookieJar
from yarl import URL

from gateway.admission.identity.jwks import NoKeys, fitting, has_id, keys_in
from gateway.errors import KeysUnavailable
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from aiohttp import ClientResponse

    from gateway.admission.identity.claims import Key, Signature

_log = logging.getLogger(__name__)
FETCH_SECONDS = 5.0
"""What one fetch may take, and a request wait for it."""
REFRESH_SECONDS = 300.0
"""How long a key that was withdrawn may still be taken."""
SET_BYTES = 256 * 1024
SHOWN_CHARACTERS = 200
_ASKING = {"Accept": "application/json", "Accept-Encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class KeySet:
    """The keys at ``url``; ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        url: str,
        clock: Callable[[], float],
        *,
        gap_seconds: float,
        fetch_seconds: float = FETCH_SECONDS,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._url = url
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._gap_seconds = gap_seconds
        self._refresh_seconds = refresh_seconds
        self._keys: tuple[Key, ...] = ()
        self._tasks = Tasks()
        self._fetch: asyncio.Task[None] | None = None
        self._fetch_began = -math.inf
        self._had_at = clock()
        """When the set was last fetched; at first when that could have begun."""
        self._is_failing: bool | None = None
        self.when_replaced: Callable[[], None] = _nothing

    def at_hand(self, signature: Signature) -> tuple[Key, ...]:
        return fitting(self._keys, signature)

    def may_come(self, signature: Signature) -> bool:
        key_id, has_some = signature.key_id, bool(self.at_hand(signature))
        if has_some and (key_id is None or has_id(self._keys, key_id)):
            return False
        if self._is_failing is not False:
            return True
        is_fetching = self._fetch is not None and not self._fetch.done()
        return key_id is not None and (is_fetching or self._may_fetch)

    async def named(self, signature: Signature) -> tuple[Key, ...]:
        if self.may_come(signature):
            await self._refresh()
        keys = self.at_hand(signature)
        if not keys and self._is_failing is not False:
            raise KeysUnavailable(
                "No keys to verify tokens with can be had now",
                fields=((b"Retry-After", b"%d" % self._gap_seconds),),
            )
        return keys

    def age_seconds(self) -> dict[str, float]:
        return {"jwks": self._clock() - self._had_at}

    async def keep_fresh(self) -> None:
        """Fetch the set at once and then now and then, more often while it cannot be had."""
        try:
            while True:
                await self._refresh()
                seconds = self._gap_seconds if self._is_failing else self._refresh_seconds
                await asyncio.sleep(seconds)
        finally:
            await self._tasks.aclose()

    @property
    def _may_fetch(self) -> bool:
        return self._clock() - self._fetch_began >= self._gap_seconds

    async def _refresh(self) -> None:
        """Wait for the fetch that is under way, or for another where enough time has passed."""
        if self._fetch is None or (self._fetch.done() and self._may_fetch):
            self._fetch_began = self._clock()
            self._fetch = self._tasks.spawn(self._fetched(), name="fetch keys")
        await asyncio.shield(self._fetch)

    async def _fetched(self) -> None:
        try:
            async with asyncio.timeout(self._fetch_seconds):
                keys = await fetched_keys(self._url)
        except NoKeys as failure:
            self._failed(str(failure))
        except TimeoutError:
            self._failed("no response in time")
        except Exception as failure:
            # Whatever is wrong with what answers there: the next fetch may find it mended.
            self._failed(type(failure).__name__)
        else:
            self._hold(keys)

    def _hold(self, keys: tuple[Key, ...]) -> None:
        if self._is_failing is not False:
            _log.info("identity.jwks_url: keys to verify tokens with: %d", len(keys))
        self._is_failing = False
        self._had_at = self._clock()
        was, self._keys = self._keys, keys
        if any(key not in keys for key in was):
            self.when_replaced()

    def _failed(self, reason: str) -> None:
        if not self._is_failing:
            _log.warning("identity.jwks_url: no keys to be had: %s", reason)
        self._is_failing = True


async def fetched_keys(url: str) -> tuple[Key, ...]:
    """The keys that are published there; whoever asks knows how long to be patient.

    Raises:
        NoKeys: what answers there gives none.
        ClientError, OSError, ValueError: it cannot be asked.
    """
    return keys_in(await _content(url))


async def _content(url: str) -> bytes:
    async with (
        ClientSession(
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
            headers=_ASKING,
        ) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status in _REDIRECTS:
            raise NoKeys(_redirected(response))
        if response.status != 200:
            raise NoKeys(f"status {response.status}")
        content = b""
        async for piece in response.content.iter_any():
            content += piece
            if len(content) > SET_BYTES:
                raise NoKeys(f"more than {SET_BYTES} bytes")
        return content


def _redirected(response: ClientResponse) -> str:
    """Say why a redirect is not followed: whoever names an address trusts that one only."""
    try:
        where = response.url.join(URL(response.headers["Location"]))
        shown = str(where.with_user(None).with_query(None).with_fragment(None))
    except (KeyError, ValueError):
        shown = "nowhere"
    told = f"status {response.status}, it redirects to {shown[:SHOWN_CHARACTERS]}"
    return f"{told}: redirects are not followed, name the address where the keys are"


def _nothing() -> None: ...
