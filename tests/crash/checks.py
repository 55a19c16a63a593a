"""What must hold after every restart."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass

from botocore.exceptions import ClientError
from journal import Journal
from ledger import Entry
from world import World

REPLAYED = "TokenCodeInvalidError"
# What a start records of an intent that it found not carried out.
NOT_DONE = "NotCarriedOut"
# What it records of an intent of which the store does not tell whether it was carried out.
UNKNOWN = "OutcomeUnknown"


@dataclass(frozen=True)
class Seen:
    """What is kept of an event."""

    name: str
    error: str | None
    key: str | None
    agent: str
    mfa: str | None
    request: str


class Checks:
    """Holds the journal and the proxy against what the clients were told."""

    def __init__(self, world: World, count: Counter):
        self.world, self.count = world, count
        self.journal = Journal(world.proxy.state / "journal")
        self.problems: list[str] = []
        self.open: dict[int, bytes] = {}
        # Those that a kill left open.
        self.left: set[int] = set()
        self.ids: set[str] = set()
        self.by_request: dict[str, list[Seen]] = defaultdict(list)
        self.by_agent: dict[str, list[Seen]] = defaultdict(list)
        self.closings: list[str] = []
        # Keys of requests that have no record, since the journal was closed and they were to be served all the same.
        self.unrecorded: set[str | None] = set()
        # Offers, and the tags of the requests they came with.
        self.offers: dict[str, list[str]] = defaultdict(list)

    def problem(self, text: str) -> None:
        """Notes what does not hold."""
        self.problems.append(text)
        print(f"  WRONG: {text}", flush=True)

    def read(self) -> None:
        """Takes in what was written since."""
        for record in self.journal.read():
            self.count[f"journal records: {record.kind}"] += 1
            if record.kind == "intent":
                self.open[record.sequence] = record.payload
            elif record.kind == "closing":
                self.closings.append(json.loads(record.payload)["reason"])
            elif record.kind == "outcome" and self.open.pop(record.of, None) is None:
                self.problem(f"record {record.sequence} is an outcome of {record.of}, which is no open intent")
            if record.of in self.left:
                self.left.remove(record.of)
                self.count["intents resolved"] += 1
            for event in record.events():
                self._take(record.sequence, event)

    def _take(self, sequence: int, event: dict) -> None:
        self.count["events"] += 1
        if event["eventID"] in self.ids:
            self.problem(f"event {event['eventID']} is there twice, again in record {sequence}")
        self.ids.add(event["eventID"])
        mfa = (event.get("additionalEventData") or {}).get("MfaDelete") or {}
        seen = Seen(event["eventName"], event.get("errorCode"), (event.get("requestParameters") or {}).get("key"),
                    (event.get("userAgent") or "").strip("[]"), mfa.get("result"), event["requestID"])
        self.by_request[seen.request].append(seen)
        if seen.agent.startswith("crash-"):
            self.by_agent[seen.agent].append(seen)

    def after_kill(self) -> None:
        """Counts what the kill left open."""
        self.read()
        self.count["intents found open"] += len(self.open.keys() - self.left)
        self.left |= self.open.keys()

    def after_restart(self, entries: list[Entry], closed_at: float | None = None, mode: str = "deny-mutations") -> None:
        """All of it; of what came after the journal closed, only what was changed needs a record, if that was denied."""
        self.read()
        if self.open:
            self.problem(f"{len(self.open)} intents stay open: {sorted(self.open)[:5]}")
        for entry in entries:
            self.count["requests"] += 1
            if entry.offer:
                self.offers[entry.offer].append(entry.tag)
            if entry.acknowledged:
                self._acknowledged(entry, closed_at, mode)
            else:
                self._unanswered(entry, closed_at, mode)
        self._codes()

    def _acknowledged(self, entry: Entry, closed_at: float | None, mode: str) -> None:
        self.count["acknowledged"] += 1
        found = self.by_request.get(entry.request_id, []) if entry.request_id else []
        told = f"{entry.event} {entry.tag} ({entry.status} {entry.code or ''}, id {entry.request_id})"
        # What was under way by then was begun with a journal, and ended without one.
        closed = closed_at is not None and entry.ended >= closed_at
        excused = closed and (mode == "allow" or not (entry.changes and entry.done))
        failed = entry.status is not None and entry.status >= 500
        if not found and (excused or closed and failed):
            if not entry.undone:
                self.unrecorded |= {entry.key, *entry.keys}
            served = "served" if entry.done else "refused"
            self.count[f"{served} without a record, as the journal was closed"] += 1
            return
        first, rest = found[:1], found[1:]
        if not first:
            self.problem(f"{told} has no record")
        elif entry.event == "DeleteObjects" and entry.keys:
            if sorted(seen.key or "" for seen in rest) != sorted(entry.keys) or first[0].name != "DeleteObjects":
                self.problem(f"{told} of {len(entry.keys)} keys has {len(rest)} records of keys")
        elif rest:
            self.problem(f"{told} has {len(found)} records")
        if first and first[0].name != entry.event:
            self.problem(f"{told} is recorded as {first[0].name}")
        # Served although the journal had closed, it has an intent on record, and what the next start made of it.
        left_open = closed and mode == "allow" and first and first[0].error == UNKNOWN
        if first and entry.done and first[0].error is not None and not left_open:
            self.problem(f"{told} was done and is recorded as {first[0].error}")
        if left_open:
            self.count["served and recorded as OutcomeUnknown, as the journal was closed"] += 1
        # What was refused while the journal closed has its intent on record, and what the next start made of it.
        if first and not entry.done and entry.code and first[0].error != entry.code and not closed:
            self.problem(f"{told} was refused and is recorded as {first[0].error}")

    def _unanswered(self, entry: Entry, closed_at: float | None, mode: str) -> None:
        self.count["unanswered"] += 1
        found = self.by_agent.get(entry.tag, [])
        whole = 1 + len(entry.keys)
        if len(found) not in (0, 1, whole):
            self.problem(f"{entry.event} {entry.tag}, never answered, has {len(found)} records")
        if found:
            self.count["unanswered, with a record"] += 1
            self.count[f"unanswered, recorded as {found[0].error or 'done'}"] += 1
        if closed_at is not None and mode == "allow":
            self.unrecorded |= {entry.key, *entry.keys}
        elif entry.event == "PutObject":
            self._is_as_recorded(entry, found)

    def _is_as_recorded(self, entry: Entry, found: list[Seen]) -> None:
        """What is on record of an upload that was not answered is what the store holds."""
        stored, error = self._stored(entry), found[0].error if found else "nothing"
        if stored and error in ("nothing", NOT_DONE) or not stored and error is None:
            self.problem(f"{entry.event} {entry.tag}, never answered, is {'' if stored else 'not '}in the store, "
                         f"and on record is {error or 'that it was done'}")

    def _stored(self, entry: Entry) -> bool:
        try:
            self.store.head_object(Bucket=entry.bucket, Key=entry.key)
            return True
        except ClientError:
            return False

    @property
    def store(self):
        """A client that goes around the proxy."""
        return self.world.upstream.directly()

    def _codes(self) -> None:
        """No offer was accepted twice, as the records tell."""
        for offer in self._recent():
            accepted = [tag for tag in self.offers[offer] if any(seen.mfa == "Accepted" for seen in self.by_agent[tag])]
            if len(accepted) > 1:
                self.problem(f"one code was accepted {len(accepted)} times: {accepted}")
        self.count["codes accepted"] = sum(
            any(seen.mfa == "Accepted" for seen in self.by_agent[tag]) for tags in self.offers.values() for tag in tags
        )

    # What asks the proxy

    def _recent(self) -> list[str]:
        """The offers whose code could still be right; an older one is but a wrong one, and counts against its device."""
        return [offer for offer in self.offers if self.world.codes.is_current(offer)]

    def replay(self, links) -> None:
        """Sends each recent code again: what is known to be spent must be refused."""
        for offer in self._recent():
            spent = any(seen.mfa == "Accepted" for tag in self.offers[offer] for seen in self.by_agent[tag])
            entry = links.replay(offer)
            if entry is None:
                continue
            self.count["spent codes sent again" if spent else "codes in doubt sent again"] += 1
            if spent and entry.code != REPLAYED:
                self.problem(f"a spent code was answered with {entry.status} {entry.code}")
            if not spent and entry.code not in (None, REPLAYED):
                self.problem(f"a code in doubt was answered with {entry.status} {entry.code}")

    def protection(self) -> None:
        """What was acknowledged as protected is protected, and its versions are there."""
        root = self.world.proxy.client()
        said = root.get_bucket_versioning(Bucket=self.world.vault)
        if said.get("MFADelete") != "Enabled" or said.get("Status") != "Enabled":
            self.problem(f"the vault's versioning is {said.get('Status')}, {said.get('MFADelete')}")
        for bucket, on in self.world.flips.items():
            said = root.get_bucket_versioning(Bucket=bucket).get("MFADelete") == "Enabled"
            if on is None:
                self.count["changes of MFA Delete in doubt"] += 1
                self.world.flips[bucket] = said
            elif said != on:
                self.problem(f"MFA Delete of {bucket} is {said} and was acknowledged as {on}")

    def at_last(self) -> None:
        """The whole journal by the proxy's own reader; and the store holds nothing that no record speaks of."""
        lines = self.world.proxy.command("events", "--json").splitlines()
        theirs = [json.loads(line)["eventID"] for line in lines if line.strip()]
        self.read()
        if sorted(theirs) != sorted(self.ids):
            self.problem(f"`portcullis events` tells {len(theirs)} events, {len(set(theirs))} of them different; "
                         f"the journal holds {len(self.ids)}")
        held = self._versions(self.world.vault)
        lost = self.world.precious - held
        if lost:
            self.problem(f"{len(lost)} protected versions are gone, the first is {min(lost)}")
        self.count["protected versions still there"] = len(self.world.precious & held)
        written = {seen.key for found in self.by_agent.values() for seen in found if seen.error in (None, UNKNOWN)
                   and seen.name in ("PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject")}
        for bucket in (self.world.vault, self.world.plain):
            unknown = {key for key, _ in self._versions(bucket)} - written - self.unrecorded
            if unknown:
                self.problem(f"{len(unknown)} keys of {bucket} were written by no request on record: {min(unknown)}")

    def _versions(self, bucket: str) -> set[tuple[str, str]]:
        held = set()
        for page in self.store.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                held.add((version["Key"], version["VersionId"]))
        return held
