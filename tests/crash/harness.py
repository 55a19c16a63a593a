"""Kills the proxy at random moments under load, and breaks its disk; then holds it to its promises.

What is random comes from the seed: which client asks what in which order, after how many requests the proxy is killed,
and which call of the disk is the first to fail. Where exactly that meets the proxy's threads is up to the machine.
"""

import argparse
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import time
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "clients"))

from checks import Checks  # noqa: E402
from delivered import Trail  # noqa: E402
from ledger import Entry, Ledger  # noqa: E402
from load import Lout, Operator, Owner, S3Client, Sdk, Traffic, Worker  # noqa: E402
from rig import upstreams  # noqa: E402
from world import CrashProxy, World, quiet_port, start_store  # noqa: E402

SYNC_FAILS, WRITE_FAILS, FULL, NO_SPACE, SHORT = 1, 2, 4, 8, 16
# So many spent codes are tried again at least.
ENOUGH_CODES = 5
# What fails, and for which files of the state: those whose names begin so.
FAULTS = {
    "failing fsync": (SYNC_FAILS, ""),
    "failing fsync, all denied": (SYNC_FAILS, ""),
    "full disk, all allowed": (FULL, "journal/"),
    "failing fsync of the journal": (SYNC_FAILS, "journal/"),
    "failing fsync of the state": (SYNC_FAILS, "state/"),
    # Of the journal alone: what only the history misses is made up for, and closes nothing.
    "full disk": (FULL, "journal/"),
    "full disk that overwrites nothing in place": (NO_SPACE, "journal/0"),
    "disk that fills up within a write": (SHORT, "journal/0"),
    "failing write": (WRITE_FAILS, "journal/0"),
}
# What `audit.on_failure` is where it is not the default.
ON_FAILURE = {"failing fsync, all denied": "deny-all", "full disk, all allowed": "allow"}
SHORT_RUN = ("failing fsync", "full disk", "full disk, all allowed")
# What the journal waits out: it goes on by itself once there is space, and its log says both.
PASSING = FULL
PAUSED, RESUMED = "the journal takes no records until", "the journal takes records again"


class Disk:
    """The control of the disk's faults."""

    def __init__(self, path: Path, under: Path):
        path.write_bytes(bytes(24 + os.pathconf("/", "PC_PATH_MAX")))
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.under = under

    def fail(self, faults: int, where: str = "", after: int = 0) -> None:
        """Lets calls on these files of the state fail from now on, all but the first so many."""
        under = f"{self.under}/{where}".encode()
        self.map[24 : 24 + len(under) + 1] = under + b"\0"
        self.map[8:24] = struct.pack("<qq", after, 0)
        self.map[0:8] = struct.pack("<q", faults)

    def heal(self) -> None:
        """Lets nothing fail any more."""
        self.map[0:8] = bytes(8)

    @property
    def hits(self) -> int:
        """How many calls failed since."""
        return struct.unpack("<q", self.map[16:24])[0]


class Probe(S3Client):
    """The harness's own client; no thread of it runs."""

    def replay(self, offer: str) -> Entry | None:
        """Sends a code again, for a version that is there."""
        found = self.world.some(self.random, self.world.vault)
        if found is None:
            return None
        entry, _ = self.call("DeleteObject", "DELETE", self.world.vault, found[0], query={"versionId": found[1]},
                             offer=offer)
        if entry.done:
            self.world.precious.discard(found)
        return entry


class Harness:
    """One run."""

    def __init__(self, options, directory: Path):
        self.options = options
        self.chance = random.Random(options.seed)
        self.count: Counter = Counter()
        self.restarts: list[float] = []
        self.directory = directory
        self.proxy = self.store = None

    def start(self) -> None:
        """Starts the store and the proxy, and makes what the clients work on."""
        options, directory = self.options, self.directory
        self.upstream, self.store = start_store(options.upstream, directory / "store")
        self.proxy = CrashProxy(options.binary, directory / "proxy", self.upstream)
        self.disk = Disk(directory / "faults", self.proxy.state)
        self.proxy.preload = {
            "LD_PRELOAD": str(options.faults),
            "FAULTS_CONTROL": str(directory / "faults"),
            "PORTCULLIS_AUDIT__SEGMENT_SIZE": "1 MiB",
            "PORTCULLIS_TRAIL__LOG_PERIOD": "1s",
        }
        self.proxy.listen = f"127.0.0.1:{quiet_port()}"
        self.proxy.start()
        self.world = World(self.proxy, self.upstream, f"{options.seed & 0xFFFFFF:x}")
        self.world.build()
        self.checks = Checks(self.world, self.count)
        self.trail = Trail(self.world, self.checks, self.count)
        self.trail.create()
        self.traffic, self.ledger = Traffic(), Ledger()
        self.clients = self._clients()
        base = (str(options.seed), self.world, self.traffic, self.ledger)
        self.probe, self.operator = Probe("probe", *base, credentials=self.proxy.root), Operator("caller", *base)

    def _clients(self) -> list:
        base = (str(self.options.seed), self.world, self.traffic, self.ledger)
        root, alice = self.proxy.root, self.world.alice
        return [
            *(Worker(f"root{number}", *base, credentials=root) for number in range(3)),
            Worker("alice", *base, credentials=alice),
            Owner("owner", *base, credentials=root),
            Sdk("sdk", *base),
            Operator("operator", *base),
            Lout("lout", *base),
        ]

    def run(self) -> bool:
        """Kills, breaks, and tells; true if all was well."""
        for client in self.clients:
            client.start()
        began = time.monotonic()
        while self._goes_on(time.monotonic() - began):
            self._bear(self.kill_under_load)
            if self.count["kills"] % 20 == 0:
                print(f"  {self.count['kills']} kills, {self.ledger.requests} requests", flush=True)
        spent = time.monotonic() - began
        for name in self.options.faults_wanted:
            for _ in range(self.options.rounds):
                self._bear(lambda name=name: self.break_disk(name))
        self._bear(self.start_on_full_disk)
        self.traffic.end()
        if not self.checks.problems and self.count["spent codes sent again"] < ENOUGH_CODES:
            self.checks.problem("too few spent codes were tried again")
        self._bear(self.trail.end)
        self._bear(self.checks.at_last)
        for client in self.clients:
            if client.failure:
                self.checks.problem(f"the harness's client {client.name} failed: {client.failure!r}")
        self.tell(spent)
        return not self.checks.problems

    def _bear(self, work) -> None:
        """Goes on while all is well; a proxy that does not serve again is told like any other problem."""
        if self.checks.problems:
            return
        try:
            work()
        except AssertionError as error:
            self.checks.problem(str(error))

    def _goes_on(self, spent: float) -> bool:
        """Until there were enough kills, and enough codes: the devices give eight in half a minute."""
        few_codes = self.count["spent codes sent again"] < ENOUGH_CODES and spent < 120
        return not self.checks.problems and (self.count["kills"] < self.options.kills or few_codes)

    def close(self) -> None:
        """Ends what was started."""
        if self.proxy and self.proxy.process:
            self.proxy.kill()
        if self.store:
            self.store.kill()
            self.store.wait(30)
        elif self.options.upstream != "embedded":
            upstreams.stop(self.upstream, self.directory / "store")

    # Kills

    def kill_under_load(self) -> None:
        """One kill, sometimes another while the proxy starts again, and the checks."""
        self.traffic.let()
        # Not always under way for long: the first moments after a start are moments too.
        wanted = int(self.chance.expovariate(1 / 120)) + 1
        self.traffic.until(self.traffic.started + wanted, 10)
        # Sometimes long enough for the trail to be delivered meanwhile.
        time.sleep(self.chance.uniform(0.5, 2.5) if self.chance.random() < 0.2 else self.chance.uniform(0, 0.01))
        self._kill()
        while self.chance.random() < 0.12:
            self.count["kills while it started"] += 1
            self.count["kills"] += 1
            self.proxy.kill_while_starting(self.chance.uniform(0, 1.2) * self._usual_start())
            self.checks.read()
        self._restart()
        self._check()

    def _kill(self) -> None:
        self.proxy.kill()
        self.count["kills"] += 1
        self.traffic.halt()
        self.checks.after_kill()

    def _restart(self) -> None:
        began = time.monotonic()
        try:
            self.proxy.start()
        except AssertionError:
            self.proxy.tell_threads()
            raise
        self.restarts.append(time.monotonic() - began)

    def _usual_start(self) -> float:
        return sorted(self.restarts)[len(self.restarts) // 2] if self.restarts else 0.2

    def _check(self, closed_at: float | None = None, mode: str = "deny-mutations") -> None:
        self.checks.after_restart(self.ledger.take(), closed_at, mode)
        self.checks.protection()
        self.checks.replay(self.probe)
        self.checks.after_restart(self.ledger.take())

    # Faults of the disk

    def break_disk(self, name: str) -> None:
        """Lets the disk fail under load; the proxy must do nothing that it cannot record."""
        faults, where = FAULTS[name]
        mode = ON_FAILURE.get(name, "deny-mutations")
        if mode != self.proxy.preload.get("PORTCULLIS_AUDIT__ON_FAILURE", "deny-mutations"):
            self.proxy.stop()
            self.proxy.preload["PORTCULLIS_AUDIT__ON_FAILURE"] = mode
            self._restart()
        self.traffic.let()
        self.traffic.until(self.traffic.started + self.chance.randint(1, 100), 10)
        closed_at = time.monotonic()
        began = len(self.proxy.log())
        self.disk.fail(faults, where, self.chance.randint(0, 40))
        deadline = time.monotonic() + 30
        while not self.disk.hits and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self.disk.hits:
            self.checks.problem(f"{name}: nothing of the proxy met it in 30 s")
        if faults == PASSING:
            # What lies in the segment that is there goes on until that is full.
            self._says(name, PAUSED, 60, since=began)
        time.sleep(self.chance.uniform(0.05, 0.5))
        self.traffic.halt()
        if where == "state/":
            self._refuses_codes(name)
        else:
            self._while_closed(name, mode)
        hits = self.disk.hits
        said = len(self.proxy.log())
        self.disk.heal()
        if faults == PASSING:
            self._says(name, RESUMED, 15, since=said)
            if not self.probe.put(self.world.plain).done:
                self.checks.problem(f"{name}, now over: a write is not taken")
        elif where != "state/":
            # It is unknown what the disk holds, so that it is not tried again.
            self._while_closed(f"{name}, now over", mode)
        closings = len(self.checks.closings)
        self._kill()
        self._restart()
        # Where the state alone fails, the journal takes everything.
        self._check(None if where == "state/" else closed_at, mode)
        self.count[f"fault: {name}: times"] += 1
        self.count[f"fault: {name}: calls that failed"] += hits
        if where != "state/" and len(self.checks.closings) <= closings:
            self.checks.problem(f"{name}: that the journal was closed is not recorded")
        self.count[f"fault: {name}: closings recorded"] += len(self.checks.closings) - closings

    def _says(self, name: str, words: str, seconds: float, since: int = 0) -> None:
        """Waits until the proxy's log says so."""
        deadline = time.monotonic() + seconds
        while words not in self.proxy.log()[since:]:
            if time.monotonic() > deadline:
                self.checks.problem(f"{name}: the proxy does not say '{words}' within {seconds:.0f} s")
                return
            time.sleep(0.05)

    def _while_closed(self, name: str, mode: str) -> None:
        probe, world = self.probe, self.world
        found = world.some(self.chance, world.plain)
        changes = [
            probe.put(world.plain),
            probe.call("DeleteObject", "DELETE", world.plain, found[0])[0],
            probe.call("DeleteObject", "DELETE", world.plain, found[0], query={"versionId": found[1]})[0],
            probe.batch(world.plain, [(found[0], None)]),
            probe.versioning(world.loose[0], "Suspended"),
            probe.call("CreateMultipartUpload", "POST", world.plain, "upload", query={"uploads": ""})[0],
            self.operator.ask("CreateUser", UserName="nobody"),
        ]
        for entry in changes:
            allowed = mode == "allow" and entry.event != "CreateUser"
            if not entry.done if allowed else entry.status != 503:
                self.checks.problem(f"{name}: {entry.event} was answered with {entry.status} {entry.code}")
        if mode == "allow":
            self._refuses_codes(name)
        read, _ = probe.call("GetBucketVersioning", "GET", world.plain, query={"versioning": ""})
        if read.status != (503 if mode == "deny-all" else 200):
            self.checks.problem(f"{name}: a read was answered with {read.status} {read.code}")

    def _refuses_codes(self, name: str) -> None:
        offer = self.world.codes.wait()
        found = self.world.some(self.chance, self.world.vault)
        entry, _ = self.probe.call("DeleteObject", "DELETE", self.world.vault, found[0], query={"versionId": found[1]},
                                   offer=offer)
        if entry.status != 503:
            self.checks.problem(f"{name}: a code was answered with {entry.status} {entry.code}")

    def start_on_full_disk(self) -> None:
        """A start that finds the disk full says so, and loses nothing."""
        self.proxy.kill()
        self.checks.after_kill()
        self.disk.fail(NO_SPACE)
        said = self.proxy.refuses_to_start()
        if "panicked" in said or "No space left" not in said:
            self.checks.problem(f"a start on a full disk says: {said[-500:]}")
        self.disk.heal()
        self._restart()
        self._check()
        self.count["fault: start on a full disk: times"] += 1

    def tell(self, spent: float) -> None:
        """The counts."""
        kills = self.count["kills"]
        print(f"\nseed {self.options.seed}, upstream {self.options.upstream}")
        for name in sorted(self.count):
            print(f"  {name:<60} {self.count[name]:>8}")
        restarts = sorted(self.restarts)
        print(f"  {'restarts':<60} {len(restarts):>8}")
        print(f"  {'seconds to serve again, median':<60} {restarts[len(restarts) // 2]:>8.2f}")
        print(f"  {'seconds to serve again, longest':<60} {restarts[-1]:>8.2f}")
        print(f"  {'kills in a minute':<60} {kills / max(spent, 1) * 60:>8.1f}")
        for problem in self.checks.problems:
            print(f"WRONG: {problem}")


def options():
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="tests/crash/run", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="that of an earlier run; left out, a new one")
    parser.add_argument("--upstream", choices=upstreams.KINDS, default="embedded")
    parser.add_argument("--rounds", type=int, default=3, help="how often each fault of the disk is tried")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="this one alone, or these")
    parser.add_argument("--short", action="store_true", help="the two faults that matter most, once each")
    parser.add_argument("--binary", type=Path, default=TOP / "target" / "debug" / "portcullis")
    parser.add_argument("--faults", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, required=True, help=argparse.SUPPRESS)
    found = parser.parse_args()
    found.seed = random.SystemRandom().getrandbits(32) if found.seed is None else found.seed
    found.directory = found.directory.resolve()  # The disk knows its files by their whole names.
    found.faults_wanted = found.fault or (SHORT_RUN if found.short else tuple(FAULTS))
    found.rounds = 1 if found.short else found.rounds
    return found


def main() -> int:
    """Runs, and keeps what was there when it went wrong."""
    asked = options()
    print(f"seed {asked.seed}: {asked.kills} kills in front of {asked.upstream}", flush=True)
    shutil.rmtree(asked.directory, ignore_errors=True)
    asked.directory.mkdir(parents=True)
    # So that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    harness = Harness(asked, asked.directory)
    try:
        harness.start()
        well = harness.run()
    finally:
        harness.close()
    if well:
        shutil.rmtree(asked.directory)
        return 0
    print(f"what is left of it: {asked.directory}; again: tests/crash/run --seed {asked.seed}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
