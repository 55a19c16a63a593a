"""What the store does with each operation, as the table of its profile says."""

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

TOP = Path(__file__).resolve().parents[2]
TABLE = (
    TOP
    / "crates/s3/src/tests/snapshots"
    / "portcullis_s3__tests__snapshot__"
    "each_operation_goes_to_the_stores_that_take_it_for_what_it_is.snap"
)

# A POST without content does nothing, whatever it is taken for; the others are sent to no store.
NOT_TRIED = {
    "CreateBucketMetadataConfiguration",
    "CreateBucketMetadataTableConfiguration",
    "CreateSession",
    "ListDirectoryBuckets",
    "RenameObject",
    "RestoreObject",
    "WriteGetObjectResponse",
}


@pytest.fixture
def check(proxy, tmp_path):
    """Runs `portcullis check` against the store with a profile, and returns what it says of the store's routing."""
    store = proxy.store
    keys = tmp_path / "upstream.env"
    keys.touch(mode=0o600)
    keys.write_text(
        f"AWS_ACCESS_KEY_ID={store.credentials.access_key}\nAWS_SECRET_ACCESS_KEY={store.credentials.secret_key}\n"
    )

    def ran(profile: str) -> dict:
        config = tmp_path / f"{profile}.toml"
        config.write_text(
            f'[upstream]\nendpoint = "{store.endpoint}"\ncredentials_file = "{keys}"\nprofile = "{profile}"\n'
        )
        findings = json.loads(proxy.run("check", "--config", config, "--json").stdout)
        return next(finding for finding in findings if finding["about"] == "routing")

    return ran


def mistaken(store: str) -> set[str]:
    """The operations that a store takes for another one, by the table: its columns are 13 characters wide."""
    head, *rows = TABLE.read_text().split("WHAT THE STORE DOES", 1)[1].splitlines()
    place = 50 + 13 * head.split().index(store)
    treated = {row[:50].strip(): row[place : place + 13].strip() for row in rows if row.strip()}
    return {name for name, treatment in treated.items() if treatment not in ("serves", "declines", "may decline")}


def mistakes_told(finding: dict) -> set[str]:
    """The operations that `check` says the store takes for another one."""
    if finding["verdict"] == "ok":
        return set()
    assert finding["verdict"] == "FAIL", finding["text"]
    return set(finding["text"].split("another operation for ", 1)[1].split(", "))


def mistakes_known(store) -> set[str]:
    """What this store is known to mistake although its profile sends it; none of the stores to be used does."""
    known = store.difference("mistakes")
    return {known} if known else set()


def a_store_takes_each_operation_that_it_is_sent_for_what_it_is(check, proxy):
    told = check(proxy.store.profile or "embedded")

    assert mistakes_told(told) == mistakes_known(proxy.store), told["text"]


def an_unknown_store_is_sent_nothing_that_it_takes_for_something_else(check, proxy):
    told = check("generic")

    assert mistakes_told(told) == mistakes_known(proxy.store), told["text"]


def a_store_mistakes_what_its_table_says_and_nothing_else(check, proxy):
    store = proxy.store.profile or "embedded"
    if store in ("aws", "generic"):
        pytest.skip("nothing is known of what this store mistakes")
    # Everything is sent to AWS, so that everything is tried.
    told = check("aws")

    assert mistakes_told(told) == mistaken(store) - NOT_TRIED


def no_random_request_changes_more_than_what_was_judged(proxy):
    store = proxy.store
    if store.kind not in ("ceph", "external") or not store.endpoint.startswith("http://"):
        pytest.skip("the hermetic tests run this against the embedded store; moto is no store to protect")
    key = ":".join(quote(half, safe="") for half in (store.credentials.access_key, store.credentials.secret_key))
    run = subprocess.run(
        ["cargo", "test", "--locked", "--test", "readers", "--", "live::a_store_that_runs"],
        cwd=TOP,
        env={
            **os.environ,
            "PORTCULLIS_TEST_UPSTREAM": store.endpoint.replace("http://", f"http://{key}@"),
            "PORTCULLIS_TEST_UPSTREAM_PROFILE": store.profile,
        },
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert run.returncode == 0 and "1 passed" in run.stdout, run.stdout[-3000:]
