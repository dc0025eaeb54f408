"""`make bench`, or `python -m bench [PART ...]`: every part, one after the other, and the report.

A part that fails does not keep the others from being measured; the report then has what was known of it before, and
the exit code says so.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Sequence

from app.core.settings import PROJECT_ROOT
from bench import report
from bench.figures import FOLDER
from bench.http.load import wrk
from bench.measures import progress
from bench.parts import PARTS

LOCK = FOLDER.parent / "lock"


def run(name: str) -> bool:
    """In a process of its own, so that nothing is warm or full from the part before."""
    began = time.monotonic()
    progress(f"\n== {name}: about {PARTS[name]} min")
    done = subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=PROJECT_ROOT, check=False)  # noqa: S603
    minutes = (time.monotonic() - began) / 60
    progress(f"== {name}: {'done' if done.returncode == 0 else 'FAILED'} after {minutes:.1f} minutes")
    return done.returncode == 0


def main(names: Sequence[str]) -> None:
    """Two benches at once would measure each other: a second one ends."""
    if unknown := [name for name in names if name not in PARTS]:
        sys.exit(f"There is no part {', '.join(unknown)}; there are {', '.join(PARTS)}.")
    if "http" in names:
        wrk()  # the one thing that no lock file brings: better said now than when its turn comes
    FOLDER.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("Another `make bench` runs in this folder.")
        progress(f"{', '.join(names)}: about {sum(PARTS[name] for name in names)} min")
        failed = [name for name in names if not run(name)]
    report.main()
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}. The report has what was known of it before, if anything.")


if __name__ == "__main__":
    try:
        main(sys.argv[1:] or list(PARTS))
    except KeyboardInterrupt:
        sys.exit(130)  # the part that was running has told why
