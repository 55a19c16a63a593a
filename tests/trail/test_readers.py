"""Programs that know CloudTrail, and nothing of the proxy, read what it delivered and find what the journal holds."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
READERS = HERE.parents[1] / ".venv-readers" / "bin"


def read_by(*command, **more) -> subprocess.CompletedProcess:
    """Runs a program of the readers' own environment."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LD_PRELOAD", "CLOCK_OFFSET")}
    run = subprocess.run([str(part) for part in command], env=environment | {"LANG": "C.UTF-8", "TZ": "UTC"},
                         capture_output=True, text=True, timeout=300, **more)
    assert run.returncode == 0, run.stderr
    return run


@pytest.fixture(scope="module")
def tree(archive, tmp_path_factory):
    """A copy of the bucket, as it would be synchronised."""
    return archive.lay_out(tmp_path_factory.mktemp("tree") / "bucket")


@pytest.fixture(scope="module")
def recorded(proxy, archive) -> list[dict]:
    """What the journal holds of the times in which the trail was logging, its starts and stops included."""
    held, logging = [], False
    for line in proxy.command("events", "--json").splitlines():
        event = json.loads(line)
        done = "errorCode" not in event
        logging |= event["eventName"] == "StartLogging" and done
        held += [event] if logging else []
        logging &= not (event["eventName"] == "StopLogging" and done)
    return held


def every_event_of_the_journal_is_delivered_once(archive, recorded):
    delivered = Counter(record["eventID"] for record in archive.records())
    assert max(delivered.values()) == 1
    assert set(delivered) == {event["eventID"] for event in recorded}
    assert len(recorded) > 150


def each_event_is_delivered_as_it_is_recorded(archive, recorded):
    delivered = {record["eventID"]: record for record in archive.records()}
    assert [delivered[event["eventID"]] for event in recorded] == recorded


def duckdb_counts_what_the_journal_counts(tree, recorded):
    said = json.loads(read_by(READERS / "python", HERE / "readers" / "counted.py", tree).stdout)
    expected = Counter(event["eventName"] for event in recorded)
    assert said == {name: [count, count] for name, count in expected.items()}


def trailscraper_selects_what_the_journal_holds(tree, recorded):
    run = read_by(READERS / "trailscraper", "select", "--log-dir", tree, "--from", "2000-01-01")
    selected = json.loads(run.stdout)["Records"]
    assert sorted(record["eventID"] for record in selected) == sorted(event["eventID"] for event in recorded)


def trailscraper_makes_a_policy_of_what_was_done(tree):
    selected = read_by(READERS / "trailscraper", "select", "--log-dir", tree, "--from", "2000-01-01").stdout
    policy = json.loads(read_by(READERS / "trailscraper", "generate", input=selected).stdout)
    allowed = {action: statement["Resource"] for statement in policy["Statement"] for action in statement["Action"]}
    assert "s3:PutObject" in allowed and "s3:GetObject" in allowed and "s3:DeleteObject" in allowed
    assert any(resource.startswith("arn:aws:s3:::desk/") for resource in allowed["s3:PutObject"])


def rules_of_sigma_fire_on_an_attack_and_on_nothing_else(archive, tmp_path):
    records = archive.records()
    path = tmp_path / "records.json"
    path.write_text(json.dumps({"Records": records}))
    fired = json.loads(read_by(READERS / "python", HERE / "readers" / "detected.py", HERE / "rules", path).stdout)

    def ids(holds) -> list[str]:
        return sorted(record["eventID"] for record in records if holds(record))

    def of_prey(record) -> bool:
        return (record["requestParameters"] or {}).get("bucketName") == "prey"

    expected = {
        "Versioning of a bucket is suspended": ids(lambda event: event["eventName"] == "PutBucketVersioning"
                                                   and of_prey(event) and "Suspended" in json.dumps(event)),
        "A bucket is gone": ids(lambda event: event["eventName"] == "DeleteBucket" and of_prey(event)
                                and "errorCode" not in event),
        "Root's own credentials are used": ids(lambda event: event["userIdentity"]["type"] == "Root"),
        "The trail is weakened": ids(lambda event: event["eventName"] == "StopLogging"),
    }
    assert {title: sorted(events) for title, events in fired.items()} == expected
    assert [len(expected[title]) for title in ("Versioning of a bucket is suspended", "A bucket is gone",
                                               "The trail is weakened")] == [1, 1, 3]
    users = ids(lambda event: event["userIdentity"]["type"] == "IAMUser")
    assert users and not set(users) & set(fired["Root's own credentials are used"])
