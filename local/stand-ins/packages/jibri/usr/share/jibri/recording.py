"""Stand-in for Jibri: one recording, of a test picture and tone instead of a browser."""

import asyncio
import datetime
import json
import logging
import os
import re
import secrets
import signal

import faults
import stand_in
from slixmpp.xmlstream import ET

JIBRI = "http://jitsi.org/protocol/jibri"
# A recorder that joins waits so long for the room.
JOIN_TIMEOUT = 30
# Few pictures a second, each shown several times: six of these run on two processors.
PICTURES = 5

log = logging.getLogger("stand-in.recorder")
Client = stand_in.client_class()


class Failed(Exception):
    """Why a recording did not begin or go on. retry: whether another recorder is to try it."""

    def __init__(self, why, retry=False):
        super().__init__(why)
        self.retry = retry


class Call(Client):
    """The recorder as an occupant of the room that it records.

    ended: called with a Failed when it cannot be there, with None when it was put out
    """

    def __init__(self, environment, room, ended):
        login = environment["call-login"]
        port = int(environment["control-login"].get("port", 5222))
        verify = not stand_in.true(environment.get("trust-all-xmpp-certs", True))
        jid = f"{login['username']}@{login['domain']}"
        super().__init__(jid, str(login["password"]), environment["xmpp-server-hosts"][0], port, verify)
        # The real one is a browser and comes by the web server; this certificate is for the control login's domain.
        self.ssl_context.check_hostname = False
        self.room = room
        self.nick = secrets.token_hex(4)
        self.joined = asyncio.get_running_loop().create_future()
        # Nicks of those that are no recorders.
        self.people = set()
        self.ended = ended
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("presence", self.seen)

    async def started(self, _):
        self.present(ET.Element(f"{{{stand_in.MUC}}}x"))

    def present(self, *more):
        presence = self.make_presence(pto=f"{self.room}/{self.nick}")
        for element in more:
            presence.xml.append(element)
        features = ET.SubElement(presence.xml, "features")
        ET.SubElement(features, "feature", {"var": JIBRI})
        presence.send()

    def records(self, session):
        """Says in the room which session it records."""
        about = [ET.Element("session_id"), ET.Element("mode")]
        about[0].text, about[1].text = session, "file"
        self.present(*about)

    async def lost(self, _):
        if not self.closing:
            self.closing = True
            self.refused("the link is lost")

    def refused(self, why):
        if self.joined.done():
            self.ended(None)
        else:
            self.joined.set_exception(Failed(why, retry=True))

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
            if kind == "unavailable" or self.is_recorder(presence):
                self.people.discard(nick)
            else:
                self.people.add(nick)

    def is_recorder(self, presence):
        item = presence.xml.find(f"{{{stand_in.MUC}#user}}x/{{{stand_in.MUC}#user}}item")
        return item is not None and (item.get("jid") or "").split("/")[0] == self.boundjid.bare


class Recording:
    """One recording, from the start that was taken to its finalize script.

    settings: those of jibri.conf
    request: the jibri element of the start
    ended: a future with why it ends: a Failed, or None for an ordinary end
    """

    def __init__(self, settings, environment, request):
        self.settings = settings
        self.environment = environment
        self.room = request.get("room", "").lower()
        self.session = request.get("session_id", "")
        # Raises ValueError, as Jibri does.
        self.metadata = json.loads(request.get("app_data") or "{}").get("file_recording_metadata") or {}
        self.ended = asyncio.get_running_loop().create_future()
        self.call = Call(environment, self.room, self.end)
        self.ffmpeg = None
        self.folder = None
        self.file = None

    def end(self, why):
        if not self.ended.done():
            self.ended.set_result(why)

    async def run(self, on):
        """Records until it ends; on() is called when the file grows. Returns why it ended, ffmpeg still running."""
        if faults.ordered() == "never-on":
            return await self.ended
        self.call.open()
        watch = None
        try:
            await asyncio.wait_for(asyncio.shield(self.call.joined), JOIN_TIMEOUT)
            self.call.records(self.session)
            await self.begin()
            on()
            watch = asyncio.create_task(self.watch())
            return await self.ended
        except asyncio.TimeoutError:
            return Failed("the room was not joined in time", retry=True)
        except OSError as error:
            return Failed(str(error))
        except Failed as failed:
            return failed
        finally:
            if watch:
                watch.cancel()

    async def begin(self):
        name = self.room.split("@")[0]
        base = stand_in.at(self.settings, "recording.recordings-directory", "/tmp/recordings")
        self.folder = os.path.join(base, re.sub(r"[^\w-]", "", self.session) or secrets.token_hex(8))
        os.makedirs(self.folder, exist_ok=True)
        self.file = os.path.join(self.folder, f"{name}_{datetime.datetime.now():%Y-%m-%d-%H-%M-%S}.mp4")
        size = stand_in.at(self.settings, "ffmpeg.resolution", "1920x1080")
        encoding = stand_in.at(
            self.settings,
            "ffmpeg.video-params-recording",
            ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"],
        )
        self.ffmpeg = await asyncio.create_subprocess_exec(
            "ffmpeg", "-nostdin", "-loglevel", "error", "-y",
            "-re", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={PICTURES}",
            "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100",
            "-c:a", "aac", *map(str, encoding), self.file,
            stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(300):
            if self.ffmpeg.returncode is not None or self.ended.done():
                break
            if os.path.exists(self.file) and os.path.getsize(self.file) > 0:
                log.info("recording %s into %s", self.room, self.file)
                return
            await asyncio.sleep(0.1)
        if not self.ended.done():
            raise Failed("ffmpeg does not write")

    async def watch(self):
        checks = stand_in.at(self.settings, "call-status-checks", {})
        patience = stand_in.seconds(checks.get("default-call-empty-timeout", "30 seconds"))
        media = stand_in.seconds(checks.get("no-media-timeout", "30 seconds"))
        second = 0.5
        empty = running = 0
        while True:
            await asyncio.sleep(second)
            running += second
            if self.ffmpeg.returncode is not None:
                self.end(Failed("ffmpeg ended"))
            if running >= media and faults.ordered() == "no-media":
                self.end(Failed("no media", retry=True))
            empty = 0 if self.call.people else empty + second
            if empty >= patience:
                log.info("nobody is in %s any more", self.room)
                self.end(None)

    async def finish(self):
        """Ends ffmpeg, writes metadata.json, leaves the room, runs the finalize script. A recording without a file
        leaves nothing.
        """
        await self.stop_ffmpeg()
        people = len(self.call.people)
        recorded = self.file is not None and os.path.exists(self.file)
        if recorded:
            strip = self.environment.get("strip-from-room-domain", "")
            name, _, domain = self.room.partition("@")
            base = self.environment.get("base-url") or f"https://{domain.removeprefix(strip)}"
            metadata = {"meeting_url": f"{base}/{name}", "participants": [{"user": {}}] * people, **self.metadata}
            with open(os.path.join(self.folder, "metadata.json"), "w", encoding="utf-8") as file:
                json.dump(metadata, file)
        elif self.folder is not None and not os.listdir(self.folder):
            os.rmdir(self.folder)
        self.call.close()
        script = stand_in.at(self.settings, "recording.finalize-script", "")
        if recorded and script:
            done = await asyncio.create_subprocess_exec(script, self.folder, stdin=asyncio.subprocess.DEVNULL)
            log.info("%s ended with %s", script, await done.wait())

    async def stop_ffmpeg(self):
        if self.ffmpeg is None or self.ffmpeg.returncode is not None:
            return
        self.ffmpeg.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(self.ffmpeg.wait(), 10)
        except asyncio.TimeoutError:
            self.ffmpeg.kill()
            await self.ffmpeg.wait()
