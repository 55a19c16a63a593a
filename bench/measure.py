"""Measures Portcullis beside nginx as a plain reverse proxy, in front of the same static store.

The store (nginx with three files, which keeps what is put in memory) and the load (wrk) share core 0; the proxy under
test has core 1 for itself. The two proxies run in turn, cell by cell, so that what disturbs the machine disturbs both.
Every request is signed by botocore: Portcullis verifies it, judges it, signs it again and records it durably; nginx passes
it on. CPU time is the proxy's own, from /proc, and memory its peak within the cell.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TOP = Path(__file__).resolve().parents[1]
WORK = TOP / ".test" / "bench"
MEMORY = Path(f"/dev/shm/portcullis-bench-{os.getpid()}")
STORE_CORE, PROXY_CORE = "0", "1"
KIB, MIB = 1 << 10, 1 << 20
SIZES = {"4k": 4 * KIB, "64k": 64 * KIB, "64m": 64 * MIB}
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    method: str
    size: str
    connections: int
    presigned: bool = False

    @property
    def title(self) -> str:
        size = {"4k": "4 KiB", "64k": "64 KiB", "64m": "64 MiB"}[self.size]
        return f"{self.method} {size}{' presigned' if self.presigned else ''}, {self.connections}"


CELLS = [
    *(Cell("GET", "4k", count) for count in (1, 16, 64, 256)),
    Cell("GET", "4k", 64, presigned=True),
    *(Cell("GET", "64k", count) for count in (1, 16, 64, 256)),
    *(Cell("GET", "64m", count) for count in (1, 16)),
    *(Cell("PUT", "4k", count) for count in (1, 16, 64, 256)),
    *(Cell("PUT", "64m", count) for count in (1, 16)),
]
# These take minutes, since every connection moves gigabytes before a second is over.
FULL = [Cell(method, "64m", count) for method in ("GET", "PUT") for count in (64, 256)]


@dataclass
class Sample:
    """What one run of one cell gave."""

    rate: float
    cpu_per_request: float
    cpu_per_gigabyte: float
    p50: float
    p99: float
    memory: float


class Proxy:
    """A proxy under test, with whatever processes it is made of."""

    def __init__(self, name: str, endpoint: str, keys: Credentials, process: subprocess.Popen):
        self.name, self.endpoint, self.keys, self.process = name, endpoint, keys, process

    def pids(self) -> list[int]:
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        return [self.process.pid, *map(int, children)]

    def cpu(self) -> float:
        """Seconds of CPU used so far, user and kernel."""
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def forget_peak(self) -> None:
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self) -> float:
        """MiB that were resident at most since `forget_peak`."""
        status = (Path(f"/proc/{pid}/status").read_text() for pid in self.pids())
        return sum(int(re.search(r"VmHWM:\s+(\d+)", text)[1]) for text in status) / KIB


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                # A connection from the very port that it goes to has met itself.
                if connection.getsockname() != connection.getpeername():
                    return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"nothing listens on port {port}") from None
            time.sleep(0.05)


def nginx(name: str, core: str, server: str, extra: str = "") -> subprocess.Popen:
    directory = WORK / name
    directory.mkdir(parents=True, exist_ok=True)
    user = "user root;" if os.getuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"""{user} daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; {temporary}
  sendfile on; tcp_nodelay on; client_max_body_size 0;
  keepalive_timeout 1h; keepalive_requests 1000000000;
  {extra}
  server {{ {server} }}
}}
"""
    )
    command = ["taskset", "-c", core, "nginx", "-e", str(directory / "error.log"), "-c", str(directory / "nginx.conf")]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def start_store(port: int) -> subprocess.Popen:
    objects = WORK / "objects" / "bench"
    objects.mkdir(parents=True, exist_ok=True)
    for name, size in SIZES.items():
        (objects / name).write_bytes(os.urandom(MIB)[: min(size, MIB)] * max(1, size // MIB))
    return nginx(
        "store",
        STORE_CORE,
        f"""listen 127.0.0.1:{port} backlog=4096 reuseport; root {WORK}/objects; open_file_cache max=10 inactive=1h;
    location /bench/put/ {{
      root {MEMORY}/objects; client_body_temp_path {MEMORY}/bodies; dav_methods PUT; create_full_put_path on;
      add_header ETag '"d41d8cd98f00b204e9800998ecf8427e"';
    }}""",
    )


@contextmanager
def bench():
    """Room to work in, and the store: gives its port, and the processes to be ended with the block, itself the first."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    (MEMORY / "objects").mkdir(parents=True)
    started = []
    try:
        port = free_port()
        started.append(start_store(port))
        wait_for(port, started[0])
        yield port, started
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(30)
        shutil.rmtree(MEMORY, ignore_errors=True)


def start_nginx(store: int) -> Proxy:
    port = free_port()
    process = nginx(
        "proxy",
        PROXY_CORE,
        f"""listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://store; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_max_temp_file_size 0;
    }}""",
        f"upstream store {{ server 127.0.0.1:{store}; keepalive 512; keepalive_requests 1000000000; }}",
    )
    wait_for(port, process)
    return Proxy("nginx", f"http://127.0.0.1:{port}", Credentials("AKIAIOSFODNN7EXAMPLE", "nobody checks it"), process)


def start_portcullis(binary: Path, store: int, name: str = "portcullis", journal: str | None = None) -> Proxy:
    """Starts the product, or the example journal_cost with its journal there."""
    state, keys, log = WORK / f"{name}-state", WORK / "upstream.env", WORK / f"{name}.log"
    keys.touch(mode=0o600)
    keys.write_text("AWS_ACCESS_KEY_ID=benchbenchbenchbench\nAWS_SECRET_ACCESS_KEY=nobody-checks-it\nAWS_DEFAULT_REGION=us-east-1\n")
    port = free_port()
    address, upstream = f"127.0.0.1:{port}", f"http://127.0.0.1:{store}"
    arguments = ["dev", "--data", state, "--listen", address, "--upstream", upstream, "--upstream-credentials", keys]
    if journal:
        arguments = [journal, state, address, upstream, keys]
    command = ["taskset", "-c", PROXY_CORE, binary, *arguments]
    with log.open("wb") as out:
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=subprocess.STDOUT)
    while b"portcullis listening on " not in log.read_bytes():
        if process.poll() is not None:
            raise SystemExit(f"Portcullis does not start: {log.read_text()}")
        time.sleep(0.05)
    told = dict(re.findall(r"(AWS_\w+)=['\"]?([^'\"\s]+)", (state / "root.env").read_text()))
    return Proxy(name, f"http://127.0.0.1:{port}", Credentials(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"]), process)


def script(proxy: Proxy, cell: Cell) -> Path:
    """A wrk script that sends one signed request; its signature is good for 15 minutes, a cell takes seconds."""
    body = (WORK / "objects" / "bench" / cell.size).read_bytes() if cell.method == "PUT" else b""
    target = f"/bench/put/{cell.size}" if cell.method == "PUT" else f"/bench/{cell.size}"
    request = AWSRequest(cell.method, proxy.endpoint + target, data=body)
    if cell.presigned:
        S3SigV4QueryAuth(proxy.keys, "s3", "us-east-1", expires=900).add_auth(request)
        target = request.url.removeprefix(proxy.endpoint)
    else:
        S3SigV4Auth(proxy.keys, "s3", "us-east-1").add_auth(request)
        assert request.headers["X-Amz-Content-SHA256"] == hashlib.sha256(body).hexdigest()
    lines = [f"wrk.method = {json.dumps(cell.method)}", f"wrk.path = {json.dumps(target)}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(str(value))}" for name, value in request.headers.items()]
    if body:
        lines.append(f'wrk.body = io.open("{WORK}/objects/bench/{cell.size}", "rb"):read("*a")')
    lines.append(
        """done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"bytes":%d,"micros":%d,"p50":%f,"p99":%f,"failed":%d}\\n', summary.requests,
    summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write))
end"""
    )
    path = WORK / "load.lua"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(proxy: Proxy, cell: Cell, seconds: float) -> Sample:
    if cell.size == "64m":
        # Long enough that each connection ends a few of its requests.
        seconds = max(2 * seconds, 3 + 0.4 * cell.connections)
    command = ["taskset", "-c", STORE_CORE, "wrk", "-t1", f"-c{cell.connections}", f"-d{max(1, round(seconds))}s"]
    command += ["--timeout", "60s", "-s", str(script(proxy, cell)), proxy.endpoint]
    proxy.forget_peak()
    before = proxy.cpu()
    load = subprocess.run(command, capture_output=True, text=True)
    used = proxy.cpu() - before
    peak = proxy.peak()
    if load.returncode != 0:
        raise SystemExit(f"wrk: {load.stderr}{load.stdout}")
    told = json.loads(load.stdout.splitlines()[-1])
    if told["failed"] or not told["requests"]:
        raise SystemExit(f"{proxy.name}: {cell.title}: {told['failed']} of {told['requests']} requests failed")
    # Reads are counted by the byte, since the last of a large kind is cut off; wrk does not count what it writes.
    moved = told["bytes"] if cell.method == "GET" else told["requests"] * SIZES[cell.size]
    return Sample(
        told["requests"] / told["micros"] * 1e6,
        used / told["requests"] * 1e6,
        used / moved * 1e9,
        told["p50"] / 1e3,
        told["p99"] / 1e3,
        peak,
    )


def middle(samples: list[Sample]) -> Sample:
    return Sample(*(statistics.median(getattr(sample, name) for sample in samples) for name in Sample.__annotations__))


def table(results: dict[Cell, dict[str, Sample]]) -> list[str]:
    """One line for each cell: nginx's figures, then Portcullis's as ratios to them."""
    head = (
        "| request, connections | nginx req/s | CPU us/req | CPU s/GB | p50 ms | p99 ms | MiB "
        "| portcullis req/s | CPU/req | CPU/GB | p50 | p99 | MiB |"
    )
    lines = [head, "|---" + "|---:" * 12 + "|"]
    for cell, found in results.items():
        n, g = found["nginx"], found.get("portcullis")
        line = f"| {cell.title} | {n.rate:.0f} | {n.cpu_per_request:.1f} | {n.cpu_per_gigabyte:.2f} "
        line += f"| {n.p50:.2f} | {n.p99:.2f} | {n.memory:.0f} "
        if g:
            ratios = [
                ratio(g.rate, n.rate),
                ratio(g.cpu_per_request, n.cpu_per_request),
                ratio(g.cpu_per_gigabyte, n.cpu_per_gigabyte),
                ratio(g.p50, n.p50),
                ratio(g.p99, n.p99),
            ]
            line += f"| {' | '.join(ratios)} | {g.memory:.0f} |"
        else:
            line += "| " * 6 + "|"
        lines.append(line)
    return lines


def ratio(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.2f}x" if theirs else "-"


def shortfalls(results: dict[Cell, dict[str, Sample]]) -> list[str]:
    """What the project promises and the run did not give."""
    small, large = results[Cell("GET", "4k", 64)], results[Cell("GET", "64m", 1)]
    found = []
    if small["portcullis"].rate < 0.70 * small["nginx"].rate:
        found.append("4 KiB GET at 64 connections is below 0.70 of nginx's requests per second")
    if large["portcullis"].cpu_per_gigabyte > large["nginx"].cpu_per_gigabyte:
        found.append("64 MiB GET takes more CPU per GB than nginx")
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="one round of one second a cell")
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--full", action="store_true", help="also 64 and 256 connections of 64 MiB each")
    arguments.add_argument("--only", default="", help="cells whose title holds this text")
    arguments.add_argument("--baseline", action="store_true", help="nginx alone")
    arguments.add_argument("--check", action="store_true", help="fail where Portcullis is slower than promised")
    arguments.add_argument("--binary", type=Path, default=TOP / "target" / "release" / "portcullis")
    chosen = arguments.parse_args()
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("two cores are needed: one for the load, one for the proxy")
    rounds, seconds = (1, 1) if chosen.quick else (chosen.rounds, chosen.seconds)

    with bench() as (store_port, started):
        proxies = [start_nginx(store_port)]
        started.append(proxies[0].process)
        if not chosen.baseline:
            proxies.append(start_portcullis(chosen.binary, store_port))
            started.append(proxies[1].process)
        results = {}
        for cell in (cell for cell in CELLS + FULL * chosen.full if chosen.only in cell.title):
            samples = {proxy.name: [] for proxy in proxies}
            if cell.size != "64m":
                for proxy in proxies:
                    run(proxy, cell, 1)  # Connections are made and caches filled before anything counts.
            for _ in range(rounds):
                for proxy in proxies:
                    samples[proxy.name].append(run(proxy, cell, seconds))
            results[cell] = {name: middle(taken) for name, taken in samples.items()}
            print(f"measured {cell.title}", file=sys.stderr, flush=True)
    print("\n".join(table(results)))
    if chosen.check and not chosen.baseline:
        found = shortfalls(results)
        for text in found:
            print(f"bench: {text}", file=sys.stderr)
        sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
