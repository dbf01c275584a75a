"""The recorder instances of this host: their ports, folders and what each says of itself."""

import datetime
import json
import os
import re
import urllib.request

ROOT = os.environ.get("PLATFORM_ROOT", "")
COUNT = int("{{instances}}")
STATE = ROOT + "/var/lib/platform"
DRAINING = STATE + "/draining"
DISK_FULL = STATE + "/disk-full"
FOLDER = ROOT + "/var/lib/jibri"
# Bytes that must be free: a lesson of three hours at 720p is below 3 GB.
ROOM_NEEDED = 5 * 1024**3 * COUNT
NAMES = [str(number) for number in range(1, COUNT + 1)]


def external_port(name):
    return {{firstExternalPort}} + int(name) - 1


def internal_port(name):
    return {{firstInternalPort}} + int(name) - 1


def _open(url, data=None, timeout=5):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data=data), timeout=timeout) as answer:
        return answer.read()


def health(name):
    """`idle`, `busy`, `expired`, `unhealthy`, or `stopped` when it does not answer."""
    try:
        status = json.loads(_open(f"http://127.0.0.1:{external_port(name)}/jibri/api/v1.0/health"))["status"]
        if status["health"]["healthStatus"] != "HEALTHY":
            return "unhealthy"
        return str(status["busyStatus"]).lower()
    except (OSError, ValueError, KeyError, TypeError):
        return "stopped"


def shut_down_gracefully(name):
    """Tells Jibri to end when its recording has; it takes no other. False when it does not answer."""
    try:
        _open(f"http://127.0.0.1:{internal_port(name)}/jibri/api/internal/v1.0/gracefulShutdown", data=b"")
        return True
    except OSError:
        return False


def open_recordings(name):
    """Folders of recordings that were begun and not announced as finished, the newest last."""
    base = f"{FOLDER}/{name}/recordings"
    try:
        entries = [entry for entry in os.scandir(base) if entry.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(entries, key=lambda entry: entry.stat().st_mtime)


def describe(name):
    """{name, state, lesson, since}: lesson is the room's name, since in UTC; both null unless busy."""
    state = health(name)
    found = {"name": name, "state": state, "lesson": None, "since": None}
    recordings = open_recordings(name)
    if state == "busy" and recordings:
        folder = recordings[-1]
        files = sorted(entry for entry in os.listdir(folder.path) if entry.endswith(".mp4"))
        # Jibri names the file ROOM_DATE-TIME.mp4.
        if files:
            found["lesson"] = re.sub(r"_\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d\.mp4$", "", files[0])
        began = datetime.datetime.fromtimestamp(folder.stat().st_ctime, datetime.timezone.utc)
        found["since"] = began.strftime("%Y-%m-%dT%H:%M:%SZ")
    return found


def summary(described, backlog, draining=False):
    """One line for people, e.g. `1 idle, records algebra since 2026-11-25T10:00:00Z, 2 to upload`."""
    states = [each["state"] for each in described]
    busy = [f"records {each['lesson'] or 'a lesson'} since {each['since'] or 'just now'}" for each in described if each["state"] == "busy"]
    others = [f"{states.count(state)} {state}" for state in dict.fromkeys(states) if state != "busy"]
    counts = [(backlog["uploads"], "to upload"), (len(backlog["quarantine"]), "in quarantine")]
    return ", ".join(["draining"] * draining + others + busy + [f"{number} {what}" for number, what in counts if number])
