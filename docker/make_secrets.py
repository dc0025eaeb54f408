"""Makes the files that containers and the image build need and the repository must not hold, in .local/secrets/.

The service's own secrets are made once and kept. `pip.conf` and `ca.crt` are copied from this host's settings each
time: an index behind a proxy or a private one is then reached from inside the build as well.
"""

from __future__ import annotations

import ast
import os
import secrets
import ssl
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".local" / "secrets"
# The options of pip that say where packages come from and how they are reached.
LOCATIONS = ("index-url", "extra-index-url", "find-links")
OPTIONS = (*LOCATIONS, "trusted-host", "proxy", "timeout", "default-timeout", "retries", "no-index")
# What production demands, and does not make by itself.
OWN = ("database_password", "jwt_secret", "session_secret")
CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def host_options() -> dict[str, str]:
    """The host's pip options by name; a variable wins over a file, as it does in pip itself."""
    python = ROOT / ".venv" / "bin" / "python"
    command = [str(python) if python.exists() else sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own interpreter)
    pairs = [line.split("=", 1) for line in done.stdout.splitlines() if "=" in line]
    # `pip config list` names the section first: global.timeout, install.timeout, :env:.timeout
    ranked = sorted(pairs, key=lambda pair: ("global", "install", ":env:").index(_section(pair[0])))
    return {name.rpartition(".")[2]: str(ast.literal_eval(value)) for name, value in ranked}


def _section(name: str) -> str:
    section = name.rpartition(".")[0]
    return section if section in ("global", ":env:") else "install"


def remote_only(value: str) -> str:
    """The addresses in `value` that a container can reach too: folders of this host are not there."""
    return " ".join(word for word in value.split() if urlsplit(word).scheme in ("http", "https"))


def pip_conf(options: dict[str, str], *, has_ca: bool) -> ConfigParser:
    """The pip.conf for the build; it is mounted as a secret because an index URL may hold a password."""
    chosen = {name: remote_only(text) if name in LOCATIONS else text for name, text in options.items()}
    conf = ConfigParser(interpolation=None)
    conf["global"] = {name: text for name, text in chosen.items() if name in OPTIONS and text}
    if has_ca:
        conf["global"]["cert"] = "/run/secrets/ca"
    return conf


def ca_file(options: dict[str, str]) -> Path | None:
    """The certificates this host trusts: pip's own setting, else a variable's, else the system's."""
    named = [options.get("cert"), *map(os.environ.get, CA_VARIABLES), ssl.get_default_verify_paths().cafile]
    return next((Path(name) for name in named if name and Path(name).is_file()), None)


def make_secret(path: Path) -> None:
    """Make the secret once, in the place and form in which `make run` keeps its own."""
    if not path.exists():
        path.write_text(secrets.token_urlsafe(32))
    # The users in the containers are none of this host's, so the file is readable for all. The folder around it
    # is not: only its owner gets as far as the file, and the engine, which mounts the file alone.
    path.chmod(0o644)


def main() -> None:
    """Make or refresh all of them."""
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    FOLDER.chmod(0o700)
    for name in OWN:
        make_secret(FOLDER / name)
    options = host_options()
    ca = ca_file(options)
    (FOLDER / "ca.crt").write_bytes(ca.read_bytes() if ca else b"")
    with (FOLDER / "pip.conf").open("w") as file:
        pip_conf(options, has_ca=ca is not None).write(file)


if __name__ == "__main__":
    main()
