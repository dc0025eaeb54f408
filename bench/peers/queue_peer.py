"""Runs one peer of `make bench-tasks`: `python -m bench.peers.queue_peer MODULE WHAT [COUNT]`.

WHAT is prepare, fill, single, pickup or work. What was measured is printed as one line of JSON.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

import uvloop

from bench.peers.asking import ask


def main(module: str, what: str, count: str = "0") -> None:
    peer = import_module(f"bench.peers.{module}")
    if what == "prepare":
        uvloop.run(peer.prepare())
    elif what == "work":
        uvloop.run(peer.work())
    else:
        print(json.dumps(uvloop.run(ask(peer.opened(), what, int(count)))))  # noqa: T201  (its answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
