"""What can go wrong with an embedded service; the docstring is the sentence a person reads."""

from __future__ import annotations

from pathlib import Path


class EmbeddedError(Exception):
    """An embedded service cannot run."""

    def __init__(self, about: object, *, log: str = "") -> None:
        """Fill `about` into the docstring, and show the end of the service's own log, if any."""
        message = " ".join((type(self).__doc__ or "").split()).replace("{}", str(about))
        super().__init__(f"{message}\n{log}" if log else message)


class NotInstalled(EmbeddedError):
    """{} is not installed here; install it with: pip install 'plinth[embedded]'."""


class FolderUnusable(EmbeddedError):
    """The data folder cannot be used: {}."""


class FolderInUse(EmbeddedError):
    """A running server holds the data folder {}; stop that one first (is `app dev` running elsewhere?)."""


class ForeignFolder(EmbeddedError):
    """{} is not empty and not made by PostgreSQL; move it away or choose another data folder."""


class WrongDataVersion(EmbeddedError):
    """{}; move the folder away (or `make clean`, which deletes it) and start again."""


class PortTaken(EmbeddedError):
    """Port {} on 127.0.0.1 is taken by another program; choose another one."""


class DidNotStart(EmbeddedError):
    """{} did not start."""


def tail(log_path: Path, *, start: int = 0, lines: int = 15) -> str:
    """The last lines of a log from byte `start` on; nothing where there is no log."""
    try:
        with log_path.open("rb") as log:
            log.seek(start)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
