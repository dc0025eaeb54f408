"""`make secrets`: what the containers and the build get from this host, and what they do not."""

from __future__ import annotations

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.e2e.project import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with nothing but the script, on a host without any settings of pip."""
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/make_secrets.py").write_bytes((ROOT / "docker/make_secrets.py").read_bytes())
    return tmp_path


def make_secrets(folder: Path, config: str = "", **environ: str) -> Path:
    """Run it on a host with this pip.conf and these variables; the folder of the secrets."""
    (folder / "host.conf").write_text(config)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    host = {"PIP_CONFIG_FILE": str(folder / "host.conf"), "HOME": str(folder), "XDG_CONFIG_DIRS": str(folder)}
    subprocess.run([sys.executable, "docker/make_secrets.py"], cwd=folder, env=clean | host | environ, check=True)
    return folder / ".local/secrets"


def pip_conf(secrets: Path) -> dict[str, str]:
    conf = ConfigParser(interpolation=None)
    conf.read(secrets / "pip.conf")
    return dict(conf["global"])


@pytest.mark.parametrize("name", ["database_password", "jwt_secret", "session_secret"])
def test_secret_is_made_once_and_kept(folder: Path, name: str) -> None:
    first = (make_secrets(folder) / name).read_text()
    second = (make_secrets(folder) / name).read_text()

    assert first == second
    assert len(first) >= 32


def test_no_secret_serves_for_two_things(folder: Path) -> None:
    secrets = make_secrets(folder)

    made = {(secrets / name).read_text() for name in ("database_password", "jwt_secret", "session_secret")}

    assert len(made) == 3


def test_folder_keeps_others_out_and_lets_the_containers_user_read(folder: Path) -> None:
    (folder / ".local/secrets").mkdir(mode=0o755, parents=True)
    (folder / ".local/secrets/database_password").write_text("kept")
    (folder / ".local/secrets/database_password").chmod(0o600)

    secrets = make_secrets(folder)

    assert secrets.stat().st_mode & 0o777 == 0o700
    assert (secrets / "database_password").stat().st_mode & 0o777 == 0o644
    assert (secrets / "database_password").read_text() == "kept"


def test_build_gets_the_hosts_index_with_its_password(folder: Path) -> None:
    secrets = make_secrets(folder, "[global]\nindex-url = https://me:p%40ss@index.example/simple\ntimeout = 90\n")

    conf = pip_conf(secrets)

    assert conf["index-url"] == "https://me:p%40ss@index.example/simple"
    assert conf["timeout"] == "90"


def test_variable_wins_over_the_file(folder: Path) -> None:
    secrets = make_secrets(
        folder,
        "[global]\nindex-url = https://file.example/simple\n[install]\nindex-url = https://install.example/simple\n",
        PIP_INDEX_URL="https://variable.example/simple",
    )

    assert pip_conf(secrets)["index-url"] == "https://variable.example/simple"


def test_folders_of_this_host_are_left_out(folder: Path) -> None:
    """They are not in the container, where pip would stop at them."""
    secrets = make_secrets(
        folder,
        PIP_FIND_LINKS="/opt/wheels https://wheels.example/",
        PIP_EXTRA_INDEX_URL="file:///opt/simple",
        PIP_REQUIRE_VIRTUALENV="true",
    )

    conf = pip_conf(secrets)

    assert conf["find-links"] == "https://wheels.example/"
    assert {"extra-index-url", "require-virtualenv"}.isdisjoint(conf)


def test_build_trusts_what_the_host_trusts(folder: Path) -> None:
    (folder / "company.crt").write_text("a certificate\n")

    secrets = make_secrets(folder, PIP_CERT=str(folder / "company.crt"))

    assert (secrets / "ca.crt").read_text() == "a certificate\n"
    assert pip_conf(secrets)["cert"] == "/run/secrets/ca"
