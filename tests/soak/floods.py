"""The floods, in a process of their own: what outsiders and one user do to exhaust the proxy.

`floods.py SETTINGS`, a file of JSON; it floods until its standard input ends and then prints its counts as JSON.

Each flood has a rate, so that what runs out is a resource of the proxy and not the machine's processors. All but the
signed ones come from addresses that no other client has: what the proxy bounds by address must not meet its owner.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "clients"), str(TOP / "tests" / "crash")]

from rig.clients import Credentials  # noqa: E402
from clients import LOOKUP_HEADERS  # noqa: E402
from wire import md5, signed  # noqa: E402

# Connections that say nothing, from three addresses: more than each may have, and than there are in all.
IDLE = 3300
# Connections that send a byte of a head each second.
SLOW_HEADS = 200
# Connections that send bytes which are no HTTP, each second.
JUNK = 40
# Requests without a signature each second, of 2 KiB, from sixteen addresses in turn.
UNSIGNED = 1500
BATCH = 10
# Signed requests of a user each second that are all refused.
REFUSED = 20
# DeleteObjects whose bodies come a byte in two seconds: twice as many as the proxy has room for.
SLOW_DOCUMENTS = 64
# Calls at the CloudTrail door whose bodies do not come; every other is one for which the proxy has few places.
CALLS = 40
CALL_LENGTHS = 1000, 100_000
# Requests each second for what the store stalls over; every other client leaves at once.
STALLED = 10
STALLED_AT_ONCE = 200

VERSIONING = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
LIFECYCLE = (b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>"
             b"<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>")


class Floods:
    """All floods against one proxy."""

    def __init__(self, settings: dict):
        self.told = SimpleNamespace(**settings)
        self.host, port = self.told.proxy.split(":")
        self.port = int(port)
        self.keys = Credentials(*self.told.keys)
        self.scale = self.told.scale
        self.random = random.Random(self.told.seed)
        self.count: Counter = Counter()
        self.most: Counter = Counter()
        self.now: Counter = Counter()

    async def run(self, over: asyncio.Event) -> None:
        """Floods until it is over."""
        floods = [
            self.keep("idle", IDLE, 400, self.idle),
            self.keep("slow heads", SLOW_HEADS, 50 * self.scale, self.slow_head),
            self.pace("junk", JUNK, 200, self.junk),
            *(self.keep(f"unsigned {number}", 1, 1, self.unsigned) for number in range(2)),
            self.pace("refused writes", REFUSED, 50, self.refused),
            self.keep("slow documents", SLOW_DOCUMENTS, 20, self.slow_document),
            self.keep("CloudTrail calls without a body", CALLS, 10, self.call),
            self.pace("stalled store", STALLED, STALLED_AT_ONCE, self.stalled),
        ]
        tasks = [asyncio.create_task(flood) for flood in floods]
        await over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def keep(self, name: str, most: int, a_second: float, flood) -> None:
        """Keeps so many of a flood going; each that ends is begun again, at the most so many a second."""
        free = asyncio.Semaphore(most)
        while True:
            await free.acquire()
            self._begin(name, flood, free)
            await asyncio.sleep(1 / a_second)

    async def pace(self, name: str, a_second: float, most: int, flood) -> None:
        """Begins so many of a flood each second, and has at the most so many at once."""
        free, began, number = asyncio.Semaphore(most), time.monotonic(), 0
        while True:
            number += 1
            await asyncio.sleep(max(0, began + number / (a_second * self.scale) - time.monotonic()))
            await free.acquire()
            self._begin(name, flood, free)

    def _begin(self, name: str, flood, free: asyncio.Semaphore) -> None:
        async def one():
            self.count[name] += 1
            self.now[name] += 1
            self.most[name] = max(self.most[name], self.now[name])
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await flood(self.count[name])
            finally:
                self.now[name] -= 1
                free.release()

        task = asyncio.get_running_loop().create_task(one())
        TASKS.add(task)
        task.add_done_callback(TASKS.discard)

    # What each does

    @contextlib.asynccontextmanager
    async def link(self, address: str):
        """A connection from one of this machine's addresses."""
        reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=(address, 0))
        try:
            yield reader, writer
        finally:
            writer.close()

    async def idle(self, number: int) -> None:
        """Connects and says nothing, until the proxy has had enough."""
        async with self.link(f"127.0.2.{1 + number % 3}") as (reader, _):
            await ended(reader)

    async def slow_head(self, _number: int) -> None:
        """Sends a head, a byte a second."""
        async with self.link("127.0.0.3") as (reader, writer):
            end = asyncio.ensure_future(ended(reader))
            for byte in f"GET /{'a' * 100} HTTP/1.1\r\n".encode():
                writer.write(bytes([byte]))
                if (await asyncio.wait({end}, timeout=1))[0]:
                    return

    async def junk(self, _number: int) -> None:
        """Sends what is no HTTP."""
        async with self.link("127.0.0.4") as (reader, writer):
            writer.write(self.random.randbytes(self.random.randint(1, 2000)) + b"\r\n\r\n")
            await asyncio.wait_for(ended(reader), 20)

    async def unsigned(self, number: int) -> None:
        """Sends requests without a signature on a connection that is kept, from another address each half minute."""
        address = f"127.0.1.{1 + number % 16}"
        message = head("GET", f"/{self.told.plain}/{'%01' * 300}", {"host": self.told.proxy, "user-agent": "x" * 1000})
        async with self.link(address) as (reader, writer):
            began, sent = time.monotonic(), 0
            while time.monotonic() - began < 15:
                await asyncio.sleep(max(0, began + sent / (UNSIGNED / 2 * self.scale) - time.monotonic()))
                writer.write(message * BATCH)
                sent += BATCH
                await answers(reader, BATCH)
                self.count["unsigned"] += BATCH

    async def refused(self, number: int) -> None:
        """Asks as a user for what only root may do with a code."""
        vault = f"/{self.told.vault}"
        method, query, body = [
            ("PUT", "versioning=", VERSIONING),
            ("PUT", "lifecycle=", LIFECYCLE),
            ("DELETE", "", b""),
        ][number % 3]
        async with self.link("127.0.0.6") as (reader, writer):
            writer.write(self.signed(method, vault, query, body) + body)
            status = int((await reader.readline()).split()[1])
            self.count[f"refused writes: {status}"] += 1

    async def slow_document(self, _number: int) -> None:
        """Deletes many, with a body that comes a byte in two seconds."""
        body = b"<Delete>" + b"<Object><Key>k</Key></Object>" * 100 + b"</Delete>"
        async with self.link("127.0.0.7") as (reader, writer):
            writer.write(self.signed("POST", f"/{self.told.flooded}", "delete=", body))
            await self.trickle(reader, writer, body, 2)

    async def trickle(self, reader, writer, body: bytes, pause: float) -> None:
        """Sends a body bit by bit until the proxy answers or the body is through."""
        end = asyncio.ensure_future(reader.readline())
        for byte in body:
            writer.write(bytes([byte]))
            if (await asyncio.wait({end}, timeout=pause))[0]:
                break
        line = await end
        if line:
            self.count[f"slow documents: {line.split()[1].decode()}"] += 1

    async def call(self, number: int) -> None:
        """Begins a call of CloudTrail with a forged signature, which the proxy can only tell when it has the body."""
        forged = Credentials(self.keys.access_key, "forged")
        lines = signed("POST", self.told.proxy, "/", "", LOOKUP_HEADERS, b"", forged, "cloudtrail")
        del lines["x-amz-content-sha256"]
        lines["content-length"] = str(CALL_LENGTHS[number % 2])
        async with self.link("127.0.0.8") as (reader, writer):
            writer.write(head("POST", "/", lines))
            await ended(reader)

    async def stalled(self, number: int) -> None:
        """Asks for what the store stalls over, and waits for it or leaves."""
        bucket = f"/{self.told.stalled}"
        method, path, query, body = [
            ("GET", f"{bucket}/k{number}", "", b""),
            ("PUT", f"{bucket}/k{number}", "", b"x"),
            ("GET", bucket, "list-type=2", b""),
            ("PUT", f"{bucket}/k{number}", "tagging=", TAGGING),
            ("DELETE", f"{bucket}/k{number}", "", b""),
        ][number % 5]
        async with self.link("127.0.0.9") as (reader, writer):
            writer.write(self.signed(method, path, query, body) + body)
            await writer.drain()
            if number % 2:
                await ended(reader)

    def signed(self, method: str, path: str, query: str, body: bytes) -> bytes:
        """The head of a request of the user."""
        headers = {"content-md5": md5(body)} if body else {}
        lines = signed(method, self.told.proxy, path, query, headers, body, self.keys)
        if body:
            lines["content-length"] = str(len(body))
        return head(method, f"{path}?{query}" if query else path, lines)


def head(method: str, target: str, lines: dict) -> bytes:
    """A head as it is sent."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode()


# The event loop itself keeps no task alive.
TASKS: set[asyncio.Task] = set()


async def ended(reader: asyncio.StreamReader) -> None:
    """Waits for the end of a connection, whatever is said on it before."""
    with contextlib.suppress(OSError):
        while await reader.read(1 << 16):
            pass


async def answers(reader: asyncio.StreamReader, wanted: int) -> None:
    """Waits for so many answers."""
    while wanted > 0:
        data = await asyncio.wait_for(reader.read(1 << 18), 30)
        if not data:
            raise ConnectionResetError
        wanted -= data.count(b"HTTP/1.1 ")


async def main(settings: dict) -> None:
    """Floods until standard input ends, and says what was done."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    waiting = loop.run_in_executor(None, sys.stdin.read)
    waiting.add_done_callback(lambda _: over.set())
    floods = Floods(settings)
    await floods.run(over)
    for task in list(TASKS):
        task.cancel()
    await asyncio.gather(*TASKS, return_exceptions=True)
    print(json.dumps({"begun": floods.count, "at once": floods.most}), flush=True)


if __name__ == "__main__":
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
