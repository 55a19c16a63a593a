"""Root's MFA devices, each of which gives one code every 30 seconds."""

import time
from dataclasses import dataclass

import pyotp

from .proxy import Proxy

PERIOD = 30
# Root may have eight; the commands' own tests need room for one more.
MOST_DEVICES = 7
# After as many wrong codes within a year a device asks for two at a time.
TOLERATED = 2
# A code handed out this close to the end of its step would arrive in the next one, and the proxy could take the
# device for a slow one.
MARGIN = 4


@dataclass
class Device:
    """A virtual MFA device whose seed we know."""

    serial: str
    seed: str
    spent: int
    failures: int = 0

    def code(self, step: int) -> str:
        """The code of one time step."""
        return pyotp.TOTP(self.seed).generate_otp(step)

    def offer(self, *steps: int) -> str:
        """What goes into x-amz-mfa."""
        return " ".join([self.serial, *(self.code(step) for step in steps)])


def now_step() -> int:
    """The time step of this moment."""
    return int(time.time()) // PERIOD


def wait_for_step(step: int) -> None:
    """Waits until a time step has begun; at most two steps, since no test needs more."""
    deadline = time.time() + 2 * PERIOD + 1
    while now_step() < step:
        assert time.time() < deadline, "the clock stands still"
        time.sleep(min(0.2, max(0.01, step * PERIOD - time.time())))


def settle() -> int:
    """Waits out the last seconds of a time step, and returns the step it then is."""
    if PERIOD - time.time() % PERIOD < MARGIN:
        wait_for_step(now_step() + 1)
    return now_step()


class Codes:
    """Hands out each code once."""

    def __init__(self, proxy: Proxy):
        self.proxy = proxy
        self.devices: list[Device] = []
        self.made = 0

    def grow(self) -> None:
        """Enrols further devices as far as that needs no waiting."""
        while len(self.devices) < MOST_DEVICES:
            step = settle()
            sponsor = self._ready(step)
            if self.devices and sponsor is None:
                return
            self._enrol(sponsor, step)

    def renew(self) -> None:
        """Replaces the devices with failures, which nothing takes away, as far as that needs no waiting."""
        for device in [device for device in self.devices if device.failures]:
            self.devices.remove(device)
            step = settle()
            sponsor = self._ready(step)
            if sponsor is None:
                self.devices.append(device)
                return
            self.proxy.command("mfa", "remove", "--serial", device.serial, "--mfa", self._spend(sponsor, step))
        self.grow()

    def _ready(self, step: int) -> Device | None:
        ready = [device for device in self.devices if device.spent < step and device.failures < TOLERATED]
        # Devices with a failure first, since wrong codes are offered for the others.
        return max(ready, key=lambda device: device.failures, default=None)

    def _enrol(self, sponsor: Device | None, step: int) -> None:
        made = self.proxy.json("mfa", "add", "--name", f"d{self.made}", "--no-activate")
        self.made += 1
        device = Device(made["serialNumber"], made["base32Seed"], step)
        # An inactive device opens nothing; letting its codes count is what takes a code of an older one.
        leave = ["--mfa", self._spend(sponsor, step)] if sponsor else []
        self.proxy.command("mfa", "activate", "--serial", device.serial, device.code(step - 1), device.code(step), *leave)
        self.devices.append(device)

    def _spend(self, device: Device, step: int) -> str:
        device.spent = step
        return device.offer(step)

    def idle(self, rested: int = 1) -> tuple[Device, int]:
        """A device that spent nothing in its last `rested` steps, and the step it now is."""
        self.grow()
        deadline = time.time() + (rested + 4) * PERIOD
        while True:
            step = settle()
            for device in self.devices:
                if device.spent <= step - rested and device.failures == 0:
                    return device, step
            if all(device.failures for device in self.devices):
                self.renew()
            self.grow()
            told = [(device.spent, device.failures) for device in self.devices]
            assert time.time() < deadline, f"no device is idle in step {step}: spent and failures of each are {told}"
            wait_for_step(step + 1)

    def take(self) -> str:
        """A serial and a fresh code, waiting for the next time step only when all are spent."""
        self.grow()
        while not (device := self._ready(step := settle())):
            wait_for_step(step + 1)
        return self._spend(device, step)

    def lend(self) -> str:
        """A right offer that the proxy must not spend: the next test is handed the same code."""
        self.grow()
        while not (device := self._ready(step := settle())):
            wait_for_step(step + 1)
        return device.offer(step)

    def wrong(self) -> str:
        """A serial with six digits that are none of its codes about now."""
        device, step = self.idle()
        device.failures += 1
        near = {device.code(step + off) for off in range(-5, 6)}
        return f"{device.serial} {next(code for code in map('{:06}'.format, range(100)) if code not in near)}"

    def replayed(self, offer: str) -> str:
        """The same offer again, knowing that the device counts it as a failure."""
        serial = offer.split(" ")[0]
        next(device for device in self.devices if device.serial == serial).failures += 1
        return offer
