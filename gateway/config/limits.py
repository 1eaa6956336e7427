"""The settings of ``[limits]``: what a client may do, and the rules that change it for some."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gateway.config.values import MIB, Bytes, Count, PerSecond, Section


class KindLimits(Section, frozen=True, kw_only=True):
    """What requests of one kind may do."""

    per_second: PerSecond
    """Requests of one client, in the long run; more gets 429."""
    burst: Count
    """How many of them at once."""
    content_bytes: Bytes
    """The most content they may have; more gets 413."""


class KindOverride(Section, frozen=True, kw_only=True):
    """What a rule changes of that."""

    per_second: PerSecond | None = None
    burst: Count | None = None
    content_bytes: Bytes | None = None


class Rule(Section, frozen=True, kw_only=True):
    """Whom it is for, all that is given must match; and what they may do."""

    organization: str | None = None
    credential: str | None = None
    user: str | None = None
    token_hash: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None
    create: KindOverride = KindOverride()
    result: KindOverride = KindOverride()
    other: KindOverride = KindOverride()
    holds: Count | None = None


class LimitsConfig(Section, frozen=True, kw_only=True):
    mode: Literal["off", "report", "enforce"] = "enforce"
    """"enforce" refuses what is over a limit; "report" counts it (gateway_limit_verdicts_total, and
    limit in the access log) and lets it through; "off" counts nothing. The sizes target_bytes to
    result_bytes hold in any case."""
    headers: bool = False
    """true adds RateLimit and RateLimit-Policy to every answer but redirects, also to those that
    only pass. false leaves the orchestrator's answers as they came; who is refused gets Retry-After
    either way."""
    anonymous_share: Annotated[float, Meta(ge=0.001, le=1)] = 0.1
    """What clients without a token, each address by itself, may do of the rates and bursts below.
    New tokens are also counted there, at the rate of [limits.other], until the orchestrator has
    accepted them: anybody can make up tokens. Of requests that come at once with a new one only the
    first is; the others wait for its answer."""
    holds_per_token: Count = 200
    """Results that one token may wait for at once, in each worker; more gets 429, and no job is
    created. A wait keeps its place for 5 s between two of its requests."""
    holds: Count = 10_000
    """Results that may be waited for at once in each worker; more gets 503, and no job is created.
    """
    connections_per_address: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000
    """Connections that one address (of IPv6 one /64) may have open to each worker; more gets 429. 0
    is no limit. Trusted proxies have none: name yours in listen.trusted_proxies, else all its
    clients are one address."""
    target_bytes: Bytes = 16 * 1024
    """The longest request target that is passed on; a longer one gets 414."""
    fields_bytes: Bytes = 64 * 1024
    """The most all fields of a request may have together; more gets 431. Tokens can be long."""
    inspect_bytes: Bytes = MIB
    """How much of a request's content is looked into for "wait_result": true. A larger one passes
    through, but can ask to wait only in its query."""
    result_bytes: Bytes = 17 * MIB
    """The largest job that is read as a whole: TheEye's database has none over 16 MiB. Of a larger
    one the formats output and parse are still given, and the others get 502. It is also the largest
    content that may create a job to wait for, or one with an Idempotency-Key; a larger one gets
    413."""
    buffered_bytes: Bytes = 128 * MIB
    """What jobs and results may take in memory, in each worker, while they are read, made and sent,
    and content that creates jobs to wait for, or with a key. One client may have a quarter of it,
    an eighth is kept for what is small. Over it there is 503 with Retry-After; the job stays, and
    the client may come again. Results kept (sync.result_store_bytes) and content that only passes
    (upstream.buffer_bytes) come on top. Must not be below result_bytes; less refuses sooner, more
    takes more memory under attack."""
    rules: tuple[Rule, ...] = ()
    """Other limits for some. The first rule that matches is used; what it does not name stays. All
    that it names must match: token_hash (what `theeye-sync-gateway hash-token` prints) and, with
    identity.mode "verify", organization, user and credential. In the environment: JSON.
      [[limits.rules]]
      organization = "acme"
      credential = "integration"
      create = { per_second = 50.0, burst = 100, content_bytes = 4194304 }
      result = { per_second = 200.0, burst = 400 }
      holds = 1000
    """
    create: KindLimits = KindLimits(per_second=20.0, burst=40, content_bytes=MIB)
    """Requests that create a job, waited for or not; over a limit no job is made. Workers of one
    gateway count together; several gateways do so if redis.url is set."""
    result: KindLimits = KindLimits(per_second=50.0, burst=100, content_bytes=MIB)
    """Requests for a job's result, or to cancel the job. Following a redirect of this
    gateway is free: a request with a counter above 0 that was held for a second or longer."""
    other: KindLimits = KindLimits(per_second=100.0, burst=200, content_bytes=100 * MIB)
    """All other requests, WebSockets included."""
