"""Where the settings come from: defaults < TOML file < environment < command line.

A variable is named after its key, ``GATEWAY_SYNC__MAX_HOLD_SECONDS`` for ``sync.max_hold_seconds``.
All problems are found at once, each with where it stands, what it is and what is allowed.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect, structs

from gateway.config import Config, Section
from gateway.contradictions import contradictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

PREFIX = "GATEWAY_"
MASK = "****"
_USERINFO = re.compile(r"(\w+://)\S*@")
_PARAMETERS = re.compile(r"(://[^\s?]*\?)[^\s#]*")


class SettingsError(Exception):
    """The settings cannot be used; ``problems`` has one sentence for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave for ``key``, and where it stands."""

    key: str
    where: str
    value: object
    is_text: bool = True
    """It comes from a place that knows only text, so ``"30"`` may be a number."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the tree: its dotted key, type and default."""

    key: str
    type: Any
    default: object

    @property
    def variable(self) -> str:
        """The name of the environment variable that sets it."""
        return PREFIX + self.key.replace(".", "__").upper()

    @property
    def is_secret(self) -> bool:
        """Its value is shown to nobody: ``Annotated[str, Meta(extra={"secret": True})]``."""
        info = inspect.type_info(self.type)
        return isinstance(info, inspect.Metadata) and bool((info.extra or {}).get("secret"))


def settings(tree: type[Section] = Config) -> dict[str, Setting]:
    """Every setting there is, by its dotted key, in the order of the file."""
    return {
        key: Setting(key, field.type, field.default)
        for section in structs.fields(tree)
        for field in structs.fields(section.type)
        for key in (f"{section.name}.{field.name}",)
    }


def load(path: Path | None, environ: Mapping[str, str], arguments: Sequence[Given] = ()) -> Config:
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
        except msgspec.ValidationError:
            problems.append(
                f"{item.where}: {shown(item.value, setting)} is not {_allowed(setting)}"
            )
            rejected.add(item.key)
    config = _built(values)
    for contradiction in contradictions(config):
        if rejected.isdisjoint(contradiction.keys):
            where = next((origins[key] for key in contradiction.keys if key in origins), "defaults")
            problems.append(f"{where}: {contradiction.message}")
    if problems:
        raise SettingsError(problems)
    return config


def shown(value: object, setting: Setting) -> str:
    """The value as it would be written in the file; secrets are masked."""
    if setting.is_secret and value:
        return f'"{MASK}"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(shown(item, setting) for item in value)}]"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, except that DEL must be escaped.
        masked = _USERINFO.sub(rf"\1{MASK}@", value)
        masked = _PARAMETERS.sub(rf"\1{MASK}", masked)
        text = msgspec.json.encode(masked).decode()
        return text.replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_toml(config: Config) -> str:
    """The whole tree as a settings file; secrets are masked."""
    lines: list[str] = []
    for key, setting in settings().items():
        section, _, name = key.partition(".")
        if f"[{section}]" not in lines:
            lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        lines.append(f"{name} = {shown(getattr(getattr(config, section), name), setting)}")
    return "\n".join(lines) + "\n"


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
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not TOML: {error}")
        return
    sections = {key.partition(".")[0] for key in known}
    for section, content in tree.items():
        if section not in sections:
            problems.append(f"{path}: {section}: unknown{_meant(section, [*sections, *known])}")
        elif not isinstance(content, dict):
            problems.append(f"{path}: {section}: must be a table, [{section}]")
        else:
            for name, value in content.items():
                key = f"{section}.{name}"
                if key in known:
                    yield Given(key, f"{path}: {key}", value, is_text=False)
                else:
                    problems.append(f"{path}: {key}: unknown{_meant(key, known)}")


def _from_environment(
    environ: Mapping[str, str], known: Mapping[str, Setting], problems: list[str]
) -> Iterator[Given]:
    by_variable = {setting.variable: setting.key for setting in known.values()}
    services = [name.removesuffix("_SERVICE_HOST") for name in environ if "_SERVICE_HOST" in name]
    for name, text in environ.items():
        if name in by_variable:
            yield Given(by_variable[name], name, text)
        elif name.startswith(PREFIX) and not _is_service_link(name, services):
            problems.append(f"{name}: unknown{_meant(name, by_variable)}")


def _is_service_link(name: str, services: Iterable[str]) -> bool:
    # Kubernetes tells every container of all Services of its namespace in such variables, and a
    # Service may well be called "gateway".
    return any(
        name == f"{service}_PORT" or name.startswith((f"{service}_SERVICE_", f"{service}_PORT_"))
        for service in services
    )


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=2, cutoff=0.75)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _converted(given: Given, setting: Setting) -> object:
    value = given.value
    if not given.is_text or not isinstance(value, str):
        return msgspec.convert(value, setting.type)
    if isinstance(inspect.type_info(setting.type), inspect.VarTupleType):
        value = [member for part in value.split(",") if (member := part.strip())]
    return msgspec.convert(value, setting.type, strict=False)


def _built(values: Mapping[str, object]) -> Config:
    sections: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    return Config(
        **{
            field.name: field.type(**sections.get(field.name, {}))
            for field in structs.fields(Config)
        }
    )


def _allowed(setting: Setting) -> str:
    info = inspect.type_info(setting.type)
    if isinstance(info, inspect.Metadata):
        info = info.type
    match info:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(info)}"
        case inspect.FloatType():
            return f"a number{_range(info)}"
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in info.values)
        case inspect.VarTupleType():
            return "a list of texts"
        case _:
            return "a text"


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    if info.gt is not None:
        return f" above {info.gt}, up to {info.le}"
    return f", {info.ge} to {info.le}"
