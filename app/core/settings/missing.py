"""What happens to a secret that no layer gives: production stops, elsewhere one is generated and kept."""

from __future__ import annotations

from pathlib import Path

from .declarations import DATABASE_URL, STORED
from .declare import Setting
from .environment import Environment
from .faults import Fault
from .generated import kept_secret, secret_path
from .resolve import Resolved, Value
from .secret import Secret
from .value_file import BadValueFile


def add_missing_secrets(resolved: Resolved, environment: Environment, root: Path) -> None:
    """Complete the values; nothing is generated for settings that are faulty already."""
    for key, item in STORED.items():
        if not item.required or key in resolved.values or {key, DATABASE_URL.key} & resolved.spoiled:
            continue
        if environment is not Environment.PRODUCTION:
            _generate(resolved, item, root)
        elif not resolved.unread:
            resolved.faults.append(_missing(item))


def _missing(item: Setting) -> Fault:
    accepted = f"{item.variable}, {item.variable}_FILE or a file in /run/secrets"
    return Fault(item.key, "no layer", "production needs this secret, and nothing sets it", accepted)


def _generate(resolved: Resolved, item: Setting, root: Path) -> None:
    source = f"generated in {secret_path(item.key)}"
    if resolved.faults:
        return
    try:
        resolved.values[item.key] = Value(Secret(kept_secret(root, item.key)), source)
    except BadValueFile as bad:
        accepted = f"{item.variable}, or a folder .local that can be written"
        resolved.faults.append(Fault(item.key, source, str(bad), accepted))
