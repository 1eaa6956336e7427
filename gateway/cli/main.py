"""The commands: serve, check, settings, demo, hash-token, seal-key."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gateway import descriptors
from gateway.admission.identity.token import token_hash
from gateway.cli.checking.advice import advice
from gateway.cli.parser import PROGRAM, parser
from gateway.cli.programs import PROGRAMS, Programs
from gateway.cli.rendering import reference, to_toml
from gateway.cli.schema import schema
from gateway.cli.sources import Given, load
from gateway.cli.token_input import NoToken, read_token
from gateway.cli.trying.finding import Grade
from gateway.config.effective import SettingsError
from gateway.sync.kept.seal import new_key

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.config.effective import Effective


def main(arguments: Sequence[str] | None = None, programs: Programs = PROGRAMS) -> int:
    """Run a command (``sys.argv`` by default) and return its exit status.

    Raises:
        SystemExit: 2 for bad arguments, 0 after ``--help`` and ``--version``.
    """
    commands = parser()
    options = commands.parse_args(arguments)
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
            commands.print_help()
    return 0


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
    return int(any(finding.verdict is Grade.FAILED for finding in found))


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
