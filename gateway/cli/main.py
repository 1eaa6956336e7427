"""The commands: serve, check, settings, demo, hash-token, seal-key."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import __version__, build, descriptors
from gateway.admission.identity.token import token_hash
from gateway.cli.advice import advice
from gateway.cli.programs import PROGRAMS, Programs
from gateway.cli.rendering import reference, to_toml
from gateway.cli.schema import schema
from gateway.cli.sources import Given, load
from gateway.cli.token_input import NoToken, read_token
from gateway.cli.trying.finding import Verdict
from gateway.config.effective import SettingsError
from gateway.sync.kept.seal import new_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.effective import Effective

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


def main(arguments: Sequence[str] | None = None, programs: Programs = PROGRAMS) -> int:
    """Run a command (``sys.argv`` by default) and return its exit status.

    Raises:
        SystemExit: 2 for bad arguments, 0 after ``--help`` and ``--version``.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    match options.command:
        case "serve":
            return _serve(options, programs)
        case "check":
            return _check(options, programs)
        case "settings":
            print(schema() if options.schema else reference(), end="")
        case "demo":
            return programs.demo(options.listen, options.check)
        case "hash-token":
            return _hash_token()
        case "seal-key":
            print(new_key())
        case _:
            parser.print_help()
    return 0


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


def _serve(options: argparse.Namespace, programs: Programs) -> int:
    given = []
    if options.upstream is not None:
        given.append(Given("upstream.url", "--upstream", options.upstream))
    if options.listen is not None:
        host, port = options.listen
        given.append(Given("listen.host", "--listen", host))
        given.append(Given("listen.port", "--listen", port))
    if options.workers is not None:
        given.append(Given("listen.workers", "--workers", options.workers))
    settings = _settings(options.config, given)
    if settings is None:
        return 1
    is_single = settings.config.listen.workers == 1
    return (programs.serve if is_single else programs.serve_with_workers)(settings)


def _check(options: argparse.Namespace, programs: Programs) -> int:
    settings = _settings(options.config)
    if settings is None:
        return 1
    found = programs.connect(settings.config) if options.connect else []
    print("\n".join(map(str, found)) + "\n" if found else to_toml(settings.config), end="")
    for warning in advice(settings.config, descriptors.most()):
        print(f"{PROGRAM}: warning: {warning}", file=sys.stderr)
    return int(any(finding.verdict is Verdict.FAILED for finding in found))


def _hash_token() -> int:
    try:
        token = read_token(sys.stdin)
    except NoToken as failure:
        print(f"{PROGRAM}: {failure}", file=sys.stderr)
        return 1
    print(token_hash(token).hex())
    return 0


def _settings(path: Path | None, arguments: Sequence[Given] = ()) -> Effective | None:
    try:
        return load(path, os.environ, arguments)
    except SettingsError as error:
        for problem in error.problems:
            print(f"{PROGRAM}: {problem}", file=sys.stderr)
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        PROGRAM,
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"%(prog)s {__version__} ({build()})"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
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
        command.add_argument("--config", type=Path, metavar="FILE", help="a TOML settings file")
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
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=about, description=f"{about}.", allow_abbrev=False)
