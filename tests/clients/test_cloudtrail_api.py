"""CloudTrail's API with the unchanged aws-cli and boto3: trails, selectors, tags, keys, and the events of the past."""

import json
from datetime import datetime, timedelta, timezone

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import new_name
from rig.clients import REGION, Credentials

EVERYTHING = [
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}],
    }
]


@pytest.fixture(scope="module")
def calling(proxy):
    """Makes clients of CloudTrail's API, root's unless told otherwise, whose requests carry an offer if told so."""

    def made(offer: str | None = None, credentials: Credentials | None = None):
        keys = credentials or proxy.root
        client = boto3.client(
            "cloudtrail",
            endpoint_url=proxy.endpoint,
            region_name=REGION,
            verify=str(proxy.ca_file) if proxy.ca_file else None,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            config=Config(retries={"total_max_attempts": 1}),
        )
        if offer:
            adding = lambda request, **_: request.headers.add_header("x-amz-mfa", offer)
            client.meta.events.register("before-sign.cloudtrail", adding)
        return client

    return made


@pytest.fixture
def cloudtrail(calling):
    return calling()


@pytest.fixture(scope="module")
def trail(calling, codes):
    """A trail that logs; taken away at the end, since an account has five."""
    client, name, bucket = calling(), f"t-{new_name()}", new_name()
    made = client.create_trail(Name=name, S3BucketName=bucket, S3KeyPrefix="a/b")
    client.start_logging(Name=name)
    yield made
    calling(codes.take()).delete_trail(Name=name)


def refused(error: pytest.ExceptionInfo) -> str:
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error.value.response["Error"]["Code"]


def a_trail_is_made_shown_started_and_deleted_with_aws_cli(aws, calling, codes):
    name, bucket = f"t-{new_name()}", new_name()
    made = aws("cloudtrail", "create-trail", "--name", name, "--s3-bucket-name", bucket, "--enable-log-file-validation")
    assert made["TrailARN"].endswith(f":trail/{name}") and made["LogFileValidationEnabled"] is True
    again = aws.fails("cloudtrail", "create-trail", "--name", name, "--s3-bucket-name", bucket)
    assert "(TrailAlreadyExistsException) when calling the CreateTrail operation" in again
    [shown] = aws("cloudtrail", "describe-trails", "--trail-name-list", name)["trailList"]
    assert (shown["S3BucketName"], shown["HomeRegion"], shown["TrailARN"]) == (bucket, REGION, made["TrailARN"])
    assert aws("cloudtrail", "get-trail", "--name", made["TrailARN"])["Trail"] == shown
    assert name in [one["Name"] for one in aws("cloudtrail", "list-trails")["Trails"]]
    assert aws("cloudtrail", "get-trail-status", "--name", name)["IsLogging"] is False
    aws("cloudtrail", "start-logging", "--name", name)
    assert aws("cloudtrail", "get-trail-status", "--name", name)["IsLogging"] is True
    without = aws.fails("cloudtrail", "delete-trail", "--name", name)
    assert "(AccessDeniedException) when calling the DeleteTrail operation: Mfa Authentication must be used" in without
    calling(codes.take()).delete_trail(Name=name)
    assert "(TrailNotFoundException)" in aws.fails("cloudtrail", "get-trail", "--name", name)


def the_bucket_of_a_trail_is_made_if_it_is_not_there(trail, root):
    assert root.get_bucket_versioning(Bucket=trail["S3BucketName"])["Status"] == "Enabled"


def a_bucket_that_holds_anything_becomes_a_trails_with_a_code_alone(aws, calling, codes, root, alice):
    name, bucket = f"t-{new_name()}", new_name()
    root.create_bucket(Bucket=bucket)
    root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    alice.delete_object(Bucket=bucket, Key="k")  # The version is still there.
    refusal = aws.fails("cloudtrail", "create-trail", "--name", name, "--s3-bucket-name", bucket)
    assert "(AccessDeniedException) when calling the CreateTrail operation: Mfa Authentication must" in refusal
    assert f"{bucket} is not known to be empty" in refusal
    alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    calling(codes.take()).create_trail(Name=name, S3BucketName=bucket)
    with pytest.raises(ClientError) as error:
        alice.get_object(Bucket=bucket, Key="k")
    assert error.value.response["Error"]["Code"] == "AccessDenied"
    calling(codes.take()).delete_trail(Name=name)


def an_empty_bucket_becomes_a_trails_and_is_given_back_without_a_code(aws, root):
    name, bucket = f"t-{new_name()}", new_name()
    root.create_bucket(Bucket=bucket)
    aws("cloudtrail", "create-trail", "--name", name, "--s3-bucket-name", bucket)
    narrower = json.dumps([{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}])
    aws("cloudtrail", "put-event-selectors", "--trail-name", name, "--event-selectors", narrower)
    aws("cloudtrail", "update-trail", "--name", name, "--no-enable-log-file-validation")
    aws("cloudtrail", "delete-trail", "--name", name)
    root.put_object(Bucket=bucket, Key="k", Body=b"x")


def no_trail_is_led_to_the_place_of_one_that_is_validated(aws, trail):
    name, bucket = f"t-{new_name()}", trail["S3BucketName"]
    place = ("--name", name, "--s3-bucket-name", bucket, "--no-enable-log-file-validation", "--s3-key-prefix")
    refusal = aws.fails("cloudtrail", "create-trail", *place, "a/b")
    assert "(InvalidParameterCombinationException) when calling the CreateTrail operation: Trail" in refusal
    assert f"{trail['Name']} delivers to {bucket}/a/b" in refusal and "Choose another S3KeyPrefix" in refusal
    aws("cloudtrail", "create-trail", *place, "a")
    assert "(InvalidParameterCombinationException)" in aws.fails("cloudtrail", "update-trail", *place, "a/b")
    aws("cloudtrail", "delete-trail", "--name", name)


def the_selectors_are_put_and_shown_in_both_grammars(aws, trail):
    name = trail["Name"]
    put = aws("cloudtrail", "put-event-selectors", "--trail-name", name, "--event-selectors", json.dumps(EVERYTHING))
    assert put["EventSelectors"][0]["DataResources"] == EVERYTHING[0]["DataResources"]
    assert aws("cloudtrail", "get-event-selectors", "--trail-name", name) == put
    advanced = [
        {"Name": "all management", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
        {
            "Name": "all data",
            "FieldSelectors": [
                {"Field": "eventCategory", "Equals": ["Data"]},
                {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            ],
        },
    ]
    arguments = ("--trail-name", name, "--advanced-event-selectors", json.dumps(advanced))
    assert aws("cloudtrail", "put-event-selectors", *arguments)["AdvancedEventSelectors"] == advanced
    narrower = json.dumps([{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}])
    refusal = aws.fails("cloudtrail", "put-event-selectors", "--trail-name", name, "--event-selectors", narrower)
    assert "(AccessDeniedException)" in refusal
    wrong = json.dumps([{"FieldSelectors": [{"Field": "nothing", "Equals": ["x"]}]}])
    refusal = aws.fails("cloudtrail", "put-event-selectors", "--trail-name", name, "--advanced-event-selectors", wrong)
    assert "(InvalidEventSelectorsException)" in refusal


def a_trail_is_stopped_with_a_code_alone_and_the_code_counts_once(calling, trail, codes):
    name, offer = trail["Name"], codes.take()
    with pytest.raises(ClientError) as error:
        calling().stop_logging(Name=name)
    assert refused(error) == "AccessDeniedException"
    calling(offer).stop_logging(Name=name)
    status = calling().get_trail_status(Name=name)
    assert status["IsLogging"] is False and status["StopLoggingTime"] >= status["StartLoggingTime"]
    calling().start_logging(Name=name)
    with pytest.raises(ClientError) as error:
        calling(codes.replayed(offer)).stop_logging(Name=name)
    assert refused(error) == "AccessDeniedException"
    assert calling().get_trail_status(Name=name)["IsLogging"] is True


def what_weakens_a_trail_is_refused_without_a_code(cloudtrail, trail):
    name = trail["Name"]
    for change in (
        {"S3BucketName": new_name()},
        {"S3KeyPrefix": "other"},
        {"EnableLogFileValidation": False},
        {"IncludeGlobalServiceEvents": False},
    ):
        with pytest.raises(ClientError) as error:
            cloudtrail.update_trail(Name=name, **change)
        assert refused(error) == "AccessDeniedException", change
    cloudtrail.update_trail(Name=name, S3BucketName=trail["S3BucketName"], EnableLogFileValidation=True)
    kept = cloudtrail.get_trail(Name=name)["Trail"]
    assert (kept["S3BucketName"], kept["S3KeyPrefix"]) == (trail["S3BucketName"], "a/b")


def the_tags_are_added_listed_and_removed(aws, trail):
    arn = trail["TrailARN"]
    aws("cloudtrail", "add-tags", "--resource-id", arn, "--tags-list", "Key=team,Value=red", "Key=env,Value=prod")
    listed = aws("cloudtrail", "list-tags", "--resource-id-list", arn)
    assert listed["ResourceTagList"] == [
        {"ResourceId": arn, "TagsList": [{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": "red"}]}
    ]
    aws("cloudtrail", "remove-tags", "--resource-id", arn, "--tags-list", "Key=env")
    [left] = aws("cloudtrail", "list-tags", "--resource-id-list", arn)["ResourceTagList"]
    assert left["TagsList"] == [{"Key": "team", "Value": "red"}]


def the_insight_selectors_are_refused_since_insights_are_not_made(aws, trail):
    name, chosen = trail["Name"], '[{"InsightType": "ApiCallRateInsight"}]'
    refusal = aws.fails("cloudtrail", "put-insight-selectors", "--trail-name", name, "--insight-selectors", chosen)
    assert "(UnsupportedOperationException) when calling the PutInsightSelectors operation: Insights events" in refusal
    assert "(InsightNotEnabledException)" in aws.fails("cloudtrail", "get-insight-selectors", "--trail-name", name)
    assert aws("cloudtrail", "get-trail", "--name", name)["Trail"]["HasInsightSelectors"] is False
    none = aws("cloudtrail", "put-insight-selectors", "--trail-name", name, "--insight-selectors", "[]")
    assert none["InsightSelectors"] == []


def the_public_keys_of_a_time_are_listed(aws):
    now = datetime.now(timezone.utc)
    times = ("--start-time", (now - timedelta(days=1)).isoformat(), "--end-time", now.isoformat())
    for key in aws("cloudtrail", "list-public-keys", *times)["PublicKeyList"]:
        assert set(key) == {"Value", "ValidityStartTime", "ValidityEndTime", "Fingerprint"}
    backwards = ("--start-time", now.isoformat(), "--end-time", (now - timedelta(days=1)).isoformat())
    assert "(InvalidTimeRangeException)" in aws.fails("cloudtrail", "list-public-keys", *backwards)


# Events of the past


@pytest.fixture(scope="module")
def past(proxy, calling):
    """Events of a bucket of their own, and the newest record of one of its objects."""
    client, bucket = proxy.client(), new_name()
    client.create_bucket(Bucket=bucket)
    for number in range(7):
        client.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
    client.get_object(Bucket=bucket, Key="k0")
    with pytest.raises(ClientError):
        client.get_object(Bucket=bucket, Key="nothing")
    [event] = [event for event in proxy.events() if (event["requestParameters"] or {}).get("key") == "k6"]
    return bucket, event


def looked_up(aws, *attributes: tuple[str, str], more=()) -> list[dict]:
    chosen = [f"AttributeKey={key},AttributeValue={value}" for key, value in attributes]
    arguments = ["--lookup-attributes", *chosen] if chosen else []
    return aws("cloudtrail", "lookup-events", *arguments, *more)["Events"]


def events_are_found_by_each_attribute(aws, past, proxy):
    bucket, event = past
    for key, value in {
        "EventId": event["eventID"],
        "EventName": "PutObject",
        "ReadOnly": "false",
        "Username": "root",
        "ResourceType": "AWS::S3::Object",
        "ResourceName": f"{bucket}/k6",
        "EventSource": "s3.amazonaws.com",
        "AccessKeyId": proxy.root.access_key,
        "SourceIPAddress": "127.0.0.1",
        "BucketName": bucket,
    }.items():
        found = looked_up(aws, (key, value), ("EventId", event["eventID"]))
        assert [json.loads(one["CloudTrailEvent"]) for one in found] == [event], key
        assert looked_up(aws, (key, "no-such-value"), ("EventId", event["eventID"])) == [], key
    [one] = looked_up(aws, ("EventId", event["eventID"]))
    assert (one["EventName"], one["ReadOnly"], one["Username"]) == ("PutObject", "false", "root")
    assert {"ResourceType": "AWS::S3::Bucket", "ResourceName": bucket} in one["Resources"]


def each_of_several_attributes_is_asked_for(aws, past):
    bucket, _ = past
    failed = looked_up(aws, ("BucketName", bucket), ("ErrorCode", "NoSuchKey"))
    assert [one["EventName"] for one in failed] == ["GetObject"]
    written = looked_up(aws, ("ResourceName", bucket), ("ReadOnly", "false"), ("EventName", "PutObject"))
    assert len(written) == 7


def events_come_newest_first_and_page_by_page(aws, past):
    bucket, _ = past
    by_bucket = (("BucketName", bucket), ("EventName", "PutObject"))
    keys = lambda events: [json.loads(one["CloudTrailEvent"])["requestParameters"]["key"] for one in events]
    newest_first = [f"k{number}" for number in range(6, -1, -1)]
    assert keys(looked_up(aws, *by_bucket)) == newest_first
    assert keys(looked_up(aws, *by_bucket, more=("--page-size", "2"))) == newest_first
    chosen = [f"AttributeKey={key},AttributeValue={value}" for key, value in by_bucket]
    first = aws("cloudtrail", "lookup-events", "--lookup-attributes", *chosen, "--max-items", "3")
    assert keys(first["Events"]) == newest_first[:3]
    rest = aws(
        *("cloudtrail", "lookup-events", "--lookup-attributes", *chosen),
        *("--max-items", "10", "--starting-token", first["NextToken"]),
    )
    assert keys(rest["Events"]) == newest_first[3:]


def events_are_found_within_their_time(aws, past):
    bucket, event = past
    at = datetime.fromisoformat(event["eventTime"])
    around = ("--start-time", (at - timedelta(minutes=5)).isoformat(), "--end-time", (at + timedelta(minutes=5)).isoformat())
    assert len(looked_up(aws, ("BucketName", bucket), ("EventName", "PutObject"), more=around)) == 7
    before = ("--start-time", (at - timedelta(days=2)).isoformat(), "--end-time", (at - timedelta(days=1)).isoformat())
    assert looked_up(aws, ("BucketName", bucket), more=before) == []
    backwards = ("--start-time", at.isoformat(), "--end-time", (at - timedelta(days=1)).isoformat())
    assert "(InvalidTimeRangeException)" in aws.fails("cloudtrail", "lookup-events", *backwards)


def the_times_in_answers_are_times_to_stock_clients(aws, cloudtrail, past, trail):
    _, event = past
    chosen = {"AttributeKey": "EventId", "AttributeValue": event["eventID"]}
    [found] = cloudtrail.lookup_events(LookupAttributes=[chosen])["Events"]
    at = datetime.fromisoformat(event["eventTime"])
    assert found["EventTime"] == at
    # The aws command shows the number that was sent.
    [shown] = looked_up(aws, ("EventId", event["eventID"]))
    assert float(shown["EventTime"]) == at.timestamp()
    now = datetime.now(timezone.utc)
    started = cloudtrail.get_trail_status(Name=trail["Name"])["StartLoggingTime"]
    assert now - timedelta(minutes=30) < started <= now
    assert float(aws("cloudtrail", "get-trail-status", "--name", trail["Name"])["StartLoggingTime"]) == started.timestamp()
    for key in cloudtrail.list_public_keys(StartTime=now - timedelta(days=1), EndTime=now)["PublicKeyList"]:
        assert key["ValidityStartTime"] < now < key["ValidityEndTime"]


def a_call_is_found_by_the_trail_that_it_names(aws, trail):
    aws("cloudtrail", "get-event-selectors", "--trail-name", trail["TrailARN"])
    for name in (trail["Name"], trail["TrailARN"]):
        by_trail = (("ResourceName", name), ("EventSource", "cloudtrail.amazonaws.com"))
        found = {one["EventName"]: one for one in looked_up(aws, *by_trail)}
        assert {"CreateTrail", "StartLogging", "GetEventSelectors"} <= set(found), name
    named = {(one["ResourceType"], one["ResourceName"]) for one in found["CreateTrail"]["Resources"]}
    assert named == {("AWS::CloudTrail::Trail", trail["Name"]), ("AWS::S3::Bucket", trail["S3BucketName"])}


def the_mfa_result_is_an_attribute_too(aws, cloudtrail, trail):
    with pytest.raises(ClientError):
        cloudtrail.delete_trail(Name=trail["Name"])
    found = looked_up(aws, ("MfaResult", "Missing"), ("EventName", "DeleteTrail"))
    record = json.loads(found[0]["CloudTrailEvent"])
    assert record["requestParameters"] == {"name": trail["Name"]}
    assert record["additionalEventData"]["MfaDelete"]["result"] == "Missing"


def what_cannot_be_looked_up_is_refused_in_awss_words(aws):
    wrong = aws.fails("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=Nonsense,AttributeValue=x")
    assert "(InvalidLookupAttributesException)" in wrong
    assert "(InvalidNextTokenException)" in aws.fails("cloudtrail", "lookup-events", "--next-token", "x")
    assert "(InvalidEventCategoryException)" in aws.fails("cloudtrail", "lookup-events", "--event-category", "insight")


# Who may, and what is written down


def a_user_sees_trails_and_changes_none(calling, trail, alice_key):
    alice = calling(credentials=alice_key)
    assert alice.get_trail(Name=trail["Name"])["Trail"]["Name"] == trail["Name"]
    for ask in (
        lambda: alice.stop_logging(Name=trail["Name"]),
        lambda: alice.create_trail(Name="another", S3BucketName=new_name()),
        lambda: alice.lookup_events(),
    ):
        with pytest.raises(ClientError) as error:
            ask()
        assert refused(error) == "AccessDeniedException"
        assert ":user/alice is not authorized to perform: cloudtrail:" in str(error.value)


def each_call_is_one_event_of_cloudtrails(proxy, cloudtrail, trail):
    started = cloudtrail.start_logging(Name=trail["Name"])
    event = proxy.event_of(started["ResponseMetadata"]["RequestId"])
    assert (event["eventSource"], event["eventName"]) == ("cloudtrail.amazonaws.com", "StartLogging")
    assert (event["managementEvent"], event["readOnly"], event["eventCategory"]) == (True, False, "Management")
    assert (event["requestParameters"], event["responseElements"]) == ({"name": trail["Name"]}, None)
    assert event["userAgent"].startswith("Boto3/")
    with pytest.raises(ClientError) as error:
        cloudtrail.get_trail(Name="not-there")
    event = proxy.event_of(error.value.response["ResponseMetadata"]["RequestId"])
    assert (event["eventName"], event["errorCode"], event["readOnly"]) == ("GetTrail", "TrailNotFoundException", True)


def a_call_that_nobody_signed_is_refused_in_cloudtrails_words(aws, proxy):
    refusal = aws.fails("--no-sign-request", "cloudtrail", "describe-trails")
    said = "(MissingAuthenticationTokenException) when calling the DescribeTrails operation: Missing Authentication Token"
    assert said in refusal
    [event] = [event for event in proxy.events() if event.get("errorCode") == "MissingAuthenticationTokenException"]
    assert (event["eventName"], event["userIdentity"]["accountId"]) == ("DescribeTrails", "anonymous")


def a_wrong_secret_is_told_and_recorded(proxy, calling):
    wrong = calling(credentials=Credentials(proxy.root.access_key, "wrong"))
    with pytest.raises(ClientError) as error:
        wrong.delete_trail(Name="any")
    assert refused(error) == "InvalidSignatureException"
    event = proxy.event_of(error.value.response["ResponseMetadata"]["RequestId"])
    assert (event["eventName"], event["errorCode"]) == ("DeleteTrail", "InvalidSignatureException")
    assert event["requestParameters"] is None


# The commands


def the_commands_make_show_and_delete_a_trail(proxy, codes):
    name, bucket = f"t-{new_name()}", new_name()
    made = proxy.json("trail", "create", name, "--bucket", bucket, "--digest-period", "60s", "--mfa-delete", "--mfa", codes.take())
    assert (made["name"], made["logging"], made["dataEvents"], made["mfaDelete"]) == (name, True, True, True)
    assert proxy.json("mfa-delete", "status", bucket)["mfaDelete"] == "Enabled"
    assert name in proxy.command("trail", "list")
    assert proxy.json("trail", "status", name)["logging"] is True
    shown = proxy.json("trail", "show", name)
    assert shown["digestPeriodSeconds"] == 60
    assert shown["selectors"]["basic"][0]["DataResources"] == EVERYTHING[0]["DataResources"]
    refusal = proxy.run("trail", "stop", name)
    assert refusal.returncode == 2 and "--mfa" in refusal.stderr
    assert proxy.json("trail", "stop", name, "--mfa", codes.take())["logging"] is False
    assert proxy.json("trail", "start", name)["logging"] is True
    narrower = proxy.run("trail", "selectors", name, "--management")
    assert narrower.returncode == 2 and "--mfa" in narrower.stderr
    assert proxy.json("trail", "delete", name, "--mfa", codes.take())["deleted"] is True
    gone = proxy.run("trail", "show", name)
    assert gone.returncode == 1 and "TrailNotFoundException" in gone.stderr
