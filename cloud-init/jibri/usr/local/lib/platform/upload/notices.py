"""Tells the lesson app what became of a recording: Standard Webhooks, repeated until it answers 2xx.

What is to be told is kept in the recording's own folder, so it outlives a reboot, and goes with no other file.
"""

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request

import instances
from upload import spool

URL = "{{webhookUrl}}"
SECRET = instances.ROOT + "/etc/platform/secrets/webhook-secret"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 15, 600


def notice(kind, identity, data):
    """A notice for an entry's job. The same identity is the same notice, however often it is sent."""
    body = {"type": kind, "timestamp": spool.rfc3339(time.time()), "data": data}
    # As Standard Webhooks wants it: no full stop, which parts what is signed.
    return {"id": f"{kind.split('.')[1]}-{identity.replace('.', '-')}", "body": body, "told": None, "attempts": 0, "next": 0}


def signature(secret, identity, timestamp, body):
    """`v1,` and the HMAC-SHA256 of `id.timestamp.body` in Base64; all are bytes."""
    digest = hmac.new(secret, b".".join([identity, timestamp, body]), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def send(one):
    """None when the app took it, else why not."""
    body = json.dumps(one["body"], ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = str(int(time.time()))
    with open(SECRET, "rb") as file:
        secret = file.read().rstrip(b"\r\n")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "lesson-platform",
        "webhook-id": one["id"],
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(secret, one["id"].encode(), timestamp.encode(), body),
    }
    try:
        urllib.request.urlopen(urllib.request.Request(URL, body, headers), timeout=30).close()
        return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"answers {error.code}"
    except OSError as error:
        return f"does not answer: {getattr(error, 'reason', error)}"


def tell(now):
    """Sends what is due, or all. When the app does not answer at all, the rest waits for the next run."""
    for entry in spool.untold():
        one = entry.job.get("notice")
        if one is None or (one["next"] > time.time() and not now):
            continue
        problem = send(one)
        if problem is None:
            one["told"] = time.time()
        else:
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(one["attempts"], 10))
            one.update(attempts=one["attempts"] + 1, next=time.time() + pause, problem=problem)
            print(f"{entry.name}: the app {problem}; told again in {pause} s", flush=True)
        entry.save()
        if problem is not None and not problem.startswith("answers"):
            return
