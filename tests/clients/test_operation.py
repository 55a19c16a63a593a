"""The proxy as an operator runs it: a configuration, a check of it, and a state that is lost and rebuilt."""

import re
import shutil
import signal
import subprocess

import pytest

from conftest import new_name
from rig.clients import Credentials, s3
from rig.proxy import READY
from rig.refusals import MFA_REQUIRED, WRONG_CODE, refused


@pytest.fixture
def config(proxy, tmp_path):
    """A configuration as `init` writes it, edited to name the store of these tests."""
    path = tmp_path / "portcullis.toml"
    made = proxy.run("init", "--config", path)
    assert made.returncode == 0, made.stderr
    store = proxy.store
    text = path.read_text()
    for key, value in {"address": "127.0.0.1:0", "endpoint": store.endpoint, "profile": store.profile or "embedded"}.items():
        # The first of its name: [listen] address, [upstream] endpoint, [upstream] profile.
        text = re.sub(rf'^{key} = ".*"$', f'{key} = "{value}"', text, count=1, flags=re.M)
    path.write_text(text)
    keys = tmp_path / "upstream.env"
    keys.touch(mode=0o600)
    keys.write_text(
        f"AWS_ACCESS_KEY_ID={store.credentials.access_key}\nAWS_SECRET_ACCESS_KEY={store.credentials.secret_key}\n"
    )
    return path


def a_configuration_is_written_with_a_reason_for_each_setting_and_never_overwritten(proxy, tmp_path):
    path = tmp_path / "portcullis.toml"
    assert proxy.run("init", "--config", path).returncode == 0
    text = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    for section in ("listen", "upstream", "state", "account", "mfa", "mfa_delete", "audit", "limits"):
        assert f"[{section}]" in text

    again = proxy.run("init", "--config", path)

    assert again.returncode == 1 and "portcullis.toml" in again.stderr
    assert path.read_text() == text


def a_check_says_whether_the_store_answers_and_versions(proxy, config):
    run = proxy.run("check", "--config", config)

    # A store that mistakes an operation which its profile sends is not fit, and told so.
    mistaken = proxy.store.difference("mistakes")
    assert run.returncode == (1 if mistaken else 0), run.stdout + run.stderr
    assert not mistaken or mistaken in run.stdout
    assert proxy.store.endpoint in run.stdout


def a_check_of_a_store_that_does_not_answer_fails(proxy, config):
    config.write_text(re.sub(r'^endpoint = ".*"$', 'endpoint = "http://127.0.0.1:9"', config.read_text(), flags=re.M))

    run = proxy.run("check", "--config", config)

    assert run.returncode == 1
    assert "127.0.0.1:9" in run.stdout + run.stderr


def a_configured_proxy_serves(proxy, config, tmp_path):
    log = (tmp_path / "serve.log").open("wb")
    process = subprocess.Popen(
        [proxy.binary, "serve", "--config", config], env=proxy.environment, stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        endpoint = next((line.removeprefix(READY).strip() for line in process.stdout if line.startswith(READY)), None)
        assert endpoint, (tmp_path / "serve.log").read_text()
        state = tmp_path / "portcullis-data"
        keys = dict(line.removeprefix("export ").split("=", 1) for line in (state / "root.env").read_text().split("\n") if "=" in line)
        root = s3(endpoint, Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]), proxy.ca_file)
        name = new_name()
        root.create_bucket(Bucket=name)
        root.put_object(Bucket=name, Key="k", Body=b"x")
        assert root.get_object(Bucket=name, Key="k")["Body"].read() == b"x"
        listed = proxy.run("user", "add", "bob", "--json", "--data", state)
        assert listed.returncode == 0, listed.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def every_mistake_of_a_config_is_told_at_once_with_its_line(proxy, tmp_path):
    config = tmp_path / "wrong.toml"
    config.write_text('[listen]\nno_such_key = 1\n\n[mfa_delete]\nprofile = "lenient"\n\n[upstream]\nendpoint = "ftp://x"\n')

    run = proxy.run("check", "--config", config)

    assert run.returncode == 2
    for line in ("2", "5", "8"):
        assert re.search(rf"\b{line}\b", run.stderr), run.stderr
    for mistake in ("no_such_key", "lenient", "ftp://x", "credentials_file"):
        assert mistake in run.stderr


def a_config_that_is_not_there_is_named(proxy, tmp_path):
    for command in ("check", "serve"):
        run = proxy.run(command, "--config", tmp_path / "none.toml")
        assert run.returncode == 2 and "none.toml" in run.stderr


@pytest.mark.parametrize("damage", ["lost", "overwritten"])
def a_state_that_is_lost_or_damaged_is_rebuilt_and_never_made_anew(proxy, codes, alice_key, vault, key, damage):
    root, devices = proxy.client(), proxy.json("mfa", "list")
    version = root.put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"]
    spent = codes.take()
    root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=spent)
    version = root.put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"]
    proxy.stop()
    if damage == "lost":
        shutil.rmtree(proxy.state / "state")
    else:
        for path in (proxy.state / "state").rglob("*"):
            if path.is_file():
                path.write_bytes(b"\xff" * max(4096, path.stat().st_size))

    refused_start = proxy.run("dev", "--data", proxy.state, "--listen", proxy.listen)
    assert refused_start.returncode != 0
    assert "state rebuild" in refused_start.stderr, refused_start.stderr
    proxy.command("state", "rebuild", "--data", proxy.state)
    proxy.start()

    assert proxy.json("mfa", "list") == devices
    assert proxy.client().get_bucket_versioning(Bucket=vault)["MFADelete"] == "Enabled"
    proxy.client(alice_key).head_bucket(Bucket=vault)
    with refused(MFA_REQUIRED):
        proxy.client().delete_object(Bucket=vault, Key=key, VersionId=version)
    with refused(WRONG_CODE):
        proxy.client().delete_object(Bucket=vault, Key=key, VersionId=version, MFA=codes.replayed(spent))
