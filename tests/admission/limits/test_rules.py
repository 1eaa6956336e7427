from __future__ import annotations

from typing import Any

import pytest

from gateway.admission.identity.identities import Identity
from gateway.admission.identity.token import token_hash
from gateway.admission.limits.rules import Policy, Rules
from gateway.config import KindOverride, LimitsConfig, Rule
from gateway.protocols.theeye.routes import RouteKind

HASH = token_hash(b"a token")


def identity(**known: Any) -> Identity:
    claims = {"customer": "acme", "user": "bot", "credential": "integration"}
    fields = {"token_hash": HASH, "is_verified": True, **claims, **known}
    return Identity(key=b"k" * 16, **fields)


def holds(*rules: Rule, of: Identity) -> int:
    return Rules(LimitsConfig(rules=rules)).policy(of).holds


def rates(policy: Policy) -> dict[RouteKind, tuple[float, int]]:
    return {
        kind: (allowance.rate.per_second, allowance.rate.burst)
        for kind, allowance in policy.allowances.items()
    }


def test_clients_without_a_rule_have_the_settings() -> None:
    policy = Rules(LimitsConfig()).policy(identity())
    assert rates(policy) == {
        RouteKind.CREATE: (20.0, 40),
        RouteKind.RESULT: (50.0, 100),
        RouteKind.OTHER: (100.0, 200),
    }
    assert policy.holds == 200
    assert policy.allowances[RouteKind.CREATE].content_bytes == 2**20
    assert policy.suffix == b""


def test_clients_without_a_token_have_a_tenth() -> None:
    policy = Rules(LimitsConfig()).policy(Identity(b"address", "", "", "", None, False))
    assert rates(policy) == {
        RouteKind.CREATE: (2.0, 4),
        RouteKind.RESULT: (5.0, 10),
        RouteKind.OTHER: (10.0, 20),
    }


def test_clients_without_a_token_have_at_least_a_burst_of_one() -> None:
    policy = Rules(LimitsConfig(anonymous_share=0.001)).anonymous
    assert {rate[1] for rate in rates(policy).values()} == {1}


def test_first_rule_that_matches_decides_and_changes_only_what_it_names() -> None:
    rules = (
        Rule(organization="globex", holds=1),
        Rule(organization="acme", create=KindOverride(per_second=5.0), holds=2),
        Rule(organization="acme", holds=3),
    )
    policy = Rules(LimitsConfig(rules=rules)).policy(identity())
    assert policy.holds == 2
    assert rates(policy)[RouteKind.CREATE] == (5.0, 40)
    assert rates(policy)[RouteKind.OTHER] == (100.0, 200)
    assert policy.suffix != b""


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (Rule(organization="acme", holds=7), True),
        (Rule(credential="integration", holds=7), True),
        (Rule(user="bot", holds=7), True),
        (Rule(token_hash=HASH.hex(), holds=7), True),
        (Rule(organization="acme", user="bot", holds=7), True),
        (Rule(organization="acme", user="somebody", holds=7), False),
        (Rule(organization="", holds=7), False),
        (Rule(token_hash="0" * 32, holds=7), False),
    ],
)
def test_all_that_a_rule_names_must_match(rule: Rule, matches: bool) -> None:
    assert (holds(rule, of=identity()) == 7) is matches


@pytest.mark.parametrize(
    "rule",
    [
        Rule(organization="acme", holds=7),
        Rule(credential="integration", holds=7),
        Rule(user="bot", holds=7),
        Rule(token_hash=HASH.hex(), user="bot", holds=7),
    ],
)
def test_names_of_a_token_that_was_not_verified_match_no_rule(rule: Rule) -> None:
    assert holds(rule, of=identity(is_verified=False)) == 200


def test_token_itself_needs_no_verification() -> None:
    assert holds(Rule(token_hash=HASH.hex(), holds=7), of=identity(is_verified=False)) == 7


def test_tokens_of_one_user_under_different_rules_are_counted_apart() -> None:
    rules = Rules(LimitsConfig(rules=(Rule(token_hash=HASH.hex(), holds=7),)))
    other = identity(token_hash=token_hash(b"another"))
    assert rules.policy(identity()).suffix != rules.policy(other).suffix


def test_what_is_counted_under_a_rule_is_so_wherever_it_stands_and_whatever_it_allows() -> None:
    def suffix(*rules: Rule) -> bytes:
        return Rules(LimitsConfig(rules=rules)).policy(identity()).suffix

    first = suffix(Rule(user="bot", holds=1))
    assert suffix(Rule(user="somebody", holds=1), Rule(user="bot", holds=7)) == first
    assert first != suffix(Rule(credential="integration")) != b""
