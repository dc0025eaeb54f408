"""The queue's tables, one verb a function: every step of a task from pending to finished is one statement here.

A transition of a running task names its id and its `lease_seq`, which grows with every claim: a worker that has lost
a task changes nothing of it any more, however late it comes.
"""

from app.tasks.store.claiming import Claimed, Lane, Rescued, claim, disown, rescue, select_due_types
from app.tasks.store.ordering import promote, promote_all
from app.tasks.store.relaying import Horizon, Moved, Subscription, move_events, select_horizon
from app.tasks.store.settling import Ending, Requeueing, Settled, finish, hold, renew, requeue
from app.tasks.store.ticking import Step, advance_schedule, select_now, select_ticks

__all__ = [
    "Claimed",
    "Ending",
    "Horizon",
    "Lane",
    "Moved",
    "Requeueing",
    "Rescued",
    "Settled",
    "Step",
    "Subscription",
    "advance_schedule",
    "claim",
    "disown",
    "finish",
    "hold",
    "move_events",
    "promote",
    "promote_all",
    "renew",
    "requeue",
    "rescue",
    "select_due_types",
    "select_horizon",
    "select_now",
    "select_ticks",
]
