"""The clients that must not notice the floods: root with its devices, and an ordinary user."""

import time

from ledger import Entry
from load import S3Client
from wire import signed

LOOKUP = b'{"MaxResults": 1}'
LOOKUP_HEADERS = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
}


# What root writes at the most before it deletes; what the world knows too little of it does not give away.
MOST_WRITTEN = 50


class Paced(S3Client):
    """A client that sends at its own pace, whatever the proxy does."""

    pace = 1.0

    def __init__(self, *arguments, credentials):
        super().__init__(*arguments, credentials=credentials)
        self.due = time.monotonic()

    def step(self) -> None:
        """Sends the next request when it is due."""
        self.due = max(self.due + self.pace, time.monotonic() - self.pace)
        time.sleep(max(0.0, self.due - time.monotonic()))
        self.work()

    def work(self) -> None:
        """One request."""
        raise NotImplementedError


class User(Paced):
    """Reads and writes, twenty requests a second, each fiftieth over a new connection."""

    pace = 1 / 20

    def work(self) -> None:
        world = self.world
        self.number += 1
        if self.number % 50 == 0:
            self.link.close()
        self.choose(
            (8, lambda: self.put(world.plain)),
            (2, lambda: self.put(world.vault)),
            (12, self.get),
            (4, self.head),
            (2, lambda: self.call("ListObjects", "GET", world.plain, query={"list-type": "2", "max-keys": "20"})),
            (2, self.hide),
            (1, lambda: self.batch(world.plain, [(self.fresh_key(), None) for _ in range(3)])),
        )

    def body(self) -> bytes:
        """Content of an object, small, since the store keeps everything."""
        return self.random.randbytes(self.random.choice([0, 700, 9_000]))

    def get(self) -> None:
        found = self.world.some(self.random, self.world.plain)
        if found:
            self.call("GetObject", "GET", self.world.plain, found[0], query={"versionId": found[1]})

    def head(self) -> None:
        # Not in the vault, where root may be about to delete what is asked for.
        found = self.world.some(self.random, self.world.plain)
        if found:
            self.call("HeadObject", "HEAD", self.world.plain, found[0], query={"versionId": found[1]})

    def hide(self) -> None:
        """Writes a delete marker over a key."""
        self.call("DeleteObject", "DELETE", self.world.plain, self.fresh_key())


class Root(Paced):
    """Writes into the protected bucket, looks up events and, as often as its devices have codes, does what needs one."""

    pace = 1 / 2

    def work(self) -> None:
        offer = self.world.codes.take()
        if offer is None:
            self.choose((2, lambda: self.put(self.world.vault)), (1, self.look_up))
            return
        self.choose(
            (2, lambda: self.destroy(offer)),
            (1, lambda: self.destroy_several(offer)),
            (2, lambda: self.flip(offer)),
        )

    def body(self) -> bytes:
        return self.random.randbytes(700)

    def look_up(self) -> None:
        """Asks CloudTrail for the newest event."""
        entry = Entry(self.ledger.tag(), "LookupEvents", self.name, changes=False)
        headers = {**LOOKUP_HEADERS, "user-agent": entry.tag}
        lines = signed("POST", self.link.host, "/", "", headers, LOOKUP, self.link.credentials, "cloudtrail")
        self.enter(entry, self.link.exchange("POST", "/", lines, LOOKUP))

    def destroy(self, offer: str) -> None:
        """Deletes a version for ever."""
        key, version = self.doomed(1)[0]
        self.call("DeleteObject", "DELETE", self.world.vault, key, query={"versionId": version}, offer=offer)

    def destroy_several(self, offer: str) -> None:
        """Deletes versions for ever."""
        self.batch(self.world.vault, self.doomed(3), offer)

    def flip(self, offer: str) -> None:
        """Changes MFA Delete of a bucket, for which nothing else may be under way there."""
        bucket, now = self.world.flip(self.random)
        entry = self.versioning(bucket, "Enabled", "Disabled" if now else "Enabled", offer)
        self.world.flipped(bucket, not now, entry)

    def doomed(self, count: int) -> list[tuple[str, str]]:
        """Versions that are written for it where too few are known."""
        found = []
        for _ in range(MOST_WRITTEN):
            version = self.world.pop(self.random, self.world.vault)
            if version is None:
                self.put(self.world.vault)
            else:
                found.append(version)
            if len(found) == count:
                return found
        raise AssertionError("no versions are known in the vault")
