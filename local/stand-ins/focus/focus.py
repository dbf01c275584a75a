#!/usr/bin/python3
"""Stand-in for tests: a conference focus that speaks Jicofo's XMPP, and serves no media.

It logs in as focus@auth.<domain>, answers conference requests (http://jitsi.org/protocol/focus) that the component
focus.<domain> hands on, makes and configures the room as its owner, and leaves with the last participant. With
--auto-owner it hands out ownership as Jicofo does by default: to the first in, and anew when the owner leaves. With
--jibri-brewery it has rooms recorded by the recorders of that room (http://jitsi.org/protocol/jibri).

usage: focus.py --domain DOMAIN --password-file FILE [--host 127.0.0.1] [--port 5222] [--ca FILE] [--auto-owner]
                [--rest-port 8888] [--jibri-brewery JID] [--no-moderator-checks]
                [--pending-timeout 90] [--reply-timeout 15] [--num-retries 5] [--failure-timeout 60]

The password is read from a file, never from an argument. With --ca the server's certificate must come from that
authority and be for auth.<domain>; without it any certificate is taken. --rest-port serves GET /about/health, which
answers 200 while logged in. A lost connection is taken up again.
"""

import argparse
import asyncio
import logging
import os
import signal
import ssl
import sys

import slixmpp
from slixmpp import ClientXMPP
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import CoroutineCallback, Callback
from slixmpp.xmlstream.matcher import MatchXPath, StanzaPath

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from brewery import Brewery
from conference import Conference
from recording import JIBRI, Recording, Settings, refuse

FOCUS = "http://jitsi.org/protocol/focus"

log = logging.getLogger("focus")


class Focus(ClientXMPP):
    def __init__(self, options, password):
        super().__init__(f"focus@auth.{options.domain}/focus", password)
        self.options = options
        # bare JID of a room -> what takes the presences from it
        self.rooms = {}
        self.brewery = None
        if options.jibri_brewery:
            self.brewery = Brewery(self, options.jibri_brewery, options.failure_timeout)
            self.settings = Settings(
                options.pending_timeout, options.reply_timeout, options.num_retries, options.moderator_checks
            )
        self.whitespace_keepalive_interval = 10
        self.logged_in = False
        self.ending = False
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
        self.register_handler(
            Callback("recording", MatchXPath(f"{{jabber:client}}iq/{{{JIBRI}}}jibri"), self.recording_asked)
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
        self.send_presence()
        if self.brewery:
            self.brewery.join()
        # Answered after the presence was taken: from then on focus is reached.
        await self.get_roster(timeout=10)
        self.logged_in = True
        log.info("logged in as %s", self.boundjid.bare)
        print("ready", flush=True)

    async def lost(self, _):
        self.logged_in = False
        if self.ending:
            os._exit(0)
        # Whoever is in them asks anew.
        for conference in list(self.rooms.values()):
            conference.forget()
        if self.brewery:
            self.brewery.forget()
        await asyncio.sleep(1)
        self.open()

    def end(self):
        """Leaves in order. What is recorded goes on: no recorder is told."""
        self.ending = True
        self.disconnect()
        self.loop.call_later(3, os._exit, 0)

    async def asked(self, iq):
        if iq["type"] != "set":
            return
        room = (iq.xml.find(f"{{{FOCUS}}}conference").get("room") or "").lower()
        if "@" not in room:
            error = iq.reply()
            error.error()
            error["error"]["type"] = "modify"
            error["error"]["condition"] = "bad-request"
            error.send()
            return
        reply = iq.reply()
        answer = ET.SubElement(reply.xml, f"{{{FOCUS}}}conference", {"room": room, "focusjid": self.boundjid.bare})
        try:
            await self.enter(room)
            answer.set("ready", "true")
        except (asyncio.TimeoutError, PermissionError) as error:
            log.warning("no conference in %s: %r", room, error)
            answer.set("ready", "false")
        # Jicofo's own login, which a server that checks tokens has off.
        ET.SubElement(answer, f"{{{FOCUS}}}property", {"name": "authentication", "value": "false"})
        reply.send()

    async def enter(self, room):
        conference = self.rooms.get(room)
        while conference is not None and conference.gone is not None:
            await asyncio.wait_for(asyncio.shield(conference.gone), 15)
            conference = self.rooms.get(room)
        if conference is None:
            conference = Conference(self, room, self.options.auto_owner, lambda: self.rooms.pop(room, None))
            if self.brewery:
                conference.recording = Recording(self, self.brewery, self.settings, conference)
            self.rooms[room] = conference
        await asyncio.wait_for(asyncio.shield(conference.ready), 15)

    def recording_asked(self, iq):
        """Takes a request, of a room or of a recorder, to the room that it is about."""
        if iq["type"] != "set":
            return
        for conference in self.rooms.values():
            # A room that is not entered yet has no requests.
            recording = conference.recording if conference.ready.done() else None
            if recording is not None and recording.accepts(iq):
                recording.requests.put_nowait(iq)
                return
        refuse(iq, "item-not-found")

    def presence(self, presence):
        if self.brewery and presence["from"].bare == self.brewery.room:
            self.brewery.presence(presence)
            return
        room = self.rooms.get(presence["from"].bare)
        if room is not None:
            room.presence(presence)

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
    parser.add_argument("--jibri-brewery")
    parser.add_argument("--moderator-checks", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--pending-timeout", type=float, default=90)
    parser.add_argument("--reply-timeout", type=float, default=15)
    parser.add_argument("--num-retries", type=int, default=5)
    parser.add_argument("--failure-timeout", type=float, default=60)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    with open(options.password_file, encoding="utf-8") as file:
        focus = Focus(options, file.read().strip())
    if options.rest_port:
        focus.loop.run_until_complete(asyncio.start_server(focus.health, "127.0.0.1", options.rest_port))
    focus.loop.add_signal_handler(signal.SIGTERM, focus.end)
    focus.open()
    focus.loop.run_forever()


if __name__ == "__main__":
    main()
