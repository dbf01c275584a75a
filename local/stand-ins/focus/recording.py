"""Stand-in for tests: the recording of one room, as Jicofo controls it.

`Recording` takes what the room's people, the server's modules and the recorder ask for; `Session` is one recording, on
one recorder after another. Seams of Jicofo that others build on, its faults among them, are kept: a session whose
start was refused lives on until the recorder that was asked last leaves, and then starts another for nobody.
"""

import asyncio
import logging
import uuid

from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import ET

JIBRI = "http://jitsi.org/protocol/jibri"
TELEMETRY = "jitsi:opentelemetry"

log = logging.getLogger("focus.recording")


def refuse(iq, condition, text=""):
    """Answers an IQ with an error of the type that goes with the condition."""
    types = {
        "bad-request": "modify",
        "forbidden": "auth",
        "resource-constraint": "wait",
        "unexpected-request": "wait",
    }
    reply = iq.reply(clear=True)
    reply.error()
    reply["error"]["type"] = types.get(condition, "cancel")
    reply["error"]["condition"] = condition
    if text:
        reply["error"]["text"] = text
    reply.send()


class StartRefused(Exception):
    """Why no recorder could be had: the condition of the answer, and its text."""

    def __init__(self, condition, text):
        super().__init__(text)
        self.condition = condition
        self.text = text


class Settings:
    """How Jicofo treats recorders; seconds.

    pending_timeout: from the request to a recorder until it must have said that it records; 0: for ever
    reply_timeout: until a recorder must have answered a request
    retries: how often another recorder is tried, over the life of a session; below 0: without limit
    moderator_checks: whether the sender of a request must be a moderator
    """

    def __init__(self, pending_timeout, reply_timeout, retries, moderator_checks):
        self.pending_timeout = pending_timeout
        self.reply_timeout = reply_timeout
        self.retries = retries
        self.moderator_checks = moderator_checks


class Session:
    """One recording, from its request to its end.

    told: called with the status (on, off) and the failure's reason or None
    request: the jibri element that asked for it
    """

    def __init__(self, client, brewery, settings, room, initiator, request, told):
        self.client = client
        self.brewery = brewery
        self.settings = settings
        self.room = room
        self.id = str(uuid.uuid4())
        self.initiator = initiator
        self.terminator = None
        self.request = request
        self.told = told
        # The recorder that was asked last; None once the session is over.
        self.recorder = None
        self.status = None
        self.tried_again = 0
        self.pending = None
        self.lock = asyncio.Lock()
        brewery.watchers.append(self.left)

    @property
    def mode(self):
        return "stream" if self.request.get("streamid") else "file"

    def accepts(self, occupant):
        return self.recorder is not None and occupant == self.recorder

    async def start(self):
        """Asks recorders until one says pending. Raises StartRefused when none does."""
        async with self.lock:
            while True:
                recorder = self.brewery.select()
                if recorder is None:
                    if self.brewery.instances:
                        raise StartRefused("resource-constraint", "all Jibris are busy")
                    raise StartRefused("service-unavailable", "no Jibris available")
                if await self.ask(recorder):
                    return
                self.brewery.failed(recorder)
                if self.retries_exceeded():
                    raise StartRefused("internal-server-error", "Internal server error")
                self.tried_again += 1

    def retries_exceeded(self):
        return 0 <= self.settings.retries <= self.tried_again

    async def ask(self, recorder):
        """Asks one recorder; whether it said pending, the only good answer."""
        self.recorder = recorder
        log.info("%s: asking %s, session %s", self.room, recorder, self.id)
        self.await_on()
        iq = self.to_recorder(
            "start",
            room=self.room,
            session_id=self.id,
            recording_mode=self.mode,
            rtcstats_enabled="true",
            **{name: value for name, value in self.request.items() if name in ("app_data", "streamid", "you_tube_broadcast_id")},
        )
        try:
            answer = (await iq.send(timeout=self.settings.reply_timeout)).xml.find(f"{{{JIBRI}}}jibri")
        except IqTimeout:
            log.warning("%s does not answer", recorder)
            # It may begin yet, unwatched.
            self.client.send(self.to_recorder("stop", session_id=self.id))
            return False
        except IqError as error:
            log.warning("%s refuses: %s", recorder, error.condition)
            return False
        if answer is None or answer.get("status") != "pending":
            log.warning("%s refuses: %s", recorder, answer.attrib if answer is not None else "no answer")
            return False
        self.update(recorder, "pending")
        return True

    def to_recorder(self, action, **attributes):
        iq = self.client.make_iq(id=self.client.new_id(), ito=self.recorder, itype="set")
        jibri = ET.SubElement(iq.xml, f"{{{JIBRI}}}jibri", {"action": action, **attributes})
        trace = {"trace_id": "0" * 32, "parent_id": "0" * 16, "trace_flags": "00"}
        ET.SubElement(jibri, f"{{{TELEMETRY}}}traceparent", trace)
        return iq

    def await_on(self):
        self.no_longer_pending()
        if self.settings.pending_timeout > 0:
            loop = asyncio.get_running_loop()
            self.pending = loop.call_later(self.settings.pending_timeout, lambda: asyncio.create_task(self.too_late()))

    def no_longer_pending(self):
        if self.pending is not None:
            self.pending.cancel()
            self.pending = None

    async def too_late(self):
        if self.status == "pending":
            log.warning("%s: pending timeout", self.room)
            await self.stop(None)

    def update(self, recorder, status, failure=None, retry=False):
        """Takes what is known of a recorder's state. Returns what is still to be done, to be awaited, or None."""
        self.status = status
        if not self.accepts(recorder):
            return None
        if status != "pending":
            self.no_longer_pending()
        if failure is not None:
            return self.failed(status, failure, retry)
        if status == "off":
            self.told("off", None)
            self.clean_up()
        elif status == "on":
            self.told("on", None)
        return None

    async def failed(self, status, failure, retry):
        if retry and not self.retries_exceeded():
            self.tried_again += 1
            try:
                await self.start()
                return
            except StartRefused as refused:
                log.warning("%s: no other recorder: %s", self.room, refused)
        self.told(status, failure)
        self.clean_up()

    def left(self, occupant):
        """The brewery's word that somebody has left it."""
        if self.accepts(occupant):
            asyncio.create_task(self.update(occupant, "off", "error", retry=True))

    async def stop(self, terminator):
        """Tells the recorder to stop and does not wait for it."""
        async with self.lock:
            self.terminator = terminator
            if self.recorder is None:
                return
            self.client.send(self.to_recorder("stop", session_id=self.id))
            self.told("off", None)
            self.clean_up()

    def clean_up(self):
        self.recorder = None
        self.tried_again = 0
        self.no_longer_pending()
        if self.left in self.brewery.watchers:
            self.brewery.watchers.remove(self.left)


class Recording:
    """What is recorded in a room: at most one session, and requests taken one after another.

    conference: the room, with `people` (nick -> Occupant) and `publish`
    """

    def __init__(self, client, brewery, settings, conference):
        self.client = client
        self.brewery = brewery
        self.settings = settings
        self.conference = conference
        self.session = None
        self.requests = asyncio.Queue()
        self.worker = asyncio.create_task(self.work())

    def accepts(self, iq):
        """Whether an IQ comes from this room, or from the recorder that is asked to record it."""
        sender = iq["from"]
        return sender.bare == self.conference.room or (self.session is not None and self.session.accepts(str(sender)))

    async def work(self):
        while True:
            iq = await self.requests.get()
            try:
                await self.handle(iq)
            except Exception:
                log.exception("%s: request failed", self.conference.room)
                refuse(iq, "internal-server-error")

    async def handle(self, iq):
        jibri = iq.xml.find(f"{{{JIBRI}}}jibri")
        sender = str(iq["from"])
        if self.session is not None and self.session.accepts(sender):
            retry = jibri.get("should_retry") == "true"
            if "status" in jibri.attrib:
                more = self.session.update(sender, jibri.get("status"), jibri.get("failure_reason"), retry)
                if more is not None:
                    await more
            iq.reply(clear=True).send()
            return
        refused = self.role_refused(iq["from"])
        if refused:
            refuse(iq, refused)
        elif jibri.get("action") == "start":
            await self.start(iq, jibri)
        elif jibri.get("action") == "stop":
            if self.session is None:
                refuse(iq, "item-not-found", "Unknown session")
                return
            await self.session.stop(sender)
            iq.reply(clear=True).send()
        else:
            refuse(iq, "bad-request", "undefined action")

    def role_refused(self, sender):
        if not self.settings.moderator_checks:
            return None
        occupant = self.conference.people.get(sender.resource) if sender.bare == self.conference.room else None
        if occupant is None:
            return "forbidden"
        return None if occupant.role == "moderator" else "not-allowed"

    async def start(self, iq, jibri):
        if self.session is not None:
            refuse(iq, "unexpected-request", "Recording or live streaming is already enabled")
            return
        if (jibri.get("recording_mode") == "file") == bool(jibri.get("streamid")):
            refuse(iq, "bad-request", "stream id and recording mode do not fit")
            return
        session = Session(
            self.client,
            self.brewery,
            self.settings,
            self.conference.room,
            str(iq["from"]),
            jibri,
            lambda status, failure: self.told(session, status, failure),
        )
        self.session = session
        try:
            await session.start()
        except StartRefused as refused:
            # The session still watches the recorder that it asked last.
            self.session = None
            refuse(iq, refused.condition, refused.text)
            return
        reply = iq.reply(clear=True)
        ET.SubElement(reply.xml, f"{{{JIBRI}}}jibri", {"session_id": session.id})
        reply.send()

    def told(self, session, status, failure):
        # The room shows nothing of a session that it does not know.
        if session is not self.session:
            return
        status_of = {"status": status, "session_id": session.id, "recording_mode": session.mode}
        who = session.initiator if status == "on" else session.terminator
        if who:
            status_of["initiator"] = who
        if failure:
            status_of["failure_reason"] = failure
        self.conference.publish(ET.Element(f"{{{JIBRI}}}jibri-recording-status", status_of))
        if status == "off":
            self.session = None

    def stop(self):
        """The room has ended: a recorder that still records is told to stop."""
        session, self.session = self.session, None
        if session is not None:
            asyncio.create_task(session.stop(None))

    def forget(self):
        self.worker.cancel()
        session, self.session = self.session, None
        if session is not None:
            session.clean_up()
