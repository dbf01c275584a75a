"""Recorders and bridges as the Jitsi host sees them: the stored roster, and each host's status service."""

import concurrent.futures
import ipaddress
import json
import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

ROSTER = os.environ.get("PLATFORM_ROOT", "") + "/var/lib/platform/roster.json"
RECORDERS = "{{recorderNetwork}}"
BRIDGES = "{{bridgeNetwork}}"
SHARD = "{{shard}}"
# Of this shard, besides its own.
BRIDGE_COUNT = int("{{bridgeCount}}")
OWN_BRIDGE = "{{ownBridge}}" == "true"
PORT = int(os.environ.get("PLATFORM_STATUS_PORT", "{{statusPort}}"))
TIMEOUT_SECONDS = 10


class Unreachable(Exception):
    """A host gave no usable answer; the text says why."""


def parse_roster(text):
    """The roster from JSON; raises ValueError with a sentence that names the field."""
    try:
        roster = json.loads(text)
    except ValueError as error:
        raise ValueError(f"standard input is not JSON: {error}") from None
    if not isinstance(roster, dict):
        raise ValueError('expected an object, e.g. {"stay": [], "lost": [], "waitMinutes": 120}')
    stay, lost, wait = roster.get("stay"), roster.get("lost"), roster.get("waitMinutes")
    for field, names in (("stay", stay), ("lost", lost)):
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f'"{field}" must be a list of names, e.g. ["recorder-7"]')
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or wait < 0:
        raise ValueError('"waitMinutes" must be a number, 0 or more, e.g. 120')
    for name in stay + lost:
        if not name.startswith("recorder-"):
            raise ValueError(f'"{name}" is not the name of a recorder, e.g. recorder-7')
        address(name)
    if both := sorted(set(stay) & set(lost)):
        raise ValueError(f'"{both[0]}" cannot both stay and be lost')
    return {"stay": stay, "lost": lost, "waitMinutes": wait}


def read_roster():
    """What platform-roster stored, or None."""
    try:
        with open(ROSTER, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def write_roster(roster):
    os.makedirs(os.path.dirname(ROSTER), exist_ok=True)
    handle, fresh = tempfile.mkstemp(dir=os.path.dirname(ROSTER), prefix=".roster.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(roster, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, ROSTER)


def address(name):
    """Private address of recorder-N, or of bridge-SHARD-N of this shard: the network gives them by number."""
    found = re.fullmatch(r"(recorder|bridge-%s)-([1-9][0-9]{0,2})" % SHARD, name)
    if not found or int(found[2]) > 254:
        raise ValueError(f'"{name}" is not the name of a recorder or of a bridge of this shard, e.g. recorder-7')
    network = RECORDERS if found[1] == "recorder" else BRIDGES
    return os.environ.get("PLATFORM_STATUS_OF_ALL") or str(ipaddress.ip_address(network) + int(found[2]))


def _call(name, path, body=None):
    request = urllib.request.Request(
        f"http://{address(name)}:{PORT}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    # No proxy from the environment: this is the private network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Unreachable(f"{path} answered {error.code}: {error.read(300).decode(errors='replace').strip()}") from None
    except (OSError, ValueError) as error:
        raise Unreachable(str(getattr(error, "reason", error))) from None


def status(name):
    """{serverId, draining, instances: [{name, state, lesson, since}], uploads}; raises Unreachable.

    A bridge is one instance, busy while it carries lessons; its `lesson` says how many.
    """
    found = _call(name, "/status")
    if not isinstance(found, dict) or not {"serverId", "draining", "instances", "uploads"} <= set(found):
        raise Unreachable("/status answered something that is no status")
    return found


def report(name):
    """What the host's own doctor last found, as `platform-doctor --json` prints it; raises Unreachable."""
    return _call(name, "/doctor")


def bridges():
    """Names of the bridges that there should be."""
    names = [f"bridge-{SHARD}-{number}" for number in range(1, BRIDGE_COUNT + 1)]
    return [f"jitsi-{SHARD}"] * OWN_BRIDGE + names


def brewery(kind):
    """Nicknames of those in the brewery of `jibri` or `jvb`, focus left out; empty when Prosody does not say."""
    domain = "internal.auth.{{domain}}"
    code = (
        f">local room = prosody.hosts['{domain}'].modules.muc.get_room_from_jid('{kind}brewery@{domain}'); "
        "local names = ''; if room then for _, each in room:each_occupant() do "
        "names = names..' nick='..each.nick:match('/(.*)') end end; return names"
    )
    done = subprocess.run(
        ["prosodyctl", "shell", code], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
    )
    return [name for name in re.findall(r"nick=(\S+)", done.stdout) if not name.startswith("focus")]


def tell(name, what, server_id):
    """Tells a host to `drain` or `resume`; one with another server id ignores it. Raises Unreachable."""
    return _call(name, "/" + what, {"serverId": server_id})


def tell_all(calls):
    """Does many `(name, what)` at once, whatever server has the name now; for each, in order, None or what went wrong."""

    def one(call):
        name, what = call
        try:
            tell(name, what, str(status(name)["serverId"]))
        except Unreachable as error:
            return f"{what}: {error}"
        return None

    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(one, calls))
