"""Floods the proxy while root and a user work, and holds it to its promises.

First it is quiet, then everything floods at once, then it is quiet again. Root and the user are in this process and do
the same all the while; the floods, the store and what makes it stall are processes of their own. For the first half of
the flood the proxy's log is not read. The state lies on a small disk.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "clients"), str(TOP / "tests" / "crash")]

from checks import Checks  # noqa: E402
from clients import Root, User  # noqa: E402
from floods import IDLE, JUNK, REFUSED, STALLED, UNSIGNED  # noqa: E402
from ledger import Entry, Ledger  # noqa: E402
from load import Traffic  # noqa: E402
from rig.clients import Credentials  # noqa: E402
from rig.upstreams import Upstream  # noqa: E402
from watch import SoakProxy, Watch, processor, used_by_files, used_of_disk  # noqa: E402
from world import World, quiet_port, start_store  # noqa: E402

# What is promised, beside that the user is hardly slower.
CODED_SECONDS = 10
MEMORY_MIB = 256
LOG_BYTES = 2 << 20
DISK_MIB, FREE_MIB = 256, 16
# How the disk is measured: one of its own is as large as is promised.
DISKS = {"own": used_of_disk, "shared": used_by_files}
# How much of what it sends while it is quiet the user sends at the least under the flood.
WORK = 0.8
# How much of its rate a flood has to reach, so that a run without a flood is not taken for a good one.
FLOODED = 0.5
STALLED_BUCKET = "stalled"
# Shorter than by default, so that what is slow or stalls meets the proxy's limits within a short run.
PATIENCE = 10
SETTINGS = {
    "PORTCULLIS_AUDIT__SEGMENT_SIZE": "4 MiB",
    "PORTCULLIS_LIMITS__BODY_IDLE": f"{PATIENCE}s",
    "PORTCULLIS_UPSTREAM__RESPONSE_TIMEOUT": f"{PATIENCE}s",
}
LOST_LINES = "lines of the log were lost"


@dataclass
class Phase:
    """A part of the run."""

    name: str
    began: float
    ended: float = 0.0
    processor: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class Soak:
    """One run."""

    def __init__(self, options):
        self.options = options
        self.directory = options.directory.resolve()
        self.count: Counter = Counter()
        self.phases: list[Phase] = []
        self.flooded: dict = {}
        self.processes: list[subprocess.Popen] = []
        self.proxy = None

    def start(self) -> None:
        """Starts the store and the proxy, and makes what the clients work on."""
        options, directory = self.options, self.directory
        store, process = start_store("embedded", directory / "store")
        self.processes.append(process)
        port = quiet_port()
        self._spawn("relay.py", str(port), str(urlsplit(store.endpoint).port), STALLED_BUCKET)
        relayed = Upstream("embedded", f"http://127.0.0.1:{port}", store.credentials, "embedded")
        self.proxy = SoakProxy(options.binary, directory / "disk" / "proxy", relayed, SETTINGS)
        self.proxy.start()
        self.pid = self.proxy.process.pid
        nonce = f"{options.seed & 0xFFFFFF:x}"
        self.world = World(self.proxy, store, nonce)
        self.world.build()
        self.flood_bucket = f"flood-{nonce}"
        self.proxy.client().create_bucket(Bucket=self.flood_bucket)
        made = self.proxy.json("user", "add", "mallory")
        self.mallory = Credentials(made["accessKeyId"], made["secretAccessKey"])
        self.checks = Checks(self.world, self.count)
        self.watch = Watch(self.proxy, directory / "disk", DISKS[options.disk])
        self.traffic, self.ledger = Traffic(), Ledger()
        base = (str(options.seed), self.world, self.traffic, self.ledger)
        self.clients = [User("user", *base, credentials=self.world.alice), Root("root", *base, credentials=self.proxy.root)]

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen:
        """Starts a program of this folder, and waits until it says that it is ready."""
        command = [sys.executable, str(Path(__file__).parent / program), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        if program == "relay.py":
            assert process.stdout.readline() == "ready\n", "the relay does not start"
        return process

    def run(self) -> bool:
        """Floods, and tells; true if all was well."""
        for client in self.clients:
            client.start()
        self.watch.start()
        self.traffic.let()
        time.sleep(3)  # Connections are made and caches filled before anything counts.
        self.phase("quiet before", self.options.quiet)
        flood = self._begin_flood()
        self.proxy.pipe.stall()
        self.phase("flood, log not read", self.options.seconds / 2)
        read = self.proxy.pipe.bytes
        self.proxy.pipe.read()
        self.phase("flood, log read", self.options.seconds / 2)
        told, _ = flood.communicate("", timeout=60)
        self.flooded = json.loads(told)
        time.sleep(2)
        self.phase("quiet after", self.options.quiet)
        self.log_bytes = self.proxy.pipe.bytes - read
        self.traffic.halt()
        self.traffic.end()
        self.watch.end()
        self.judge()
        return not self.checks.problems

    def phase(self, name: str, seconds: float) -> None:
        """Lets the clients work on for so long."""
        phase = Phase(name, time.monotonic())
        self.phases.append(phase)
        self.watch.phase = name
        before = self._processor()
        while time.monotonic() < phase.began + seconds and self.proxy.process.poll() is None:
            time.sleep(0.1)
        phase.processor = self._processor() - before
        phase.ended = time.monotonic()
        print(f"  {name}: {phase.seconds:.0f} s", flush=True)

    def _processor(self) -> float:
        return processor(self.pid) if self.proxy.process.poll() is None else 0.0

    def _begin_flood(self) -> subprocess.Popen:
        told = {
            "proxy": self.proxy.place.host,
            "keys": [self.mallory.access_key, self.mallory.secret_key],
            "vault": self.world.vault,
            "plain": self.world.plain,
            "flooded": self.flood_bucket,
            "stalled": STALLED_BUCKET,
            "scale": self.options.scale,
            "seed": self.options.seed,
        }
        settings = self.directory / "floods.json"
        settings.write_text(json.dumps(told))
        return self._spawn("floods.py", str(settings))

    def close(self) -> None:
        """Ends what was started."""
        if self.proxy and self.proxy.process:
            self.proxy.kill()
        for process in self.processes:
            process.kill()
            process.wait(30)

    # What must hold

    def judge(self) -> None:
        """Holds the proxy to its promises, and prints the figures."""
        problem, entries = self.checks.problem, self.ledger.take()
        if self.proxy.process.poll() is not None or self.proxy.process.pid != self.pid:
            problem(f"the proxy ended: {self.proxy.log()[-2000:]}")
            return
        for client in self.clients:
            if client.failure:
                problem(f"the client {client.name} failed: {client.failure!r}")
        self.settle()
        self.checks.after_restart(entries)
        self.checks.protection()
        self.checks.at_last()
        if self.checks.closings:
            problem(f"the journal was closed: {self.checks.closings}")
        refused = [entry for entry in entries if not entry.done]
        for entry in refused[:5]:
            problem(f"{entry.client}'s {entry.event} {entry.tag} in `{self.phase_of(entry)}` was answered with "
                    f"{entry.status} {entry.code or ''} after {entry.ended - entry.began:.1f} s")
        if len(refused) > 5:
            problem(f"{len(refused)} of {len(entries)} requests were not done")
        self.judge_times(entries)
        self.judge_use()
        self.judge_floods()
        self.tell(entries)

    def settle(self) -> None:
        """Waits until what the store stalled over has an end on record, though its client left long ago."""
        deadline = time.monotonic() + 2 * PATIENCE
        self.checks.read()
        while self.checks.open and time.monotonic() < deadline:
            time.sleep(0.5)
            self.checks.read()

    def phase_of(self, entry: Entry) -> str:
        """In which phase a request began."""
        return next((phase.name for phase in self.phases if phase.began <= entry.began < phase.ended), "between")

    def judge_times(self, entries: list[Entry]) -> None:
        """The user is hardly slower, and root's codes come through."""
        problem = self.checks.problem
        quiet, flood = (self.of(entries, "user", kind) for kind in ("quiet", "flood"))
        if percentile(flood, 99) > self.options.slower * percentile(quiet, 99):
            problem(f"the user's 99th percentile is {percentile(flood, 99):.1f} ms under the flood, and "
                    f"{percentile(quiet, 99):.1f} ms while it is quiet")
        rates = {kind: len(self.of(entries, "user", kind)) / self.length(kind) for kind in ("quiet", "flood")}
        if rates["flood"] < WORK * rates["quiet"]:
            problem(f"the user sent {rates['flood']:.1f} requests a second under the flood, {rates['quiet']:.1f} before")
        coded = self.of(entries, "root", "flood", coded=True)
        if max(coded, default=0) > CODED_SECONDS * 1000:
            problem(f"one of root's requests with a code took {max(coded) / 1000:.1f} s")
        if len(coded) < self.length("flood") / 15:
            problem(f"root made but {len(coded)} requests with a code under the flood")

    def judge_use(self) -> None:
        """Memory, log and disk are bounded."""
        problem, most = self.checks.problem, self.watch.most
        memory = max(seen["memory"] for seen in most.values())
        disk = max(seen["disk"] for seen in most.values())
        if memory > MEMORY_MIB:
            problem(f"the proxy had {memory:.0f} MiB of memory, more than {MEMORY_MIB}")
        if self.log_bytes > LOG_BYTES:
            problem(f"the proxy wrote {self.log_bytes} bytes of log")
        if disk > DISK_MIB - FREE_MIB:
            problem(f"{disk:.0f} of {DISK_MIB} MiB of disk were in use")

    def judge_floods(self) -> None:
        """The floods were what they should have been."""
        begun, seconds, scale = self.flooded["begun"], self.length("flood"), self.options.scale
        refused = sum(count for name, count in begun.items() if name in ("refused writes: 403", "refused writes: 409"))
        for name, seen, wanted in (
            ("connections that say nothing", self.flooded["at once"].get("idle", 0), IDLE / 2),
            ("junk", begun.get("junk", 0), JUNK * seconds * scale),
            ("requests without a signature", begun.get("unsigned", 0), UNSIGNED * seconds * scale),
            ("refused writes", refused, REFUSED * seconds * scale),
            ("requests that stall", begun.get("stalled store", 0), min(STALLED * seconds * scale, 200)),
        ):
            if seen < FLOODED * wanted:
                self.checks.problem(f"the flood was none: {seen:.0f} {name}")

    def of(self, entries: list[Entry], client: str, kind: str, coded: bool = False) -> list[float]:
        """The milliseconds of a client's requests in the phases of this kind; those with a code alone, or all."""
        return [
            (entry.ended - entry.began) * 1000
            for entry in entries
            if entry.client == client and self.phase_of(entry).startswith(kind) and (entry.offer or not coded)
        ]

    def length(self, kind: str) -> float:
        """How long the phases of this kind were, in seconds."""
        return sum(phase.seconds for phase in self.phases if phase.name.startswith(kind))

    # The figures

    def tell(self, entries: list[Entry]) -> None:
        """The table."""
        print(f"\nseed {self.options.seed}, floods at {self.options.scale} of their rates, {self.options.binary}")
        if self.options.disk == "shared":
            print("  the disk is this machine's, since no file system may be mounted here: its end is not met")
        print(f"  {'':<46}" + "".join(f"{phase.name:>21}" for phase in self.phases))
        for title, figure in (
            ("seconds", lambda name, phase: f"{phase.seconds:.0f}"),
            ("the user's requests", lambda name, phase: f"{len(self.of(entries, 'user', name))}"),
            ("  median, ms", lambda name, phase: f"{percentile(self.of(entries, 'user', name), 50):.1f}"),
            ("  99th percentile, ms", lambda name, phase: f"{percentile(self.of(entries, 'user', name), 99):.1f}"),
            ("  longest, ms", lambda name, phase: f"{percentile(self.of(entries, 'user', name), 100):.1f}"),
            ("root's requests with a code", lambda name, phase: f"{len(self.of(entries, 'root', name, coded=True))}"),
            ("  longest, ms", lambda name, phase: f"{percentile(self.of(entries, 'root', name, coded=True), 100):.1f}"),
            ("the proxy's memory at the most, MiB", lambda name, phase: f"{self.watch.most[name]['memory']:.0f}"),
            ("  descriptors at the most", lambda name, phase: f"{self.watch.most[name]['descriptors']:.0f}"),
            ("  disk at the most, MiB", lambda name, phase: f"{self.watch.most[name]['disk']:.0f}"),
            ("  processor, cores", lambda name, phase: f"{phase.processor / max(phase.seconds, 1):.2f}"),
        ):
            print(f"  {title:<46}" + "".join(f"{figure(phase.name, phase):>21}" for phase in self.phases))
        quiet, flood = (self.of(entries, "user", kind) for kind in ("quiet", "flood"))
        ratio = percentile(flood, 99) / max(percentile(quiet, 99), 0.001)
        rows = [
            ("the user's 99th percentile while quiet, ms", f"{percentile(quiet, 99):.1f} of {len(quiet)}"),
            ("the same under the flood, ms", f"{percentile(flood, 99):.1f} of {len(flood)}"),
            ("  times the quiet one", f"{ratio:.2f}"),
            ("requests of root and the user", str(len(entries))),
            ("  answered, and held against their records", str(self.count["acknowledged"])),
            ("  not done", str(sum(not entry.done for entry in entries))),
            ("bytes of log, once it was read", str(self.log_bytes)),
            ("  which says that lines were lost", "yes" if LOST_LINES in self.proxy.log() else "no"),
        ]
        rows += [(f"flood: {name}", str(count)) for name, count in sorted(self.flooded["begun"].items())]
        rows += [(f"flood at once: {name}", str(count)) for name, count in sorted(self.flooded["at once"].items())]
        rows += [(name, str(count)) for name, count in sorted(self.count.items())]
        for name, value in rows:
            print(f"  {name:<60} {value:>16}")
        for problem in self.checks.problems:
            print(f"WRONG: {problem}")


def percentile(times: list[float], percent: float) -> float:
    """So many percent of these are no longer; zero where there are none."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def options():
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="tests/soak/run", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long the flood is")
    parser.add_argument("--minutes", type=float, help="the same in minutes")
    parser.add_argument("--quiet", type=float, help="how long it is quiet before and after; a sixth, left out")
    parser.add_argument("--slower", type=float, default=3, help="times its quiet 99th percentile for the user, at the most")
    parser.add_argument("--scale", type=float, default=1.0, help="times the rate of each flood")
    parser.add_argument("--seed", type=int, help="that of an earlier run; left out, a new one")
    parser.add_argument("--binary", type=Path, default=TOP / "target" / "release" / "portcullis")
    parser.add_argument("--directory", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--disk", choices=DISKS, required=True, help=argparse.SUPPRESS)
    found = parser.parse_args()
    found.seed = random.SystemRandom().getrandbits(32) if found.seed is None else found.seed
    found.seconds = found.minutes * 60 if found.minutes else found.seconds
    found.quiet = max(10, min(60, found.seconds / 6)) if found.quiet is None else found.quiet
    return found


def main() -> int:
    """Runs, and keeps what was there when it went wrong."""
    asked = options()
    print(f"seed {asked.seed}: floods for {asked.seconds:.0f} s", flush=True)
    # So that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    soak = Soak(asked)
    try:
        soak.start()
        well = soak.run()
    finally:
        soak.close()
    if not well:
        # The disk is gone with this process.
        kept = asked.directory / "kept"
        shutil.copytree(soak.proxy.directory, kept, ignore=shutil.ignore_patterns("*.sock"))
        print(f"what is left of it: {kept}; again: tests/soak/run --seed {asked.seed}", file=sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
