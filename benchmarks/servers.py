"""The upstreams and the proxies that are compared, and how each is configured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from benchmarks.processes import Process

ROOT = Path(__file__).resolve().parent.parent
FAST_PROXY_VERSION = "2.2.0"
NPM_SECONDS = 120
JOB = "0123456789abcdef01234567"
SMALL_BYTES = 1600


@dataclass(frozen=True, slots=True)
class Site:
    """Where servers run; ``wrap`` is put before the commands of those that are measured."""

    folder: Path
    fast_proxy: Path | None
    """The folder of node modules that has fast-proxy."""
    compiled: Path | None = None
    """The folder that has the gateway's compiled build."""
    wrap: tuple[str, ...] = ()

    @property
    def certificate(self) -> tuple[Path, Path]:
        """The certificate, which signs itself, and the key of those that speak TLS."""
        cert, key = self.folder / "tls.crt", self.folder / "tls.key"
        if not key.exists():
            kind = "ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -days 2"
            command = ["openssl", "req", "-x509", "-newkey", *kind.split()]
            command += ["-keyout", str(key), "-out", str(cert)]
            subprocess.run(command, check=True, capture_output=True, timeout=10)
        return cert, key

    def new_folder(self, name: str) -> Path:
        """A folder for one more server of that name."""
        folder = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        return folder


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    label: str
    is_bare: bool
    """Writes no log and adds no fields; it is compared with the bare nginx."""
    tool: str
    """The program it needs."""
    start: Callable[[Site, Peer, int], AbstractContextManager[Process]]
    """Takes the upstream's port."""
    speaks_tls: bool = False
    """To clients."""
    workers: int = 1
    is_compiled: bool = True
    """Of the gateway: whether its compiled build is meant, where there is one."""


def start_upstream(site: Site) -> AbstractContextManager[Process]:
    """nginx that answers from memory (``/small``, jobs) and from files (``/1m``, ``/100m``)."""
    folder = site.new_folder("upstream")
    for name, mebibytes in (("1m", 1), ("100m", 100)):
        with (folder / name).open("wb") as file:
            file.truncate(mebibytes * 1024 * 1024)
    job = f'"id":"{JOB}","customer_name":"acme","task_id":"{JOB}","name":"{"x" * 700}"'
    created = f'{{{job},"lifecycle":"ready","state":"in_progress"}}'
    finished = f'{{{job},"lifecycle":"finished","state":"success","output":["[1]"],"result":{{}}}}'
    port = free_port()
    return _nginx(
        folder,
        port,
        "access_log off; keepalive_requests 100000000;",
        f"""
        root {folder}; open_file_cache max=10;
        default_type application/json;
        location = /small {{ return 200 '{"x" * SMALL_BYTES}'; }}
        location /task/ {{ return 200 '{created}'; }}
        location /acme/job/ {{ return 200 '{finished}'; }}
        """,
    )


def start_sink(site: Site) -> AbstractContextManager[Process]:
    folder, port = site.new_folder("sink"), free_port()
    command = [sys.executable, str(ROOT / "benchmarks/peers/sink.py"), str(port)]
    return running(command, port, folder / "log")


def _nginx(
    folder: Path,
    port: int,
    http: str,
    server: str,
    *,
    wrap: tuple[str, ...] = (),
    certificate: tuple[Path, Path] | None = None,
) -> AbstractContextManager[Process]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    # valgrind does not count in a forked worker.
    alone = "master_process off;" if wrap else ""
    tls, scheme = "", "http"
    if certificate is not None:
        cert, key = certificate
        server += f"ssl_certificate {cert}; ssl_certificate_key {key};"
        tls, scheme = " ssl", "https"
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""
        daemon off; worker_processes 1; worker_rlimit_nofile 20000;
        {alone}
        {"user root;" if os.geteuid() == 0 else ""}
        pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 10000; }}
        http {{
            sendfile on; tcp_nopush on; gzip on; client_max_body_size 0; {temporary} {http}
            server {{ listen 127.0.0.1:{port}{tls}; {server} }}
        }}
        """,
        "utf-8",
    )
    command = [*wrap, "nginx", "-e", f"{folder}/error.log", "-c", str(configuration)]
    return running(command, port, folder / "log", scheme=scheme)


def _nginx_proxy(site: Site, peer: Peer, upstream: int) -> AbstractContextManager[Process]:
    folder = site.new_folder(peer.name)
    log, fields = f"access_log {folder}/access.log;", ""
    if peer.is_bare:
        log = "access_log off;"
    else:
        fields = """
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;"""
    return _nginx(
        folder,
        free_port(),
        f"{log} upstream orchestrator {{ server 127.0.0.1:{upstream}; keepalive 512; }}",
        f"""location / {{
            proxy_pass http://orchestrator; proxy_http_version 1.1;
            proxy_set_header Connection ""; {fields}
        }}""",
        wrap=site.wrap,
        certificate=site.certificate if peer.speaks_tls else None,
    )


def _haproxy(site: Site, peer: Peer, upstream: int) -> AbstractContextManager[Process]:
    folder, port = site.new_folder(peer.name), free_port()
    configuration = folder / "haproxy.cfg"
    configuration.write_text(
        f"""
global
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend clients
  bind 127.0.0.1:{port}
  http-request set-header X-Forwarded-Proto http
  default_backend orchestrator
backend orchestrator
  server orchestrator 127.0.0.1:{upstream}
""",
        "utf-8",
    )
    command = [*site.wrap, "haproxy", "-db", "-f", str(configuration)]
    return running(command, port, folder / "log")


def _fast_proxy(site: Site, peer: Peer, upstream: int) -> AbstractContextManager[Process]:
    folder, port = site.new_folder(peer.name), free_port()
    script = str(ROOT / "benchmarks/peers/fast_proxy.js")
    command = [*site.wrap, "node", script, str(port), f"http://127.0.0.1:{upstream}"]
    environment = {**os.environ, "NODE_PATH": str(site.fast_proxy), "NODE_ENV": "production"}
    return running(command, port, folder / "log", environment)


def _aiohttp(site: Site, peer: Peer, upstream: int) -> AbstractContextManager[Process]:
    folder, port = site.new_folder(peer.name), free_port()
    script = str(ROOT / "benchmarks/peers/aiohttp_proxy.py")
    command = [*site.wrap, sys.executable, script, str(port), f"http://127.0.0.1:{upstream}"]
    return running(command, port, folder / "log")


# Every request is counted and none refused: all come from one address, without a token.
_WIDE_LIMITS = {
    "GATEWAY_LIMITS__ANONYMOUS_SHARE": "1",
    "GATEWAY_LIMITS__CONNECTIONS_PER_ADDRESS": "100000",
} | {
    f"GATEWAY_LIMITS__{kind}__{name}": value
    for kind in ("CREATE", "RESULT", "OTHER")
    for name, value in (
        ("PER_SECOND", "100000"),
        ("BURST", "1000000"),
        ("CONTENT_BYTES", "1073741824"),
    )
}


def _gateway(site: Site, peer: Peer, upstream: int) -> AbstractContextManager[Process]:
    folder, port = site.new_folder(peer.name), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    build = site.compiled if peer.is_compiled else None
    environment |= {
        "PYTHONPATH": str(build or ROOT),
        "GATEWAY_UPSTREAM__URL": f"http://127.0.0.1:{upstream}",
        "GATEWAY_LISTEN__HOST": "127.0.0.1",
        "GATEWAY_LISTEN__PORT": str(port),
        "GATEWAY_ADMIN__PORT": "0",
        "GATEWAY_LOG__ACCESS": "false" if peer.is_bare else "true",
        "GATEWAY_LIMITS__MODE": "off" if peer.is_bare else "enforce",
        "GATEWAY_LISTEN__WORKERS": str(peer.workers),
        **_WIDE_LIMITS,
    }
    if peer.speaks_tls:
        cert, key = site.certificate
        environment |= {
            "GATEWAY_LISTEN__TLS_CERT_FILE": str(cert),
            "GATEWAY_LISTEN__TLS_KEY_FILE": str(key),
        }
    # The access log goes to stdout, which is a file here.
    command = [*site.wrap, sys.executable, "-P", "-m", "gateway", "serve"]
    scheme = "https" if peer.speaks_tls else "http"
    return running(command, port, folder / "log", environment, scheme)


NGINX = Peer("nginx", "nginx: log, forwarded fields", False, "nginx", _nginx_proxy)
NGINX_BARE = Peer("nginx-bare", "nginx: no log, no fields", True, "nginx", _nginx_proxy)
HAPROXY = Peer("haproxy", "HAProxy: log, forwarded fields", False, "haproxy", _haproxy)
FAST_PROXY = Peer("fast-proxy", "Node fast-proxy: no log", True, "node", _fast_proxy)
AIOHTTP = Peer("aiohttp", "aiohttp proxy: no log", True, sys.executable, _aiohttp)
GATEWAY = Peer("gateway", "**gateway**: everything on", False, sys.executable, _gateway)
GATEWAY_BARE = Peer(
    "gateway-bare", "**gateway**: no log, no limits", True, sys.executable, _gateway
)
GATEWAY_INTERPRETED = replace(
    GATEWAY, name="gateway-interpreted", label=f"{GATEWAY.label}, not compiled", is_compiled=False
)
NGINX_TLS = replace(NGINX, name="nginx-tls", label=f"{NGINX.label}, TLS in", speaks_tls=True)
GATEWAY_TLS = replace(
    GATEWAY, name="gateway-tls", label=f"{GATEWAY.label}, TLS in", speaks_tls=True
)
GATEWAY_2 = replace(GATEWAY, name="gateway-2", label=f"{GATEWAY.label}, 2 workers", workers=2)
PEERS = (
    *(NGINX, NGINX_BARE, HAPROXY, FAST_PROXY, AIOHTTP),
    *(GATEWAY, GATEWAY_BARE, GATEWAY_INTERPRETED),
)


def install_fast_proxy() -> Path | None:
    """The node modules with fast-proxy, installed into the user's cache once; None without."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / f"theeye-sync-gateway/fast-proxy-{FAST_PROXY_VERSION}"
    modules = folder / "node_modules"
    if (modules / "fast-proxy/package.json").exists():
        return modules
    if shutil.which("npm") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    command = ["npm", "install", "--prefix", str(folder), *quiet]
    try:
        subprocess.run(
            [*command, f"fast-proxy@{FAST_PROXY_VERSION}"],
            check=True,
            timeout=NPM_SECONDS,
            stdout=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return modules
