"""Directories, files and links: what the plan wants, what differs, and the writing of it."""

import os
import stat

from .journal import Journal, owner_ids
from .machine import Failure, Machine, write_atomic
from .plan import Plan
from .values import Missing, Values


class Files:
    """held: paths that a failed try has put back, and that stay so until plan or secrets change."""

    def __init__(self, machine: Machine, plan: Plan, values: Values, journal: Journal, held: set[str]):
        self._machine = machine
        self._plan = plan
        self._values = values
        self._journal = journal
        self._held = held
        # Path → secrets that it waits for.
        self.waiting: dict[str, set[str]] = {}

    def before_packages(self) -> None:
        early = {path: file for path, file in self._plan.files.items() if file["phase"] == "before-packages"}
        self._write(early, early=True)
        self._link()

    def after_packages(self, earlier: list[str]) -> None:
        """earlier: files and links of the last run; those that the plan no longer has are removed."""
        for path, wish in sorted(self._plan.directories.items()):
            self._directory(path, wish)
        self._write(self._plan.files, early=False)
        self._link()
        gone = [path for path in earlier if path not in self._plan.files and path not in self._plan.links]
        self._remove([path for path in [*gone, *self._plan.absent] if path not in self._held])

    def _write(self, files: dict[str, dict[str, str]], early: bool) -> None:
        todo = []
        for path, file in sorted(files.items()):
            if path in self._held:
                continue
            try:
                content = self._values.filled(file["content"]).encode()
            except Missing as missing:
                self.waiting[path] = missing.names
                continue
            except Failure as failure:
                raise Failure(f"{path}: {failure}") from failure
            uid, gid, mode = self._ownership(path, file, early)
            if not self._is(path, content, uid, gid, mode):
                todo.append((path, content, uid, gid, mode))
        self._journal.will_change([path for path, *_ in todo])
        for path, content, uid, gid, mode in todo:
            target = self._machine.path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(target, content, mode, uid, gid)
            self._machine.log(f"wrote {path}")

    def _ownership(self, path: str, file: dict[str, str], early: bool) -> tuple[int, int, int]:
        uid, gid = owner_ids(self._machine, file["owner"], file["group"])
        mode = int(file["mode"], 8)
        if uid is not None and gid is not None:
            return uid, gid, mode
        if not early:
            unknown = file["owner"] if uid is None else file["group"]
            raise Failure(f"{path}: there is no user or group {unknown}; no package of the plan has made it")
        # The package will make the owner. Until then it must be readable by the program that is installed.
        return 0, 0, 0o600 if "{{secret." in file["content"] else 0o644

    def _is(self, path: str, content: bytes, uid: int, gid: int, mode: int) -> bool:
        try:
            target = self._machine.path(path)
            info = target.lstat()
            return (
                stat.S_ISREG(info.st_mode)
                and stat.S_IMODE(info.st_mode) == mode
                and (os.geteuid() != 0 or (info.st_uid, info.st_gid) == (uid, gid))
                and info.st_size == len(content)
                and target.read_bytes() == content
            )
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _directory(self, path: str, wish: dict[str, str]) -> None:
        uid, gid = owner_ids(self._machine, wish["owner"], wish["group"])
        if uid is None or gid is None:
            unknown = wish["owner"] if uid is None else wish["group"]
            raise Failure(f"{path}: there is no user or group {unknown}; no package of the plan has made it")
        target = self._machine.path(path)
        target.mkdir(parents=True, exist_ok=True)
        info = target.stat()
        if os.geteuid() == 0 and (info.st_uid, info.st_gid) != (uid, gid):
            os.chown(target, uid, gid)
        if stat.S_IMODE(target.stat().st_mode) != int(wish["mode"], 8):
            target.chmod(int(wish["mode"], 8))

    def _link(self) -> None:
        def is_link(path: str, to: str) -> bool:
            target = self._machine.path(path)
            return target.is_symlink() and os.readlink(target) == to

        todo = {path: to for path, to in sorted(self._plan.links.items()) if path not in self._held and not is_link(path, to)}
        self._journal.will_change(list(todo))
        for path, to in todo.items():
            target = self._machine.path(path)
            if target.is_dir() and not target.is_symlink():
                raise Failure(f"{path} is a folder; a link to {to} is expected")
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_name(f".{target.name}.platform-new")
            new.unlink(missing_ok=True)
            os.symlink(to, new)
            new.replace(target)
            self._machine.log(f"linked {path}")

    def _remove(self, paths: list[str]) -> None:
        there = [path for path in paths if self._machine.path(path).is_symlink() or self._machine.path(path).is_file()]
        self._journal.will_change(there)
        for path in there:
            self._machine.path(path).unlink(missing_ok=True)
            self._machine.log(f"removed {path}")


def make_users(machine: Machine, plan: Plan) -> None:
    """System users of the role. Groups are added, never taken away."""
    for name, wish in sorted(plan.users.items()):
        status, groups = machine.run(["id", "-nG", name], 10)
        if status != 0:
            command = ["useradd", "--system", "--user-group", "--create-home", "--home-dir", wish["home"]]
            command += ["--shell", wish["shell"], *(["--groups", ",".join(wish["groups"])] if wish["groups"] else []), name]
        elif missing := sorted(set(wish["groups"]) - set(groups.split())):
            command = ["usermod", "--append", "--groups", ",".join(missing), name]
        else:
            continue
        status, output = machine.run(command, 60)
        if status != 0:
            raise Failure(f"user {name}: {output.strip()}")
        machine.log(f"user {name}")
