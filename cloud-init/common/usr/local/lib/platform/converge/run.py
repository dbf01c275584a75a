"""One run: files, packages, files, units, services; and the report of it in /var/lib/platform/status.json."""

import fcntl
import hashlib
import json
import os
import time
from typing import IO

from .files import Files, make_users
from .journal import Journal
from .machine import Failure, Machine, now, read_json, write_json
from .packages import Packages
from .plan import SECRETS, Plan, stored_plan
from .services import Services
from .units import Units
from .values import Values, wait_for_private_address

STATUS = "status.json"
APPLIED = "applied.json"

CONVERGED, FAILED, WAITING, BUSY = 0, 1, 3, 4


def lock(machine: Machine, patience: float) -> IO[str] | None:
    """The lock of all runs, or None when another run has not ended after patience seconds."""
    path = machine.path("/run/platform/converge.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    held = open(path, "w", encoding="utf-8")  # noqa: SIM115 - held until the process ends
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except BlockingIOError:
            if time.monotonic() >= deadline:
                held.close()
                return None
            time.sleep(0.2)


def converge(machine: Machine, mode: str = "apply", force: str | None = None) -> int:
    """mode: apply (asked for), scheduled (mends, but repeats no try that has failed with the same plan and
    secrets), nightly (as scheduled, and carries out staged restarts if no lesson runs)."""
    machine.state.mkdir(parents=True, exist_ok=True)
    while True:
        run = Run(machine, mode)
        code = run.go(force)
        # A plan or secrets that arrived meanwhile would otherwise wait for the next timer.
        if code == FAILED or run.inputs == inputs_now(machine):
            return code
        mode, force = "apply", None


def inputs_now(machine: Machine) -> str:
    """Digest of plan and secrets as they lie on disk."""
    digest = hashlib.sha256()
    paths = [machine.state / "host-plan.json"]
    folder = machine.path(SECRETS)
    if folder.is_dir():
        paths += sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in paths:
        try:
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        except FileNotFoundError:
            continue
    return digest.hexdigest()


class Run:
    def __init__(self, machine: Machine, mode: str):
        self.inputs = inputs_now(machine)
        self._machine = machine
        self._mode = mode
        self._started = now()
        self._phase = "start"
        self._plan: Plan | None = None
        self._values: Values | None = None
        self._changed: list[str] = []
        self._installed: list[str] = []
        found = read_json(machine.state / APPLIED, {})
        self._applied: dict = found if isinstance(found, dict) else {}

    def go(self, force: str | None) -> int:
        machine = self._machine
        try:
            return self._go(force)
        except Failure as failure:
            machine.log(f"failed in {self._phase}: {failure}")
            self._report("failed", failures=[{"step": self._phase, "reason": machine.redacted(str(failure))}])
            return FAILED
        except OSError as error:
            machine.log(f"failed in {self._phase}: {error}")
            self._report("failed", failures=[{"step": self._phase, "reason": str(error)}])
            return FAILED

    def _go(self, force: str | None) -> int:
        machine = self._machine
        plan = self._plan = stored_plan(machine)
        values = self._values = Values(machine)
        held_before = self._applied.get("held", {})
        same_try = held_before.get("inputs") == self.inputs and self._mode != "apply"
        held = set(held_before.get("paths", [])) if same_try else set()

        journal = Journal(machine)
        journal.open()
        if journal.interrupted:
            machine.log("the last run has left work; finishing it")
        units = Units(machine)
        files = Files(machine, plan, values, journal, held)

        self._enter("files before packages")
        units.mask(plan.units["masked"])
        files.before_packages()
        self._enter("packages")
        self._installed = Packages(machine, plan, journal).apply()
        self._enter("files")
        make_users(machine, plan)
        wait_for_private_address(machine, values)
        # While their unit files are still there.
        units.disable(sorted(set(self._applied.get("units", [])) - set(plan.units["enabled"])))
        files.after_packages(self._applied.get("files", []))
        digests = values.secret_digests()
        earlier = self._applied.get("secrets", {})
        journal.note([f"{SECRETS}/{name}" for name in digests if digests[name] != earlier.get(name)])
        self._changed = sorted(journal.changed)

        self._enter("services")
        units.reload_if(self._changed)
        units.disable(plan.units["disabled"])
        units.enable(plan.units["enabled"])
        services = Services(machine, plan, journal, files, units, set(values.secrets))
        services.carry(take_pending=self._mode != "scheduled", force=force)

        paths = {*plan.files, *plan.links}
        failures = services.failures
        if held:
            failures = held_before.get("failures", []) + failures
        still_held = {"inputs": self.inputs, "paths": sorted(services.held | held), "failures": failures}
        applied = {"plan": plan.digest, "files": sorted(paths), "units": plan.units["enabled"], "secrets": digests}
        if services.held or held:
            applied["held"] = still_held
        write_json(machine.state / APPLIED, applied, 0o600)
        journal.close({backup for entry in services.pending.values() for backup in entry["files"].values() if backup})

        missing = sorted({name for names in files.waiting.values() for name in names} | (set(plan.secrets) - values.secrets.keys()))
        state = "failed" if failures else "waiting" if missing else "converged"
        self._phase = "done"
        self._report(
            state,
            failures=failures,
            actions=services.actions,
            waiting=missing,
            pending=[{"unit": unit, "since": entry["since"]} for unit, entry in sorted(services.pending.items())],
        )
        text = {"waiting": f"waiting for the secrets {', '.join(missing)}"}.get(state, state)
        machine.log(f"{text}: {len(self._changed)} changed, {len(services.actions)} actions, {len(services.pending)} pending")
        return {"failed": FAILED, "waiting": WAITING}.get(state, CONVERGED)

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._report("converging")

    def _report(
        self,
        state: str,
        failures: list[dict] | None = None,
        actions: list[dict] | None = None,
        waiting: list[str] | None = None,
        pending: list[dict] | None = None,
    ) -> None:
        status = {
            "format": 1,
            "state": state,
            "phase": self._phase,
            "plan": self._plan.digest if self._plan else None,
            "bootGeneration": self._values.boot_generation if self._values else None,
            "mode": self._mode,
            "startedAt": self._started,
            "endedAt": None if state == "converging" else now(),
            "installed": self._installed,
            "changed": self._changed,
            "actions": actions or [],
            "waitingForSecrets": waiting or [],
            "pending": pending or [],
            "failures": failures or [],
        }
        write_json(self._machine.state / STATUS, status, 0o644)


def wait_until_ready(machine: Machine, seconds: float) -> int:
    """Runs the plan's ready command until it succeeds; says why it does not when the time is over."""
    plan = stored_plan(machine)
    Values(machine)  # what it prints must not show a secret
    deadline = time.monotonic() + seconds
    told = ""
    while True:
        status, output = machine.shell(plan.ready, 60)
        if status == 0:
            machine.log("ready")
            return CONVERGED
        reason = output.strip() or f"`{plan.ready}` gives status {status}"
        if reason != told:
            machine.log(f"not ready: {reason}")
            told = reason
        if time.monotonic() >= deadline:
            machine.log(f"gave up after {seconds:g} s")
            _, failed = machine.run(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend"], 30)
            for unit in [line.split()[0] for line in failed.splitlines() if line.strip()]:
                machine.log(f"{unit} has failed:\n{Units(machine).journal(unit)}")
            return FAILED
        time.sleep(min(5, max(0.05, deadline - time.monotonic())))


def show(machine: Machine) -> int:
    """Prints the last run's report as JSON."""
    status = read_json(machine.state / STATUS, None)
    print(json.dumps(status, indent=2, ensure_ascii=False))
    return CONVERGED if status else FAILED


def must_be_root(machine: Machine) -> None:
    if not machine.scratch and os.geteuid() != 0:
        raise Failure("only root can converge this host")
