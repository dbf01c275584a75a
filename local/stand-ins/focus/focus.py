#!/usr/bin/python3
"""Stand-in for tests: a conference focus that speaks Jicofo's XMPP, and serves no media.

It logs in as focus@auth.<domain>, answers conference requests (http://jitsi.org/protocol/focus) that the component
focus.<domain> hands on, makes and configures the room as its owner, and leaves with the last participant. With
--auto-owner it hands out ownership as Jicofo does by default: to the first in, and anew when the owner leaves.

usage: focus.py --domain DOMAIN --password-file FILE [--host 127.0.0.1] [--port 5222] [--ca FILE] [--auto-owner]
                [--rest-port 8888]

The password is read from a file, never from an argument. With --ca the server's certificate must come from that
authority and be for auth.<domain>; without it any certificate is taken. --rest-port serves GET /about/health, which
answers 200 while logged in. A lost connection is taken up again.
"""

import argparse
import asyncio
import logging
import ssl
import sys

import slixmpp
from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import CoroutineCallback, Callback
from slixmpp.xmlstream.matcher import MatchXPath, StanzaPath

FOCUS = "http://jitsi.org/protocol/focus"
MUC = "http://jabber.org/protocol/muc"
DATA = "jabber:x:data"
NICK = "focus"

log = logging.getLogger("focus")


class Conference:
    """A room that focus is in."""

    def __init__(self):
        self.ready = asyncio.get_running_loop().create_future()
        # Set while focus leaves; done when it is out.
        self.gone = None
        # nick -> (bare JID, affiliation), without focus
        self.people = {}
        self.owner = None


class Focus(ClientXMPP):
    def __init__(self, options, password):
        super().__init__(f"focus@auth.{options.domain}/focus", password)
        self.options = options
        self.conferences = {}
        self.whitespace_keepalive_interval = 10
        self.logged_in = False
        if options.ca:
            self.ca_certs = options.ca
        else:
            self.ssl_context.check_hostname = False
            self.ssl_context.verify_mode = ssl.CERT_NONE
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("disconnected", self.lost)
        self.register_handler(
            CoroutineCallback("conference", MatchXPath(f"{{jabber:client}}iq/{{{FOCUS}}}conference"), self.asked)
        )
        self.register_handler(Callback("presence", StanzaPath("presence"), self.presence))

    def open(self):
        place = (self.options.host, self.options.port)
        # 1.8 takes a pair, later ones two arguments.
        if slixmpp.__version_info__ < (1, 9):
            self.connect(place)
        else:
            self.connect(*place)

    async def started(self, _):
        self.conferences.clear()
        self.send_presence()
        # Answered after the presence was taken: from then on focus is reached.
        await self.get_roster(timeout=10)
        self.logged_in = True
        log.info("logged in as %s", self.boundjid.bare)
        print("ready", flush=True)

    async def lost(self, _):
        self.logged_in = False
        await asyncio.sleep(1)
        self.open()

    async def asked(self, iq):
        if iq["type"] != "set":
            return
        request = iq.xml.find(f"{{{FOCUS}}}conference")
        room = (request.get("room") or "").lower()
        reply = iq.reply()
        answer = ET.SubElement(reply.xml, f"{{{FOCUS}}}conference", {"room": room, "focusjid": self.boundjid.bare})
        try:
            await self.enter(room)
            answer.set("ready", "true")
        except (IqError, IqTimeout, asyncio.TimeoutError, PermissionError) as error:
            log.warning("no conference in %s: %r", room, error)
            answer.set("ready", "false")
        reply.send()

    async def enter(self, room):
        conference = self.conferences.get(room)
        while conference is not None and conference.gone is not None:
            await asyncio.wait_for(asyncio.shield(conference.gone), 15)
            conference = self.conferences.get(room)
        if conference is None:
            conference = self.conferences[room] = Conference()
            presence = self.make_presence(pto=f"{room}/{NICK}")
            presence.xml.append(ET.Element(f"{{{MUC}}}x"))
            presence.send()
        await asyncio.wait_for(asyncio.shield(conference.ready), 15)

    async def configure(self, room, conference):
        try:
            form = (await self.owner_query(room, "get")).xml.find(f".//{{{DATA}}}x")
            submit = ET.Element(f"{{{DATA}}}x", {"type": "submit"})
            for field in form.iter(f"{{{DATA}}}field"):
                if field.get("var") in ("FORM_TYPE", "muc#roomconfig_whois"):
                    copy = ET.SubElement(submit, f"{{{DATA}}}field", {"var": field.get("var")})
                    value = "anyone" if field.get("var") == "muc#roomconfig_whois" else f"{MUC}#roomconfig"
                    ET.SubElement(copy, f"{{{DATA}}}value").text = value
            await self.owner_query(room, "set", submit)
        except (IqError, IqTimeout) as error:
            log.error("cannot configure %s: %r", room, error)
            self.leave(room)
            if not conference.ready.done():
                conference.ready.set_exception(PermissionError("room not configured"))
            return
        if not conference.ready.done():
            conference.ready.set_result(None)
        self.elect(room)

    async def owner_query(self, room, kind, form=None):
        iq = self.make_iq(id=self.new_id(), ito=room, itype=kind)
        query = ET.SubElement(iq.xml, f"{{{MUC}#owner}}query")
        if form is not None:
            query.append(form)
        return await iq.send(timeout=10)

    def presence(self, presence):
        conference = self.conferences.get(presence["from"].bare)
        if conference is None:
            return
        room, nick = presence["from"].bare, presence["from"].resource
        if presence["type"] == "error":
            self.out(room)
            if not conference.ready.done():
                conference.ready.set_exception(PermissionError("room not entered"))
            return
        item = presence.xml.find(f"{{{MUC}#user}}x/{{{MUC}#user}}item")
        if item is None:
            return
        if nick == NICK:
            if presence["type"] == "unavailable":
                self.out(room)
            elif not conference.ready.done() and item.get("affiliation") == "owner":
                asyncio.create_task(self.configure(room, conference))
            return
        if presence["type"] == "unavailable":
            conference.people.pop(nick, None)
        else:
            conference.people[nick] = ((item.get("jid") or "").split("/")[0], item.get("affiliation"))
        if conference.people:
            self.elect(room)
        elif conference.gone is None:
            self.leave(room)

    def elect(self, room):
        """Hands ownership to the first in when none has it; each is asked for once, as Jicofo does."""
        conference = self.conferences.get(room)
        if conference is None or not self.options.auto_owner or not conference.people:
            return
        owners = [bare for bare, affiliation in conference.people.values() if affiliation == "owner"]
        if owners:
            conference.owner = owners[0]
            return
        if conference.owner is not None and any(bare == conference.owner for bare, _ in conference.people.values()):
            return
        bare = next(iter(conference.people.values()))[0]
        conference.owner = bare
        asyncio.create_task(self.grant(room, bare))

    async def grant(self, room, bare):
        iq = self.make_iq(id=self.new_id(), ito=room, itype="set")
        query = ET.SubElement(iq.xml, f"{{{MUC}#admin}}query")
        ET.SubElement(query, f"{{{MUC}#admin}}item", {"jid": bare, "affiliation": "owner"})
        try:
            await iq.send(timeout=10)
            log.info("granted ownership in %s", room)
        except (IqError, IqTimeout) as error:
            log.warning("Failed to grant ownership in %s: %s", room, getattr(error, "condition", "timeout"))

    def leave(self, room):
        self.conferences[room].gone = asyncio.get_running_loop().create_future()
        self.send_presence(pto=f"{room}/{NICK}", ptype="unavailable")

    def out(self, room):
        conference = self.conferences.pop(room)
        if conference.gone is not None and not conference.gone.done():
            conference.gone.set_result(None)

    async def health(self, reader, writer):
        line = await reader.readline()
        known = line.startswith(b"GET /about/health ")
        status = b"200 OK" if known and self.logged_in else b"503 Service Unavailable" if known else b"404 Not Found"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


def main():
    parser = argparse.ArgumentParser(description="a conference focus for tests")
    parser.add_argument("--domain", required=True)
    parser.add_argument("--password-file", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5222)
    parser.add_argument("--ca")
    parser.add_argument("--auto-owner", action="store_true")
    parser.add_argument("--rest-port", type=int)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    with open(options.password_file, encoding="utf-8") as file:
        focus = Focus(options, file.read().strip())
    if options.rest_port:
        focus.loop.run_until_complete(asyncio.start_server(focus.health, "127.0.0.1", options.rest_port))
    focus.open()
    focus.loop.run_forever()


if __name__ == "__main__":
    main()
