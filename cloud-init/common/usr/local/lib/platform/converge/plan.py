"""The host plan as it came in: read, checked for its shape, matched by globs."""

import hashlib
import json
import re
from functools import lru_cache

from .machine import Failure, Machine

PLAN = "/var/lib/platform/host-plan.json"
SECRETS = "/etc/platform/secrets"
# What a file is when the plan does not say otherwise; the program that made the plan leaves it out.
USUAL = {"owner": "root", "group": "root", "mode": "0644", "phase": "after-packages"}


class Plan:
    def __init__(self, text: bytes):
        try:
            data = json.loads(text)
        except ValueError as error:
            raise Failure(f"{PLAN} is not JSON: {error}") from error
        if not isinstance(data, dict) or data.get("format") != 1:
            found = data.get("format") if isinstance(data, dict) else type(data).__name__
            raise Failure(f"{PLAN}: format {found!r} is not known here; expected 1")
        self.digest = hashlib.sha256(text).hexdigest()
        try:
            self.role: str = data["role"]
            self.sources: list[dict[str, str]] = data["aptSources"]
            self.packages: list[str] = data["packages"]
            self.debconf: list[str] = data["debconf"]
            self.users: dict[str, dict] = data["users"]
            self.directories: dict[str, dict[str, str]] = data["directories"]
            self.files: dict[str, dict[str, str]] = {path: {**USUAL, **file} for path, file in data["files"].items()}
            self.links: dict[str, str] = data["links"]
            self.absent: list[str] = data["absent"]
            self.units: dict[str, list[str]] = data["units"]
            self.services: list[dict] = data["services"]
            self.secrets: list[str] = data["secrets"]
            self.ready: str = data["ready"]
        except KeyError as missing:
            raise Failure(f"{PLAN}: {missing} is missing") from missing


def stored_plan(machine: Machine) -> Plan:
    try:
        return Plan(machine.path(PLAN).read_bytes())
    except FileNotFoundError:
        raise Failure(f"{PLAN} is not there; `platform-apply` brings it") from None


@lru_cache(maxsize=None)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", glob)
    table = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(table.get(part) or re.escape(part) for part in parts), re.DOTALL)


def matches(globs: list[str], path: str) -> bool:
    """* stays within a folder, ** crosses folders, as in the program that made the plan."""
    return any(_pattern(glob).fullmatch(path) for glob in globs)
