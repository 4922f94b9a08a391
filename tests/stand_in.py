"""What `stand-in.sh` asks of AWS: `deploy` sets both accounts up, `compare` reads source and copy back.

Speaks to AWS_ENDPOINT_URL through boto3; an access key of twelve digits is that account's root. Where DynamoDB has an
endpoint of its own, both accounts share its tables, and all else is set up already.
"""

import json
import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ENDPOINT, REGION = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]
DYNAMODB_ENDPOINT = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")
TARGET_PREFIX = os.environ.get("BACKUP_TARGET_PREFIX", "")
RESTORED_PREFIX = "restored-"
BACKUP_ACCOUNT = os.environ["AWS_ACCESS_KEY_ID"]
ROLE_ARN, EXTERNAL_ID = os.environ["BACKUP_ROLE_ARN"], os.environ["BACKUP_EXTERNAL_ID"]
SOURCE_ACCOUNT = ROLE_ARN.split(":")[4]
ROLE = ROLE_ARN.rsplit("/", 1)[1]
SCALING = ["ScalableTargets", "ScalingPolicies", "ScheduledActions"]
READ_ONLY = ["ListTables", "Describe*", "Scan", "ListTagsOfResource", "GetResourcePolicy"]


def client(service, account):
    config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard"})
    return boto3.client(
        service,
        endpoint_url=(DYNAMODB_ENDPOINT or ENDPOINT) if service == "dynamodb" else ENDPOINT,
        region_name=REGION,
        config=config,
        aws_access_key_id=account,
        aws_secret_access_key="stand-in",
    )


def wait_until_up(seconds=120):
    deadline = time.monotonic() + seconds
    while True:
        try:
            client("sts", BACKUP_ACCOUNT).get_caller_identity()
            return client("dynamodb", BACKUP_ACCOUNT).list_tables()
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def deploy():
    """What Terraform would make, and the tables to be backed up."""
    wait_until_up()
    if not DYNAMODB_ENDPOINT:
        create_bucket()
        for stage in ("trigger", "export", "provision", "write"):
            create_queue(f"dynamodb-backup-{stage}")
        create_role()
    for table, items in tables():
        load(table, items)
    expire("sessions")


def create_bucket():
    location = {"LocationConstraint": REGION}
    client("s3", BACKUP_ACCOUNT).create_bucket(Bucket=os.environ["BACKUP_BUCKET"], CreateBucketConfiguration=location)


def expire(table):
    expiry = {"Enabled": True, "AttributeName": "expires"}
    client("dynamodb", SOURCE_ACCOUNT).update_time_to_live(TableName=table, TimeToLiveSpecification=expiry)


def create_queue(name):
    sqs = client("sqs", BACKUP_ACCOUNT)
    dead = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 6})
    sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": redrive})


def create_role():
    iam = client("iam", SOURCE_ACCOUNT)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{BACKUP_ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    scaling = [f"application-autoscaling:Describe{what}" for what in SCALING]
    actions = [f"dynamodb:{action}" for action in READ_ONLY] + scaling
    allow = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=policy(trust))
    iam.put_role_policy(RoleName=ROLE, PolicyName="read-only", PolicyDocument=policy(allow))


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def load(table, items):
    dynamodb = client("dynamodb", SOURCE_ACCOUNT)
    dynamodb.create_table(**table)
    dynamodb.get_waiter("table_exists").wait(TableName=table["TableName"], WaiterConfig={"Delay": 1})
    for start in range(0, len(items), 25):
        batch = {table["TableName"]: [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]}
        while batch:
            batch = dynamodb.batch_write_item(RequestItems=batch)["UnprocessedItems"]


def tables():
    """Every table as a CreateTable request and its items, the same at every call."""
    yield orders(), [order(n) for n in range(2000)]
    yield schema("empty", "id:S"), []
    yield schema("readings", "sensor:N", "at:N", provisioned=True), [reading(n) for n in range(1500)]
    yield schema("blobs", "digest:B", "part:B"), [blob(n) for n in range(600)]
    yield schema("documents", "id:S"), [document(n) for n in range(300)]
    yield sessions(), [session(n) for n in range(200)]


def schema(name, *keys, attributes=(), provisioned=False, **indexes):
    throughput = {"ProvisionedThroughput": {"ReadCapacityUnits": 500, "WriteCapacityUnits": 500}}
    named = [attribute.split(":") for attribute in (*keys, *attributes)]
    return {
        "TableName": name,
        "KeySchema": key(*(attribute for attribute, _ in named[: len(keys)])),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in named],
        "BillingMode": "PROVISIONED" if provisioned else "PAY_PER_REQUEST",
        **(throughput if provisioned else {}),
        **indexes,
    }


def key(*names):
    return [{"AttributeName": name, "KeyType": role} for name, role in zip(names, ("HASH", "RANGE"))]


def index(name, keys, projection, *attributes):
    projection = {"ProjectionType": projection, **({"NonKeyAttributes": attributes} if attributes else {})}
    return {"IndexName": name, "KeySchema": key(*keys), "Projection": projection}


def orders():
    return schema(
        "orders",
        "customer:S",
        "placed:N",
        attributes=["status:S", "total:N"],
        GlobalSecondaryIndexes=[
            index("by-status", ["status", "placed"], "ALL"),
            index("by-total", ["total"], "KEYS_ONLY"),
        ],
        LocalSecondaryIndexes=[index("by-customer-total", ["customer", "total"], "INCLUDE", "status")],
    )


def sessions():
    """With what no copy may have, and what every copy has."""
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    return schema("sessions", "id:S", StreamSpecification=stream, Tags=[{"Key": "team", "Value": "shop"}])


def session(n):
    """Expires in 2100: a stand-in that deletes what has expired is not to be run after."""
    return {"id": {"S": f"session-{n}"}, "expires": {"N": "4102444800"}}


def order(n):
    lines = [{"M": {"sku": {"S": f"sku-{n}-{line}"}, "count": {"N": str(line + 1)}}} for line in range(n % 4)]
    item = {"customer": {"S": f"customer-{n % 97}"}, "placed": {"N": str(n)}, "total": {"N": f"{n}.5"}}
    sparse = {"status": {"S": ("open", "paid", "sent")[n % 3]}} if n % 5 else {}
    return {**item, **sparse, "lines": {"L": lines}, "gift": {"BOOL": n % 7 == 0}, "note": {"NULL": True}}


def reading(n):
    digits = f"1234567890123456789012345678901234{n:04}"
    numbers = [digits, f"-{digits}", f"0.{digits}", f"-{digits[:19]}.{digits[19:]}", f"{n + 1}e121", f"-{n + 1}e-126"]
    return {"sensor": {"N": str(n % 41 - 20)}, "at": {"N": numbers[n % 6]}, "values": {"NS": numbers[n % 5 :]}}


def blob(n):
    digest = bytes([n % 256, 0, 255, 10, n // 256])
    return {"digest": {"B": digest}, "part": {"B": b"\0" * (n % 9 + 1)}, "data": {"B": digest * (n * 3)}}


def document(n):
    nested = {"S": "deep"}
    for level in range(n % 30):
        nested = {"L": [nested]} if level % 2 else {"M": {f"level {level}": nested}}
    return {
        "id": {"S": f'document/{n} \u00fc \U0001f600 "quoted" \\ \n'},
        "nested": nested,
        "strings": {"SS": [f"s{n}", "\u4f60\u597d", "a.b#c"]},
        "blobs": {"BS": [bytes([n % 256]), b"\0\xff"]},
        "empty": {"M": {"text": {"S": ""}, "bytes": {"B": b""}, "list": {"L": []}, "map": {"M": {}}}},
        "filler": {"S": "x" * (n * 97)},
    }


def compare():
    """Prints a line for each table; the run's report is on standard input."""
    report = json.load(sys.stdin)
    print(f"the run says: {report['outcome']}")
    compared = seeded() if sys.argv[2:] else tables()
    equal = [compare_table(table, items, TARGET_PREFIX, is_a_copy) for table, items in compared]
    drift = sorted({drift for run in report["runs"] for table in run["tables"] for drift in table.get("drift", [])})
    print("\n".join(f"  this stand-in cannot be told otherwise: {text}" for text in drift))
    if report["outcome"] != "complete" or not all(equal):
        sys.exit(1)


def seeded():
    """Tables that somebody else has made, given as NAME=ITEMS."""
    for name, items in (argument.split("=") for argument in sys.argv[2:]):
        yield {"TableName": name}, range(int(items))


def compare_restored():
    """Prints a line for each table that was restored under another name, with all its settings."""
    equal = [compare_table(table, items, RESTORED_PREFIX, is_restored) for table, items in tables()]
    if not all(equal):
        sys.exit(1)


def names():
    """The tables, a line each."""
    print("\n".join(table["TableName"] for table, _ in tables()))


def compare_table(table, items, prefix, is_as_it_should_be):
    name = table["TableName"]
    source, copy = read(SOURCE_ACCOUNT, name), read(BACKUP_ACCOUNT, prefix + name)
    differing = [key for key in source.keys() | copy.keys() if source.get(key) != copy.get(key)]
    same_table = definition(SOURCE_ACCOUNT, name) == definition(BACKUP_ACCOUNT, prefix + name)
    same_table = same_table and is_as_it_should_be(name, prefix + name)
    equal = same_table and not differing and len(source) == len(items)
    print(
        f"  {name:<10} {len(items):>5} items written, {len(source):>5} in the source, {len(copy):>5} in the copy, "
        f"{len(differing)} differ, definition {'equal' if same_table else 'DIFFERS'}"
    )
    for key in differing[:3]:
        print(f"    {key}:\n      source {source.get(key)}\n      copy   {copy.get(key)}")
    return equal


def read(account, table):
    """Every item as text, by its key; none when there is no such table."""
    dynamodb = client("dynamodb", account)
    names = [element["AttributeName"] for element in describe(account, table).get("KeySchema", [])]
    if not names:
        return {}
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    items = [item for page in pages for item in page["Items"]]
    found = {text({name: item[name] for name in names}): text(item) for item in items}
    assert len(found) == len(items), f"a scan of {table} gave an item twice"
    return found


def text(value):
    """One spelling of an item: sets have no order, and bytes no JSON."""

    def canonical(value):
        if isinstance(value, dict):
            sets = {"SS", "NS", "BS"} & value.keys()
            return {name: sorted(map(canonical, v)) if name in sets else canonical(v) for name, v in value.items()}
        if isinstance(value, list):
            return [canonical(element) for element in value]
        return value.hex() if isinstance(value, bytes) else value

    return json.dumps(canonical(value), sort_keys=True, ensure_ascii=False)


def describe(account, table):
    dynamodb = client("dynamodb", account)
    try:
        return dynamodb.describe_table(TableName=table)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        return {}


def definition(account, table):
    """What CreateTable was given, as DescribeTable tells it, in an order of its own."""
    found = describe(account, table)
    indexes = [
        (kind, index["IndexName"], text(index["KeySchema"]), text(index["Projection"]))
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for index in found.get(kind, [])
    ]
    attributes = [text(attribute) for attribute in found.get("AttributeDefinitions", [])]
    return found.get("KeySchema"), sorted(attributes), sorted(indexes)


def is_a_copy(_source, copy):
    """Whether a table is on demand, and has neither a stream nor a time to live, whatever its source has."""
    return settings(BACKUP_ACCOUNT, copy) == ("PAY_PER_REQUEST", None, None)


def is_restored(source, restored):
    """Whether a table has what its source has."""
    return settings(SOURCE_ACCOUNT, source) == settings(BACKUP_ACCOUNT, restored)


def settings(account, table):
    """Billing mode, what its stream shows, and the attribute by which its items expire."""
    found = describe(account, table)
    if not found:
        return None
    expiry = client("dynamodb", account).describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    billing = found.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    return billing, found.get("StreamSpecification", {}).get("StreamViewType"), expiry.get("AttributeName")


if __name__ == "__main__":
    commands = {"deploy": deploy, "wait": wait_until_up, "names": names, "compare": compare}
    {**commands, "compare-restored": compare_restored}[sys.argv[1]]()
