"""The project's own commands: what they print, what they refuse, and how they end."""

import json
import re
import subprocess

import pyotp
import pytest

from conftest import new_name
from rig.clients import Credentials
from rig.codes import settle
from rig.refusals import Refusal, foreign_device, refused


@pytest.fixture
def user(proxy) -> dict:
    name = f"u-{new_name()[2:10]}"
    yield proxy.json("user", "add", name)
    proxy.run("user", "remove", name)


def keys_of(made: dict) -> Credentials:
    return Credentials(made["accessKeyId"], made["secretAccessKey"])


INVALID_KEY = Refusal(403, "InvalidAccessKeyId")


# dev


def a_start_says_where_it_listens_and_what_to_export(proxy):
    said = "\n".join(proxy.said)

    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        assert f"{name}=" in said
        assert proxy.exports[name]
    assert proxy.exports["AWS_ENDPOINT_URL"] == proxy.endpoint


def the_help_names_every_command(proxy):
    told = proxy.command("--help")

    for command in ("dev", "init", "serve", "check", "mfa", "mfa-delete", "user", "key", "events", "state"):
        assert re.search(rf"^\s+{command}\b", told, re.M), command


def an_unknown_command_fails_with_usage_on_stderr(proxy):
    run = proxy.run("frobnicate")

    assert run.returncode == 2 and not run.stdout and "frobnicate" in run.stderr


# user and key


def a_user_is_added_listed_works_and_is_removed(proxy, user):
    assert set(user) >= {"userName", "accessKeyId", "secretAccessKey"}
    assert user["userName"] in proxy.command("user", "list")
    assert user["secretAccessKey"] not in proxy.command("user", "list", "--json")
    client = proxy.client(keys_of(user))
    client.list_buckets()

    proxy.command("user", "remove", user["userName"])

    assert user["userName"] not in proxy.command("user", "list")
    with refused(INVALID_KEY):
        client.list_buckets()


def a_key_that_an_application_holds_already_signs_here(proxy, tmp_path):
    held = Credentials("minio-app.backup", "a-secret-of-another-store")
    run = proxy.run("user", "add", "moved", "--access-key", held.access_key, "--secret-stdin", input=held.secret_key + "\n")

    assert run.returncode == 0, run.stderr
    assert held.secret_key not in run.stdout + run.stderr
    proxy.client(held).list_buckets()

    users = {"users": [{"userName": name, "accessKeys": [{"accessKeyId": f"{name}.key", "secretAccessKey": f"{name}-secret"}]}
                       for name in ("moved-1", "moved-2")]}
    file = tmp_path / "users.json"
    file.write_text(json.dumps(users))
    assert {step["step"] for step in proxy.json("user", "import", "--from", file)["steps"]} == {"create"}
    with refused(INVALID_KEY):
        proxy.client(Credentials("moved-1.key", "moved-1-secret")).list_buckets()
    assert {step["step"] for step in proxy.json("user", "import", "--from", file, "--apply")["steps"]} == {"created"}
    for name in ("moved-1", "moved-2"):
        proxy.client(Credentials(f"{name}.key", f"{name}-secret")).list_buckets()
    assert {step["step"] for step in proxy.json("user", "import", "--from", file, "--apply")["steps"]} == {"there already"}

    users["users"][0]["accessKeys"][0]["accessKeyId"] = held.access_key
    file.write_text(json.dumps(users))
    run = proxy.run("user", "import", "--from", file, "--apply")
    assert run.returncode == 2 and held.access_key in run.stderr and "Nothing was imported" in run.stderr
    assert not any("-secret" in json.dumps(event) for event in proxy.events())


def a_user_is_added_once(proxy, user):
    run = proxy.run("user", "add", user["userName"], "--json")

    assert run.returncode != 0 and user["userName"] in run.stderr and not run.stdout


def a_user_nobody_added_cannot_be_removed(proxy):
    run = proxy.run("user", "remove", "nobody-of-that-name")

    assert run.returncode != 0 and "nobody-of-that-name" in run.stderr


def a_name_that_iam_would_not_take_is_refused(proxy):
    for name in ("", "a/b", "a b", "x" * 65):
        assert proxy.run("user", "add", name).returncode != 0, name


def a_key_is_made_disabled_enabled_and_deleted(proxy, user):
    made = proxy.json("key", "create", user["userName"])
    client = proxy.client(keys_of(made))
    client.list_buckets()
    assert made["accessKeyId"] in proxy.command("key", "list")
    assert made["secretAccessKey"] not in proxy.command("key", "list", "--json")

    proxy.command("key", "disable", made["accessKeyId"])
    with refused(INVALID_KEY):
        client.list_buckets()

    proxy.command("key", "enable", made["accessKeyId"])
    client.list_buckets()

    proxy.command("key", "delete", made["accessKeyId"])
    with refused(INVALID_KEY):
        client.list_buckets()
    assert made["accessKeyId"] not in proxy.command("key", "list")


# mfa


def a_device_is_listed_without_its_seed(proxy, codes):
    told = proxy.command("mfa", "list", "--json")

    for device in codes.devices:
        assert device.serial in told
        assert device.seed not in told
    assert codes.devices[0].serial in proxy.command("mfa", "list")


@pytest.fixture
def inactive(proxy) -> dict:
    """A device that was created and never activated."""
    name = f"m-{new_name()[2:10]}"
    made = proxy.json("mfa", "add", "--name", name, "--no-activate")
    assert made["serialNumber"].endswith(f":mfa/{name}")
    yield made
    if made["serialNumber"] in proxy.command("mfa", "list", "--json"):
        proxy.command("mfa", "remove", "--serial", made["serialNumber"])


def activation(device: dict, *offs: int) -> list[str]:
    """The command that activates a device with its codes of these steps, counted from now."""
    step, code = settle(), pyotp.TOTP(device["base32Seed"]).generate_otp
    return ["mfa", "activate", "--serial", device["serialNumber"], *(code(step + off) for off in offs)]


def active(proxy, device: dict) -> bool:
    serial = device["serialNumber"]
    return next(one["active"] for one in proxy.json("mfa", "list") if one["serialNumber"] == serial)


def a_device_is_named_by_its_account_and_made_for_authenticators(inactive):
    assert re.fullmatch(r"arn:aws:iam::\d{12}:mfa/m-[0-9a-f]+", inactive["serialNumber"])
    assert re.fullmatch(r"[A-Z2-7]{32,}=*", inactive["base32Seed"])
    assert inactive["otpauthUri"].startswith("otpauth://totp/")
    assert f"secret={inactive['base32Seed'].rstrip('=')}" in inactive["otpauthUri"]


def a_device_that_was_never_activated_proves_nothing(root, inactive, vault, key):
    offer = f"{inactive['serialNumber']} {pyotp.TOTP(inactive['base32Seed']).now()}"
    version = root.put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"]

    with refused(foreign_device(*offer.split(" "))):
        root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=offer)


def a_further_device_counts_only_with_a_code_of_an_active_one(proxy, codes, inactive):
    without = proxy.run(*activation(inactive, -1, 0))
    wrong = proxy.run(*activation(inactive, -1, 0), "--mfa", codes.wrong())
    itself = proxy.run(*activation(inactive, -1, 0), "--mfa", f"{inactive['serialNumber']} 123456")

    assert without.returncode == 2 and "--mfa" in without.stderr and not without.stdout
    assert wrong.returncode == 1 and wrong.stderr and not wrong.stdout
    assert itself.returncode == 1 and itself.stderr and not itself.stdout
    assert not active(proxy, inactive)


@pytest.mark.parametrize("offs", [(0, 0), (0, -1), (-2, 0)], ids=["the-same-twice", "backwards", "a-step-between"])
def two_codes_that_do_not_follow_one_another_activate_nothing(proxy, codes, inactive, offs):
    run = proxy.run(*activation(inactive, *offs), "--mfa", codes.take())

    assert run.returncode == 1 and run.stderr.strip()
    assert not active(proxy, inactive)


def a_device_is_activated_and_removed_with_codes_of_an_active_one(proxy, codes, inactive):
    offer = codes.take()
    proxy.command(*activation(inactive, -1, 0), "--mfa", offer)
    assert active(proxy, inactive)

    assert proxy.run("mfa", "remove", "--serial", inactive["serialNumber"]).returncode == 2
    assert active(proxy, inactive)
    proxy.command("mfa", "remove", "--serial", inactive["serialNumber"], "--mfa", codes.take())

    assert inactive["serialNumber"] not in proxy.command("mfa", "list", "--json")


# mfa-delete


def a_bucket_is_protected_and_released_by_the_command(proxy, codes, root, versioned):
    assert proxy.command("mfa-delete", "status", versioned)
    proxy.command("mfa-delete", "enable", versioned, "--mfa", codes.take())
    assert root.get_bucket_versioning(Bucket=versioned)["MFADelete"] == "Enabled"
    assert "Enabled" in proxy.command("mfa-delete", "status", versioned, "--json")

    without = proxy.run("mfa-delete", "disable", versioned)
    assert without.returncode != 0 and without.stderr.strip()
    assert root.get_bucket_versioning(Bucket=versioned)["MFADelete"] == "Enabled"

    proxy.command("mfa-delete", "disable", versioned, "--mfa", codes.take())
    told = root.get_bucket_versioning(Bucket=versioned)
    assert (told["Status"], told["MFADelete"]) == ("Enabled", "Disabled")


def the_status_command_lists_every_bucket(proxy, vault, bucket):
    told = proxy.command("mfa-delete", "status")

    assert vault in told and bucket in told


def a_missing_bucket_cannot_be_protected(proxy, codes):
    run = proxy.run("mfa-delete", "enable", "b-that-is-not-there", "--mfa", codes.take())

    assert run.returncode != 0 and "b-that-is-not-there" in run.stderr


# Without a proxy


@pytest.mark.parametrize("command", [["mfa", "list"], ["user", "list"], ["key", "list"], ["user", "add", "bob"]], ids=" ".join)
def a_command_says_how_to_start_the_proxy_that_does_not_run(proxy, tmp_path, command):
    run = subprocess.run(
        [str(proxy.binary), *command, "--data", str(tmp_path / "nothing")],
        env={**proxy.environment, "PORTCULLIS_DATA": str(proxy.state)},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert run.returncode == 3
    assert "portcullis dev" in run.stderr or "portcullis serve" in run.stderr
    assert not run.stdout
