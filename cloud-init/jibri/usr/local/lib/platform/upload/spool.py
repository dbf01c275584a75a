"""Recordings that Jibri is done with, a folder each, on their way through this host.

/var/lib/jibri/N/recordings/SESSION     Jibri writes; what a crash leaves stays here
/var/lib/jibri/N/queue/SESSION.STAMP    moved here by `recording-finished`, Jibri's finalize script
/var/lib/jibri/upload/ENTRY             taken, root's: the media file, Jibri's metadata.json, job.json, files/
/var/lib/jibri/stored/PART              in the store; kept for a while, and until the app knows of it
/var/lib/jibri/quarantine/ENTRY         cannot be stored; never deleted

Each step is one rename, and each can be repeated: a kill at any moment loses nothing.
"""

import datetime
import json
import os
import re
import shutil
import time

import instances

UPLOAD = instances.FOLDER + "/upload"
STORED = instances.FOLDER + "/stored"
QUARANTINE = instances.FOLDER + "/quarantine"
# A stored recording stays here that long, in case the store loses it; less when the disk has little room.
KEEP_SECONDS = 24 * 3600
# What nothing has written to for that long was left by a crash. A busy instance writes every two seconds.
QUIET_SECONDS = 60
QUIET_WHILE_BUSY_SECONDS = 600


class Broken(Exception):
    """A recording that no repetition will store; the text says why."""


def rfc3339(seconds):
    """A moment as UTC with milliseconds."""
    moment = datetime.datetime.fromtimestamp(round(seconds, 3), datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_json(path, value):
    """Whole or not at all, also after a power cut."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


class Entry:
    """A folder with its job.json: what is known of the recording, and how far it is."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)
        try:
            with open(path + "/job.json", encoding="utf-8") as file:
                self.job = json.load(file)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            self.job = {}

    def save(self, **changes):
        self.job.update(changes)
        write_json(self.path + "/job.json", self.job)

    @property
    def instance(self):
        return int(self.name.split(".")[0])

    @property
    def session(self):
        return re.sub("[^A-Za-z0-9-]", "-", self.name.split(".")[1])[:64]

    @property
    def media(self):
        """Path of the one media file. Raises Broken when there is none that can be read."""
        names = media_names(self.path)
        if not names:
            raise Broken("no media in it")
        return f"{self.path}/{names[0]}"

    def move(self, folder, name=None):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        target = f"{folder}/{name or self.name}"
        os.rename(self.path, target)
        self.path = target


def folders(path):
    try:
        return sorted(entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def media_names(path):
    """Names of a folder's media files. Raises Broken when the folder, or one of them, is no plain one."""
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(".mp4"))
    except OSError as error:
        raise Broken(f"the folder cannot be read: {error.strerror}") from None
    for name in names:
        # What a recorder's user points elsewhere is not followed as root.
        if os.path.islink(f"{path}/{name}") or not os.path.isfile(f"{path}/{name}"):
            raise Broken(f"{name} is no plain file")
    return names


def left_by_crash(name):
    """Folders among an instance's recordings that nothing writes to any more."""
    busy = instances.health(name) == "busy"
    quiet = time.time() - (QUIET_WHILE_BUSY_SECONDS if busy else QUIET_SECONDS)
    base = f"{instances.FOLDER}/{name}/recordings"
    for folder in folders(base):
        path = f"{base}/{folder}"
        try:
            newest = max([os.stat(path).st_mtime, *(entry.stat().st_mtime for entry in os.scandir(path))])
        except OSError:
            continue
        if newest < quiet:
            yield path


def take():
    """Takes what is finished, and what a crash left, out of the instances' hands."""
    os.makedirs(UPLOAD, mode=0o700, exist_ok=True)
    for name in instances.NAMES:
        base = f"{instances.FOLDER}/{name}/queue"
        for folder in folders(base):
            os.rename(f"{base}/{folder}", f"{UPLOAD}/{name}.{folder}")
        for path in left_by_crash(name):
            session = os.path.basename(path)
            print(f"{session}: left by a crash", flush=True)
            os.rename(path, f"{UPLOAD}/{name}.{session}.{time.time_ns()}")


def split():
    """Gives each media file an entry of its own: a session that came back to its recorder has two in one folder."""
    for folder in folders(UPLOAD):
        path = f"{UPLOAD}/{folder}"
        try:
            names = media_names(path)
        except Broken:
            continue
        for number, name in enumerate(names[1:], 2):
            other = f"{path}.{number}"
            os.makedirs(other, exist_ok=True)
            if os.path.exists(path + "/metadata.json"):
                shutil.copyfile(path + "/metadata.json", other + "/metadata.json")
            os.rename(f"{path}/{name}", f"{other}/{name}")


def waiting():
    """Entries that are not in the store, the oldest first."""
    take()
    split()
    entries = [Entry(f"{UPLOAD}/{folder}") for folder in folders(UPLOAD)]
    return sorted(entries, key=lambda entry: entry.name.split(".")[2:])


def told(entry):
    return entry.job.get("notice", {}).get("told") is not None


def untold():
    """Entries of which the app does not know yet."""
    places = [f"{base}/{folder}" for base in (STORED, QUARANTINE) for folder in folders(base)]
    return [entry for entry in map(Entry, places) if not told(entry)]


def forget_old(room_wanted):
    """Deletes local copies that are old, the oldest also before their time while less than `room_wanted` bytes are free."""
    entries = sorted(map(Entry, (f"{STORED}/{folder}" for folder in folders(STORED))), key=lambda entry: entry.job["stored"])
    for entry in entries:
        old = time.time() - entry.job["stored"] > KEEP_SECONDS
        if not old and shutil.disk_usage(instances.FOLDER).free >= room_wanted:
            return
        if told(entry):
            shutil.rmtree(entry.path)
        else:
            # The app has not heard of it yet: that is kept.
            shutil.rmtree(entry.path + "/files", ignore_errors=True)


def backlog():
    """What is on this host and not done, for status, metrics and doctor; recordings that run are left out."""
    places = [UPLOAD, *(f"{instances.FOLDER}/{name}/queue" for name in instances.NAMES)]
    places += [f"{instances.FOLDER}/{name}/recordings" for name in instances.NAMES if instances.health(name) != "busy"]
    waits = [f"{place}/{folder}" for place in places for folder in folders(place)]
    ages = []
    for path in waits:
        try:
            ages.append(time.time() - os.stat(path).st_ctime)
        except FileNotFoundError:
            continue
    silent = untold()
    return {
        "uploads": len(waits),
        "oldestUploadSeconds": max(0, int(max(ages, default=0))),
        "quarantine": folders(QUARANTINE),
        "untold": len(silent),
        "untoldSeconds": max((int(time.time() - os.stat(entry.path).st_ctime) for entry in silent), default=0),
    }
