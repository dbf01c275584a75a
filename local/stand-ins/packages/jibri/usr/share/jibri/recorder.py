"""Stand-in for Jibri: speaks its protocol, and records a test picture and tone instead of a browser.

usage: recorder.py JIBRI.CONF LOGGING.PROPERTIES    its standard input is held open by whoever is to outlive it

For each environment of jibri.conf it logs in, says in the brewery whether it is idle or busy and healthy
(http://jitsi.org/protocol/jibri), and takes start and stop. A recording joins the room with the call login, runs
ffmpeg with the configured encoding, says on, and ends by stop, an empty call, being put out or a lost link; then come
metadata.json, the finalize script, off and idle. HTTP: health, gracefulShutdown, shutdown, as Jibri's.
"""

import asyncio
import datetime
import json
import logging
import os
import re
import secrets
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stand_in
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import CoroutineCallback
from slixmpp.xmlstream.matcher import MatchXPath

JIBRI = "http://jitsi.org/protocol/jibri"
HEALTH = "http://jitsi.org/protocol/health"
USER = "http://jabber.org/protocol/muc#user"

log = logging.getLogger("stand-in.recorder")
Client = stand_in.client_class()


class Failed(Exception):
    """Why a recording did not begin or go on."""


class Call(Client):
    """The recorder as an occupant of the room that it records."""

    def __init__(self, environment, room, ended):
        login = environment["call-login"]
        port = int(environment["control-login"].get("port", 5222))
        verify = not stand_in.true(environment.get("trust-all-xmpp-certs", True))
        super().__init__(f"{login['username']}@{login['domain']}", str(login["password"]), environment["xmpp-server-hosts"][0], port, verify)
        # The real one is a browser and comes by the web server; this certificate is for the control login's domain.
        self.ssl_context.check_hostname = False
        self.room = room
        self.nick = secrets.token_hex(4)
        self.joined = asyncio.get_running_loop().create_future()
        self.people = set()
        self.ended = ended
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("presence", self.seen)

    async def started(self, _):
        presence = self.make_presence(pto=f"{self.room}/{self.nick}")
        presence.xml.append(ET.Element(f"{{{stand_in.MUC}}}x"))
        features = ET.SubElement(presence.xml, "features")
        ET.SubElement(features, "feature", {"var": JIBRI})
        presence.send()

    async def lost(self, _):
        if not self.closing:
            self.closing = True
            self.refused("the link is lost")

    def refused(self, why):
        if not self.joined.done():
            self.joined.set_exception(Failed(why))
        self.ended(None)

    def seen(self, presence):
        if presence["from"].bare != self.room:
            return
        nick = presence["from"].resource
        kind = presence["type"]
        if kind == "error":
            self.refused(f"not let into {self.room}: {presence['error']['condition']}")
        elif nick == self.nick and kind == "unavailable":
            self.refused("put out of the room")
        elif nick == self.nick and not self.joined.done():
            self.joined.set_result(None)
        elif nick not in (self.nick, "focus"):
            if kind == "unavailable":
                self.people.discard(nick)
            else:
                self.people.add(nick)


class Recording:
    """One recording, from the start that was taken to the idle recorder.

    ended: a future with why it ends: a text is a failure, None an ordinary end.
    """

    def __init__(self, recorder, environment, request):
        self.recorder = recorder
        self.environment = environment
        self.room = request.get("room", "").lower()
        self.session = request.get("session_id", "")
        try:
            self.app_data = json.loads(request.get("app_data") or "{}")
        except ValueError:
            self.app_data = {}
        self.ended = asyncio.get_running_loop().create_future()
        self.ffmpeg = None
        self.folder = None
        self.retry = False

    def end(self, why):
        if not self.ended.done():
            self.ended.set_result(why)

    async def run(self, on):
        """Records until it ends; on() is called when the file grows. Returns why it ended."""
        call = Call(self.environment, self.room, self.end)
        call.open()
        watch = None
        try:
            self.retry = True
            await asyncio.wait_for(asyncio.shield(call.joined), 30)
            self.retry = False
            await self.begin()
            on()
            watch = asyncio.create_task(self.watch(call))
            return await self.ended
        except (Failed, asyncio.TimeoutError, OSError) as error:
            return str(error) or "the room was not joined in time"
        finally:
            if watch:
                watch.cancel()
            await self.stop_ffmpeg()
            people = len(call.people)
            call.close()
            await self.finish(people)

    async def begin(self):
        settings = self.recorder.settings
        name = self.room.split("@")[0]
        base = stand_in.at(settings, "recording.recordings-directory", "/tmp/recordings")
        self.folder = os.path.join(base, re.sub(r"[^\w-]", "", self.session) or secrets.token_hex(8))
        os.makedirs(self.folder, exist_ok=True)
        file = os.path.join(self.folder, f"{name}_{datetime.datetime.now():%Y-%m-%d-%H-%M-%S}.mp4")
        size = stand_in.at(settings, "ffmpeg.resolution", "1920x1080")
        rate = stand_in.at(settings, "ffmpeg.framerate", 30)
        encoding = stand_in.at(settings, "ffmpeg.video-params-recording", ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
        self.ffmpeg = await asyncio.create_subprocess_exec(
            "ffmpeg", "-nostdin", "-loglevel", "error", "-y",
            "-re", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}",
            "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100",
            "-c:a", "aac", *map(str, encoding), file,
            stdin=asyncio.subprocess.DEVNULL,
        )
        for _ in range(300):
            if self.ffmpeg.returncode is not None:
                break
            if os.path.exists(file) and os.path.getsize(file) > 0:
                log.info("recording %s into %s", self.room, file)
                return
            await asyncio.sleep(0.1)
        raise Failed("ffmpeg does not write")

    async def watch(self, call):
        patience = stand_in.seconds(stand_in.at(self.recorder.settings, "call-status-checks.default-call-empty-timeout", "30 seconds"))
        empty = 0
        while True:
            await asyncio.sleep(1)
            if self.ffmpeg.returncode is not None:
                self.end("ffmpeg ended")
            empty = 0 if call.people else empty + 1
            if empty >= patience:
                log.info("nobody is in %s any more", self.room)
                self.end(None)

    async def stop_ffmpeg(self):
        if self.ffmpeg is None or self.ffmpeg.returncode is not None:
            return
        self.ffmpeg.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(self.ffmpeg.wait(), 10)
        except asyncio.TimeoutError:
            self.ffmpeg.kill()
            await self.ffmpeg.wait()

    async def finish(self, people):
        if self.folder is None:
            return
        shared = self.app_data.get("file_recording_metadata", {})
        strip = self.environment.get("strip-from-room-domain", "")
        name, _, domain = self.room.partition("@")
        base = self.environment.get("base-url") or f"https://{domain.removeprefix(strip)}"
        metadata = {"meeting_url": f"{base}/{name}", "participants": [{"user": {}}] * people, "share": bool(shared.get("share"))}
        with open(os.path.join(self.folder, "metadata.json"), "w", encoding="utf-8") as file:
            json.dump(metadata, file)
        script = stand_in.at(self.recorder.settings, "recording.finalize-script", "")
        if script:
            done = await asyncio.create_subprocess_exec(script, self.folder, stdin=asyncio.subprocess.DEVNULL)
            log.info("%s ended with %s", script, await done.wait())


class Brewery(Client):
    """The control login of one environment."""

    def __init__(self, recorder, environment):
        login, muc = environment["control-login"], environment["control-muc"]
        verify = not stand_in.true(environment.get("trust-all-xmpp-certs", True))
        super().__init__(f"{login['username']}@{login['domain']}", str(login["password"]), environment["xmpp-server-hosts"][0], int(login.get("port", 5222)), verify)
        self.recorder = recorder
        self.environment = environment
        self.room = f"{muc['room-name']}@{muc['domain']}"
        self.occupant = f"{self.room}/{muc['nickname']}"
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("presence_error", self.refused)
        self.register_handler(CoroutineCallback("jibri", MatchXPath(f"{{jabber:client}}iq/{{{JIBRI}}}jibri"), self.asked))

    async def started(self, _):
        self.send_presence()
        self.say()
        log.info("in %s", self.room)

    def refused(self, presence):
        log.error("%s: not let in: %s", self.occupant, presence["error"]["condition"])

    async def lost(self, reason):
        self.recorder.link_lost(self)
        await super().lost(reason)

    def say(self):
        presence = self.make_presence(pto=self.occupant)
        presence.xml.append(ET.Element(f"{{{stand_in.MUC}}}x"))
        status = ET.SubElement(presence.xml, f"{{{JIBRI}}}jibri-status")
        ET.SubElement(status, f"{{{JIBRI}}}busy-status", {"status": "busy" if self.recorder.busy else "idle"})
        ET.SubElement(status, f"{{{HEALTH}}}health-status", {"status": "healthy"})
        presence.send()

    def reply(self, iq, **attributes):
        answer = iq.reply()
        ET.SubElement(answer.xml, f"{{{JIBRI}}}jibri", attributes)
        answer.send()

    async def asked(self, iq):
        request = iq.xml.find(f"{{{JIBRI}}}jibri")
        # The answers to what it says itself come here, too.
        if iq["type"] != "set" or request is None:
            return
        if request.get("action") == "start":
            if not self.recorder.begin(self, iq, request):
                self.reply(iq, status="off", failure_reason="busy", should_retry="true")
        elif request.get("action") == "stop":
            # Whatever runs is ended, whoever's it is.
            await self.recorder.stop()
            self.reply(iq, status="off")

    def tell(self, to, **attributes):
        iq = self.make_iq(id=self.new_id(), ito=to, itype="set")
        ET.SubElement(iq.xml, f"{{{JIBRI}}}jibri", attributes)

        async def send():
            try:
                await iq.send(timeout=15)
            except Exception as error:
                # A session that has ended: it records on, as Jibri does.
                log.warning("%s said to %s: %s", attributes, to, getattr(error, "condition", error))

        asyncio.create_task(send())


class Recorder:
    def __init__(self, settings):
        self.settings = settings
        self.breweries = []
        self.recording = None
        self.task = None
        self.stopped_by_iq = False
        self.leaving = False
        self.gone = asyncio.Event()

    @property
    def busy(self):
        return self.task is not None

    def log_in(self):
        for environment in stand_in.at(self.settings, "api.xmpp.environments", []):
            self.breweries.append(Brewery(self, environment))
            self.breweries[-1].open()

    def say(self):
        for brewery in self.breweries:
            brewery.say()

    def begin(self, brewery, iq, request):
        if self.busy or self.leaving:
            return False
        self.recording = Recording(self, brewery.environment, request)
        self.stopped_by_iq = False
        self.task = asyncio.create_task(self.record(self.recording, brewery, iq["from"]))
        # Busy comes before pending.
        self.say()
        brewery.reply(iq, status="pending")
        return True

    async def record(self, recording, brewery, focus):
        why = await recording.run(lambda: brewery.tell(focus, status="on"))
        if why:
            log.warning("%s: %s", recording.room, why)
        if not self.stopped_by_iq:
            failure = {"failure_reason": "error", "should_retry": str(recording.retry).lower()} if why else {}
            brewery.tell(focus, status="off", **failure)
        self.recording = self.task = None
        if self.leaving:
            self.gone.set()
        else:
            self.say()

    async def stop(self):
        task = self.task
        if task is None:
            return
        self.stopped_by_iq = True
        self.recording.end(None)
        await asyncio.shield(task)

    def link_lost(self, brewery):
        if self.recording and self.recording.environment is brewery.environment:
            self.recording.end(None)

    def shut_down(self, gracefully):
        log.info("shutdown, gracefully: %s", gracefully)
        self.leaving = True
        if not gracefully and self.recording:
            self.recording.end(None)
        if not self.busy:
            self.gone.set()

    def external(self, method, path, _body):
        if (method, path) == ("GET", "/jibri/api/v1.0/health"):
            return 200, {
                "status": {
                    "busyStatus": "BUSY" if self.busy else "IDLE",
                    "health": {"healthStatus": "HEALTHY", "details": {}},
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
    await recorder.gone.wait()
    for brewery in recorder.breweries:
        brewery.close()
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
