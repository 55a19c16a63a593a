"""Measures what the journal costs: GET of 4 KiB over 64 connections, with the journal on the disk and in memory.

One program, the example journal_cost, serves twice in front of the same static store, and the two run in turn, so that
what disturbs the machine disturbs both. What is on the disk is also synced and indexed, which counts;
what is in memory is framed and chained in the same way, and then dropped.
"""

import argparse
import statistics
import sys
from pathlib import Path

from measure import TOP, Cell, bench, run, start_portcullis

CELL = Cell("GET", "4k", 64)
MOST = 0.15


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--check", action="store_true", help="fail where the journal costs more than promised")
    binary = TOP / "target" / "release" / "examples" / "journal_cost"
    arguments.add_argument("--binary", type=Path, default=binary)
    chosen = arguments.parse_args()

    with bench() as (port, started):
        proxies = {}
        for journal in ("disk", "memory"):
            proxies[journal] = start_portcullis(chosen.binary, port, journal, journal)
            started.append(proxies[journal].process)
        for portcullis in proxies.values():
            run(portcullis, CELL, 1)  # Connections are made and caches filled before anything counts.
        rounds = []
        for _ in range(chosen.rounds):
            # What a run leaves to be indexed and written back is in the way of the next one, so each follows each.
            samples = [(name, run(proxies[name], CELL, chosen.seconds)) for name in (*proxies, *reversed(proxies))]
            rounds.append({name: statistics.mean(taken.rate for of, taken in samples if of == name) for name in proxies})

    for rates in rounds:
        disk, memory = rates["disk"], rates["memory"]
        print(f"disk {disk:.0f} req/s, memory {memory:.0f} req/s: {disk / memory:.3f}")
    ratio = statistics.median(rates["disk"] / rates["memory"] for rates in rounds)
    print(f"{CELL.title}: {ratio:.3f} of the throughput without a journal on the disk; it costs {1 - ratio:.1%}")
    if chosen.check and 1 - ratio > MOST:
        print(f"bench: the journal costs more than {MOST:.0%}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
