"""The parts of the bench in the order in which they run; each is a module that `python -m` runs, alone too."""

from __future__ import annotations

# About how many minutes each takes, so that whoever waits knows.
PARTS = {"http": 18, "sockets": 8, "tasks": 9, "startup": 2, "templates": 1}
