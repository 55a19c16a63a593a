"""Measures what policies cost: a user with ten of them beside root, who has none, at the same proxy and in turn.

Five of the ten are managed policies of the account with conditions and variables, five are AWS's and MinIO's; one of the last
ones allows the request, so that all ten are looked at.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from botocore.credentials import Credentials

from measure import TOP, WORK, Cell, Proxy, bench, run, start_portcullis

# What the project promises.
LEAST = 0.97
ATTACHED = ["AWSCloudTrail_ReadOnlyAccess", "IAMReadOnlyAccess", "IAMFullAccess", "readonly", "AmazonS3ReadOnlyAccess"]


def document(number: int) -> str:
    """Four statements that look at the resource, the address and the name, and allow nothing that is asked for."""
    arn = f"arn:aws:s3:::other-{number}/home/${{aws:username}}/*"
    condition = {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}, "Bool": {"aws:SecureTransport": "true"}}
    agent = {"StringLike": {"aws:UserAgent": f"curl/{number}*"}}
    statements = [
        {"Effect": "Allow", "Action": ["s3:Get*", "s3:PutObject"], "Resource": arn, "Condition": condition},
        {"Effect": "Allow", "NotAction": "s3:List*", "Resource": arn, "Condition": condition},
        {"Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::secret-{number}/*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": agent},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def user(binary: Path, root: Proxy) -> Proxy:
    """The same proxy, asked by a user with ten policies."""
    state = WORK / "portcullis-state"

    def command(*arguments: str) -> str:
        return subprocess.run([binary, *arguments, "--data", state], check=True, capture_output=True, text=True).stdout

    names = []
    for number in range(5):
        file = WORK / f"policy-{number}.json"
        file.write_text(document(number))
        command("policy", "put", f"bench-{number}", str(file))
        names.append(f"bench-{number}")
    made = json.loads(command("user", "add", "bench", "--policy", *names, *ATTACHED, "--json"))
    return Proxy("user", root.endpoint, Credentials(made["accessKeyId"], made["secretAccessKey"]), root.process)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--check", action="store_true", help=f"fail where the user has less than {LEAST} of root's requests per second")
    arguments.add_argument("--binary", type=Path, default=TOP / "target" / "release" / "portcullis")
    chosen = arguments.parse_args()
    cell = Cell("GET", "4k", 64)
    with bench() as (store_port, started):
        root = start_portcullis(chosen.binary, store_port)
        started.append(root.process)
        askers = [root, user(chosen.binary, root)]
        for asker in askers:
            run(asker, cell, 1)
        samples = {asker.name: [] for asker in askers}
        for number in range(chosen.rounds):
            # The order changes, so that what drifts in the machine disturbs both alike.
            for asker in askers[:: 1 if number % 2 else -1]:
                samples[asker.name].append(run(asker, cell, chosen.seconds))
    rates = {name: [sample.rate for sample in taken] for name, taken in samples.items()}
    ratios = [ours / theirs for ours, theirs in zip(rates["user"], rates["portcullis"])]
    cpu = [statistics.median(sample.cpu_per_request for sample in samples[name]) for name in ("user", "portcullis")]
    middle = statistics.median(ratios)
    print(f"{cell.title}: a user with ten policies has {middle:.3f} of root's requests per second")
    print(f"(each round: {', '.join(f'{one:.2f}' for one in ratios)}); CPU per request {cpu[0]:.1f} against {cpu[1]:.1f} us")
    sys.exit(1 if chosen.check and middle < LEAST else 0)


if __name__ == "__main__":
    main()
