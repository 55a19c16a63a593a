"""The project's own commands: what they print, what they refuse, and how they end."""

import re
import subprocess

import pytest

from conftest import new_name
from rig.clients import Credentials
from rig.codes import settle
from rig.refusals import Refusal, refused


@pytest.fixture
def user(gate) -> dict:
    name = f"u-{new_name()[2:10]}"
    yield gate.json("user", "add", name)
    gate.run("user", "remove", name)


def keys_of(made: dict) -> Credentials:
    return Credentials(made["accessKeyId"], made["secretAccessKey"])


INVALID_KEY = Refusal(403, "InvalidAccessKeyId")


# dev


def a_start_says_where_it_listens_and_what_to_export(gate):
    said = "\n".join(gate.said)

    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        assert f"{name}=" in said
        assert gate.exports[name]
    assert gate.exports["AWS_ENDPOINT_URL"] == gate.endpoint


def the_help_names_every_command(gate):
    told = gate.command("--help")

    for command in ("dev", "init", "serve", "check", "mfa", "mfa-delete", "user", "key", "events", "state"):
        assert re.search(rf"^\s+{command}\b", told, re.M), command


def an_unknown_command_fails_with_usage_on_stderr(gate):
    run = gate.run("frobnicate")

    assert run.returncode == 2 and not run.stdout and "frobnicate" in run.stderr


# user and key


def a_user_is_added_listed_works_and_is_removed(gate, user):
    assert set(user) >= {"userName", "accessKeyId", "secretAccessKey"}
    assert user["userName"] in gate.command("user", "list")
    assert user["secretAccessKey"] not in gate.command("user", "list", "--json")
    client = gate.client(keys_of(user))
    client.list_buckets()

    gate.command("user", "remove", user["userName"])

    assert user["userName"] not in gate.command("user", "list")
    with refused(INVALID_KEY):
        client.list_buckets()


def a_user_is_added_once(gate, user):
    run = gate.run("user", "add", user["userName"], "--json")

    assert run.returncode != 0 and user["userName"] in run.stderr and not run.stdout


def a_user_nobody_added_cannot_be_removed(gate):
    run = gate.run("user", "remove", "nobody-of-that-name")

    assert run.returncode != 0 and "nobody-of-that-name" in run.stderr


def a_name_that_iam_would_not_take_is_refused(gate):
    for name in ("", "a/b", "a b", "x" * 65):
        assert gate.run("user", "add", name).returncode != 0, name


def a_key_is_made_disabled_enabled_and_deleted(gate, user):
    made = gate.json("key", "create", user["userName"])
    client = gate.client(keys_of(made))
    client.list_buckets()
    assert made["accessKeyId"] in gate.command("key", "list")
    assert made["secretAccessKey"] not in gate.command("key", "list", "--json")

    gate.command("key", "disable", made["accessKeyId"])
    with refused(INVALID_KEY):
        client.list_buckets()

    gate.command("key", "enable", made["accessKeyId"])
    client.list_buckets()

    gate.command("key", "delete", made["accessKeyId"])
    with refused(INVALID_KEY):
        client.list_buckets()
    assert made["accessKeyId"] not in gate.command("key", "list")


# mfa


def a_device_is_listed_without_its_seed(gate, codes):
    told = gate.command("mfa", "list", "--json")

    for device in codes.devices:
        assert device.serial in told
        assert device.seed not in told
    assert codes.devices[0].serial in gate.command("mfa", "list")


def a_device_is_named_by_its_account_and_made_for_authenticators(gate, codes):
    made = gate.json("mfa", "add", "--name", "shown-once", "--no-activate", "--mfa", codes.take())

    assert re.fullmatch(r"arn:aws:iam::\d{12}:mfa/shown-once", made["serialNumber"])
    assert re.fullmatch(r"[A-Z2-7]{32,}=*", made["base32Seed"])
    assert made["otpauthUri"].startswith("otpauth://totp/")
    assert f"secret={made['base32Seed'].rstrip('=')}" in made["otpauthUri"]
    gate.run("mfa", "remove", "--serial", made["serialNumber"], "--mfa", codes.take())


def a_further_device_needs_a_code_of_an_active_one(gate, codes):
    without = gate.run("mfa", "add", "--name", "uninvited", "--no-activate", "--json")
    wrong = gate.run("mfa", "add", "--name", "uninvited", "--no-activate", "--json", "--mfa", codes.wrong())

    assert without.returncode != 0 and "--mfa" in without.stderr and not without.stdout
    assert wrong.returncode != 0 and not wrong.stdout
    assert "uninvited" not in gate.command("mfa", "list", "--json")


def a_device_is_not_removed_without_a_code(gate, codes):
    serial = codes.devices[0].serial

    assert gate.run("mfa", "remove", "--serial", serial).returncode != 0
    assert serial in gate.command("mfa", "list", "--json")


def a_device_is_activated_by_two_consecutive_codes_only(gate, codes):
    import pyotp

    made = gate.json("mfa", "add", "--name", "twice", "--no-activate", "--mfa", codes.take())
    code = pyotp.TOTP(made["base32Seed"]).generate_otp
    step = settle()

    for pair in ((code(step), code(step)), (code(step), code(step - 1)), (code(step - 2), code(step)), ("000000", "000001")):
        run = gate.run("mfa", "activate", "--serial", made["serialNumber"], *pair)
        assert run.returncode != 0 and run.stderr.strip(), pair
    gate.command("mfa", "activate", "--serial", made["serialNumber"], code(step - 1), code(step))
    gate.command("mfa", "remove", "--serial", made["serialNumber"], "--mfa", codes.take())

    assert made["serialNumber"] not in gate.command("mfa", "list", "--json")


# mfa-delete


def a_bucket_is_protected_and_released_by_the_command(gate, codes, root, versioned):
    assert gate.command("mfa-delete", "status", versioned)
    gate.command("mfa-delete", "enable", versioned, "--mfa", codes.take())
    assert root.get_bucket_versioning(Bucket=versioned)["MFADelete"] == "Enabled"
    assert "Enabled" in gate.command("mfa-delete", "status", versioned, "--json")

    without = gate.run("mfa-delete", "disable", versioned)
    assert without.returncode != 0 and without.stderr.strip()
    assert root.get_bucket_versioning(Bucket=versioned)["MFADelete"] == "Enabled"

    gate.command("mfa-delete", "disable", versioned, "--mfa", codes.take())
    told = root.get_bucket_versioning(Bucket=versioned)
    assert (told["Status"], told["MFADelete"]) == ("Enabled", "Disabled")


def the_status_command_lists_every_bucket(gate, vault, bucket):
    told = gate.command("mfa-delete", "status")

    assert vault in told and bucket in told


def a_missing_bucket_cannot_be_protected(gate, codes):
    run = gate.run("mfa-delete", "enable", "b-that-is-not-there", "--mfa", codes.take())

    assert run.returncode != 0 and "b-that-is-not-there" in run.stderr


# Without a gate


@pytest.mark.parametrize("command", [["mfa", "list"], ["user", "list"], ["key", "list"], ["user", "add", "bob"]], ids=" ".join)
def a_command_says_how_to_start_the_gate_that_does_not_run(gate, tmp_path, command):
    run = subprocess.run(
        [str(gate.binary), *command, "--data", str(tmp_path / "nothing")],
        env={**gate.environment, "PORTCULLIS_DATA": str(gate.state)},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert run.returncode != 0
    assert "portcullis dev" in run.stderr or "portcullis serve" in run.stderr
    assert not run.stdout


# init, serve and check


def a_config_is_written_checked_and_served(gate, tmp_path):
    config = tmp_path / "portcullis.toml"
    made = gate.run("init", "--config", config)
    assert made.returncode == 0, made.stderr
    assert "#" in config.read_text()

    again = gate.run("init", "--config", config)
    assert again.returncode != 0, "an existing config is never overwritten"


def every_mistake_of_a_config_is_told_at_once_with_its_line(gate, tmp_path):
    config = tmp_path / "wrong.toml"
    config.write_text('[listen]\nno_such_key = 1\n\n[mfa_delete]\nprofile = "lenient"\n\n[upstream]\nendpoint = "ftp://x"\n')

    run = gate.run("check", "--config", config)

    assert run.returncode != 0
    for line in ("2", "5", "8"):
        assert re.search(rf"\b{line}\b", run.stderr), run.stderr
    assert "lenient" in run.stderr


def a_config_that_is_not_there_is_named(gate, tmp_path):
    for command in ("check", "serve"):
        run = gate.run(command, "--config", tmp_path / "none.toml")
        assert run.returncode != 0 and "none.toml" in run.stderr
