"""apt: sources with their keys, answers to debconf, packages."""

import re
import secrets

from .journal import Journal
from .machine import Failure, Machine, last_lines, write_atomic
from .plan import Plan

QUIET = {"DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical", "NEEDRESTART_MODE": "l", "APT_LISTCHANGES_FRONTEND": "none"}
# Ours stay as they are when a package brings a new version of a file that we wrote.
OPTIONS = ["-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Options::=--force-confdef", "-o", "DPkg::Lock::Timeout=600"]
DISTRIBUTION_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ONLY_OURS = "/etc/apt/apt.conf.d/90platform-sources"
PARTS = "/etc/apt/sources.list.d"
OWN_PARTS = "/etc/platform/apt-sources.d"
# What apt-get and dpkg say when another one is at work; neither `update` nor `--configure` waits for it by itself.
LOCKED = re.compile("Could not get lock|locked by another process")


def apt_files(plan: Plan) -> dict[str, str]:
    """Sources and keys as files. A plan that names Debian's own repository has all of them: a mirror is there
    because the others cannot be reached, so the image's sources are no longer read."""
    replaces_debian = any(source["name"] == "debian" for source in plan.sources)
    files = {}
    for source in plan.sources:
        key = f"/etc/apt/keyrings/platform-{source['name']}.asc"
        if source["keyring"]:
            files[key] = source["keyring"] + "\n"
        lines = ["Types: deb", f"URIs: {source['uri']}", f"Suites: {source['suite']}"]
        lines += [f"Components: {source['components']}"] if source["components"] else []
        lines += [f"Signed-By: {key if source['keyring'] else DISTRIBUTION_KEYRING}"]
        folder = OWN_PARTS if replaces_debian else PARTS
        files[f"{folder}/platform-{source['name']}.sources"] = "\n".join(lines) + "\n"
    if replaces_debian:
        files[ONLY_OURS] = f'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "{OWN_PARTS}";\n'
    return files


class Packages:
    def __init__(self, machine: Machine, plan: Plan, journal: Journal):
        self._machine = machine
        self._plan = plan
        self._journal = journal

    def apply(self) -> list[str]:
        """Installs what is missing. Returns the names that were installed."""
        self._write_sources()
        installed, half = self._installed()
        if half or self._journal.interrupted:
            # An earlier run was killed while dpkg was at work.
            self._command(["dpkg", "--configure", "-a", "--force-confold", "--force-confdef"], 1200)
            installed, _ = self._installed()
        missing = [wish for wish in self._plan.packages if not satisfied(wish, installed)]
        if not missing:
            return []
        self._machine.log(f"installing {' '.join(missing)}")
        self._update()
        self._answer_debconf()
        self._command(["apt-get", "install", "--yes", "--no-install-recommends", "--allow-downgrades", *OPTIONS, *missing], 2400)
        installed, _ = self._installed()
        still = [wish for wish in missing if not satisfied(wish, installed)]
        if still:
            raise Failure(f"apt-get succeeded, but there is no installed package of the name {', '.join(still)}; name the real one")
        pinned = [wish.split("=")[0] for wish in self._plan.packages if "=" in wish]
        if pinned:
            self._command(["apt-mark", "hold", *pinned], 60)
        return missing

    def _write_sources(self) -> None:
        wanted = apt_files(self._plan)
        for folder in (OWN_PARTS, PARTS, "/etc/apt/keyrings", "/etc/apt/apt.conf.d"):
            parent = self._machine.path(folder)
            parent.mkdir(parents=True, exist_ok=True)
            for old in parent.glob("*platform-*"):
                if f"{folder}/{old.name}" not in wanted:
                    old.unlink()
        for path, content in wanted.items():
            target = self._machine.path(path)
            if not target.exists() or target.read_text(encoding="utf-8") != content:
                write_atomic(target, content.encode(), 0o644)
                self._machine.log(f"wrote {path}")

    def _installed(self) -> tuple[dict[str, str], bool]:
        """Versions of installed packages by name, and whether any is half installed."""
        _, text = self._machine.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev} ${Version}\\n"], 60)
        rows = [row.split() for row in text.splitlines()]
        half = any(len(row) > 1 and row[1][1:2] in ("U", "F", "H", "W", "t") for row in rows)
        return {row[0]: row[2] for row in rows if len(row) == 3 and row[1][1:2] == "i"}, half

    def _update(self) -> None:
        # The network may still be coming up, and a mirror may be in the middle of an update.
        for attempt in range(1, 6):
            status, output = self._patient(["apt-get", "update", "-o", "APT::Update::Error-Mode=any"], 300)
            if status == 0:
                return
            self._machine.log(f"apt-get update failed, try {attempt} of 5")
            if attempt < 5:
                self._machine.sleep(10)
        raise Failure(f"apt-get update failed:\n{last_lines(output)}")

    def _answer_debconf(self) -> None:
        if not self._plan.debconf:
            return
        throwaway = lambda line: line.replace("{{" + "throwaway}}", secrets.token_hex(16))
        status, output = self._machine.run(
            ["debconf-set-selections"], 60, stdin="".join(f"{throwaway(line)}\n" for line in self._plan.debconf)
        )
        if status != 0:
            raise Failure(f"debconf-set-selections: {last_lines(output, 3)}")

    def _patient(self, command: list[str], timeout: int) -> tuple[int, str]:
        """Runs it again, for ten minutes, while another apt or dpkg is at work."""
        for _ in range(60):
            status, output = self._machine.run(command, timeout, environment=QUIET)
            if status == 0 or not LOCKED.search(output):
                break
            self._machine.log("another apt is at work")
            self._machine.sleep(10)
        return status, output

    def _command(self, command: list[str], timeout: int) -> None:
        status, output = self._patient(command, timeout)
        if status != 0:
            self._machine.log(output)
            raise Failure(f"{' '.join(command[:2])} failed with status {status}:\n{last_lines(output)}")


def satisfied(wish: str, installed: dict[str, str]) -> bool:
    name, _, version = wish.partition("=")
    return name in installed and version in ("", installed[name])


def newest_install(machine: Machine, globs: list[str]) -> int:
    """When the newest of the packages was unpacked, in whole seconds since 1970; 0 when none is installed."""
    lists = [path for glob in globs for pattern in (glob, f"{glob}:*") for path in machine.path("/var/lib/dpkg/info").glob(f"{pattern}.list")]
    return max((int(path.stat().st_mtime) for path in lists), default=0)
