"""What only the host knows: its own values and its secrets, filled into the plan's files."""

import hashlib
import ipaddress
import json
import re
import subprocess

from .machine import Failure, Machine, read_json
from .plan import SECRETS

# Addresses that nobody outside can send to (RFC 1918, RFC 6598).
TRANSLATED = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
REFERENCE = re.compile(r"\{\{(host|secret)\.([A-Za-z0-9-]+)\}\}")


class Missing(Exception):
    """A file cannot be filled yet: these secrets have not arrived."""

    def __init__(self, names: set[str]):
        super().__init__(", ".join(sorted(names)))
        self.names = names


class Values:
    def __init__(self, machine: Machine):
        self._machine = machine
        host = read_json(machine.path("/etc/platform/host.json"), None)
        if not isinstance(host, dict):
            raise Failure("/etc/platform/host.json is missing or not JSON; it comes with the user data")
        self.boot_generation = str(host.get("bootGeneration", ""))
        self._host: dict[str, str] = {
            name: str(host[name]) for name in ("name", "role", "privateAddress", "publicAddress", "serverId") if host.get(name)
        }
        index = re.search(r"(\d+)$", self._host.get("name", ""))
        self._host["index"] = index[1] if index else "1"
        self.secrets: dict[str, str] = {}
        folder = machine.path(SECRETS)
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.is_file() and not path.name.startswith("."):
                    self.secrets[path.name] = path.read_text(encoding="utf-8")
        machine.hide(list(self.secrets.values()))

    @property
    def private_address(self) -> str:
        return self._host.get("privateAddress", "")

    def secret_digests(self) -> dict[str, str]:
        """To notice a change; kept in a root-only file."""
        return {name: hashlib.sha256(value.encode()).hexdigest() for name, value in self.secrets.items()}

    def host(self, name: str) -> str:
        if name not in self._host and name == "publicAddress":
            self._host[name] = self._public_address()
        if name not in self._host and name == "serverId":
            self._host[name] = self._server_id()
        if name not in self._host:
            raise Failure(f"host.{name} is not known; /etc/platform/host.json has {', '.join(sorted(self._host))}")
        return self._host[name]

    def filled(self, content: str) -> str:
        """The content with every reference replaced; a secret's last line end is dropped.
        Raises Missing when secrets have not arrived."""
        wanted = {name for kind, name in REFERENCE.findall(content) if kind == "secret"}
        missing = wanted - self.secrets.keys()
        if missing:
            raise Missing(missing)
        return REFERENCE.sub(
            lambda found: self.secrets[found[2]].rstrip("\n") if found[1] == "secret" else self.host(found[2]), content
        )

    def _instance_data(self) -> dict:
        # What cloud-init was told by the metadata service at boot; the service itself need not be asked again.
        data = read_json(self._machine.path("/run/cloud-init/instance-data.json"), {})
        return data if isinstance(data, dict) else {}

    def _public_address(self) -> str:
        """The address that this host sends from; behind a translation of addresses, the one it was told of at boot."""
        status, text = self._machine.run(["ip", "-json", "-4", "route", "get", "192.0.2.1"], 10)
        try:
            own = str(json.loads(text)[0]["prefsrc"])
        except (ValueError, LookupError, TypeError):
            own = ""
        if own and not any(ipaddress.ip_address(own) in network for network in TRANSLATED):
            # What cloud-init knows is from the first boot, and the address may have been changed since.
            return own
        metadata = self._instance_data().get("ds", {}).get("meta_data", {})
        known = metadata.get("public-ipv4") or metadata.get("public_ipv4") or own
        if not known:
            raise Failure(
                f"host.publicAddress: neither the default route nor cloud-init's instance data gives one (ip: {status})"
            )
        return str(known)

    def _server_id(self) -> str:
        known = self._instance_data().get("v1", {}).get("instance_id")
        file = self._machine.path("/var/lib/cloud/data/instance-id")
        if not known and file.exists():
            known = file.read_text(encoding="utf-8").strip()
        if not known:
            raise Failure("host.serverId: cloud-init has left no instance id in /run/cloud-init or /var/lib/cloud/data")
        return str(known)


def has_address(address: str) -> bool:
    """Whether an interface of this machine carries the address."""
    try:
        shown = subprocess.run(["ip", "-json", "addr"], stdout=subprocess.PIPE, timeout=10, check=True).stdout
        return any(info.get("local") == address for link in json.loads(shown) for info in link.get("addr_info", []))
    except (OSError, subprocess.SubprocessError, ValueError):
        return False


def wait_for_private_address(machine: Machine, values: Values, seconds: int = 180) -> None:
    """A private network interface may be attached after the first start. Raises Failure after the time."""
    if machine.scratch or not values.private_address:
        return
    for waited in range(0, seconds, 2):
        if has_address(values.private_address):
            return
        if waited == 0:
            machine.log(f"waiting for the private address {values.private_address}")
        machine.sleep(2)
    raise Failure(
        f"no interface has the private address {values.private_address} after {seconds} s; "
        "is the server attached to the private network?"
    )
