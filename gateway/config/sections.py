"""The settings of all tables but ``[limits]`` and ``[sync]``."""

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
    own: bounds such as upstream.max_connections are those of each worker. Clients have one budget
    for all of them."""
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
    slow_seconds: Annotated[float, Meta(ge=0, le=30)] = 2.0
    """From when on the orchestrator is said to be slow, on stderr: one in twenty requests that were
    relayed took so long to be answered in the last minute, or one in twenty that create, read or
    poll jobs. Nothing else follows from it. 0 says nothing."""
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
    the container image have it. If there is a password in it rather give the next one."""
    url_file: str = ""
    """A file that has that address and nothing else; a line break at its end does not count. It is
    read with the settings."""
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
    """The address of the operators' listener. Its /live, /ready and /metrics ask for no credential:
    let nobody but your operators reach it. In a container it must be 0.0.0.0 for probes to reach
    it."""
    port: Port = 6091
    """Must differ from listen.port; 0 takes any free port."""
    token_file: str = ""
    """A file with the token that operators show, `Authorization: Bearer`, for all but /live, /ready
    and /metrics: 22 characters at least, such as `openssl rand -hex 32` makes. Browsers get a form
    for it. Empty: only requests from this machine may use the rest. SIGHUP reads it again."""
    tls_cert_file: str = ""
    """The certificate that operators, probes and scrapers are shown: PEM, as
    listen.tls_cert_file. Without it the token goes over the network in clear. Empty: plain HTTP.
    SIGHUP reads it and its key again."""
    tls_key_file: str = ""
    """That certificate's key: PEM, not encrypted."""
    watch_seconds: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    """How often the settings file, and the files that settings name, are looked at: where one of
    them is another one, and the same in two looks, all are read again as SIGHUP has it. 0 looks
    never, so that an edit counts when you say so. 10 is for certificates, keys and settings that
    others renew: cert-manager, Vault, a volume of Kubernetes."""


class LogConfig(Section, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much the process tells on stderr: debug, info, warning or error."""
    format: Literal["json", "text"] = "json"
    """Of the access log and of stderr: "json", an object a line, or "text", for people: key=value
    in the access log. What is wrong with the settings themselves is told in words."""
    access: bool = True
    """false writes no access log. It goes to stdout, a line per request, without tokens and
    secrets: a token stands in it as its hash, which limits.rules can name. Names of organizations
    and users are in it only with identity.mode "verify"."""
    sample_relay: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """The share of successful requests that are only passed through (below 400, no job made) that
    get a line there: 0.01 is one in a hundred, 0 none. Errors, refusals, waits, and requests
    that create or cancel a job always get theirs, and metrics count everything. A trace that a
    trusted proxy names (traceparent) is logged whole or not at all."""


class TracesConfig(Section, frozen=True, kw_only=True):
    endpoint: str = ""
    """Where spans of requests are sent to: a collector's whole address for traces by OTLP over
    HTTP, such as http://collector:4318/v1/traces. Empty: none are made, and a client's traceparent
    goes on as it came. Needs the extra "otel": requirements.lock and the container image have it.
    """
    service_name: str = "theeye-sync-gateway"
    """What the gateway is called in traces."""
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """The part of requests that is traced, of those about which nobody has decided; of the requests
    of one trace all or none. Each traced one costs time and, in the collector, room: 1 traces all.
    """
    believed: Literal["proxies", "everybody", "nobody"] = "proxies"
    """Whose traceparent decides whether a request is traced: that of listen.trusted_proxies,
    everybody's, or nobody's. Whoever is believed can have all of its requests traced. For others
    sample_ratio decides; their trace goes on all the same."""
    headers_file: str = ""
    """A file with the fields that the collector wants, one "Name: value" a line, for example
    "Authorization: Bearer ...". Only this process should be able to read it."""
    queue_spans: Annotated[int, Meta(ge=1, le=1_000_000)] = 4096
    """How many spans wait for the collector, in each worker; one takes about 2 KiB. Where it is too
    slow, or gone, further ones are dropped, and counted."""
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 10.0
    """How long the collector may take to accept spans. Requests never wait for it."""
