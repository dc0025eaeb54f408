"""Asking for work after the commit: tasks and events, written in the transaction that needs them.

Whoever asks needs this package only; who does the work is `app.tasks`.
"""

from app.core.queue.declared import Event, Priority, Task, WrongPayload
from app.core.queue.queue import Queue, open_queue
from app.core.queue.waker import CHANNEL, Waker

__all__ = ["CHANNEL", "Event", "Priority", "Queue", "Task", "Waker", "WrongPayload", "open_queue"]
