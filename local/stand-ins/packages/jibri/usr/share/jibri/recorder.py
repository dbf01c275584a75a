"""Stand-in for Jibri: speaks its protocol, and records a test picture and tone instead of a browser.

usage: recorder.py JIBRI.CONF LOGGING.PROPERTIES    its standard input is held open by whoever is to outlive it

For each environment of jibri.conf it logs in, says in the brewery whether it is idle or busy and healthy
(http://jitsi.org/protocol/jibri), and takes start and stop. A recording joins the room with the call login, runs
ffmpeg with the configured encoding, says on, and ends by stop, an empty call, being put out or a lost link; then come
metadata.json, the finalize script and idle. What ends by itself is told before, a stop is answered after. HTTP: health,
gracefulShutdown, shutdown, as Jibri's. What it can be told to do wrong is in faults.py.
"""

import asyncio
import logging
import os
import re
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults
import stand_in
from control import Control
from recording import Failed, Recording

log = logging.getLogger("stand-in.recorder")


class Recorder:
    """One instance: one recording at a time, for the shards of all its environments."""

    def __init__(self, settings):
        self.settings = settings
        self.controls = []
        self.recording = None
        # From the start that was taken to the idle recorder.
        self.task = None
        self.stopped = False
        self.leaving = False
        self.healthy = True
        self.gone = asyncio.Event()

    @property
    def busy(self):
        return self.task is not None

    def log_in(self):
        for environment in stand_in.at(self.settings, "api.xmpp.environments", []):
            self.controls.append(Control(self, environment))
            self.controls[-1].open()

    def say(self):
        for control in self.controls:
            control.say()

    def begin(self, control, focus, request):
        """Takes a start; False when it is busy. Raises ValueError when the request cannot be read."""
        if self.busy or self.leaving:
            return False
        self.recording = Recording(self.settings, control.environment, request)
        self.stopped = False
        self.task = asyncio.create_task(self.record(self.recording, control, focus))
        # Busy comes before pending.
        self.say()
        return True

    async def record(self, recording, control, focus):
        why = await recording.run(lambda: control.tell(focus, status="on"))
        if why:
            log.warning("%s: %s", recording.room, why)
        # Of its own end it tells at once; a stop is answered when all is done.
        if not self.stopped:
            retry = isinstance(why, Failed) and why.retry
            failure = {"failure_reason": "error", "should_retry": str(retry).lower()} if why else {}
            control.tell(focus, status="off", **failure)
        await recording.finish()
        self.recording = self.task = None
        if self.leaving:
            self.gone.set()
        else:
            self.say()

    async def stop(self, ended):
        """Ends what is recorded, and returns when it is finalized; ended() is called when it no longer grows."""
        task = self.task
        if task is None:
            return
        self.stopped = True
        self.recording.end(None)
        ended()
        await asyncio.shield(task)

    def link_lost(self, control):
        if self.recording and self.recording.environment is control.environment:
            self.stopped = True
            self.recording.end(None)

    async def obey(self):
        """Does what a test orders."""
        while True:
            await asyncio.sleep(0.2)
            healthy = faults.ordered() != "unhealthy"
            if healthy != self.healthy:
                self.healthy = healthy
                self.say()
            order = faults.take("die", *(["end", "fail", "fail-retry"] if self.recording else []))
            if order == "die":
                os._exit(137)
            if order:
                self.recording.end(None if order == "end" else Failed("as ordered", retry=order == "fail-retry"))

    def shut_down(self, gracefully):
        log.info("shutdown, gracefully: %s", gracefully)
        self.leaving = True
        if not gracefully and self.recording:
            self.recording.end(None)
        if not self.busy:
            self.gone.set()

    def external(self, method, path, _body):
        if (method, path) == ("GET", "/jibri/api/v1.0/health"):
            health = "HEALTHY" if self.healthy else "UNHEALTHY"
            return 200, {
                "status": {
                    "busyStatus": "BUSY" if self.busy else "IDLE",
                    "health": {"healthStatus": health, "details": {}},
                },
                "jibriId": stand_in.at(self.settings, "id", ""),
            }
        if (method, path) == ("POST", "/jibri/api/v1.0/stopService"):
            if self.recording:
                self.recording.end(None)
            return 200, ""
        return 404, ""

    def internal(self, method, path, _body):
        base = "/jibri/api/internal/v1.0/"
        if method != "POST" or path not in (base + "gracefulShutdown", base + "notifyConfigChanged", base + "shutdown"):
            return 404, ""
        # Changed settings are taken up by a new process.
        self.shut_down(gracefully=not path.endswith("/shutdown"))
        return 200, ""


async def main(conf):
    recorder = Recorder(stand_in.settings(conf, "jibri"))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: os._exit(143))
    http = stand_in.at(recorder.settings, "api.http", {})
    await stand_in.serve(http.get("external-api-host", "127.0.0.1"), int(http.get("external-api-port", 2222)), recorder.external)
    await stand_in.serve(http.get("internal-api-host", "127.0.0.1"), int(http.get("internal-api-port", 3333)), recorder.internal)
    recorder.log_in()
    obeying = asyncio.create_task(recorder.obey())
    await recorder.gone.wait()
    obeying.cancel()
    for control in recorder.controls:
        control.close()
    await asyncio.sleep(1)


def log_file(properties):
    """Where the real one's logging settings want its log, or None."""
    try:
        with open(properties, encoding="utf-8") as file:
            found = re.search(r"^java\.util\.logging\.FileHandler\.pattern\s*=\s*(\S+)", file.read(), re.MULTILINE)
        return found.group(1).replace("%g", "0") if found else None
    except OSError:
        return None


def end_with_parent():
    """Ends when standard input does: the Java process that started it is gone."""
    while os.read(0, 4096):
        pass
    os._exit(143)


if __name__ == "__main__":
    conf, properties = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", filename=log_file(properties))
    logging.getLogger("stand-in").setLevel(logging.INFO)
    log.info("This is a stand-in for Jibri: it records a test picture and tone.")
    threading.Thread(target=end_with_parent, daemon=True).start()
    asyncio.run(main(conf))
