"""Makes the data folder of a PostgreSQL server, whole or not at all, and mends its login."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.embedded.binaries import postgres_program
from app.embedded.child import Child, Launch
from app.embedded.errors import DidNotStart, FolderUnusable, ForeignFolder, WrongDataVersion, tail
from app.embedded.folder import Folder

MAJOR_VERSION = "18"


async def ensure_cluster(folder: Folder, *, user: str, password: str, durable: bool) -> None:
    """Make the data folder unless it is there; refuse one that is not ours to touch."""
    if not _made_before(folder.path):
        try:
            await _make(folder, user=user, password=password, durable=durable)
        except OSError as error:
            raise FolderUnusable(f"{error.strerror}: {error.filename}") from error


def _made_before(path: Path) -> bool:
    version = path / "PG_VERSION"
    if version.exists():
        if (found := version.read_text().strip()) != MAJOR_VERSION:
            raise WrongDataVersion(f"{path} was made by PostgreSQL {found}, not {MAJOR_VERSION}")
        return True
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ForeignFolder(path)
    return False


async def _make(folder: Folder, *, user: str, password: str, durable: bool) -> None:
    """Build in a draft folder and rename it: what an interrupted run leaves is never taken for data."""
    shutil.rmtree(folder.draft, ignore_errors=True)
    folder.draft.mkdir(mode=0o700)
    folder.give(folder.draft)
    options = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--auth=scram-sha-256"]
    options += ["--no-instructions", *([] if durable else ["--no-sync"])]
    with _private_file(folder, f"{password}\n") as secret:
        command = (f"--pgdata={folder.draft}", f"--username={user}", f"--pwfile={secret}", *options)
        await _run("initdb", command, folder)
    folder.draft.replace(folder.path)


async def mend_login(folder: Folder, *, user: str, password: str) -> None:
    """Let `user` in with `password` where the settings have changed since the folder was made.

    Single-user mode needs no login, and whoever may write the folder owns the data anyway.
    """
    role = '"' + user.replace('"', '""') + '"'
    secret = "'" + password.replace("'", "''") + "'"
    # One line, one command; an error in the first (the role exists) does not stop the second.
    sql = f"CREATE ROLE {role};\nALTER ROLE {role} LOGIN SUPERUSER PASSWORD {secret};\n"
    with _private_file(folder, sql) as script:
        command = ("--single", "-D", str(folder.path), "-c", "log_statement=none", "postgres")
        await _run("postgres", command, folder, stdin=script)


async def _run(program: str, arguments: tuple[str, ...], folder: Folder, *, stdin: Path = Path("/dev/null")) -> None:
    """Run a program of PostgreSQL to its end, as the folder's owner."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "log")
        command = (str(postgres_program(program)), *arguments)
        child = Child.start(Launch(command, log, signal.SIGINT, stdin=stdin), folder)
        try:
            code = await child.wait()
        except BaseException:
            await child.stop(signal.SIGKILL)
            raise
        if code != 0:
            raise DidNotStart(program, log=tail(log))


@contextmanager
def _private_file(folder: Folder, text: str) -> Iterator[Path]:
    """A file that only the server's user can read, beside the data folder, gone afterwards."""
    path = folder.path.parent / f".{folder.path.name}.secret"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    try:
        path.write_text(text)
        folder.give(path)
        yield path
    finally:
        path.unlink()
