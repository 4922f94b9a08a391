"""A parallel Scan as it is written with boto3: eight threads, json, gzip 6. The table is the first argument."""

import base64
import gzip
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

SEGMENTS = 8
client = boto3.client("dynamodb", config=Config(max_pool_connections=SEGMENTS))


class Counter(io.RawIOBase):
    """Counts what is written, and drops it."""

    bytes = 0

    def writable(self):
        return True

    def write(self, data):
        self.bytes += len(data)
        return len(data)


def plain(value):
    """What json cannot write: binary values."""
    return base64.b64encode(bytes(value)).decode()


def segment(number):
    items, counter = 0, Counter()
    pages = client.get_paginator("scan").paginate(
        TableName=sys.argv[1], Segment=number, TotalSegments=SEGMENTS
    )
    with gzip.GzipFile(fileobj=counter, mode="wb", compresslevel=6) as out:
        for page in pages:
            for item in page["Items"]:
                out.write(json.dumps({"Item": item}, default=plain).encode() + b"\n")
                items += 1
    return items, counter.bytes


with ThreadPoolExecutor(SEGMENTS) as pool:
    done = list(pool.map(segment, range(SEGMENTS)))
print(json.dumps({"items": sum(d[0] for d in done), "bytes": sum(d[1] for d in done)}))
