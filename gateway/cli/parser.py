"""The commands with their arguments, and what is said of each."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import __version__, build

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "theeye-sync-gateway"
_ABOUT = """\
A transparent HTTP gateway in front of TheEye's orchestrator. All requests pass through
untouched; those that create a job with wait_result=true get the job's result.
"""
_EXAMPLES = """\
examples:
  theeye-sync-gateway serve --upstream http://127.0.0.1:60080
  theeye-sync-gateway serve --config /etc/theeye/gateway.toml --listen '[::1]:6090'
  GATEWAY_SYNC__MAX_HOLD_SECONDS=30 theeye-sync-gateway check
  theeye-sync-gateway demo

Settings: defaults < file < environment < arguments. A setting's variable is named after its
section and key: sync.max_hold_seconds is GATEWAY_SYNC__MAX_HOLD_SECONDS; lists are separated
by commas. `settings` prints a file of all with what they do, `check` those in force.
"""


def parser(
    on_file: Callable[[argparse.Action], object] = lambda _: None,
) -> argparse.ArgumentParser:
    """What reads the arguments; the man page and the shells' completions are made from it, too.
    ``on_file`` is told of each argument that is the name of a file."""
    made = argparse.ArgumentParser(
        PROGRAM,
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"%(prog)s {__version__} ({build()})"
    made.add_argument("--version", action="version", version=version)
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    serve = _command(commands, "serve", "run the gateway until SIGTERM or Ctrl-C")
    check = _command(
        commands,
        "check",
        "print the settings in force, secrets masked, or all problems; exit 1 if there are any",
    )
    settings = _command(
        commands, "settings", "print a settings file with all defaults and what they do"
    )
    settings.add_argument(
        "--schema",
        action="store_true",
        help="print the JSON Schema of that file instead, for editors",
    )
    _command(
        commands,
        "hash-token",
        "print the hash by which a rule in limits.rules names a token; reads the token from stdin",
    )
    _command(commands, "seal-key", "print a new key, a line for the file sync.seal_key_file")
    demo = _command(commands, "demo", "run the gateway in front of an embedded orchestrator")
    for command in (serve, check):
        on_file(
            command.add_argument("--config", type=Path, metavar="FILE", help="a TOML settings file")
        )
    check.add_argument(
        "--connect",
        action="store_true",
        help="try the orchestrator, Redis, keys and certificates instead, a line for each with what"
        " to do; exit 1 if one of them fails",
    )
    serve.add_argument("--upstream", metavar="URL", help="the orchestrator (upstream.url)")
    for command in (serve, demo):
        command.add_argument(
            "--listen",
            type=address,
            metavar="HOST:PORT",
            help="where clients connect; an IPv6 address in brackets",
        )
    serve.add_argument(
        "--workers",
        metavar="N",
        help="how many processes answer clients, 0 for one per core (listen.workers)",
    )
    demo.add_argument(
        "--check",
        action="store_true",
        help="make the documented calls on free ports, print them, exit 0 if all is well, else 1",
    )
    return made


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=about, description=f"{about}.", allow_abbrev=False)


def address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, an IPv6 address in brackets: ``[::1]:6090``."""
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not host or not is_port or (":" in host) is not bracketed:
        message = f"{text!r} is not HOST:PORT, such as 0.0.0.0:6090 or [::1]:6090"
        raise argparse.ArgumentTypeError(message)
    return host, int(port)
