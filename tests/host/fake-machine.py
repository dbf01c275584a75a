#!/usr/bin/python3 -IS
"""Stands in for the programs that converge calls, so that it can run in a scratch folder: systemctl, apt-get,
dpkg, … by the name it is called by. Everything is kept below $FAKE_STATE; files are looked up below $FAKE_ROOT."""

import json
import os
import sys
import time
from pathlib import Path

STATE = Path(os.environ["FAKE_STATE"])
ROOT = Path(os.environ["FAKE_ROOT"])
UNITS = STATE / "units.json"
PACKAGES = STATE / "packages"


def load(path: Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {}


def save(path: Path, value: dict) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value))
    new.replace(path)


def refusal(kind: str, name: str) -> str | None:
    """$FAKE_STATE/refuse.json: [[kind, name, path, text], …] refuses while the file holds the text."""
    for refused, of, path, text in json.loads((STATE / "refuse.json").read_text()) if (STATE / "refuse.json").exists() else []:
        file = ROOT / path.lstrip("/")
        if refused == kind and of == name and file.exists() and text in file.read_text():
            return f"{name}: {path} holds {text}"
    return None


def demo_files(name: str) -> dict[str, str]:
    """What a unit takes up when it starts: all files below /etc/NAME."""
    folder = ROOT / "etc" / name.split(".")[0]
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def systemctl(arguments: list[str]) -> int:
    units = load(UNITS)
    verb, names = arguments[0], [name for name in arguments[1:] if not name.startswith("--")]
    for name in names:
        units.setdefault(name, {"enabled": "disabled", "active": "inactive", "running": {}, "since": 0})
    if verb == "show":
        line = "ActiveState={active}\nSubState=x\nUnitFileState={enabled}\nType=notify\nResult=success\n"
        line += "ActiveEnterTimestamp=@{since}\n"
        print("\n".join(line.format(**units[name]) for name in names))
        return 0
    if verb in ("enable", "unmask", "mask", "disable"):
        for name in names:
            units[name]["enabled"] = {"enable": "enabled", "unmask": "disabled", "mask": "masked", "disable": "disabled"}[verb]
            if verb in ("mask", "disable"):
                units[name]["active"] = "inactive"
    name = names[-1] if names else ""
    unit = units.get(name, {})
    if verb in ("start", "restart", "reload"):
        if name == "platform-converge.service":
            return os.spawnv(os.P_WAIT, f"{ROOT}/usr/local/sbin/platform-converge", ["platform-converge", "--root", str(ROOT)])
        reason = refusal("service", name)
        if reason:
            print(reason)
            unit["active"] = unit["active"] if verb == "reload" else "failed"
            save(UNITS, units)
            return 1
        if verb != "reload" or unit["active"] != "active":
            unit["since"] = int(time.time())
        unit["active"] = "active"
        unit["running"] = demo_files(name)
    save(UNITS, units)
    return 0


def main() -> int:
    program, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    if program not in ("dpkg-query", "journalctl", "demo-verify") and arguments[:1] != ["show"]:
        with (STATE / "calls").open("a") as calls:
            calls.write(f"{program} {' '.join(arguments)}\n")
    if program == "systemctl":
        return systemctl(arguments)
    if program == "apt-get" and "install" in arguments:
        reason = refusal("apt", "apt")
        if reason:
            print(f"E: {reason}")
            return 100
        names = [name for name in arguments if not name.startswith("-") and "::" not in name and name != "install"]
        with PACKAGES.open("a") as packages:
            packages.writelines(f"{name.split('=')[0]} ii {(name.split('=') + ['1.0'])[1]}\n" for name in names)
    if program == "apt-get" and arguments[0] == "update" and (STATE / "no-network").exists():
        print("E: Temporary failure resolving")
        return 100
    if program == "dpkg" and (STATE / "dpkg-busy").exists():
        (STATE / "dpkg-busy").unlink()
        print("dpkg: error: dpkg frontend lock was locked by another process with pid 4242")
        return 2
    if program == "dpkg-query":
        print(PACKAGES.read_text() if PACKAGES.exists() else "", end="")
    if program == "debconf-set-selections":
        with (STATE / "debconf").open("a") as answers:
            answers.write(sys.stdin.read())
    if program == "journalctl":
        print("a line of the log, with secret-of-turn-0123456789 in it")
    if program == "demo-check":
        reason = refusal("check", "demo-check")
        print(reason or "fine")
        return 1 if reason else 0
    if program == "demo-verify":
        return 1 if (STATE / f"broken-{arguments[0]}").exists() else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
