"""The recorder pool as the Jitsi host sees it: the stored roster, and each recorder's status service."""

import concurrent.futures
import ipaddress
import json
import os
import re
import tempfile
import urllib.error
import urllib.request

ROSTER = os.environ.get("PLATFORM_ROOT", "") + "/var/lib/platform/roster.json"
NETWORK = "{{recorderNetwork}}"
PORT = int(os.environ.get("PLATFORM_RECORDER_PORT", "{{recorderStatusPort}}"))
TIMEOUT_SECONDS = 10


class Unreachable(Exception):
    """A recorder gave no usable answer; the text says why."""


def parse_roster(text):
    """The roster from JSON; raises ValueError with a sentence that names the field."""
    try:
        roster = json.loads(text)
    except ValueError as error:
        raise ValueError(f"standard input is not JSON: {error}") from None
    if not isinstance(roster, dict):
        raise ValueError('expected an object, e.g. {"stay": [], "lost": [], "waitMinutes": 120}')
    stay, lost, wait = roster.get("stay"), roster.get("lost"), roster.get("waitMinutes")
    if not isinstance(stay, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("serverId"), (str, int))
        for one in stay
    ):
        raise ValueError('"stay" must be a list of {"name": "recorder-1", "serverId": "4711"}')
    if not isinstance(lost, list) or not all(isinstance(name, str) for name in lost):
        raise ValueError('"lost" must be a list of names, e.g. ["recorder-7"]')
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or wait < 0:
        raise ValueError('"waitMinutes" must be a number, 0 or more, e.g. 120')
    for name in [one["name"] for one in stay] + lost:
        address(name)
    return {
        "stay": [{"name": one["name"], "serverId": str(one["serverId"])} for one in stay],
        "lost": lost,
        "waitMinutes": wait,
    }


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
    """Private address of recorder-N; the network gives recorders one by number."""
    found = re.fullmatch(r"recorder-([1-9][0-9]{0,2})", name)
    if not found or int(found[1]) > 254:
        raise ValueError(f'"{name}" is not the name of a recorder, e.g. recorder-7')
    return os.environ.get("PLATFORM_RECORDER_ADDRESS") or str(
        ipaddress.ip_address(NETWORK) + int(found[1])
    )


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
    """{serverId, draining, instances: [{name, state, lesson, since}], uploads}; raises Unreachable."""
    found = _call(name, "/status")
    if not isinstance(found, dict) or not {"serverId", "draining", "instances", "uploads"} <= set(found):
        raise Unreachable("/status answered something that is no status")
    return found


def tell(name, what, server_id):
    """Tells a recorder to `drain` or `resume`; one with another server id ignores it. Raises Unreachable."""
    return _call(name, "/" + what, {"serverId": server_id})


def tell_all(calls):
    """Does many `(recorder, what)` at once; for each, in order, None or a sentence about what went wrong."""

    def one(call):
        recorder, what = call
        try:
            tell(recorder["name"], what, recorder["serverId"])
        except Unreachable as error:
            return f"{what}: {error}"
        return None

    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(one, calls))
