"""Carries changed files to the services: checks first, then reload or restart in the plan's order, the old files
back when that fails. A restart that would end a lesson is staged while one runs."""

from .files import Files
from .journal import Journal
from .machine import Failure, Machine, last_lines, now, read_json, write_json
from .packages import newest_install
from .plan import SECRETS, Plan, matches
from .units import FOLDER, Units

CHECK_SECONDS = 60
VERIFY_TRIES = 12
PENDING = "pending.json"


class Services:
    def __init__(self, machine: Machine, plan: Plan, journal: Journal, files: Files, units: Units, secrets: set[str]):
        self._machine = machine
        self._plan = plan
        self._journal = journal
        self._units = units
        self._entries: list[dict] = plan.services
        missing = {f"{SECRETS}/{name}" for name in plan.secrets if name not in secrets}
        self._waiting = set(files.waiting) | missing
        found = read_json(machine.state / PENDING, {})
        # Unit → {since, files: path → backup}.
        self.pending: dict[str, dict] = found if isinstance(found, dict) else {}
        self.actions: list[dict[str, str]] = []
        self.failures: list[dict[str, str]] = []
        self.held: set[str] = set()

    def carry(self, take_pending: bool, force: str | None) -> None:
        """take_pending: staged restarts may happen now, if no lesson runs; force: the one that may end lessons."""
        if force and force not in self.pending:
            raise Failure(f"no restart of {force} is pending; pending: {', '.join(self.pending) or 'none'}")
        self._checks()
        wanted = self._wanted()
        for unit in self._units_in_order():
            if unit in self.pending and (unit == force or (take_pending and not self._lessons())):
                wanted[unit] = "restart"
        acted: dict[str, str] = {}
        for unit in self._units_in_order():
            if unit in wanted:
                self._carry(unit, wanted[unit], acted, forced=unit == force)
        self._mend(acted)
        write_json(self._machine.state / PENDING, self.pending, 0o600)
        if not self.pending:
            (self._machine.state / PENDING).unlink()

    def _units_in_order(self) -> list[str]:
        own = [entry["unit"] for entry in self._entries]
        return list(dict.fromkeys([*own, *self._plan.units["enabled"]]))

    def _entries_of(self, unit: str) -> list[dict]:
        return [entry for entry in self._entries if entry["unit"] == unit]

    def _waits(self, unit: str) -> bool:
        """Whether a file or secret that it reads has not arrived."""
        return any(matches(entry["files"], path) for entry in self._entries_of(unit) for path in self._waiting)

    def _touched(self, unit: str) -> set[str]:
        """Changed paths that the unit reads, its unit file and drop-ins included."""
        stem = unit.split("@")[0] + "@" if "@" in unit else unit
        own = (f"{FOLDER}{stem}", f"{FOLDER}{unit}")
        globs = [glob for entry in self._entries_of(unit) for glob in entry["files"]]
        return {path for path in self._journal.changed if matches(globs, path) or path.startswith(own)}

    def _checks(self) -> None:
        """Every check that a change touches, before anything is reloaded. What fails goes back, and what shares
        files with it is checked again as it stands then."""
        checked: set[str] = set()
        for _ in range(len(self._entries) + 1):
            failed = None
            for entry in self._entries:
                touched = {path for path in self._journal.changed if matches(entry["files"], path)}
                check = entry.get("check")
                if not check or not touched or check in checked or self._waits(entry["unit"]):
                    continue
                checked.add(check)
                status, output = self._machine.shell(check, CHECK_SECONDS)
                if status != 0:
                    failed = (entry["unit"], check, status, output, touched)
                    break
            if failed is None:
                return
            unit, check, status, output, touched = failed
            self._fail(unit, "check", f"`{check}` failed with status {status}:\n{last_lines(output)}")
            self._put_back(touched)
            checked = set()

    def _wanted(self) -> dict[str, str]:
        wanted: dict[str, str] = {}
        enabled = set(self._plan.units["enabled"])
        stopped = self._units.to_start(self._plan.units["enabled"])
        for unit in self._units_in_order():
            if self._waits(unit):
                continue
            touched = self._touched(unit)
            action = None
            if touched:
                reloads = [glob for entry in self._entries_of(unit) if entry.get("reload") for glob in entry["files"]]
                restarts = [glob for entry in self._entries_of(unit) if not entry.get("reload") for glob in entry["files"]]
                only_reload = all(matches(reloads, path) and not matches(restarts, path) for path in touched)
                action = "reload" if only_reload else "restart"
            if not action and unit not in self.pending and self._outdated(unit):
                self._machine.log(f"{unit} runs what was installed before its packages")
                action = "restart"
            if unit in stopped:
                action = "start"
            elif action == "reload" and not self._units.active(unit):
                action = "restart" if unit in enabled else None
            if action:
                wanted[unit] = action
        return wanted

    def _outdated(self, unit: str) -> bool:
        globs = [glob for entry in self._entries_of(unit) for glob in entry.get("packages", [])]
        return bool(globs) and 0 < self._units.started(unit) < newest_install(self._machine, globs)

    def _carry(self, unit: str, action: str, acted: dict[str, str], forced: bool) -> None:
        touched = self._touched(unit)
        if action == "restart" and self._ends_lessons(unit) and not forced and self._units.active(unit) and self._lessons():
            self._stage(unit, touched)
            return
        reason = self._act(unit, action)
        acted[unit] = action
        if reason is None:
            if action != "reload":
                self.pending.pop(unit, None)
            return
        logged = self._units.journal(unit)
        self._fail(unit, action, reason + (f"\nlast lines of its log:\n{logged}" if logged else ""))
        # What a staged restart was to bring goes back as well: the unit runs with the files before that.
        staged = self.pending.pop(unit, {}).get("files", {})
        self._journal.restore(sorted(staged.keys() - touched), staged)
        self.held |= set(staged)
        self._put_back(touched)
        for other in [name for name in acted if name == unit or self._reads(name, touched)]:
            still = self._act(other, "reload" if acted[other] == "reload" else "restart")
            if still:
                self._fail(other, "restore", f"still failing with the old files back: {still}")

    def _reads(self, unit: str, paths: set[str]) -> set[str]:
        globs = [glob for entry in self._entries_of(unit) for glob in entry["files"]]
        return {path for path in paths if matches(globs, path)}

    def _act(self, unit: str, action: str) -> str | None:
        command = None
        if action == "reload":
            command = next((entry["reloadCommand"] for entry in self._entries_of(unit) if entry.get("reloadCommand")), None)
        self._machine.log(f"{action} {unit}")
        self.actions.append({"unit": unit, "action": action})
        return self._units.act(action, unit, command) or self._verify(unit, VERIFY_TRIES)

    def _verify(self, unit: str, tries: int) -> str | None:
        """A unit may need a while until it does its work; it gets tries times five seconds."""
        for verify in [entry["verify"] for entry in self._entries_of(unit) if entry.get("verify")]:
            for attempt in range(tries):
                status, output = self._machine.shell(verify, CHECK_SECONDS)
                if status == 0:
                    break
                if attempt + 1 < tries:
                    self._machine.sleep(5)
            else:
                return f"`{verify}` failed with status {status}: {last_lines(output, 4)}"
        return None

    def _mend(self, acted: dict[str, str]) -> None:
        """Units that run and yet do not work, untouched by this run."""
        for unit in self._units_in_order():
            if unit in acted or self._waits(unit) or not self._verify_fails(unit):
                continue
            gone = any(entry.get("mendDuringLessons") for entry in self._entries_of(unit))
            if self._ends_lessons(unit) and not gone and self._lessons():
                self._fail(unit, "verify", f"{self._verify(unit, 1)}; not restarted, as lessons run")
                continue
            self._machine.log(f"{unit} does not do its work")
            reason = self._act(unit, "restart")
            if reason:
                self._fail(unit, "verify", reason)

    def _verify_fails(self, unit: str) -> bool:
        return self._verify(unit, 2) is not None

    def _ends_lessons(self, unit: str) -> bool:
        return any(entry.get("endsLessons") for entry in self._entries_of(unit))

    def _lessons(self) -> int:
        """Lessons that run on this host; 1 when the role's command cannot tell, so that none is ended."""
        command = self._machine.path("/usr/local/sbin/platform-lessons")
        if not command.exists():
            return 0
        status, output = self._machine.run([str(command)], 30)
        return int(output) if status == 0 and output.strip().isdigit() else 1

    def _stage(self, unit: str, touched: set[str]) -> None:
        """The newest files win; the way back leads to those that the unit runs with."""
        entry = self.pending.setdefault(unit, {"since": now(), "files": {}})
        for path in sorted(touched):
            entry["files"].setdefault(path, self._journal.changed[path])
        self._machine.log(f"restart of {unit} waits until no lesson runs (`platform-converge --force {unit}` ends them)")

    def _put_back(self, paths: set[str]) -> None:
        """Secrets were delivered, not written by this run; they have no way back."""
        ours = sorted(path for path in paths if not path.startswith(f"{SECRETS}/"))
        self._journal.restore(ours)
        self._units.reload_if(ours)
        self.held |= set(ours)
        if ours:
            self._machine.log(f"put back {', '.join(ours)}")

    def _fail(self, unit: str, step: str, reason: str) -> None:
        self._machine.log(f"{unit}: {reason}")
        self.failures.append({"unit": unit, "step": step, "reason": reason})

