"""A trail of a running proxy, proven over its API, and the second place that is told of its digests."""

import json

import pytest

from archive import PERIOD, File, Work, stamp
from conftest import TimedProxy, until
from rig.upstreams import Upstream

TRAIL, BUCKET = "live", "live-logs"


@pytest.fixture(scope="module")
def witness(tmp_path_factory):
    """A folder that stands for another machine's."""
    return tmp_path_factory.mktemp("elsewhere") / "witness"


@pytest.fixture(scope="module")
def proxy(request, tmp_path_factory, clock, witness):
    """A proxy of its own, since the other one's trails are counted."""
    settings = {
        "PORTCULLIS_TRAIL__LOG_PERIOD": "1s",
        "PORTCULLIS_TRAIL__DIGEST_PERIOD": f"{PERIOD}s",
        "PORTCULLIS_TRAIL__WITNESS": str(witness),
    }
    binary = request.config.getoption("binary")
    started = TimedProxy(binary, tmp_path_factory.mktemp("watched"), Upstream("embedded"), settings).start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def told(proxy, clock, witness):
    """Lets a trail live for some digests; the file in which the witness keeps what it was told."""
    made = proxy.json("trail", "create", TRAIL, "--bucket", BUCKET, "--no-mfa-delete")
    assert made["logging"] is True and made["digestPeriodSeconds"] == PERIOD
    path, work = witness / f"{TRAIL}.checkpoints", Work(proxy)
    for count in range(1, 5):
        work.some()
        clock.advance(PERIOD)
        until(lambda: path.exists() and len(heads(path)) >= count, "a checkpoint")
    return path


def heads(path) -> list[dict]:
    """What the witness was told, oldest first."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def validated(proxy, *more):
    """What `portcullis trail validate` says of the running proxy's trail: no folder, no file of keys."""
    run = proxy.run("trail", "validate", TRAIL, "--json", *more)
    return run.returncode, json.loads(run.stdout or "null"), run.stderr


def delivered(proxy, kind: str) -> dict[str, File]:
    """The files of one kind, as the store has them."""
    store, found = proxy.store.directly(), {}
    for item in store.list_objects_v2(Bucket=BUCKET, Prefix="AWSLogs/")["Contents"]:
        if f"/{kind}/" in item["Key"]:
            file = store.get_object(Bucket=BUCKET, Key=item["Key"])
            found[item["Key"]] = File(file["Body"].read(), file["Metadata"])
    return found


@pytest.fixture
def tampering(proxy):
    """Writes past the proxy, None for what is to go, and puts everything back."""
    store, before = proxy.store.directly(), {}

    def put(key: str, file: File | None) -> None:
        if file is None:
            store.delete_object(Bucket=BUCKET, Key=key)
        else:
            store.put_object(Bucket=BUCKET, Key=key, Body=file.body, Metadata=file.metadata)

    def tamper(changed: dict[str, File | None]) -> None:
        known = {**delivered(proxy, "CloudTrail"), **delivered(proxy, "CloudTrail-Digest")}
        before.update({key: known[key] for key in changed})
        for key, file in changed.items():
            put(key, file)

    yield tamper
    for key, file in before.items():
        put(key, file)


def the_witness_is_told_of_each_digest_once(proxy, told):
    lines = told.read_text().splitlines()
    assert lines[0].endswith(f":trail/{TRAIL}") and lines.count(lines[0]) == len(heads(told))
    digests = delivered(proxy, "CloudTrail-Digest")
    assert [head["digestS3Object"] for head in heads(told)] == sorted(digests)
    for head in heads(told):
        assert digests[head["digestS3Object"]].metadata["signature"] == head["digestSignature"]


def a_trail_that_goes_on_is_proven_over_the_api(proxy, told):
    status, said, notes = validated(proxy)
    assert (status, said["proven"], said["findings"]) == (0, True, []), said
    digests = len(delivered(proxy, "CloudTrail-Digest"))
    assert said["digests"] == {"valid": digests, "all": digests} and digests >= 4
    assert said["logs"]["valid"] == said["logs"]["all"] > 0
    assert "no head was expected" not in notes


def a_trail_is_held_against_what_the_witness_was_told(proxy, told):
    status, said, _ = validated(proxy, "--expect-head", told)
    assert (status, said["proven"]) == (0, True), said
    assert said["heads"][0]["treeSize"] >= heads(told)[-1]["treeSize"] > 0


def a_removed_tail_is_told_by_what_the_proxy_and_the_witness_know(proxy, told, tampering):
    digests = delivered(proxy, "CloudTrail-Digest")
    newest = sorted(digests)[-2:]
    logs = [log["s3Object"] for key in newest for log in digests[key].content["logFiles"]]
    tampering({key: None for key in [*newest, *logs]})
    last = digests[newest[-1]].content["digestEndTime"]
    for more in [], ["--expect-head", told], ["--end-time", stamp()], ["--end-time", last]:
        status, said, _ = validated(proxy, *more)
        assert (status, said["proven"]) == (1, False), said
    assert validated(proxy, "--expect-head", heads(told)[-1]["digestHashValue"])[0] == 1


def a_copy_of_a_trail_that_goes_on_is_proven_up_to_an_end_that_its_digests_reach(proxy, told, tmp_path):
    files = {**delivered(proxy, "CloudTrail"), **delivered(proxy, "CloudTrail-Digest")}
    for key, file in files.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.body)
        path.with_name(f"{path.name}.metadata.json").write_text(json.dumps(file.metadata))
    copy = ["--folder", tmp_path]
    status, said, _ = validated(proxy, *copy)
    ends = [finding["text"].rpartition("--end-time ")[2] for finding in said["findings"]]
    assert status == 1 and "TailNotProven" in [finding["code"] for finding in said["findings"]], said
    assert validated(proxy, *copy, "--end-time", min(ends))[0] == 0
    assert validated(proxy, *copy, "--end-time", stamp())[0] == 1
    assert validated(proxy, *copy, "--end-time", min(ends), "--expect-head", told)[0] == 0


def no_second_trail_spoils_the_proof_of_the_first(proxy, told, clock):
    """Its log files, which no digest would name, could not be removed from the first one's bucket."""
    aws = proxy.aws()
    second = ("--name", "second", "--s3-bucket-name", BUCKET, "--no-enable-log-file-validation")
    for place in (second, (*second[:-1], "--enable-log-file-validation")):
        refusal = aws.fails("cloudtrail", "create-trail", *place)
        assert "(InvalidParameterCombinationException)" in refusal and f"Trail {TRAIL} delivers to {BUCKET}" in refusal
    aws("cloudtrail", "create-trail", *second, "--s3-key-prefix", "second")
    assert "(InvalidParameterCombinationException)" in aws.fails(
        "cloudtrail", "update-trail", "--name", "second", "--s3-key-prefix", ""
    )
    aws("cloudtrail", "start-logging", "--name", "second")
    store = proxy.store.directly()
    until(lambda: store.list_objects_v2(Bucket=BUCKET, Prefix="second/").get("Contents"), "the second one's log file")
    status, said, _ = validated(proxy)
    assert (status, said["proven"], said["findings"]) == (0, True, []), said


def a_log_file_that_no_digest_names_is_told_with_what_may_have_left_it(proxy, told):
    """As a trail without validation leaves it that was in the place before."""
    store, (key, file) = proxy.store.directly(), sorted(delivered(proxy, "CloudTrail").items())[0]
    older = key.replace(key.split("_")[-2], "20200101T0000Z").replace("/".join(key.split("/")[-4:-1]), "2020/01/01")
    store.put_object(Bucket=BUCKET, Key=older, Body=file.body)
    try:
        status, said, _ = validated(proxy)
    finally:
        store.delete_object(Bucket=BUCKET, Key=older)
    assert (status, [found["s3Object"] for found in said["findings"]]) == (1, [older]), said
    assert any("1 of the log files that no digest names are older than the trail's first digest" in note for note in said["notes"])


def an_edited_log_file_is_told_over_the_api(proxy, told, tampering):
    key, file = sorted(delivered(proxy, "CloudTrail").items())[0]
    content = file.content
    content["Records"][0]["sourceIPAddress"] = "203.0.113.7"
    tampering({key: file.holding(content)})
    status, said, _ = validated(proxy)
    assert status == 1 and key in [finding["s3Object"] for finding in said["findings"]], said


def what_cannot_be_read_is_neither_proven_nor_found_to_be_wrong(proxy, told):
    proxy.stop()
    try:
        status, said, notes = validated(proxy)
    finally:
        proxy.start()
    assert (status, said) == (3, None), notes
    assert validated(proxy, "--expect-head", told)[0] == 0
