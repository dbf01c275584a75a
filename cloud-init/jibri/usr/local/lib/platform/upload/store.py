"""The S3 store: files go there by rclone, and count as stored when the store's own words about them fit."""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import urllib.error
import urllib.request

import instances
from upload.spool import Broken

BUCKET = "{{storeBucket}}"
PREFIX = "{{storePrefix}}"
PART_BYTES = 16 * 1024 * 1024
# A break of the network is waited for and its part sent anew; a run that is killed begins the broken file again.
RCLONE = [
    *["rclone", "--config", instances.ROOT + "/etc/platform/rclone.conf"],
    *["--retries", "2", "--low-level-retries", "20", "--contimeout", "15s", "--timeout", "60s"],
    # Each part goes with its MD5, which the store checks. What rclone would note of the whole is its own word.
    *["--s3-chunk-size", f"{PART_BYTES}B", "--s3-upload-cutoff", f"{PART_BYTES}B", "--s3-disable-checksum"],
]


# All that it goes by is in its file; what it would take from the environment as well is left out.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


class Unstored(Exception):
    """The store does not have it; the text says why."""


def rclone(*arguments):
    command = [*RCLONE, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENVIRONMENT)
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-400:] or f"exit status {done.returncode}"
        raise Unstored(f"rclone {arguments[0]}: {said}")
    return done.stdout


def digests(path):
    """{bytes, sha256, md5, etag} of a file; etag is what S3 gives a multipart upload: the MD5 of the parts' MD5s."""
    sha256, md5, parts, size = hashlib.sha256(), hashlib.md5(), [], 0
    with open(path, "rb") as file:
        while part := file.read(PART_BYTES):
            size += len(part)
            sha256.update(part)
            parts.append(hashlib.md5(part).digest())
            if len(parts) == 1:
                md5 = hashlib.md5(part)
    etag = f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"
    return {"bytes": size, "sha256": sha256.hexdigest(), "md5": md5.hexdigest() if len(parts) < 2 else None, "etag": etag}


def etag_of(key):
    """(ETag, bytes) as the store tells them."""
    # A signed address saves an own signature; it asks for one byte.
    url = rclone("link", "--expire", "10m", f"store:{BUCKET}/{key}").strip()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=0-0"}), timeout=60) as answer:
            size = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
            return answer.headers.get("ETag", "").strip('"'), int(size[1]) if size else -1
    except OSError as error:
        # Not the address, which opens the object.
        raise Unstored(f"{key} cannot be read: {getattr(error, 'code', getattr(error, 'reason', 'no answer'))}") from None


def downloaded_sha256(key):
    """The last resort, for stores whose ETags are no digests (encrypted buckets, R2): reads the whole object."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "env": ENVIRONMENT}
    with subprocess.Popen([*RCLONE, "cat", f"store:{BUCKET}/{key}"], **quiet) as reader:
        found = hashlib.sha256()
        while piece := reader.stdout.read(1 << 20):
            found.update(piece)
    if reader.returncode != 0:
        raise Unstored(f"{key} cannot be read: rclone cat ended with {reader.returncode}")
    return found.hexdigest()


def listing(prefix):
    """The objects below a prefix by name: {Size, Hashes}, of small ones the MD5 that is their ETag."""
    listed = rclone("lsjson", "--files-only", "--hash", "--hash-type", "MD5", f"store:{BUCKET}/{prefix}")
    return {one["Name"]: one for one in json.loads(listed)}


def verify(prefix, wanted):
    """Compares size and digest of each object with the files' own. Raises Unstored with the first that differs."""
    in_parts = [name for name, own in wanted.items() if own["md5"] is None]
    # A process each, and most of its time is its start.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        objects = pool.submit(listing, prefix)
        etags = {name: pool.submit(etag_of, f"{prefix}/{name}") for name in in_parts}
    objects = objects.result()
    for name, own in wanted.items():
        there = objects.get(name)
        key = f"{prefix}/{name}"
        if there is None or there["Size"] != own["bytes"]:
            raise Unstored(f"{key} has {there['Size'] if there else 'no'} bytes, not {own['bytes']}")
        if own["md5"] is not None and (there.get("Hashes") or {}).get("md5") == own["md5"]:
            continue
        if name in etags and etags[name].result() == (own["etag"], own["bytes"]):
            continue
        if downloaded_sha256(key) != own["sha256"]:
            raise Unstored(f"{key} has other content than the file")


def upload(folder, prefix, wanted, again):
    """Takes a folder's files to the store, meta.json last and only when all others are there as they should be.

    again: also those that the store seems to have
    """
    for name, own in wanted.items():
        try:
            same = digests(f"{folder}/{name}")["sha256"] == own["sha256"] if again else True
        except FileNotFoundError:
            same = False
        if not same:
            raise Broken(f"{name} has changed on this host's disk")
    target = f"store:{BUCKET}/{prefix}"
    copy = ["copy", *(["--ignore-times"] if again else []), folder, target]
    rest = {name: own for name, own in wanted.items() if name != "meta.json"}
    rclone(*copy, "--exclude", "meta.json")
    verify(prefix, rest)
    # Of a file in one part rclone itself compares size and MD5 with what the store answers.
    rclone(*copy, "--include", "meta.json")


def clear_broken_off(age="2d"):
    """Ends uploads in parts that nobody goes on with: a store keeps what had arrived of them, and charges for it."""
    rclone("backend", "cleanup", "-o", f"max-age={age}", f"store:{BUCKET}/{PREFIX}")
