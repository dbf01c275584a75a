"""The machine as the other modules see it: paths below a root, atomic files, commands, a log without secrets."""

import grp
import json
import os
import pwd
import re
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")


class Failure(Exception):
    """Something that a person has to look at; its text says what and where."""


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Machine:
    """root is "/" on a host; tests give a scratch folder, where commands are looked up on PATH all the same."""

    def __init__(self, root: str = "/"):
        self.root = Path(root)
        self.scratch = self.root != Path("/")
        self._secrets: list[str] = []

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    @property
    def state(self) -> Path:
        return self.path("/var/lib/platform")

    def hide(self, secrets: list[str]) -> None:
        """From now on these values, and each of their lines, never appear in the log or in a failure."""
        lines = {line.strip() for secret in secrets for line in [secret, *secret.splitlines()]}
        self._secrets = sorted((line for line in lines if len(line) >= 6), key=len, reverse=True)

    def redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return TOKEN.sub("[token]", text)

    def log(self, text: str) -> None:
        lines = "".join(f"{now()} {line}\n" for line in self.redacted(text).splitlines())
        print(lines, end="", flush=True)
        log = self.path("/var/log/platform/converge.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > 4 * 1024 * 1024:
            log.replace(log.with_suffix(".log.1"))
        with open(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640), "a", encoding="utf-8") as out:
            out.write(lines)

    def run(
        self, command: list[str], timeout: float, stdin: str = "", environment: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Exit status and output (both streams, redacted). 124 when it took longer than timeout seconds, 127
        when there is no such command."""
        try:
            done = subprocess.run(
                command,
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout,
                env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            output = expired.output or b""
            text = output.decode(errors="replace") if isinstance(output, bytes) else output
            return 124, self.redacted(f"{text}\ntook longer than {timeout:g} s")
        except FileNotFoundError:
            return 127, f"{command[0]}: no such command"
        return done.returncode, self.redacted(done.stdout)

    def shell(self, command: str, timeout: float) -> tuple[int, str]:
        return self.run(["sh", "-c", command], timeout)

    def sleep(self, seconds: float) -> None:
        """Between two tries; tests do not wait."""
        time.sleep(0.01 if self.scratch else seconds)


def last_lines(text: str, count: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-count:])


def user_id(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, content: bytes, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Old content or new, never a half, whenever the machine stops; nobody reads it before its mode is set."""
    if path.is_dir() and not path.is_symlink():
        raise Failure(f"{path} is a folder; a file is expected")
    new = path.with_name(f".{path.name}.platform-new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
        if os.geteuid() == 0:
            os.fchown(out.fileno(), uid, gid)
        os.fchmod(out.fileno(), mode)
        out.flush()
        os.fsync(out.fileno())
    new.replace(path)
    sync_folder(path.parent)


def read_json(path: Path, otherwise: object) -> object:
    """A file that is not there, or was damaged by hand, counts as otherwise."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return otherwise


def write_json(path: Path, value: object, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode(), mode)
