"""Whether anything keeps a request's context once the request has ended."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any


class _Request:
    pass


_request: ContextVar[_Request] = ContextVar("request")


async def is_forgotten(handle: Callable[[], Coroutine[Any, Any, Any]]) -> bool:
    """Whether nothing keeps the context in which `handle` has been called and has ended."""
    request, context = _Request(), copy_context()
    context.run(_request.set, request)
    known = weakref.ref(request)
    del request
    await asyncio.create_task(handle(), context=context)
    del context
    await asyncio.sleep(0)  # the loop has done with the turn in which it ended
    gc.collect()
    return known() is None
