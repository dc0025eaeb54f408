"""`load_settings`: read every layer, report every fault, freeze the result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .checks import check_together
from .command_line import read_overrides
from .declarations import SECTIONS, STORED
from .dotenv_file import DOTENV, read_dotenv
from .environment import Environment, choose_environment
from .faults import SettingsError
from .layer import Layer
from .missing import add_missing_secrets
from .model import Settings
from .resolve import Resolved, resolve
from .secret_files import MOUNTED, read_mounted_files, read_named_files
from .sections import LogFormat
from .toml_files import SHARED, read_toml_files
from .variables import read_variables

ENVIRONMENT = "environment"


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
    dotenv, lines = read_dotenv(root)
    environment, source, faults = choose_environment({DOTENV: dotenv, ENVIRONMENT: environ})
    layers = _layers(root, environment, dotenv, environ, secrets_folder)
    resolved = resolve([Layer(faults=[*lines, *faults], unread=bool(lines)), *layers, read_overrides(overrides)])
    resolved.faults += check_together(resolved.values, resolved.spoiled, environment)
    add_missing_secrets(resolved, environment, root)
    if resolved.faults:
        raise SettingsError(resolved.faults)
    return _freeze(resolved, environment, source)


def _layers(
    root: Path,
    environment: Environment,
    dotenv: Mapping[str, str],
    environ: Mapping[str, str],
    secrets_folder: Path,
) -> Iterator[Layer]:
    yield from read_toml_files(root, environment)
    yield read_variables(dotenv, DOTENV)
    yield read_variables(environ, ENVIRONMENT)
    yield read_named_files(dotenv, DOTENV, root)
    yield read_named_files(environ, ENVIRONMENT, root).joined(read_mounted_files(secrets_folder))


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
