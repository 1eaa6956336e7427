"""Where the settings come from: defaults < TOML file < environment < command line.

A variable is named after its key, ``GATEWAY_SYNC__MAX_HOLD_SECONDS`` for ``sync.max_hold_seconds``.
All problems are found at once, each with where it stands, what it is and what is allowed.
"""

from __future__ import annotations

import tomllib
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import inspect, structs

from gateway import wording
from gateway.cli.rendering import shown
from gateway.cli.secret_files import read_secrets
from gateway.cli.validation import contradictions
from gateway.config import Config, Section
from gateway.config.effective import Effective, SettingsError
from gateway.config.tree import PREFIX, RENAMED, settings, variable
from gateway.wording import meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gateway.cli.checking.contradiction import Contradiction
    from gateway.config.tree import Setting

S = TypeVar("S", bound=Section)
_OF_CERTIFICATES = ("tls_cert_file", "tls_key_file")
"""Two files that are renewed one after the other."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave for ``key``, and where it stands."""

    key: str
    where: str
    value: object
    is_text: bool = True
    """It comes from a place that knows only text, so ``"30"`` may be a number."""


def load(
    path: Path | None, environ: Mapping[str, str], arguments: Sequence[Given] = ()
) -> Effective:
    """The settings in force; ``arguments`` are those of the command line, which win.

    Raises:
        SettingsError: with all problems of file, environment and arguments.
    """
    known = settings()
    problems: list[str] = []
    given = [*_from_file(path, known, problems), *_from_environment(environ, known, problems)]
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    rejected: set[str] = set()
    for item in [*given, *arguments]:
        setting = known[item.key]
        try:
            values[item.key] = _converted(item, setting)
            origins[item.key] = item.where
        except msgspec.DecodeError as error:
            problems += [f"{item.where}: {problem}" for problem in _unfit(item, setting, error)]
            rejected.add(item.key)
    for key, problem in read_secrets(values, origins):
        problems.append(problem)
        rejected.add(key)
    config, may_pass = _with(Config(), values), not problems
    for contradiction in contradictions(config):
        if rejected.isdisjoint(contradiction.keys):
            where = next((origins[key] for key in contradiction.keys if key in origins), "defaults")
            problems.append(_located(where, contradiction))
            may_pass = may_pass and all(
                key.endswith(_OF_CERTIFICATES) for key in contradiction.keys
            )
    if problems:
        raise SettingsError(problems, may_pass=may_pass)
    return Effective(config, origins, path, partial(load, path, environ, arguments), _problems)


def _problems(config: Config) -> list[str]:
    return [contradiction.message for contradiction in contradictions(config)]


def _from_file(
    path: Path | None, known: Mapping[str, Setting], problems: list[str]
) -> Iterator[Given]:
    if path is None:
        return
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return
    except UnicodeDecodeError:
        problems.append(f"{path}: is not TOML: not in UTF-8")
        return
    except RecursionError:
        problems.append(f"{path}: is not TOML that can be read: it is nested too deeply")
        return
    except ValueError as error:
        # It has a number of thousands of digits, if it is TOML.
        problems.append(f"{path}: is not TOML: {error}")
        return
    parts = [key.split(".") for key in known]
    tables = {".".join(part[:end]) for part in parts for end in range(1, len(part))}
    remaining = deque(tree.items())
    while remaining:
        key, value = remaining.popleft()
        if key in known:
            yield Given(key, f"{path}: {key}", value, is_text=False)
        elif key not in tables:
            candidates = known if "." in key else [*tables, *known]
            hint = f", it is called {RENAMED[key]}" if key in RENAMED else meant(key, candidates)
            problems.append(f"{path}: {key}: unknown{hint}")
        elif not isinstance(value, dict):
            problems.append(f"{path}: {key}: must be a table, [{key}]")
        else:
            remaining.extend((f"{key}.{name}", content) for name, content in value.items())


def _from_environment(
    environ: Mapping[str, str], known: Mapping[str, Setting], problems: list[str]
) -> Iterator[Given]:
    by_variable = {setting.variable: setting.key for setting in known.values()}
    renamed = {variable(former): variable(key) for former, key in RENAMED.items()}
    services = [name.removesuffix("_SERVICE_HOST") for name in environ if "_SERVICE_HOST" in name]
    for name, text in environ.items():
        if name in by_variable:
            yield Given(by_variable[name], name, text)
        elif name.startswith(PREFIX) and not _is_service_link(name, services):
            hint = f", it is called {renamed[name]}" if name in renamed else ""
            problems.append(f"{name}: unknown{hint or meant(name, by_variable)}")


def _is_service_link(name: str, services: Iterable[str]) -> bool:
    # Kubernetes tells every container of all Services of its namespace in such variables, and a
    # Service may well be called "gateway".
    return any(
        name == f"{service}_PORT" or name.startswith((f"{service}_SERVICE_", f"{service}_PORT_"))
        for service in services
    )


def _converted(given: Given, setting: Setting) -> object:
    value = given.value
    if not given.is_text or not isinstance(value, str):
        return msgspec.convert(value, setting.type)
    if setting.table is not None:
        return msgspec.json.decode(value, type=setting.type)
    if isinstance(inspect.type_info(setting.type), inspect.VarTupleType):
        value = [member for part in value.split(",") if (member := part.strip())]
    return msgspec.convert(value, setting.type, strict=False)


def _with(section: S, values: Mapping[str, object], prefix: str = "") -> S:
    """The section with the values that are given for keys beginning with ``prefix``."""
    changes: dict[str, object] = {}
    for field in structs.fields(section):
        key, default = prefix + field.name, getattr(section, field.name)
        if isinstance(default, Section):
            changes[field.name] = _with(default, values, f"{key}.")
        elif key in values:
            changes[field.name] = values[key]
    return structs.replace(section, **changes)


def _unfit(given: Given, setting: Setting, error: msgspec.DecodeError) -> Iterator[str]:
    """What is wrong with a value that cannot be converted."""
    if setting.table is None:
        what = wording.allowed(setting.type, given.value)
        yield f"{shown(given.value, setting)} is not {what}"
        return
    value = given.value
    if given.is_text and isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            yield f"is not JSON: {str(error).removeprefix('JSON is malformed: ')}"
            return
    yield from wording.unfit_tables(value, setting.table)


def _located(where: str, contradiction: Contradiction) -> str:
    """The contradiction with where it stands, and the key in it once."""
    message = contradiction.message
    for key in contradiction.keys:
        if message.startswith(key):
            return f"{where.removesuffix(f': {key}')}: {message}"
    return f"{where}: {message}"
