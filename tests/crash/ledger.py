"""What the clients sent, and what they were told."""

import itertools
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Entry:
    """One request, told apart by its tag, which its record has as the user agent."""

    tag: str
    event: str
    client: str
    bucket: str | None = None
    key: str | None = None
    version: str | None = None
    keys: tuple[str, ...] = ()
    offer: str | None = None
    # What it changes; None where it only reads.
    changes: bool = True
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    # The client has its reply to the last byte.
    acknowledged: bool = False
    # The client was told that nothing was done.
    undone: bool = False

    @property
    def done(self) -> bool:
        """The client was told that it was done."""
        return self.acknowledged and self.status is not None and self.status < 400


class Ledger:
    """The entries of all clients."""

    def __init__(self):
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._fresh: list[Entry] = []
        self.requests = 0

    def tag(self) -> str:
        """A tag that no other request has."""
        return f"crash-{next(self._numbers)}"

    def enter(self, entry: Entry) -> None:
        """Takes what became of a request."""
        entry.ended = time.monotonic()
        with self._lock:
            self.requests += 1
            self._fresh.append(entry)

    def take(self) -> list[Entry]:
        """The entries since this was last asked."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
        return fresh
