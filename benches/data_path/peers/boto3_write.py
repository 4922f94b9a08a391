"""Batch writes as they are written with boto3: sixteen threads, from gzip.

Arguments: the table, the URL of a part of an export, and how many bytes of its lines to write.
"""

import base64
import gzip
import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

THREADS = 16
table, url, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = boto3.client("dynamodb", config=Config(max_pool_connections=THREADS))


def typed(value):
    """The client wants binary values as bytes."""
    kind, inner = next(iter(value.items()))
    if kind == "B":
        return {"B": base64.b64decode(inner)}
    if kind == "M":
        return {"M": {name: typed(member) for name, member in inner.items()}}
    if kind == "L":
        return {"L": [typed(member) for member in inner]}
    return value


def put(lines):
    items = (json.loads(line)["Item"] for line in lines)
    puts = [{"PutRequest": {"Item": {name: typed(value) for name, value in item.items()}}} for item in items]
    while puts:
        puts = client.batch_write_item(RequestItems={table: puts})["UnprocessedItems"].get(table)
    return len(lines)


def batches():
    total, batch = 0, []
    with gzip.open(urllib.request.urlopen(url)) as lines:
        for line in lines:
            batch.append(line)
            total += len(line)
            if len(batch) == 25:
                yield batch
                batch = []
            if total >= limit:
                break
    if batch:
        yield batch
    global written
    written = total


with ThreadPoolExecutor(THREADS) as pool:
    items = sum(pool.map(put, batches()))
print(json.dumps({"items": items, "bytes": written}))
