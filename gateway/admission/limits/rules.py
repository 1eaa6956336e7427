"""Finds a client's rates and bounds: the settings', or those of the first rule that matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from gateway.admission.limits.gcra import Rate
from gateway.protocols.theeye.routes import RouteKind

if TYPE_CHECKING:
    from gateway.admission.identity.identities import Identity
    from gateway.config import KindLimits, LimitsConfig, Rule


@dataclass(frozen=True, slots=True)
class Allowance:
    """The rate and the bound for requests of one kind."""

    rate: Rate
    content_bytes: int


@dataclass(frozen=True, slots=True)
class Policy:
    """The allowances and bounds of a client."""

    allowances: Mapping[RouteKind, Allowance]
    holds: int
    suffix: bytes = b""
    """Sets apart what is counted under a rule: one key may come with tokens of several rules. It
    stays the same wherever the rule stands among others, and whatever it allows."""

    def key(self, identity: Identity) -> bytes:
        """What a client's budgets are counted under."""
        # Bytes that stay the same object are hashed once.
        return identity.key + self.suffix if self.suffix else identity.key


class Rules:
    """The first rule that matches decides, for whom none does the settings themselves."""

    def __init__(self, config: LimitsConfig) -> None:
        self._rules = [(rule, _policy(config, rule, suffix=_suffix(rule))) for rule in config.rules]
        self._usual = _policy(config)
        self.anonymous = _policy(config, share=config.anonymous_share)
        """What clients without a token may do."""

    def policy(self, identity: Identity) -> Policy:
        """Find the policy for the client behind a request."""
        if identity.token_hash is None:
            return self.anonymous
        for rule, policy in self._rules:
            if _matches(rule, identity):
                return policy
        return self._usual


def _matches(rule: Rule, identity: Identity) -> bool:
    """Tell whether all that the rule names is so. A name counts only where the token's signature
    was checked: anybody can make up a token that says anything."""
    named = (
        (rule.organization, identity.customer),
        (rule.credential, identity.credential),
        (rule.user, identity.user),
    )
    for wanted, found in named:
        if wanted is not None and (wanted != found or not identity.is_verified):
            return False
    presented = identity.token_hash.hex() if identity.token_hash is not None else ""
    return rule.token_hash in {None, presented}


def _suffix(rule: Rule) -> bytes:
    """A hash of whom the rule is for."""
    named = repr((rule.organization, rule.credential, rule.user, rule.token_hash))
    digest = blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8, person=b"rule")
    return b"/" + digest.digest()


def _policy(
    config: LimitsConfig, rule: Rule | None = None, share: float = 1.0, suffix: bytes = b""
) -> Policy:
    allowances = {}
    for kind in RouteKind:
        usual: KindLimits = getattr(config, kind.value)
        changed = getattr(rule, kind.value) if rule is not None else None
        per_second = (changed and changed.per_second) or usual.per_second
        burst = (changed and changed.burst) or usual.burst
        rate = Rate(per_second * share, max(1, round(burst * share)))
        content_bytes = (changed and changed.content_bytes) or usual.content_bytes
        allowances[kind] = Allowance(rate, content_bytes)
    holds = (rule and rule.holds) or config.holds_per_token
    return Policy(allowances, holds, suffix)
