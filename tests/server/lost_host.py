"""Another host, made of a network namespace, that can be lost: no FIN, no RST, no answer to anything.

It needs root and iproute2; the address is one of those set aside for tests of networks (RFC 2544).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class NoNamespaces(Exception):
    """This machine, or this user, can make none; the text says why."""


@dataclass(frozen=True)
class Host:
    """`address` is its own, `ours` the one that it reaches this machine by."""

    namespace: str
    address: str
    ours: str

    def command(self, *words: str) -> tuple[str, ...]:
        """To run a program there."""
        return ("ip", "netns", "exec", self.namespace, *words)

    def lose(self) -> None:
        """Pull its cable: from now on no packet arrives at either side."""
        _ip("-n", self.namespace, "link", "set", "there", "down")


@contextmanager
def other_host() -> Iterator[Host]:
    """Raises `NoNamespaces`. One at a time in a process: names and addresses are made of its id."""
    if not shutil.which("ip"):
        raise NoNamespaces("iproute2 is not installed")
    number = os.getpid() & 0x7FFF
    first = f"198.{18 + (number >> 14)}.{number >> 6 & 0xFF}."
    here, last = f"pl{os.getpid()}", (number & 0x3F) << 2
    host = Host(f"plinth-test-{os.getpid()}", f"{first}{last + 2}", f"{first}{last + 1}")
    _make(host, here)
    try:
        yield host
    finally:
        _ip("link", "del", here)
        _ip("netns", "del", host.namespace)


def _make(host: Host, here: str) -> None:
    inside = ("-n", host.namespace)
    try:
        _ip("netns", "add", host.namespace)
    except subprocess.CalledProcessError as error:
        raise NoNamespaces(f"no network namespaces: {error.stderr.strip()}") from error
    try:
        _ip("link", "add", here, "type", "veth", "peer", "name", "there", "netns", host.namespace)
        _ip("addr", "add", f"{host.ours}/30", "dev", here)
        _ip("link", "set", here, "up")
        _ip(*inside, "addr", "add", f"{host.address}/30", "dev", "there")
        _ip(*inside, "link", "set", "there", "up")
    except subprocess.CalledProcessError as error:
        subprocess.run(("ip", "netns", "del", host.namespace), check=False)
        raise NoNamespaces(f"no pair of interfaces: {error.stderr.strip()}") from error


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, text=True)
