"""Identifies clients. In ``identity.mode`` "opaque" no token is judged here, in "verify" all are.

What is kept stands under hashes of tokens, in stores that are bounded each by itself: a flood of
made-up tokens can push out nothing but what is known of other such tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from cachetools import TTLCache

from gateway.admission.addresses import MAX_LENGTH, address_key
from gateway.admission.identity.claims import Claims, claimed, signature, verified
from gateway.admission.identity.token import HASH_BYTES, is_plain, presented, token_hash
from gateway.admission.identity.trials import Trials
from gateway.admission.recent import Recent
from gateway.errors import Response, Unauthorized, UnknownToken
from gateway.stores.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.identity.claims import Key
    from gateway.admission.identity.keys import Keys
    from gateway.config import IdentityConfig
    from gateway.errors import Field
    from gateway.protocols.http.query import Query

KNOWN_TOKENS = 8192
"""Accepted by the upstream, or verified."""
SEEN_TOKENS = 1024
"""Neither, so anybody's: kept only so that a wait's requests read their token once."""
REJECTED_TOKENS = 16384
ADDRESSES = 4096
DOUBT_SECONDS = 60.0
"""How long one look-up that failed is remembered of a token that was known."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The client that asks, or claims to. It holds no token."""

    key: bytes
    """What is counted together, 16 bytes: the hash of the token; once verified, of organization and
    user; of the client's address (IPv6: its /64) where there is no token."""
    customer: str
    """The name of the organization that the token names, empty if none."""
    user: str
    """The user's name that the token claims, empty if none."""
    credential: str
    """The kind of user it claims, empty if none."""
    token_hash: bytes | None
    """Of the whole token, 16 bytes; None without a token."""
    is_verified: bool
    """The claims are signed by who may make them."""


ANONYMOUS: Final = Identity(bytes(HASH_BYTES), "", "", "", None, False)
"""Nobody was asked yet who it is."""


class Identities:
    """``clock`` gives monotonic seconds, ``wall_clock`` those since 1970.

    ``keys`` verify tokens; without them tokens are opaque, and ``trials`` are told when there is
    something to learn of one that is not accepted.
    """

    def __init__(
        self,
        config: IdentityConfig,
        keys: Keys | None,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        trial_seconds: float,
    ) -> None:
        self._keys = keys
        self._verify_expiry = config.verify_expiry
        self._wall_clock = wall_clock
        self._known: Recent[tuple[Identity, float]] = Recent(KNOWN_TOKENS)
        self._seen: Recent[Identity] = Recent(SEEN_TOKENS)
        self._rejected: TTLCache[bytes, Response] = TTLCache(
            REJECTED_TOKENS, config.reject_seconds, timer=clock
        )
        self._doubted: TTLCache[bytes, bool] = TTLCache(KNOWN_TOKENS, DOUBT_SECONDS, timer=clock)
        self._last_rejection: Response | None = None
        self._addresses = Memo(_of_address, ADDRESSES)
        self.trials = Trials(trial_seconds)
        if keys is not None:
            keys.when_replaced = self._known.clear
        self._clock = clock

    def reconfigure(self, config: IdentityConfig) -> None:
        """Have other bounds of time; what is known of tokens stays as far as it holds by them."""
        if config.verify_expiry and not self._verify_expiry and self._keys is not None:
            # It was not noted of them when they expire.
            self._known.clear()
        self._verify_expiry = config.verify_expiry
        if config.reject_seconds == self._rejected.ttl:
            return
        former = self._rejected
        self._rejected = TTLCache(REJECTED_TOKENS, config.reject_seconds, timer=self._clock)
        self._rejected.update(former)

    def identify(
        self, query: Query, fields: Sequence[Field], names: list[bytes], address: str
    ) -> Identity | None:
        """The identity behind a request from ``address``, by its query and fields; None where
        ``identify_by_keys`` has to be asked.

        ``names`` are those of ``fields`` in lower case.
        """
        token = presented(query, fields, names)
        if not token:
            return self.anonymous(address)
        hashed = token_hash(token)
        known = self._known.get(hashed)
        if known is not None:
            if self._wall_clock() < known[1]:
                return known[0]
            self._known.pop(hashed)
        if self._keys is not None:
            return self._by_key(self._keys, token, hashed)
        # One that is not plain may stand for any session, so that nothing is learnt of it.
        return self._unproven(token, hashed) if is_plain(token) else self.anonymous(address)

    async def identify_by_keys(
        self, query: Query, fields: Sequence[Field], names: list[bytes]
    ) -> Identity:
        """The identity behind a token that is signed with a key which has to be fetched first.

        Raises:
            KeysUnavailable: whether it is genuine cannot be told now.
        """
        assert self._keys is not None
        token = presented(query, fields, names)
        keys = await self._keys.named(signature(token))
        return self._judged(token, token_hash(token), keys)

    def anonymous(self, address: str) -> Identity:
        """Whoever asks from ``address`` without a token."""
        is_kept = len(address) <= MAX_LENGTH
        return self._addresses.of(address) if is_kept else _of_address(address)

    def check(self, identity: Identity) -> None:
        """Refuse a token that must not reach the upstream.

        Raises:
            UnknownToken: the upstream refused it a moment ago.
            Unauthorized: it is not genuine.
        """
        hashed = identity.token_hash
        if hashed is None:
            return
        said = None if hashed in self._known else self._rejected.get(hashed)
        if said is not None:
            raise UnknownToken(said)
        if self._keys is not None and not identity.is_verified:
            raise Unauthorized

    def answered(self, identity: Identity, status: int, said: Response | None = None) -> None:
        """Learn from the status with which the upstream answers a request that needs a token.

        ``said`` is a 401 which says that nobody is logged in with it (``rejection``); others are
        about what was asked for. 2xx, 303 and 409 say that somebody is: before that TheEye looks up
        the token. What else there is may come before, or from the look-up itself; 403 too, where
        the service that it asks says so.
        """
        hashed = identity.token_hash
        if hashed is None:
            return
        if said is not None:
            self._rejects(hashed, said)
        elif self._keys is not None:
            if self._doubted and _proves(status):
                self._doubted.pop(hashed, None)
            return
        elif hashed in self._known:
            return
        elif _proves(status):
            self._known.keep(hashed, (identity, math.inf))
            self._seen.pop(hashed)
            self._doubted.pop(hashed, None)
        self.trials.told(hashed)

    def is_accepted(self, identity: Identity) -> bool:
        """Tell whether it is more than a claim: verified here, or accepted upstream before."""
        return identity.is_verified or identity.token_hash in self._known

    def remembered(self) -> dict[str, int]:
        """Count the tokens that are, by what is known of them."""
        return {"accepted": len(self._known), "rejected": len(self._rejected)}

    def _rejects(self, hashed: bytes, said: Response) -> None:
        """A token that was good a moment ago is asked about once more before it is refused."""
        if self._known.pop(hashed) is not None and hashed not in self._doubted:
            self._doubted[hashed] = True
            return
        if said == self._last_rejection:
            # Nearly all are the same: one is kept for all of them.
            said = self._last_rejection
        self._last_rejection = said
        self._rejected[hashed] = said

    def _by_key(self, keys: Keys, token: bytes, hashed: bytes) -> Identity | None:
        if hashed in self._rejected:
            return self._unproven(token, hashed)
        try:
            signed = signature(token)
        except ValueError:
            return self._unproven(token, hashed)
        identity = self._judged(token, hashed, keys.at_hand(signed))
        return None if not identity.is_verified and keys.may_come(signed) else identity

    def accountable(self, identity: Identity, address: str) -> Identity:
        """The one who answers for a request from ``address``: its token once accepted, for anybody
        can make up tokens."""
        if identity.token_hash is None or self.is_accepted(identity):
            return identity
        return self.anonymous(address)

    def _unproven(self, token: bytes, hashed: bytes) -> Identity:
        identity = self._seen.get(hashed)
        if identity is None:
            claims = claimed(token)
            identity = Identity(
                hashed, claims.customer, claims.user, claims.credential, hashed, False
            )
            self._seen.keep(hashed, identity)
        return identity

    def _judged(self, token: bytes, hashed: bytes, keys: Sequence[Key]) -> Identity:
        claims: Claims | None = None
        for key in keys:
            claims = verified(token, key)
            if claims is not None:
                break
        if claims is None:
            return self._unproven(token, hashed)
        expires = math.inf
        if self._verify_expiry:
            expires = claims.expires
            if not claims.begins <= self._wall_clock() < expires:
                return self._unproven(token, hashed)
        identity = Identity(
            _subject_key(claims, hashed),
            claims.customer,
            claims.user,
            claims.credential,
            hashed,
            True,
        )
        self._known.keep(hashed, (identity, expires))
        return identity


def _of_address(address: str) -> Identity:
    return Identity(address_key(address), "", "", "", None, False)


def _subject_key(claims: Claims, hashed: bytes) -> bytes:
    """New logins of a user have the same key; a token that names nobody stands for itself."""
    if not claims.subject:
        return hashed
    return blake2b(
        f"{claims.customer}\n{claims.subject}".encode("utf-8", "surrogatepass"),
        digest_size=HASH_BYTES,
        person=b"user",
    ).digest()


def _proves(status: int) -> bool:
    return 200 <= status < 300 or status in {303, 409}
