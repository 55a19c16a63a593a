"""The trail that is delivered while the proxy is killed: each event in one log file, each log file in the digests' chain."""

import gzip
import json
import time
from collections import Counter

from checks import Checks
from world import World

NAME = "all"
# The shortest there is, so that many digests are made.
DIGEST_PERIOD = "60s"
# The proxy leaves a store that failed alone for a minute at most.
LIMIT = 120


class Trail:
    """A trail of everything, from before the first kill."""

    def __init__(self, world: World, checks: Checks, count: Counter):
        self.world, self.checks, self.count = world, checks, count
        self.bucket = f"trail-{world.nonce}"
        self.before: set[str] = set()
        self.wanted: set[str] = set()

    def create(self) -> None:
        """Lets the proxy deliver from now on."""
        self.world.proxy.command("trail", "create", NAME, "--bucket", self.bucket, "--digest-period", DIGEST_PERIOD,
                                "--no-mfa-delete")
        # Some of these led to the trail, and it need not tell of them.
        self.checks.read()
        self.before = set(self.checks.ids)

    def end(self) -> None:
        """Stops the trail, whose last digest then speaks of everything, and holds it against the journal."""
        self.checks.read()
        self.wanted = self.checks.ids - self.before
        self.world.proxy.command("trail", "stop", NAME, "--mfa", self.world.codes.wait())
        self.checks.read()
        deadline = time.monotonic() + LIMIT
        while not self._is_final() and time.monotonic() < deadline:
            time.sleep(0.5)
        # Late events have digests of their own, which come just after.
        while (amiss := self._amiss()) and time.monotonic() < deadline:
            time.sleep(2)
        for text in amiss:
            self.checks.problem(text)

    def _amiss(self) -> list[str]:
        keys = self._keys()
        logs = [key for key in keys if "/CloudTrail/" in key]
        found = Counter(record["eventID"] for key in logs for record in self._content(key)["Records"])
        self.count["trail: events delivered"] = found.total()
        self.count["trail: log files"] = len(logs)
        self.count["trail: digests"] = len(self._digests(keys))
        self.count["trail: digests of late files"] = len(keys) - len(logs) - len(self._digests(keys))
        amiss = [] if self._is_final() else ["the trail was stopped and has no last digest"]
        for events, what in (
            ({event for event, times in found.items() if times > 1}, "were delivered more than once"),
            (self.wanted - found.keys(), "of the journal were never delivered"),
            (found.keys() - self.checks.ids, "were delivered and are not in the journal"),
        ):
            if events:
                amiss.append(f"{len(events)} events {what}, such as {min(events)}")
        run = self.world.proxy.run("trail", "validate", NAME)
        if run.returncode != 0:
            amiss.append(f"`trail validate` ends with {run.returncode}: {(run.stdout + run.stderr).strip()}")
        return amiss

    def _is_final(self) -> bool:
        digests = self._digests(self._keys())
        newest = max(digests, key=lambda key: key.rsplit("_", 1)[1], default=None)
        return newest is not None and self._content(newest)["portcullis"]["final"]

    @staticmethod
    def _digests(keys: list[str]) -> list[str]:
        return [key for key in keys if "/CloudTrail-Digest/" in key and "_backfill" not in key]

    def _keys(self) -> list[str]:
        pages = self.checks.store.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def _content(self, key: str) -> dict:
        return json.loads(gzip.decompress(self.checks.store.get_object(Bucket=self.bucket, Key=key)["Body"].read()))
