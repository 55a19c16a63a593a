"""`kill -9` in the middle of work: what was acknowledged is recorded, and what was protected stays protected."""

import threading

from botocore.exceptions import BotoCoreError, ClientError

from rig.refusals import MFA_REQUIRED, WRONG_CODE, refused

WRITERS = 6
ENOUGH = 120


def every_acknowledged_mutation_survives_a_kill(proxy, codes, vault, key):
    """The kill comes while writers write: when enough was acknowledged, and none of them has ended."""
    acknowledged, enough = [], threading.Event()

    def write(number: int) -> None:
        client = proxy.client()
        for count in range(100_000):
            try:
                put = client.put_object(Bucket=vault, Key=f"{key}/{number}/{count}", Body=b"x")
                acknowledged.append((put["ResponseMetadata"]["RequestId"], f"{key}/{number}/{count}"))
                gone = client.delete_object(Bucket=vault, Key=f"{key}/{number}/{count}")
                acknowledged.append((gone["ResponseMetadata"]["RequestId"], f"{key}/{number}/{count}"))
            except (ClientError, BotoCoreError):
                return
            if len(acknowledged) >= ENOUGH:
                enough.set()

    version = proxy.client().put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"]
    other = proxy.client().put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"]
    offer = codes.take()
    proxy.client().delete_object(Bucket=vault, Key=key, VersionId=version, MFA=offer)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    assert enough.wait(120), "the writers are too slow"

    proxy.kill()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()
    proxy.start()

    events = proxy.events()
    ended = {event["requestID"] for event in events if "errorCode" not in event}
    missing = [name for request, name in acknowledged if request not in ended]
    assert len(acknowledged) >= ENOUGH and not missing
    identities = [event["eventID"] for event in events]
    assert len(identities) == len(set(identities))

    root = proxy.client()
    assert root.get_bucket_versioning(Bucket=vault)["MFADelete"] == "Enabled"
    with refused(MFA_REQUIRED):
        root.delete_object(Bucket=vault, Key=key, VersionId=other)
    with refused(WRONG_CODE):
        root.delete_object(Bucket=vault, Key=key, VersionId=other, MFA=codes.replayed(offer))
    root.delete_object(Bucket=vault, Key=key, VersionId=other, MFA=codes.take())


def a_later_start_keeps_everything(proxy, codes, vault, alice_key):
    root, devices, events = proxy.root, proxy.json("mfa", "list"), len(proxy.events())

    proxy.stop()
    proxy.start()

    assert proxy.root == root
    assert proxy.json("mfa", "list") == devices
    assert len(proxy.events()) >= events
    assert proxy.client().get_bucket_versioning(Bucket=vault)["MFADelete"] == "Enabled"
    proxy.client(alice_key).head_bucket(Bucket=vault)


def two_proxies_do_not_share_a_state(proxy, binary):
    second = proxy.run("dev", "--data", proxy.state, "--listen", "127.0.0.1:0")

    assert second.returncode != 0
    assert second.stderr.strip()
