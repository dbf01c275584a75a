"""Stand-in for Jibri: its login in the brewery of one shard, where it says what it is and takes requests."""

import asyncio
import logging

import faults
import stand_in
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import CoroutineCallback
from slixmpp.xmlstream.matcher import MatchXPath

JIBRI = "http://jitsi.org/protocol/jibri"
HEALTH = "http://jitsi.org/protocol/health"
PING_INTERVAL = 30
JOIN_RETRY = 5
ANSWERS = {
    "busy": {"status": "off", "failure_reason": "busy", "should_retry": "true"},
    "error": {"status": "off", "failure_reason": "error", "should_retry": "true"},
    "on": {"status": "on"},
}

log = logging.getLogger("stand-in.recorder")
Client = stand_in.client_class()


class Control(Client):
    """The control login of one environment of jibri.conf."""

    def __init__(self, recorder, environment):
        login, muc = environment["control-login"], environment["control-muc"]
        verify = not stand_in.true(environment.get("trust-all-xmpp-certs", True))
        jid = f"{login['username']}@{login['domain']}"
        port = int(login.get("port", 5222))
        super().__init__(jid, str(login["password"]), environment["xmpp-server-hosts"][0], port, verify)
        self.recorder = recorder
        self.environment = environment
        self.occupant = f"{muc['room-name']}@{muc['domain']}/{muc['nickname']}"
        self.in_brewery = False
        # It pings instead.
        self.whitespace_keepalive = False
        # A lost link may be taken up again, and is given up later: as Smack does it.
        self.register_plugin("xep_0198")
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("session_resumed", self.resumed)
        self.add_event_handler("presence_error", self.refused)
        self.register_handler(
            CoroutineCallback("jibri", MatchXPath(f"{{jabber:client}}iq/{{{JIBRI}}}jibri"), self.asked)
        )
        self.pings = asyncio.create_task(self.ping())

    async def started(self, _):
        self.in_brewery = False
        self.send_presence()
        self.say()
        log.info("in %s", self.occupant)

    async def resumed(self, _):
        log.info("%s: the link was taken up again", self.occupant)
        self.say()

    def refused(self, presence):
        # What others could not be told comes back here as well.
        if str(presence["from"]) != self.occupant or presence["error"]["condition"] == "recipient-unavailable":
            return
        log.error("%s: not let in: %s", self.occupant, presence["error"]["condition"])
        self.in_brewery = False
        asyncio.get_running_loop().call_later(JOIN_RETRY, self.say)

    async def lost(self, reason):
        self.recorder.link_lost(self)
        await super().lost(reason)

    async def ping(self):
        while True:
            await asyncio.sleep(PING_INTERVAL)
            if not self.is_connected():
                continue
            iq = self.make_iq(id=self.new_id(), ito=self.boundjid.host, itype="get")
            ET.SubElement(iq.xml, "{urn:xmpp:ping}ping")
            try:
                await iq.send(timeout=PING_INTERVAL)
            except IqError:
                pass
            except IqTimeout:
                log.warning("%s: no answer to a ping", self.occupant)
                self.abort()

    def say(self):
        """Says in the brewery what it is; joins it with the first word."""
        if not self.is_connected():
            return
        presence = self.make_presence(pto=self.occupant)
        if not self.in_brewery:
            presence.xml.append(ET.Element(f"{{{stand_in.MUC}}}x"))
            self.in_brewery = True
        status = ET.SubElement(presence.xml, f"{{{JIBRI}}}jibri-status")
        ET.SubElement(status, f"{{{JIBRI}}}busy-status", {"status": "busy" if self.recorder.busy else "idle"})
        health = "healthy" if self.recorder.healthy else "unhealthy"
        ET.SubElement(status, f"{{{HEALTH}}}health-status", {"status": health})
        presence.send()

    def reply(self, iq, **attributes):
        answer = iq.reply()
        ET.SubElement(answer.xml, f"{{{JIBRI}}}jibri", attributes)
        answer.send()

    def refuse(self, iq, condition):
        answer = iq.reply(clear=True)
        answer.error()
        answer["error"]["condition"] = condition
        answer.send()

    async def asked(self, iq):
        """Takes a request, of whomever."""
        request = iq.xml.find(f"{{{JIBRI}}}jibri")
        # The answers to what it says itself come here, too.
        if iq["type"] != "set" or request is None:
            return
        action = request.get("action")
        log.info("asked to %s, session %s", action, request.get("session_id"))
        if action == "start":
            self.start(iq, request)
        elif action == "stop":
            # Whatever runs is ended, whoever's it is.
            await self.recorder.stop(lambda: self.tell(iq["from"], status="off"))
            self.reply(iq, status="off")
        else:
            self.refuse(iq, "bad-request")

    def start(self, iq, request):
        fault = faults.ordered()
        if fault == "silent":
            return
        if fault == "iq-error":
            self.refuse(iq, "internal-server-error")
        elif fault in ANSWERS:
            self.reply(iq, **ANSWERS[fault])
        else:
            try:
                taken = self.recorder.begin(self, iq["from"], request)
                self.reply(iq, **({"status": "pending"} if taken else ANSWERS["busy"]))
            except ValueError as error:
                log.error("cannot begin: %s", error)
                self.reply(iq, **ANSWERS["error"])

    def tell(self, to, **attributes):
        iq = self.make_iq(id=self.new_id(), ito=to, itype="set")
        ET.SubElement(iq.xml, f"{{{JIBRI}}}jibri", attributes)

        async def send():
            try:
                await iq.send(timeout=15)
            except (IqError, IqTimeout) as error:
                # A session that has ended: it records on, as Jibri does.
                log.warning("%s said to %s: %s", attributes, to, getattr(error, "condition", "no answer"))

        asyncio.create_task(send())

    def close(self):
        self.pings.cancel()
        super().close()
