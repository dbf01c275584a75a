"""Makes what goes into the store: the video, its pictures, and meta.json, which says whose it is."""

import json
import os
import re
import shutil
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import instances
from upload import media, store
from upload.spool import STORED, UPLOAD, Entry, folders, rfc3339

# The Jitsi hosts: their signalling knows the lesson of a session.
JITSI_ADDRESSES = "{{jitsiAddresses}}".split(", ")
LOOKUP_PORT = int(os.environ.get("PLATFORM_LOOKUP_PORT", "{{planStorePort}}"))
# So long a recording waits for a Jitsi host that does not answer; then its lesson is left for the app to find.
LOOKUP_PATIENCE_SECONDS = 1800
naming = threading.Lock()
LESSON = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"


class NotYet(Exception):
    """It cannot be done now; the text says why."""


def look_up(session, final):
    """What the signalling knows of a session: {lesson, room, meeting, shard}, or {}. Raises NotYet unless final."""
    silent = []
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for address in JITSI_ADDRESSES:
        try:
            with opener.open(f"http://{address}:{LOOKUP_PORT}/recordings/{session}", timeout=10) as answer:
                found = json.load(answer)
                return found if isinstance(found, dict) else {}
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 404:
                silent.append(f"{address} answers {error.code}")
        except (OSError, ValueError) as error:
            silent.append(f"{address}: {getattr(error, 'reason', error)}")
    if silent and not final:
        raise NotYet(f"whose lesson it is cannot be asked: {'; '.join(silent)}")
    return {}


def jibri_metadata(entry):
    """Jibri's metadata.json, or None when it did not come to write one."""
    try:
        with open(entry.path + "/metadata.json", encoding="utf-8") as file:
            found = json.loads(file.read(1 << 20))
        return found if isinstance(found, dict) else {}
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def origin(entry):
    """Whose recording it is: (lesson, room, shard, meeting), each None when nobody knows."""
    own = jibri_metadata(entry) or {}
    details = own.get("conference_details")
    at = urllib.parse.urlsplit(str(own.get("meeting_url") or ""))
    known = {
        "lesson": own.get("lesson"),
        "room": own.get("room") or urllib.parse.unquote(at.path.strip("/")),
        "shard": at.hostname,
        "meeting": details.get("session_id") if isinstance(details, dict) else None,
    }
    if not all(known.values()):
        asked_since = os.stat(entry.media).st_mtime
        found = look_up(entry.session, final=time.time() - asked_since > LOOKUP_PATIENCE_SECONDS)
        known = {name: value or found.get(name) for name, value in known.items()}
    known = {name: value if isinstance(value, str) and value else None for name, value in known.items()}
    if not re.fullmatch(LESSON, known["lesson"] or ""):
        known["lesson"] = None
    return known


def part_name(entry, started):
    """<host>-<instance>-<start>, unlike all that this host has."""
    taken = {*folders(STORED)} | {Entry(f"{UPLOAD}/{name}").job.get("part") for name in folders(UPLOAD)}
    while True:
        start = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(started))
        name = f"{socket.gethostname()}-{entry.instance}-{start}"
        if name not in taken:
            return name
        # A clock that was set back.
        started += 1


def prepare(entry):
    """Makes `files/` in an entry, with `meta.json`, and notes the place in the store. Does nothing when it is there."""
    target = entry.path + "/files"
    if "prefix" in entry.job and os.path.isdir(target):
        return
    # What a killed run has left.
    for name in folders(entry.path):
        shutil.rmtree(f"{entry.path}/{name}")
    source = entry.media
    known = origin(entry)
    complete = jibri_metadata(entry) is not None and media.closed_in_order(source)
    # A name of its own: a killed run's ffmpeg may still write.
    work = tempfile.mkdtemp(prefix="work.", dir=entry.path)
    video = work + "/video.mp4"
    media.remux(source, video)
    about = media.describe(video)
    seconds = about.pop("seconds")
    media.poster(video, seconds, work + "/poster.jpg")
    media.storyboard(video, seconds, work + "/storyboard.jpg", work + "/storyboard.vtt")
    digests = {name: store.digests(f"{work}/{name}") for name in sorted(os.listdir(work))}
    files = {name: {"bytes": one["bytes"], "sha256": one["sha256"]} for name, one in digests.items()}
    # Jibri's own times are local, and from before its browser has joined.
    ended = os.stat(source).st_mtime
    started = ended - seconds
    if "part" not in entry.job:
        with naming:
            entry.save(part=part_name(entry, started))
    part = entry.job["part"]
    meta = {
        "format": 1,
        **known,
        "session": entry.session,
        "part": part,
        "recorder": socket.gethostname(),
        "instance": entry.instance,
        "startedAt": rfc3339(started),
        "endedAt": rfc3339(ended),
        "durationMs": round(seconds * 1000),
        "complete": complete,
        "video": {**files.pop("video.mp4"), **about},
        "files": files,
    }
    with open(work + "/meta.json", "w", encoding="utf-8") as file:
        json.dump(meta, file, indent=2, ensure_ascii=False)
        file.write("\n")
    digests["meta.json"] = store.digests(work + "/meta.json")
    os.rename(work, target)
    prefix = "/".join([store.PREFIX, known["lesson"] or "unknown", entry.session, part])
    entry.save(prefix=prefix, meta=meta, digests=digests)
