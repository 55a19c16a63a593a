"""What the clients work on: a store, the proxy in front of it, devices, buckets, and what is known of them."""

import random
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pyotp
from ledger import Entry
from rig import upstreams
from rig.clients import Credentials
from rig.codes import PERIOD, now_step
from rig.proxy import Proxy
from rig.upstreams import Upstream

TOP = Path(__file__).resolve().parents[2]
DEVICES = 8


class CrashProxy(Proxy):
    """The proxy, started so that its disk can be made to fail and that it can be killed while it starts."""

    preload: dict[str, str] = {}

    def start(self) -> "CrashProxy":
        """Starts the proxy and returns when it serves."""
        self.environment.update(self.preload)
        try:
            return super().start()
        finally:
            for name in self.preload:
                del self.environment[name]

    def tell_threads(self) -> None:
        """Writes down where a proxy that neither serves nor ends stands still."""
        if self.process.poll() is not None:
            return
        place = self.directory / "threads.txt"
        with place.open("w") as file:
            for task in sorted(Path(f"/proc/{self.process.pid}/task").iterdir()):
                told = [(task / name).read_text().strip() for name in ("comm", "wchan", "syscall")]
                print(task.name, *told, file=file, flush=True)
            if shutil.which("gdb"):
                command = ["gdb", "-p", str(self.process.pid), "-batch", "-ex", "thread apply all bt 40"]
                subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=120)
        print(f"  the proxy stands still: {place}", flush=True)

    def kill_while_starting(self, delay: float) -> None:
        """Starts the proxy, and kills it so much later, whether it serves by then or not."""
        starting = threading.Thread(target=self._start_in_vain, daemon=True)
        before = self.process
        starting.start()
        while self.process is before:
            time.sleep(0.0005)
        time.sleep(delay)
        self.kill()
        starting.join()

    def _start_in_vain(self) -> None:
        try:
            self.start()
        except AssertionError:
            pass  # Killed before it served.

    def refuses_to_start(self) -> str:
        """Starts the proxy, which must give up, and returns what it says."""
        before = len(self.log())
        try:
            self.start()
        except AssertionError:
            self.process.wait(30)
            return self.log()[before:]
        self.kill()
        raise AssertionError("the proxy started")


class Codes:
    """Codes of root's devices; each is handed out once."""

    def __init__(self, proxy: Proxy):
        self.proxy = proxy
        self.devices: list[dict] = []
        self._steps: dict[str, int] = {}
        self._lock = threading.Lock()

    def enrol(self) -> None:
        """Enrols all devices in one time step: each by two past codes, let in by the present code of the one before."""
        if PERIOD - time.time() % PERIOD < 10:
            time.sleep(PERIOD - time.time() % PERIOD + 0.1)
        step, sponsor = now_step(), None
        for number in range(DEVICES):
            made = self.proxy.json("mfa", "add", "--name", f"d{number}", "--no-activate")
            device = {"serial": made["serialNumber"], "totp": pyotp.TOTP(made["base32Seed"]), "spent": step - 1}
            codes = [device["totp"].generate_otp(step - 2), device["totp"].generate_otp(step - 1)]
            leave = ["--mfa", self._offer(sponsor, step)] if sponsor else []
            self.proxy.command("mfa", "activate", "--serial", device["serial"], *codes, *leave)
            self.devices.append(device)
            sponsor = device

    def _offer(self, device: dict, step: int) -> str:
        device["spent"] = step
        offer = f"{device['serial']} {device['totp'].generate_otp(step)}"
        self._steps[offer] = step
        return offer

    def is_current(self, offer: str) -> bool:
        """Whether the code of this offer is still looked at: in its own time step and the one after."""
        return int((time.time() + 3) // PERIOD) <= self._steps[offer] + 1

    def take(self) -> str | None:
        """A fresh offer, if a device has one to spare."""
        with self._lock:
            step = now_step()
            ready = next((device for device in self.devices if device["spent"] < step), None)
            return self._offer(ready, step) if ready else None

    def wait(self) -> str:
        """A fresh offer, waited for."""
        deadline = time.monotonic() + 2 * PERIOD
        while (offer := self.take()) is None:
            assert time.monotonic() < deadline, "the clock stands still"
            time.sleep(0.2)
        return offer


class World:
    """The buckets and the versions in them that are known to be there."""

    def __init__(self, proxy: CrashProxy, upstream: Upstream, nonce: str):
        self.proxy, self.upstream, self.nonce = proxy, upstream, nonce
        self.codes = Codes(proxy)
        self.plain, self.vault = f"plain-{nonce}", f"vault-{nonce}"
        self.loose = [f"loose-{number}-{nonce}" for number in range(2)]
        # Whether MFA Delete is on: True, False, or None where the proxy was killed over it.
        self.flips: dict[str, bool | None] = {f"flip-{number}-{nonce}": False for number in range(3)}
        self._lock = threading.Lock()
        self._versions: dict[str, list[tuple[str, str]]] = {self.plain: [], self.vault: []}
        # Each version of the vault that was acknowledged, until a right code was sent for it.
        self.precious: set[tuple[str, str]] = set()

    def build(self) -> None:
        """Makes devices, users and buckets."""
        self.codes.enrol()
        root = self.proxy.client()
        for bucket in (self.plain, self.vault, *self.loose, *self.flips):
            root.create_bucket(Bucket=bucket)
            root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        configuration = {"Status": "Enabled", "MFADelete": "Enabled"}
        root.put_bucket_versioning(Bucket=self.vault, VersioningConfiguration=configuration, MFA=self.codes.wait())
        made = self.proxy.json("user", "add", "alice")
        self.alice = Credentials(made["accessKeyId"], made["secretAccessKey"])

    def wrote(self, entry: Entry, version: str | None) -> None:
        """Remembers a version that was acknowledged."""
        if not entry.done or not version or entry.bucket not in self._versions:
            return
        with self._lock:
            known = self._versions[entry.bucket]
            known.append((entry.key, version))
            if entry.bucket == self.vault:
                self.precious.add((entry.key, version))
            elif len(known) > 2000:
                del known[:1000]

    def some(self, chance: random.Random, bucket: str) -> tuple[str, str] | None:
        """A known version."""
        with self._lock:
            known = self._versions[bucket]
            return chance.choice(known) if known else None

    def pop(self, chance: random.Random, bucket: str) -> tuple[str, str] | None:
        """A known version, which the caller will try to destroy."""
        with self._lock:
            known = self._versions[bucket]
            if len(known) < 20:
                return None
            found = known.pop(chance.randrange(len(known)))
            self.precious.discard(found)
            return found

    def flip(self, chance: random.Random) -> tuple[str, bool]:
        """A bucket, and whether MFA Delete is on in it."""
        bucket = chance.choice(sorted(self.flips))
        return bucket, bool(self.flips[bucket])

    def flipped(self, bucket: str, on: bool, entry: Entry) -> None:
        """Remembers what became of a change of MFA Delete."""
        if entry.done:
            self.flips[bucket] = on
        elif entry.status is None or entry.status >= 500 and not entry.undone:
            self.flips[bucket] = None


def start_store(kind: str, directory: Path) -> tuple[Upstream, subprocess.Popen | None]:
    """The store behind the proxy, in a process of its own."""
    if kind != "embedded":
        return upstreams.start(kind, directory), None
    keys = Credentials("AKIASTOREOFTHEHARNES", "a-secret-that-guards-nothing")
    process = subprocess.Popen(
        [TOP / "target" / "debug" / "examples" / "embedded", directory, f"127.0.0.1:{quiet_port()}"],
        stdout=subprocess.PIPE, text=True,
        env={"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key},
    )
    said = process.stdout.readline()
    assert "listening on" in said, "the store does not start"
    return Upstream("embedded", said.split()[-1], keys, "embedded"), process


def quiet_port() -> int:
    """A free port that the system gives to no process by itself: while the proxy is down, its port must stay free."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.SystemRandom().sample(range(first - 8000, first), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")

