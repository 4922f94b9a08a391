"""Reads exports in DynamoDB's own format, with nothing but the standard library and AWS's documentation.

usage: read_export.py FOLDER

FOLDER holds a copy of a bucket's objects under their keys. Of every export in it, one JSON line is printed:
its table's ARN, the number of its items, and the MD5 of the items as sorted lines of canonical JSON.
"""

import base64
import gzip
import hashlib
import json
import pathlib
import sys


def md5(content):
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def read_checked(path):
    """A manifest's bytes, which must be those that the .md5 beside it was made of."""
    content = path.read_bytes()
    expected = path.with_suffix(".md5").read_text()
    if md5(content) != expected:
        sys.exit(f"{path}: its MD5 is {md5(content)}, the .md5 says {expected}")
    return content


def read_part(folder, entry):
    content = (folder / entry["dataFileS3Key"]).read_bytes()
    if md5(content) != entry["md5Checksum"]:
        sys.exit(f"{entry['dataFileS3Key']}: its MD5 is {md5(content)}, the manifest says {entry['md5Checksum']}")
    if hashlib.md5(content).hexdigest() != entry["etag"].strip('"'):
        sys.exit(f"{entry['dataFileS3Key']}: its ETag is not that of the manifest")
    lines = gzip.decompress(content).decode().split("\n")
    if lines.pop() != "":
        sys.exit(f"{entry['dataFileS3Key']}: its last line has no end")
    if len(lines) != entry["itemCount"]:
        sys.exit(f"{entry['dataFileS3Key']}: {len(lines)} items, the manifest says {entry['itemCount']}")
    return [json.loads(line)["Item"] for line in lines]


def read_export(folder, summary_path):
    summary = json.loads(read_checked(summary_path))
    manifest = read_checked(folder / summary["manifestFilesS3Key"]).decode()
    items = [item for line in manifest.splitlines() for item in read_part(folder, json.loads(line))]
    if len(items) != summary["itemCount"]:
        sys.exit(f"{summary_path}: {len(items)} items, the summary says {summary['itemCount']}")
    canonical = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False}
    lines = sorted(json.dumps(item, **canonical) for item in items)
    digest = hashlib.md5("\n".join(lines).encode()).hexdigest()
    return {"tableArn": summary["tableArn"], "items": len(items), "digest": digest}


def main():
    folder = pathlib.Path(sys.argv[1])
    for summary_path in sorted(folder.rglob("manifest-summary.json")):
        print(json.dumps(read_export(folder, summary_path)))


main()
