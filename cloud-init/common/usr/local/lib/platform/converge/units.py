"""systemd units: enabled, disabled, masked, running."""

from .machine import Failure, Machine, last_lines

FOLDER = "/etc/systemd/system/"


class Units:
    def __init__(self, machine: Machine):
        self._machine = machine

    def reload_if(self, changed: list[str]) -> None:
        if any(path.startswith(FOLDER) for path in changed):
            self._systemctl("daemon-reload")

    def mask(self, names: list[str]) -> None:
        states = self.states(names)
        self._each("mask", [name for name in names if states[name]["UnitFileState"] != "masked"])

    def disable(self, names: list[str]) -> None:
        states = self.states(names)
        self._each("disable", [name for name in names if states[name]["UnitFileState"] == "enabled" or running(states[name])])

    def enable(self, names: list[str]) -> None:
        """For the next boot; starting is the services' part."""
        states = self.states(names)
        self._each("unmask", [name for name in names if states[name]["UnitFileState"] == "masked"])
        self._each("enable", [name for name in names if states[name]["UnitFileState"] in ("disabled", "masked")])

    def active(self, name: str) -> bool:
        return running(self.states([name])[name])

    def started(self, name: str) -> int:
        """When it began to run, in seconds since 1970; 0 when it does not run."""
        state = self.states([name])[name]
        since = state.get("ActiveEnterTimestamp", "").lstrip("@")
        return int(since) if running(state) and since.isdigit() else 0

    def to_start(self, names: list[str]) -> set[str]:
        """Which of them do not run and are meant to. A one-shot that has done its work, or whose conditions do not
        hold on this machine, is left alone."""
        return {name for name, state in self.states(names).items() if needs_start(state)}

    def states(self, names: list[str]) -> dict[str, dict[str, str]]:
        """Properties of each unit, asked for in one call: systemctl answers in the order of the names."""
        if not names:
            return {}
        wanted = (
            "ActiveState,SubState,UnitFileState,Type,Result,"
            "ConditionResult,ConditionTimestampMonotonic,ExecMainStartTimestampMonotonic,ActiveEnterTimestamp"
        )
        status, text = self._machine.run(["systemctl", "show", "--timestamp=unix", f"--property={wanted}", *names], 60)
        blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.strip().split("\n\n")]
        if status != 0 or len(blocks) != len(names):
            raise Failure(f"systemctl show gave {len(blocks)} answers for {len(names)} units: {last_lines(text, 4)}")
        unknown = {"ActiveState": "unknown", "UnitFileState": ""}
        return {name: {**unknown, **block} for name, block in zip(names, blocks, strict=True)}

    def act(self, action: str, name: str, command: str | None = None) -> str | None:
        """start, restart or reload. Returns the reason when it failed."""
        if command:
            status, output = self._machine.shell(command, 120)
        else:
            status, output = self._machine.run(["systemctl", action, name], 300)
        if status != 0:
            return f"{action} of {name} failed with status {status}: {last_lines(output, 4)}"
        state = self.states([name])[name]
        if state.get("Type") in ("simple", "exec") and action != "reload":
            # systemd calls these started before they have read their files.
            self._machine.sleep(0.5)
            state = self.states([name])[name]
        if state.get("Type") == "oneshot" and state.get("Result", "success") == "success":
            return None
        if running(state) or skipped(state):
            return None
        return f"{name} is {state['ActiveState']} ({state.get('SubState', '')}) after {action}"

    def journal(self, name: str, lines: int = 15) -> str:
        status, text = self._machine.run(["journalctl", "--unit", name, "--lines", str(lines), "--no-pager", "--output", "cat"], 20)
        return text.strip() if status == 0 else ""

    def _each(self, verb: str, names: list[str]) -> None:
        """One call for all of them, since each makes systemd read its units anew."""
        if names:
            self._systemctl(verb, *(["--now"] if verb in ("mask", "disable") else []), *names)
            self._machine.log(f"{verb}d {', '.join(names)}" if verb.endswith("e") else f"{verb}ed {', '.join(names)}")

    def _systemctl(self, *arguments: str) -> None:
        status, output = self._machine.run(["systemctl", *arguments], 120)
        if status != 0:
            raise Failure(f"systemctl {' '.join(arguments)} failed with status {status}: {last_lines(output, 4)}")


def running(state: dict[str, str]) -> bool:
    return state["ActiveState"] in ("active", "reloading", "refreshing")


def skipped(state: dict[str, str]) -> bool:
    """Whether a condition of the unit did not hold, e.g. a clock that a container may not set."""
    return state.get("ConditionResult") == "no" and state.get("ConditionTimestampMonotonic", "0") != "0"


def needs_start(state: dict[str, str]) -> bool:
    if running(state):
        return False
    if state["ActiveState"] == "activating":
        # One that crashes again and again is between two tries.
        return state.get("SubState") == "auto-restart"
    if state["ActiveState"] == "failed":
        return True
    has_run = state.get("ExecMainStartTimestampMonotonic", "0") not in ("", "0")
    return not (state.get("Type") == "oneshot" and has_run) and not skipped(state)
