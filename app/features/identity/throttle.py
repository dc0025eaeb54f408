"""Holds back who tries passwords or sends mails to strangers, also while Redis can't count."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections import OrderedDict, deque
from collections.abc import Sequence

import structlog

from app.core.clock import Clock
from app.core.customers import customer
from app.core.rate_limit import Decision, Window, forget, take
from app.core.redis import RedisUnavailable
from app.core.resources import Resources
from app.features.identity.errors import TooManyMails, TooManyTries

log = structlog.get_logger(__name__)

QUARTER = 900  # seconds
HOUR = 3600
MAILS_PER_CUSTOMER = 100  # an hour, to whomever: a mailing list must not be signed up from one place
MOST = 10_000  # keys that a process counts by itself; some 2 MB


async def try_sign_in(resources: Resources, email: str, address: str) -> None:
    """Count one try, before the password is looked at: a hundred at once are a hundred. Raises `TooManyTries`."""
    decision = await _take(resources, _sign_in_windows(resources, email, address))
    if not decision.passes:
        raise TooManyTries(retry_after=decision.retry_after)


async def signed_in(resources: Resources, email: str, address: str) -> None:
    """The password was right: forget this account's tries from here. Those of the address stay.

    Otherwise whoever has an account of their own could go on for ever with the others.
    """
    if resources.settings.rate_limit.enabled:
        of_account, _ = _sign_in_windows(resources, email, address)
        await _counting(resources).forget(resources, of_account)


async def try_mail(resources: Resources, email: str, address: str) -> None:
    """Count one mail that a stranger wants to have sent. Raises `TooManyMails`."""
    most = resources.settings.rate_limit.mails_per_account
    windows = (
        Window(f"limit:mail:{most}/{HOUR}:{account(email)}", most, HOUR),
        Window(f"limit:mails:{MAILS_PER_CUSTOMER}/{HOUR}:{customer(address)}", MAILS_PER_CUSTOMER, HOUR),
    )
    decision = await _take(resources, windows)
    if not decision.passes:
        raise TooManyMails(retry_after=decision.retry_after)


def account(email: str) -> str:
    """What spellings of one mailbox have in common, as a digest: who looks into Redis reads no addresses.

    Only for counting. It is coarser than the address that a user is found by, so no spelling that finds the same user
    is counted apart; and mail providers drop dots and tags.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email.lower()).casefold())
    # What nobody sees is no difference; RFC 3490 (3.1) takes an ideographic full stop for a dot.
    text = "".join(each for each in text if each.isprintable() and each != " ").replace("\u3002", ".")
    local, _, domain = text.rpartition("@")
    mailbox = local.partition("+")[0].replace(".", "") + "@" + domain.rstrip(".")
    return hashlib.sha256(mailbox.encode()).hexdigest()[:32]


def _sign_in_windows(resources: Resources, email: str, address: str) -> tuple[Window, Window]:
    # The limit is part of the key, as in app/web/rate_limits.py.
    settings, where = resources.settings.rate_limit, customer(address)
    per_account, per_address = settings.sign_ins_per_account, settings.sign_ins_per_address
    return (
        Window(f"limit:sign-in:{per_account}/{QUARTER}:{account(email)}:{where}", per_account, QUARTER),
        Window(f"limit:sign-ins:{per_address}/{QUARTER}:{where}", per_address, QUARTER),
    )


async def _take(resources: Resources, windows: Sequence[Window]) -> Decision:
    if not resources.settings.rate_limit.enabled:
        return Decision(passes=True, limit=0, remaining=0, retry_after=0)
    return await _counting(resources).take(resources, windows)


def _counting(resources: Resources) -> Counting:
    return resources.held.obtain(Counting, lambda: Counting(resources.clock))


class Counting:
    """Counts in Redis for all instances together; while that is away, in this process for itself."""

    def __init__(self, clock: Clock) -> None:
        self._alone = Alone(clock)
        self._is_shared = True

    async def take(self, resources: Resources, windows: Sequence[Window]) -> Decision:
        """Never raises for Redis."""
        try:
            decision = await take(resources.redis, windows)
        except RedisUnavailable as error:
            self._note(shared=False, cause=error.__cause__)
            return self._alone.take(windows)
        self._note(shared=True)
        return decision

    async def forget(self, resources: Resources, window: Window) -> None:
        """As if nothing had been counted in the window."""
        self._alone.forget(window)
        try:
            await forget(resources.redis, window)
        except RedisUnavailable as error:
            self._note(shared=False, cause=error.__cause__)

    def _note(self, *, shared: bool, cause: BaseException | None = None) -> None:
        """One line per change."""
        if shared is self._is_shared:
            return
        self._is_shared = shared
        if shared:
            log.info("tries_counted_together")
        else:
            log.warning("tries_counted_alone", error=str(cause) or type(cause).__name__ if cause else None)

    async def close(self) -> None:
        """Nothing is open."""


class Alone:
    """The same count in one process, of at most so many keys: the one that is asked for the least goes first."""

    def __init__(self, clock: Clock, *, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._passed: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._passed)

    def take(self, windows: Sequence[Window]) -> Decision:
        """Like `app.core.rate_limit.take`: counted in all windows, or in none where one of them is full."""
        now = self._clock.monotonic()
        pairs = [(window, self._log(window, now)) for window in windows]
        full = [(window, log) for window, log in pairs if len(log) >= window.requests]
        if not full:
            for _, each in pairs:
                each.append(now)
        limit, left = min(((window.requests, window.requests - len(log)) for window, log in pairs), key=lambda x: x[1])
        wait = max((log[0] + window.per - now for window, log in full), default=0.0)
        self._shrink()
        return Decision(not full, limit, max(left, 0), math.ceil(wait))

    def forget(self, window: Window) -> None:
        self._passed.pop(window.key, None)

    def _log(self, window: Window, now: float) -> deque[float]:
        """When the requests of the window passed, the oldest first."""
        times = self._passed.setdefault(window.key, deque())
        self._passed.move_to_end(window.key)
        while times and times[0] <= now - window.per:
            times.popleft()
        return times

    def _shrink(self) -> None:
        while len(self._passed) > self._most:
            self._passed.popitem(last=False)
