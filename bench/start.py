"""Measures a start: from the exec of `portcullis serve` to the line by which it says that it listens.

The state has 10,000 buckets under MFA Delete and a journal of a million records, unless told otherwise. Each round starts
it with the files in memory, as after a restart of the service; with none of them there, as after one of the machine; and
after Portcullis was killed.
"""

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
WORK = TOP / ".test" / "bench" / "start"
MOST = 3.0
READY = b"portcullis listening on "


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--buckets", type=int, default=10_000)
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--check", action="store_true", help=f"fail where a start takes more than {MOST:.0f} s")
    arguments.add_argument("--binary", type=Path, default=TOP / "target" / "release" / "portcullis")
    chosen = arguments.parse_args()

    state = make(chosen.buckets, chosen.records)
    times: dict[str, list[float]] = {"files in memory": [], "files on the disk": [], "after a kill": []}
    for _ in range(chosen.rounds):
        for title, seconds in times.items():
            if title == "files on the disk":
                forget(state)
            if title == "after a kill":
                start(chosen.binary, state, signal.SIGKILL)
            seconds.append(start(chosen.binary, state))
    print(f"{chosen.buckets} buckets, {chosen.records} records, {size(state) >> 20} MiB")
    for title, seconds in times.items():
        print(f"{title}: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")
    most = max(statistics.median(seconds) for seconds in times.values())
    if chosen.check and most > MOST:
        print(f"bench: a start takes {most:.2f} s, more than {MOST:.0f} s", file=sys.stderr)
        sys.exit(1)


def make(buckets: int, records: int) -> Path:
    """The state, made by the program's own code; it is kept for the next time."""
    place = WORK / f"{buckets}-{records}"
    if not (place / "made").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        program = TOP / "target" / "release" / "examples" / "large_state"
        subprocess.run([program, place / "state", str(buckets), str(records)], check=True)
        (place / "made").touch()
    return place / "state"


def start(binary: Path, state: Path, ended_by: signal.Signals = signal.SIGTERM) -> float:
    """The seconds of one start; Portcullis is ended at once by this signal."""
    config, keys = state.parent / "portcullis.toml", state.parent / "upstream.env"
    keys.touch(mode=0o600)
    keys.write_text("AWS_ACCESS_KEY_ID=AKIAMEASURED00000000\nAWS_SECRET_ACCESS_KEY=measured\n")
    config.touch(mode=0o600)
    config.write_text(f'[listen]\naddress = "127.0.0.1:{free_port()}"\n[state]\ndirectory = "{state}"\n'
                      f'[upstream]\nendpoint = "http://127.0.0.1:9"\ncredentials_file = "{keys}"\n')
    with (state.parent / "stderr.log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen([binary, "serve", "--config", config], stdout=subprocess.PIPE, stderr=log)
        line = process.stdout.readline()
        seconds = time.monotonic() - began
    if not line.startswith(READY):
        raise SystemExit(f"it does not start: {(state.parent / 'stderr.log').read_text()[-2000:]}")
    process.send_signal(ended_by)
    process.wait(60)
    return seconds


def forget(state: Path) -> None:
    """Takes the files out of the system's memory."""
    os.sync()
    for file in state.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def size(state: Path) -> int:
    return sum(file.stat().st_size for file in state.rglob("*") if file.is_file())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
