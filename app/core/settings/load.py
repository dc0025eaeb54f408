"""`load_settings`: read every layer, report every fault, freeze the result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .checks import check_together
from .command_line import read_overrides
from .declarations import DATABASE_URL, SECTIONS, STORED
from .dotenv_file import read_dotenv
from .environment import Environment
from .faults import Fault, SettingsError, nearest, quote
from .generated import NotKept, kept_secret, secret_path
from .layer import Layer
from .model import Settings
from .resolve import Resolved, Value, resolve
from .secret import Secret
from .secret_files import MOUNTED, read_mounted_files, read_named_files
from .sections import LogFormat
from .toml_files import SHARED, read_toml_files
from .variables import APP_ENV, read_variables

ENVIRONMENT = "environment"
DOTENV = ".env"


def _project_root() -> Path:
    checkout = Path(__file__).resolve().parents[3]
    # Installed as a wheel, the code lies elsewhere and the program runs in the folder of its settings.
    return checkout if (checkout / SHARED).is_file() else Path.cwd()


PROJECT_ROOT = _project_root()


def load_settings(
    *,
    root: Path = PROJECT_ROOT,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    secrets_folder: Path = MOUNTED,
) -> Settings:
    """Read the settings once, at start.

    `root` holds settings.toml, `environ` stands in for the process's environment, `overrides` are
    `section.key=value`. Raises `SettingsError` with every fault.
    """
    environ = os.environ if environ is None else environ
    dotenv, faults = read_dotenv(root)
    environment, source = _environment({DOTENV: dotenv, ENVIRONMENT: environ}, faults)
    layers = _layers(root, environment, dotenv, environ, overrides, secrets_folder)
    resolved = resolve([Layer(faults=faults), *layers])
    resolved.faults += check_together(resolved.values, frozenset(resolved.spoiled), environment)
    _add_missing_secrets(resolved, environment, root)
    if resolved.faults:
        raise SettingsError(resolved.faults)
    return _freeze(resolved, environment, source)


def _environment(layers: Mapping[str, Mapping[str, str]], faults: list[Fault]) -> tuple[Environment, str]:
    environment, source = Environment.DEVELOPMENT, "default"
    for name, variables in layers.items():
        text = variables.get(APP_ENV)
        if text is None:
            continue
        source = f"{name} ({APP_ENV})"
        try:
            environment = Environment(text)
        except ValueError:
            accepted = "one of " + ", ".join(Environment)
            meant = nearest(text.lower(), Environment, cutoff=0.4)
            faults.append(Fault(APP_ENV, source, f"{quote(text)} is no environment", accepted, meant))
    return environment, source


def _layers(
    root: Path,
    environment: Environment,
    dotenv: Mapping[str, str],
    environ: Mapping[str, str],
    overrides: Sequence[str],
    secrets_folder: Path,
) -> Iterator[Layer]:
    yield from read_toml_files(root, environment)
    yield read_variables(dotenv, DOTENV)
    yield read_variables(environ, ENVIRONMENT)
    yield read_named_files(dotenv, DOTENV, root)
    yield _joined(read_named_files(environ, ENVIRONMENT, root), read_mounted_files(secrets_folder))
    yield read_overrides(overrides)


def _joined(one: Layer, other: Layer) -> Layer:
    return Layer(one.given + other.given, one.faults + other.faults, one.notices + other.notices)


def _add_missing_secrets(resolved: Resolved, environment: Environment, root: Path) -> None:
    for key, item in STORED.items():
        if not item.required or key in resolved.values or {key, DATABASE_URL.key} & resolved.spoiled:
            continue
        if environment is Environment.PRODUCTION:
            accepted = f"{item.variable}, {item.variable}_FILE or a file in /run/secrets"
            resolved.faults.append(
                Fault(key, "no layer", "production needs this secret, and nothing sets it", accepted)
            )
        elif not resolved.faults:
            _generate(resolved, key, root)


def _generate(resolved: Resolved, key: str, root: Path) -> None:
    source = f"generated in {secret_path(key)}"
    try:
        resolved.values[key] = Value(Secret(kept_secret(root, key)), source)
    except NotKept as error:
        resolved.faults.append(
            Fault(key, source, str(error), f"{STORED[key].variable}, or a folder that can be written")
        )


def _freeze(resolved: Resolved, environment: Environment, source: str) -> Settings:
    values = {key: found.value for key, found in resolved.values.items()}
    if values["log.format"] is LogFormat.AUTO:
        production = environment is Environment.PRODUCTION
        values["log.format"] = LogFormat.JSON if production else LogFormat.CONSOLE
    origins = {"environment": source} | {key: found.source for key, found in resolved.values.items()}
    return Settings(
        environment=environment,
        origins=MappingProxyType(origins),
        notices=tuple(dict.fromkeys(resolved.notices)),
        **{name: declaration(**_of_section(name, values)) for name, declaration in SECTIONS.items()},
    )


def _of_section(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {item.name: values[item.key] for item in STORED.values() if item.section == name}
