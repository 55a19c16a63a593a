"""The commands as a person meets them, at a terminal."""

import re

import pyotp

from conftest import new_name
from rig.codes import settle
from rig.person import Person


def a_device_is_added_by_hand(proxy, codes):
    """The QR code and the seed are shown, two codes are asked for, and a code of an older device."""
    name = f"m-{new_name()[2:10]}"
    sponsor = codes.take()
    person = Person(proxy, "mfa", "add", "--name", name)
    shown = person.reads("First code")
    serial = re.search(rf"arn:aws:iam::\d{{12}}:mfa/{name}", shown)[0]
    seed = re.search(r"seed\s+([A-Z2-7]+=*)", shown)[1]
    assert "█" in shown and "otpauth://totp/" in shown
    code, step = pyotp.TOTP(seed).generate_otp, settle()

    person.types(code(step - 1))
    person.reads("Next code")
    person.types(code(step))
    person.reads("ode of ")
    person.types(sponsor)
    person.reads("is active")
    assert person.leaves() == 0

    listed = proxy.json("mfa", "list")
    assert [device["active"] for device in listed if device["serialNumber"] == serial] == [True]
    proxy.command("mfa", "remove", "--serial", serial, "--mfa", codes.take())


def a_bucket_is_protected_by_hand(proxy, codes, root, versioned):
    offer = codes.take()
    person = Person(proxy, "mfa-delete", "enable", versioned)
    person.reads("ode of ")
    person.types(offer)

    assert person.leaves() == 0
    assert root.get_bucket_versioning(Bucket=versioned)["MFADelete"] == "Enabled"


def a_device_is_named_by_its_name_where_there_are_several(proxy, codes, root, own_vault):
    device, step = codes.idle()
    device.spent = step
    person = Person(proxy, "mfa-delete", "disable", own_vault)
    person.reads("ode of ")
    person.types(f"{device.serial.rsplit('/', 1)[1]} {device.code(step)}")

    assert person.leaves() == 0
    assert root.get_bucket_versioning(Bucket=own_vault)["MFADelete"] == "Disabled"


def a_picture_of_the_seed_is_written_for_its_owner_alone(proxy, tmp_path):
    name, picture = f"m-{new_name()[2:10]}", tmp_path / "phone.png"
    made = proxy.json("mfa", "add", "--name", name, "--no-activate", "--qr", picture)

    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.stat().st_mode & 0o777 == 0o600
    proxy.command("mfa", "remove", "--serial", made["serialNumber"])


def a_table_is_coloured_on_a_terminal_alone(proxy, vault):
    assert "\x1b[" not in proxy.command("mfa-delete", "status")

    person = Person(proxy, "mfa-delete", "status")
    person.reads(vault)
    said = person.said
    assert person.leaves() == 0
    assert "\x1b[" in said + person.said


def events_are_followed_as_they_come(proxy, root, bucket, key):
    person = Person(proxy, "events", "--follow", "--bucket", bucket)
    person.reads("CreateBucket")
    root.put_object(Bucket=bucket, Key=key, Body=b"x")
    person.reads(key)
    person.process.terminate()
    person.leaves()
