"""The HTTP clients that are tried: how each is started, and what docs/waiting.md says of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
BUILT = Path(os.environ.get("CLIENTS_BUILD", "build/clients")).absolute()
"""What `make clients` has installed and compiled for them."""
PYTHON = str(BUILT / "venv" / "bin" / "python")


@dataclass(frozen=True)
class Client:
    """One row of the table."""

    name: str
    """As the table has it."""
    command: tuple[str, ...]
    """Behind it come the mode (``default``, ``loop`` with what it needs, ``prefer``), the URL, the
    token. Empty for the command lines of ``own``."""
    follows: int
    """How many redirects it follows by default."""
    needs: tuple[str, ...] = ()
    """What gets it through ten redirects, as it stands in its program."""
    reads_seconds: int | None = None
    """After how long it gives up reading by default; None: later than after six seconds."""
    repeats: tuple[int, ...] = ()
    """The statuses after which it sends a request for a result again by default."""
    drops_token: bool = False
    """By default ``Authorization`` is not sent where a redirect leads."""

    def argv(self, mode: str, url: str, token: str) -> list[str]:
        """The command line of one call."""
        if self.command == ("curl",):
            return _curl(mode, url, token)
        if self.command == ("wget",):
            return _wget(mode, url, token)
        return [*self.command, mode, url, token]

    @property
    def is_here(self) -> bool:
        """Its program, and all that it stands on, is installed."""
        if shutil.which(self.command[0]) is None:
            return False
        if self.command[0] == "node" and self.name != "Node.js `fetch`":
            return (BUILT / "node_modules").is_dir()
        if self.command[0] == "java":
            return (BUILT / f"{self.command[-1]}.class").is_file()
        if self.name == "PHP `curl`":
            return any(Path("/etc/php").glob("*/cli/conf.d/*-curl.ini"))
        return True

    @property
    def source(self) -> str:
        """The text of its program; for a command line the command line."""
        if len(self.command) == 1 and not self.command[0].startswith(str(BUILT)):
            return " ".join(self.argv("loop", "", ""))
        stem = Path(self.command[-1]).name
        found = [path for path in PROGRAMS.iterdir() if stem in {path.name, path.stem}]
        return found[0].read_text("utf-8")

    @property
    def row(self) -> list[str]:
        """The cells of its row."""
        follows = str(self.follows) if self.follows else "none"
        reads = f"{self.reads_seconds} s" if self.reads_seconds else "more than 6 s"
        repeats = ", ".join(map(str, self.repeats)) or "nothing"
        token = "dropped" if self.drops_token else "sent"
        needs = ", ".join(f"`{line}`" for line in self.needs) or "nothing"
        return [self.name, follows, token, reads, repeats, needs]


def _curl(mode: str, url: str, token: str) -> list[str]:
    given = ["curl", "--silent", "--write-out", "\n%{http_code}"]
    given += ["--location"] if mode == "loop" else []
    given += ["--header", "Prefer: wait=30"] if mode == "prefer" else []
    given += ["--header", f"Authorization: Bearer {token}"]
    return [*given, "--header", "Content-Type: application/json", "--data", "[]", url]


def _wget(mode: str, url: str, token: str) -> list[str]:
    given = ["wget", "--quiet", "--server-response", "--content-on-error", "--output-document=-"]
    given += ["--header=Prefer: wait=30"] if mode == "prefer" else []
    given += [f"--header=Authorization: Bearer {token}", "--header=Content-Type: application/json"]
    return [*given, "--post-data=[]", url]


def _python(program: str) -> tuple[str, ...]:
    return (PYTHON, str(PROGRAMS / program))


def _node(program: str) -> tuple[str, ...]:
    # The packages are found beside the program that is run.
    return ("node", str(BUILT / program))


def _java(program: str) -> tuple[str, ...]:
    return ("java", "-XX:TieredStopAtLevel=1", "-cp", str(BUILT), program)


CLIENTS = (
    Client("curl", ("curl",), 0, ("--location",)),
    Client("wget", ("wget",), 20),
    Client("requests", _python("by_requests.py"), 30),
    Client("httpx", _python("by_httpx.py"), 0, ("follow_redirects=True",), 5),
    Client("aiohttp", _python("by_aiohttp.py"), 9, ("max_redirects=20",)),
    Client("urllib3", _python("by_urllib3.py"), 3, ("retries=urllib3.Retry(20)",)),
    Client("Python `urllib`", _python("by_urllib.py"), 10),
    Client("Node.js `fetch`", _node("by_fetch.mjs"), 20),
    Client(
        "undici",
        _node("by_undici.mjs"),
        0,
        ("dispatcher.compose(interceptors.redirect({maxRedirections: 20}))",),
    ),
    Client("got", _node("by_got.mjs"), 10, ("retry: {limit: 0}",), repeats=(408, 500)),
    Client("axios", _node("by_axios.mjs"), 21),
    Client(
        "Java `HttpClient`",
        _java("ByHttpClient"),
        0,
        (
            'System.setProperty("jdk.httpclient.redirects.retrylimit", "20")',
            "followRedirects(HttpClient.Redirect.NORMAL)",
        ),
    ),
    Client(
        "Java `HttpURLConnection`",
        _java("ByHttpUrlConnection"),
        1,
        ("setInstanceFollowRedirects(false)", 'setRequestProperty("Authorization", token)'),
        drops_token=True,
    ),
    Client("Go", (str(BUILT / "by_go"),), 9, ("client.CheckRedirect",)),
    Client(
        "Ruby `Net::HTTP`",
        ("ruby", str(PROGRAMS / "by_net_http.rb")),
        0,
        ('response = http.get(response["Location"], headers) while response.code == "303"',),
    ),
    Client(
        "PHP `curl`",
        ("php", str(PROGRAMS / "by_curl.php")),
        0,
        ("curl_setopt($call, CURLOPT_FOLLOWLOCATION, true)",),
    ),
    Client("PHP streams", ("php", str(PROGRAMS / "by_streams.php")), 19),
)
