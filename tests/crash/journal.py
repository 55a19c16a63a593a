"""The journal read by a program that shares no line with the proxy's own reader."""

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path

SEGMENT_HEADER = 128
HEADER, TRAILER = 40, 40
KINDS = {1: "closing", 2: "event", 3: "intent", 4: "outcome", 5: "state"}


class Broken(AssertionError):
    """The journal is not what it promises to be."""


@dataclass
class Record:
    """One record; `of` is an outcome's intent."""

    sequence: int
    kind: str
    of: int
    payload: bytes

    def events(self) -> list[dict]:
        """The CloudTrail events it holds."""
        if self.kind not in ("event", "outcome"):
            return []
        return [json.loads(line) for line in self.payload.split(b"\n") if line.strip()]


class Journal:
    """Reads on from where it was, and checks the chain on the way."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.sequence = 0
        self.chain = b""
        self.first = 0
        self.offset = 0

    def read(self) -> list[Record]:
        """The whole records that were written since; a torn end is left for later."""
        found = []
        while True:
            found += self._read_segment()
            following = self.sequence + 1
            if following == self.first or not self._path(following).exists():
                return found
            if not self._enter(following):
                return found

    def _path(self, first: int) -> Path:
        return self.directory / f"{first:020}.journal"

    def _enter(self, first: int) -> bool:
        head = self._path(first).read_bytes()[:SEGMENT_HEADER]
        if head == bytes(SEGMENT_HEADER):
            return False  # It has its name, and nothing else yet.
        if head[:16] != b"portcullis jrnl\n":
            raise Broken(f"segment {first} does not begin as one")
        begins, = struct.unpack_from("<Q", head, 32)
        identity, chain = head[40:56], head[56:88]
        expected = self.chain if self.first else hashlib.sha256(b"\0" + identity).digest()
        if begins != first or chain != expected:
            raise Broken(f"segment {first} does not follow from record {self.sequence}")
        self.first, self.offset, self.chain = first, SEGMENT_HEADER, chain
        return True

    def _read_segment(self) -> list[Record]:
        if not self.first and not (self._path(1).exists() and self._enter(1)):
            return []
        found = []
        if not self._path(self.first).exists():
            return found  # Read to its end before, and trimmed.
        with self._path(self.first).open("rb") as file:
            file.seek(self.offset)
            while True:
                head = file.read(HEADER)
                if len(head) < HEADER or head[:4] != b"PJR1":
                    return found
                length, sequence, of, _, kind = struct.unpack_from("<IQQQB", head, 4)
                rest = file.read(length + TRAILER)
                if len(rest) < length + TRAILER or rest[-4:] != b"end\n":
                    return found
                payload, chain = rest[:length], rest[length : length + 32]
                leaf = hashlib.sha256(b"\0" + payload).digest()
                if chain != hashlib.sha256(self.chain + head[4:36] + leaf).digest():
                    return found  # Torn within; if it is altered, the records after it will be missed.
                if sequence != self.sequence + 1:
                    raise Broken(f"record {sequence} follows record {self.sequence}")
                self.sequence, self.chain = sequence, chain
                self.offset += HEADER + length + TRAILER
                found.append(Record(sequence, KINDS.get(kind, f"kind {kind}"), of, payload))
