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
        for name in names:
            if self._enabled(name) != "masked":
                self._systemctl("mask", "--now", name)
                self._machine.log(f"masked {name}")

    def disable(self, names: list[str]) -> None:
        for name in names:
            if self._enabled(name) in ("enabled", "enabled-runtime") or self.active(name):
                self._systemctl("disable", "--now", name)
                self._machine.log(f"disabled {name}")

    def enable(self, names: list[str]) -> None:
        """For the next boot; starting is the services' part."""
        for name in names:
            state = self._enabled(name)
            if state == "masked":
                self._systemctl("unmask", name)
                state = self._enabled(name)
            if state == "disabled":
                self._systemctl("enable", name)
                self._machine.log(f"enabled {name}")

    def active(self, name: str) -> bool:
        return self._show(name)["ActiveState"] in ("active", "reloading", "refreshing")

    def needs_start(self, name: str) -> bool:
        """Not running, and meant to: a one-shot that has done its work, or whose conditions do not hold on this
        machine, is left alone."""
        state = self._show(name)
        if state["ActiveState"] in ("active", "reloading", "refreshing", "activating"):
            return False
        if state["ActiveState"] == "failed":
            return True
        has_run = state.get("ExecMainStartTimestampMonotonic", "0") not in ("", "0")
        if state.get("Type") == "oneshot" and has_run:
            return False
        return not self._skipped(state)

    def act(self, action: str, name: str, command: str | None = None) -> str | None:
        """start, restart or reload. Returns the reason when it failed."""
        if command:
            status, output = self._machine.shell(command, 120)
        else:
            status, output = self._machine.run(["systemctl", action, name], 300)
        if status != 0:
            return f"{action} of {name} failed with status {status}: {last_lines(output, 4)}"
        state = self._show(name)
        if state.get("Type") in ("simple", "exec") and action != "reload":
            # systemd calls these started before they have read their files.
            self._machine.sleep(0.5)
            state = self._show(name)
        if state.get("Type") == "oneshot" and state.get("Result", "success") == "success":
            return None
        running = state["ActiveState"] in ("active", "reloading", "refreshing")
        if running or self._skipped(state):
            return None
        return f"{name} is {state['ActiveState']} ({state.get('SubState', '')}) after {action}"

    def journal(self, name: str, lines: int = 15) -> str:
        status, text = self._machine.run(["journalctl", "--unit", name, "--lines", str(lines), "--no-pager", "--output", "cat"], 20)
        return text.strip() if status == 0 else ""

    def _skipped(self, state: dict[str, str]) -> bool:
        return state.get("ConditionResult") == "no" and state.get("ConditionTimestampMonotonic", "0") != "0"

    def _enabled(self, name: str) -> str:
        _, text = self._machine.run(["systemctl", "is-enabled", name], 30)
        return text.strip().splitlines()[-1] if text.strip() else "unknown"

    def _show(self, name: str) -> dict[str, str]:
        wanted = "ActiveState,SubState,Type,Result,ConditionResult,ConditionTimestampMonotonic,ExecMainStartTimestampMonotonic"
        _, text = self._machine.run(["systemctl", "show", f"--property={wanted}", name], 30)
        return {"ActiveState": "unknown", **dict(line.split("=", 1) for line in text.splitlines() if "=" in line)}

    def _systemctl(self, *arguments: str) -> None:
        status, output = self._machine.run(["systemctl", *arguments], 120)
        if status != 0:
            raise Failure(f"systemctl {' '.join(arguments)} failed with status {status}: {last_lines(output, 4)}")
