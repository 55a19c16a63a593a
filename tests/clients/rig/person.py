"""A person at a terminal, who reads what a command says and types."""

import os
import pty
import select
import subprocess
import time

from .proxy import Proxy


class Person:
    """Runs one command on a terminal of its own."""

    def __init__(self, proxy: Proxy, *arguments):
        ours, theirs = pty.openpty()
        self.ours, self.said = ours, ""
        self.process = subprocess.Popen(
            [str(proxy.binary), *map(str, arguments)],
            env={**proxy.environment, **proxy.exports, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def reads(self, text: str, limit: float = 30) -> str:
        """Waits until the command has said this, and returns all that it said so far."""
        deadline = time.monotonic() + limit
        while text not in self.said:
            assert time.monotonic() < deadline and self._read(1), f"`{text}` was not said: {self.said}"
        return self.said

    def types(self, line: str) -> None:
        """Types a line; what was said before it is read no more."""
        self.said = ""
        os.write(self.ours, f"{line}\n".encode())

    def leaves(self) -> int:
        """Reads to the end, and returns how the command ended."""
        while self._read(30):
            pass
        os.close(self.ours)
        return self.process.wait(30)

    def _read(self, limit: float) -> bool:
        if not select.select([self.ours], [], [], limit)[0]:
            return self.process.poll() is None
        try:
            part = os.read(self.ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed.
            return False
        self.said += part.decode(errors="replace")
        return bool(part)
