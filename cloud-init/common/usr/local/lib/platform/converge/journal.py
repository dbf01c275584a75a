"""What this run has changed and not yet carried to the services, with the old files to go back to.

It is on disk before the first change, so that a run that was killed at any point is finished by the next one.
"""

import os

from .machine import Machine, group_id, read_json, sync_folder, user_id, write_atomic, write_json


class Journal:
    def __init__(self, machine: Machine):
        self._machine = machine
        self._file = machine.state / "journal.json"
        self._backups = machine.state / "backup"
        found = read_json(self._file, None)
        self.interrupted = found is not None
        # Changed path → name of its backup, or None when there was nothing before.
        self.changed: dict[str, str | None] = found.get("changed", {}) if isinstance(found, dict) else {}

    def open(self) -> None:
        self._backups.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._backups.chmod(0o700)
        for path in self.changed:
            target = self._machine.path(path)
            target.with_name(f".{target.name}.platform-new").unlink(missing_ok=True)
        self._write()

    def will_change(self, paths: list[str]) -> None:
        """To be called before the paths are written or removed. What a service still runs with is kept: a path
        that was changed before and never carried out keeps its first backup."""
        for path in paths:
            if path not in self.changed:
                self.changed[path] = self._backup(path)
        if paths:
            self._write()

    def note(self, paths: list[str]) -> None:
        """Changes with no way back, such as a secret that was delivered."""
        new = [path for path in paths if path not in self.changed]
        self.changed.update({path: None for path in new})
        if new:
            self._write()

    def restore(self, paths: list[str], backups: dict[str, str | None] | None = None) -> None:
        """Puts the old files back."""
        for path in paths:
            backup = (backups or self.changed)[path]
            target = self._machine.path(path)
            if backup is None:
                target.unlink(missing_ok=True)
                continue
            kept = self._backups / backup
            if kept.is_symlink():
                target.unlink(missing_ok=True)
                os.symlink(os.readlink(kept), target)
            else:
                info = kept.stat()
                write_atomic(target, kept.read_bytes(), info.st_mode & 0o7777, info.st_uid, info.st_gid)
        if backups is None:
            for path in paths:
                del self.changed[path]
            self._write()

    def close(self, still_needed: set[str]) -> None:
        """Everything is carried out; backups that a staged restart may need stay."""
        self.changed = {}
        self._file.unlink(missing_ok=True)
        if self._backups.is_dir():
            for kept in self._backups.iterdir():
                if kept.name not in still_needed:
                    kept.unlink()
        sync_folder(self._machine.state)

    def _write(self) -> None:
        write_json(self._file, {"changed": self.changed}, 0o600)

    def _backup(self, path: str) -> str | None:
        target = self._machine.path(path)
        if not target.is_symlink() and not target.is_file():
            return None
        number = max((int(kept.name) for kept in self._backups.iterdir() if kept.name.isdigit()), default=0) + 1
        kept = self._backups / str(number)
        if target.is_symlink():
            os.symlink(os.readlink(target), kept)
        else:
            info = target.stat()
            write_atomic(kept, target.read_bytes(), info.st_mode & 0o7777, info.st_uid, info.st_gid)
        return str(number)


def owner_ids(machine: Machine, owner: str, group: str) -> tuple[int | None, int | None]:
    """Ids of an owner and a group; None for one that does not exist yet."""
    if machine.scratch and os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    return user_id(owner), group_id(group)

