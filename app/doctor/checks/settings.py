"""The settings: whether they can be read, and whether the shell says something else than the files."""

from __future__ import annotations

import re

from app.core.settings import Settings, SettingsError, load_settings
from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.patient import Patient
from app.doctor.words import listed

SHELL = re.compile(r"environment \((\w+)\)")
FILES = (".env", "settings.local.toml")


async def settings(patient: Patient) -> Finding:
    """Every fault at once, in the words of `app config check`."""
    if patient.faults is not None:
        return failed("settings", str(patient.faults), f"{patient.program} config check")
    assert patient.settings is not None  # noqa: S101 - settings and faults are the two outcomes of one load
    given = sum(origin != "default" for origin in patient.settings.origins.values())
    return ok("settings", f"they can be read: {patient.settings.environment}, {given} values beside the defaults")


async def overrides(patient: Patient) -> Finding:
    """A variable left over in the shell wins over the file that a person is looking at."""
    if patient.settings is None:
        return skipped("overrides", "the settings have faults")
    try:
        files_only = load_settings(root=patient.root, environ={}, overrides=patient.overrides)
    except SettingsError:
        return ok("overrides", "the files alone are not a complete configuration, so the shell has to add to them")
    hidden = _hidden(patient.settings, files_only)
    if not hidden:
        return ok("overrides", "no variable of this shell overrides .env or settings.local.toml")
    sentences = [f"{name} overrides {key} from {origin}" for name, (key, origin) in sorted(hidden.items())]
    return warning(
        "overrides",
        f"this shell says something else than the files: {listed(sentences)}",
        f"unset {' '.join(sorted(hidden))}",
    )


def _hidden(whole: Settings, files_only: Settings) -> dict[str, tuple[str, str]]:
    """Variable of the shell -> the key and the file's layer that it covers, where the two disagree."""
    return {
        shell[1]: (key, files_only.origins[key])
        for key, origin in whole.origins.items()
        if (shell := SHELL.fullmatch(origin))
        and files_only.origins[key].startswith(FILES)
        and _value(whole, key) != _value(files_only, key)
    }


def _value(settings: Settings, key: str) -> object:
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value
