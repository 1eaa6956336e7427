"""The settings of ``[sync]``: the wait for results, and what it costs the orchestrator."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gateway.config.values import Bytes, Count, Section


class SyncConfig(Section, frozen=True, kw_only=True):
    profile: Literal["4.6", "4.15"] = "4.6"
    """Which of TheEye's versions results are formatted like: "4.6" is the documented behaviour
    (output is the default format), "4.15" the newest (parse is the default, a task may choose
    status and headers of the answer)."""
    default_limit: Count = 10
    """How many requests for a result may run when the client names no limit. With the hold below it
    is the time a client waits in all: 10 x 5 s."""
    default_hold_seconds: Annotated[int, Meta(ge=1, le=3600)] = 5
    """How long one request is held when the client names no timeout."""
    max_hold_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    """The longest hold a client can ask for; more is cut to this. Keep it below the time limit of
    every proxy between the clients and this process."""
    hold_margin_seconds: Annotated[float, Meta(ge=0, le=10)] = 0.2
    """How much before its time a hold ends, at most a tenth of it: a client whose read limit equals
    its timeout then gets a response. Not for the preference `wait`."""
    max_redirects: Annotated[int, Meta(ge=0, le=1000)] = 0
    """How many redirects a wait may take: the time that a client asks for by limit and timeout is
    fitted into so many, by longer holds of max_hold_seconds at most, and Location says so. For
    clients that follow few redirects. 0 redirects as often as the client asks for, as TheEye
    documents it."""
    timeout_status: Literal[408, 504, 202] = 408
    """The status of the last response of a wait that ends without a result: 408, as TheEye
    documents it, 504 or 202. Some clients send a request again that was answered 408."""
    max_prefer_seconds: Annotated[int, Meta(ge=1, le=3600)] = 55
    """How long a request with the preference `wait` (RFC 7240) is held at most; more is cut to
    this. Keep it below the time limit of every proxy between the clients and this process."""
    first_hold_seconds: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    """How long a request that creates a job and asks to wait is held, before it is redirected to
    where it can wait on: a job that ends within that time needs one request instead of two. 0
    redirects at once, as TheEye documents it."""
    parse_bytes: Bytes = 1024 * 1024
    """The largest element of an output that is parsed for a client (the parse format); a larger one
    is 502 and can be had in the other formats. Parsing takes a core up to 1.5 s for each MiB of
    hostile output."""
    result_store: Literal["memory", "redis", "off"] = "memory"
    """Where results of finished jobs are kept for the clients that waited for them, to be had where
    the orchestrator has removed the job meanwhile (it keeps the five newest of a task). Only the
    same client gets one, and only after the orchestrator has said with its token that there is no
    such job: so a revoked token gets nothing. "memory": each process keeps its own. "redis": also
    the Redis of redis.url, sealed with seal_key_file, for all workers and gateways that share both;
    how much that Redis may hold in all is a setting of its own (maxmemory)."""
    result_seconds: Annotated[float, Meta(gt=0, le=604_800)] = 600.0
    """How long a result is kept since it was last read from the orchestrator. With "redis" it may
    be days; what is in memory goes earlier where newer ones need the room."""
    result_store_bytes: Bytes = 32 * 1024 * 1024
    """What the results kept in memory may take together, in each worker; the oldest make room for
    new ones. A job that would take more than an eighth of it is not kept, in Redis neither."""
    seal_key_file: str = ""
    """A file with the keys that results in Redis are sealed with (AES-GCM), the same for all
    gateways that share them: 32 bytes a line, in hexadecimal digits or base64. The first one seals,
    all of them (8 at most) open. `theeye-sync-gateway seal-key` prints a new one. Only the gateway
    should be able to read it. SIGHUP reads it again."""
    follow_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 900.0
    """How long a job is watched on after the client that waited for it, or gave it a key, has left,
    so that its result can be kept. The client's credentials are in memory for that time. 0 lets go
    of the job with the client, as result_store = "off" does."""
    follow_jobs: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    """How many such jobs each worker watches. One client may have a quarter of them, 200 at most;
    where there are more, the oldest of who has most make room. Looks for them count among
    max_polls_per_second."""
    idempotency_seconds: Annotated[float, Meta(ge=0, le=30 * 86400)] = 86400.0
    """How long an Idempotency-Key is kept, from its first request on: within that time another
    request of the same caller with the same key makes no other job. They are kept in redis.url,
    else in memory; then a restart forgets them, and gateways do not share them. Unless
    listen.workers is 1 or redis.url is set, requests with a key get 503. 0 keeps none: the field
    passes, and protects from nothing."""
    idempotency_keys: Count = 20_000
    """How many keys are kept of one caller; the oldest make room for more. A caller that uses more
    within idempotency_seconds may repeat only its newest safely."""
    idempotency_bytes: Annotated[int, Meta(ge=1024 * 1024, le=2**31)] = 64 * 1024 * 1024
    """What keys may take in memory, all together; one caller's a quarter of it. The oldest make
    room for more. In Redis this does not count: a key takes about 3 KiB there, 20 at most. Redis
    must not evict keys (maxmemory-policy noeviction), nor lose them when it restarts."""
    on_timeout: Literal["continue", "cancel"] = "continue"
    """What becomes of a job when its creator's wait is over without a result: "cancel" cancels it,
    with its creator's token. The field X-TheEye-On-Timeout of the request that creates the job says
    it for that one. It holds for the client that has created the job through a gateway, not for
    whoever reads it."""
    on_disconnect: Literal["continue", "cancel"] = "continue"
    """What becomes of a job when its creator's connection is lost, or it does not follow a
    redirect, and nobody comes back to wait within abandon_seconds: "cancel" cancels it. The field
    X-TheEye-On-Disconnect says it for one job. The creator's token is in memory until then. With
    redis.url nobody may wait in any gateway; without it each counts its own clients only, so do not
    set it where clients may go on at another one."""
    abandon_seconds: Annotated[float, Meta(ge=0.1, le=900)] = 15.0
    """How long nobody must have waited for such a job. Longer than clients pause between two
    requests, and before they try again."""
    default_customer: str = ""
    """The organization whose jobs are read when neither the request nor its token names one. Empty:
    the orchestrator is asked with the organization "-": it answers 401 or 404."""
    secret_routes: bool = False
    """true also waits for jobs created by task secret. Needs an orchestrator that has result routes
    with a secret (4.15). The secret is then part of the addresses clients are sent to."""
    workflow_quiet_seconds: Annotated[float, Meta(ge=0.5, le=3600)] = 2.0
    """How long nothing happens in a workflow, all of whose jobs have ended, before it is taken to
    have ended where the orchestrator does not let the client read the workflow's graph. The
    response then says so: `X-TheEye-Job-State: presumed`."""
    max_polls_per_second: Annotated[float, Meta(ge=0.1, le=10_000)] = 20.0
    """How many requests a second this process may send to see whether jobs that are waited for have
    ended. Jobs of one token share a request; when there are more, all gaps grow and requests get
    fuller. A request for each job that has ended comes on top."""
    scouts: bool = True
    """true looks for the ended jobs of a whole organization in one request, where many tokens wait:
    with the token of one client that waits at that moment, or whose job is followed. What it says
    only makes the others read their own jobs, each with its own token. false asks with each token
    for its own jobs."""
    poll_share_of_age: Annotated[float, Meta(ge=0.01, le=1)] = 0.1
    """The gap between two polls of a job: this share of its age and a little more. More costs the
    orchestrator less and notices an end later."""
    min_poll_seconds: Annotated[float, Meta(ge=0.01, le=60)] = 0.1
    """The shortest gap, and the shortest between two requests with the same token."""
    max_poll_seconds: Annotated[float, Meta(ge=0.01, le=60)] = 5.0
    """The longest gap, however long a job has run."""
    safety_net_seconds: Annotated[float, Meta(ge=0.01, le=3600)] = 10.0
    """The gap while ends are told through Redis, for those that are not."""
