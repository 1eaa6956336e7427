"""The settings of all tables but ``[limits]``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gateway.config.values import Bytes, Count, Port, Seconds, Section


class ListenConfig(Section, frozen=True, kw_only=True):
    host: str = "0.0.0.0"
    """The address clients connect to. 0.0.0.0 is every IPv4 interface, "::" every interface."""
    port: Port = 6090
    """0 takes any free port; it is logged at the start."""
    tls_cert_file: str = ""
    """The certificate that clients are shown: PEM, the authorities between below it. With it
    clients speak TLS 1.2 or 1.3, and nothing else. Empty: plain HTTP. SIGHUP reads it and its key
    again."""
    tls_key_file: str = ""
    """The certificate's key: PEM, not encrypted. Only this process should be able to read it."""
    workers: Annotated[int, Meta(ge=0, le=256)] = 1
    """How many processes answer clients; each uses one core at most. 0 takes one for each core that
    may be used (quotas of containers do not count). Each has connections to the orchestrator of its
    own: bounds such as upstream.max_connections are those of each worker."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host and X-Request-Id are
    believed, such as ["10.0.0.0/8"]. None by default. Whoever is in them can claim any client
    address, so name your own proxies only."""
    keepalive_seconds: Seconds = 75.0
    """How long an idle connection of a client is kept. Set it above the idle time of a load
    balancer in front, or that one will now and then send into a connection that is just being
    closed."""
    idle_seconds: Seconds = 60.0
    """How long a client may pause while it sends a request or takes an answer. A request whose
    content stops coming gets 408. Does not limit how long a result is held."""
    min_content_bytes_per_second: Annotated[float, Meta(ge=0, le=2**31)] = 500.0
    """What a client must send of a request's content, in the mean of 30 s that it is waited for; a
    slower one, or one that pauses for 30 s, gets 408. Without a floor some bytes a minute keep a
    request, and its connection to the orchestrator, for ever. 0 is none."""
    drain_seconds: Annotated[float, Meta(ge=0, le=3600)] = 25.0
    """What running requests get to finish in after SIGTERM; held ones are handed back at once. 0
    cuts them. Keep it below the grace period of whatever stops the process (Kubernetes: 30 s)."""


class UpstreamConfig(Section, frozen=True, kw_only=True):
    url: str = "http://127.0.0.1:60080"
    """TheEye's orchestrator: http:// or https:// with host and port, no path; or unix:/path of a
    socket."""
    ca_file: str = ""
    """The certificate authorities (PEM) that an https:// orchestrator must be signed by. Empty: the
    system's."""
    preserve_host: bool = False
    """true sends the client's Host on; false the upstream's own. X-Forwarded-Host has the client's
    either way."""
    max_connections: Count = 512
    """Connections to the orchestrator at once, of each worker. Requests beyond them wait for one to
    become free. A held result needs none. An eighth of them is kept for creating and reading jobs;
    of the others one client gets twice as many as are free, so two thirds at most. A request with
    content takes its connection when 64 KiB of that, or all of it, have come."""
    connect_seconds: Seconds = 5.0
    """How long connecting may take, and waiting for a free connection; then the client gets 504,
    503, or 429 if there are free ones, but it has its share of them."""
    response_seconds: Seconds = 60.0
    """How long the orchestrator may take to begin its answer, and to complete one to the gateway
    itself (creating and reading jobs to wait for); then the client gets 504. Time in which a
    client's content is waited for does not count."""
    idle_seconds: Seconds = 60.0
    """How long the orchestrator may pause within an answer; then the client's connection is cut."""
    keepalive_seconds: Seconds = 4.0
    """How long an unused connection is kept. The orchestrator closes its own after 5 s: with more
    than that, requests meet connections that are just being closed."""
    tunnel_idle_seconds: Seconds = 3600.0
    """How long a WebSocket may stay silent, in both directions, before both sides are closed."""
    buffer_bytes: Bytes = 256 * 1024
    """How much of an answer, or of a request, waits in memory for the slower side before the faster
    one is no longer read. More makes large transfers faster and each of them larger in memory."""


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


class IdentityConfig(Section, frozen=True, kw_only=True):
    mode: Literal["opaque", "verify"] = "opaque"
    """"opaque": tokens are not judged here. One that nobody is logged in with, as the orchestrator
    says, is refused for a while, see reject_seconds. "verify": a token that is not signed with the
    key below gets 401 without asking the orchestrator; one that is stands for its organization and
    user, so that a new log-in is nobody new. Needs one of the next four. Requests without a token
    pass in both modes: the orchestrator decides."""
    secret: Annotated[str, Meta(extra={"secret": True})] = ""
    """The secret that tokens are signed with (HS256). It stands in the file in clear: rather give
    the environment variable, GATEWAY_IDENTITY__SECRET, or the next one. `check` does not show it.
    """
    secret_file: str = ""
    """A file that has that secret and nothing else; a line break at its end does not count. SIGHUP
    reads it again."""
    public_key_file: str = ""
    """A file with the public key (PEM, RSA) that tokens are verified with (RS256). SIGHUP reads it
    again."""
    jwks_url: str = ""
    """An address of such keys (JWKS), not one that redirects: fetched at the start, every 5
    minutes, and when a token names an unknown key, but at most every 10 s. While it cannot be had
    the last keys hold; before the first, requests with a token get 503. With http:// whoever is on
    the way can put keys of theirs there."""
    verify_expiry: bool = False
    """true refuses a token before its nbf and after its exp. Those of TheEye's integrations have an
    exp that is long over and are valid nevertheless."""
    reject_seconds: Annotated[float, Meta(ge=0, le=3600)] = 10.0
    """How long a token is refused here, without asking again, after the orchestrator has answered
    401 because nobody is logged in with it (other 401 are about what was asked for). A token that
    is logged in within that time is refused until then. 0 always asks."""


class RedisConfig(Section, frozen=True, kw_only=True):
    url: str = ""
    """A Redis that all gateways of an installation share, so that together they have one budget for
    each client, and keep Idempotency-Keys for each other. If it is the one that TheEye publishes
    to, the ends of jobs are told by it, and the orchestrator is asked less. redis://host:port/0,
    rediss:// with TLS, unix:///path. Empty: none. Needs the extra "redis": requirements.lock and
    the container image have it."""
    connect_seconds: Annotated[float, Meta(ge=0.001, le=60)] = 2.0
    """How long connecting to it may take, with logging in and subscribing. Requests do not wait for
    it. If this is less than a few round trips take, Redis is never used."""
    answer_seconds: Annotated[float, Meta(ge=0.001, le=10)] = 0.05
    """How long an answer of it is waited for. After that, and until it answers again, this process
    goes on with what it has counted by itself."""
    ping_seconds: Annotated[float, Meta(ge=0.01, le=60)] = 0.25
    """How often the subscription to ends of jobs is tried. A Redis that hangs is noticed within
    three times this, and so long a result may be late then. Less notices sooner, and takes a pause
    of this process sooner for one of Redis."""


class AdminConfig(Section, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    """The address of /live, /ready and /metrics. They ask for no credential: let nobody but your
    operators reach it. In a container it must be 0.0.0.0 for probes to reach it."""
    port: Port = 6091
    """Must differ from listen.port; 0 takes any free port."""


class LogConfig(Section, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much the process tells on stderr: debug, info, warning or error."""
    format: Literal["json", "text"] = "json"
    """Of the access log: "json", an object a line, or "text", key=value."""
    access: bool = True
    """false writes no access log. It goes to stdout, a line per request, without tokens and
    secrets: a token stands in it as its hash, which limits.rules can name. Names of organizations
    and users are in it only with identity.mode "verify"."""
