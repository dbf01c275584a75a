"""Stand-in for tests: one room of the focus, as Jicofo keeps it: entered, configured, watched, left with the last one.

What a conference needs beside the room goes by its members: who owns it here, what is recorded in `recording.py`.
"""

import asyncio
import logging
from collections import namedtuple

from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream import ET

MUC = "http://jabber.org/protocol/muc"
DATA = "jabber:x:data"
NICK = "focus"

# jid: bare; None for all three where the room does not tell.
Occupant = namedtuple("Occupant", ["jid", "affiliation", "role"])

log = logging.getLogger("focus.conference")


class Conference:
    """A room that focus enters when it is made, and is in until `gone`.

    client: a slixmpp client that is logged in
    room: bare JID
    auto_owner: whether ownership is handed out: to the first in, and anew when the owner leaves
    over: called without arguments once focus is out of the room
    """

    def __init__(self, client, room, auto_owner, over):
        self.client = client
        self.room = room
        self.auto_owner = auto_owner
        self.over = over
        # Done when the room is configured; fails with PermissionError when it cannot be entered or configured.
        self.ready = asyncio.get_running_loop().create_future()
        # Set while focus leaves; done when it is out.
        self.gone = None
        # nick -> Occupant, without focus
        self.people = {}
        self.owner = None
        # What records the room; None where nothing can.
        self.recording = None
        presence = client.make_presence(pto=f"{room}/{NICK}")
        presence.xml.append(ET.Element(f"{{{MUC}}}x"))
        presence.send()

    def presence(self, presence):
        """Takes a presence from the room."""
        nick = presence["from"].resource
        if presence["type"] == "error":
            # Later ones come from those in the room who could not be told something.
            if not self.ready.done():
                self.refused("room not entered")
                self.out()
            return
        item = presence.xml.find(f"{{{MUC}#user}}x/{{{MUC}#user}}item")
        if item is None:
            return
        if nick == NICK:
            if presence["type"] == "unavailable":
                self.out()
            elif not self.ready.done() and item.get("affiliation") == "owner":
                asyncio.create_task(self.configure())
            return
        if presence["type"] == "unavailable":
            self.people.pop(nick, None)
        else:
            jid = (item.get("jid") or "").split("/")[0]
            self.people[nick] = Occupant(jid, item.get("affiliation"), item.get("role"))
        if self.people:
            self.elect()
        elif self.gone is None:
            self.leave()

    async def configure(self):
        try:
            form = (await self.owner_query("get")).xml.find(f".//{{{DATA}}}x")
            submit = ET.Element(f"{{{DATA}}}x", {"type": "submit"})
            for field in form.iter(f"{{{DATA}}}field"):
                if field.get("var") in ("FORM_TYPE", "muc#roomconfig_whois"):
                    copy = ET.SubElement(submit, f"{{{DATA}}}field", {"var": field.get("var")})
                    value = "anyone" if field.get("var") == "muc#roomconfig_whois" else f"{MUC}#roomconfig"
                    ET.SubElement(copy, f"{{{DATA}}}value").text = value
            await self.owner_query("set", submit)
        except (IqError, IqTimeout) as error:
            log.error("cannot configure %s: %r", self.room, error)
            self.leave()
            self.refused("room not configured")
            return
        if not self.ready.done():
            self.ready.set_result(None)
        self.elect()

    async def owner_query(self, kind, form=None):
        iq = self.client.make_iq(id=self.client.new_id(), ito=self.room, itype=kind)
        query = ET.SubElement(iq.xml, f"{{{MUC}#owner}}query")
        if form is not None:
            query.append(form)
        return await iq.send(timeout=10)

    def refused(self, why):
        if not self.ready.done():
            self.ready.set_exception(PermissionError(why))

    def elect(self):
        """Hands ownership to the first in when none has it; each is asked for once, as Jicofo does."""
        if not self.auto_owner or not self.people:
            return
        owners = [occupant.jid for occupant in self.people.values() if occupant.affiliation == "owner"]
        if owners:
            self.owner = owners[0]
            return
        if self.owner is not None and any(occupant.jid == self.owner for occupant in self.people.values()):
            return
        self.owner = next(iter(self.people.values())).jid
        asyncio.create_task(self.grant(self.owner))

    async def grant(self, bare):
        iq = self.client.make_iq(id=self.client.new_id(), ito=self.room, itype="set")
        query = ET.SubElement(iq.xml, f"{{{MUC}#admin}}query")
        ET.SubElement(query, f"{{{MUC}#admin}}item", {"jid": bare, "affiliation": "owner"})
        try:
            await iq.send(timeout=10)
            log.info("granted ownership in %s", self.room)
        except (IqError, IqTimeout) as error:
            log.warning("Failed to grant ownership in %s: %s", self.room, getattr(error, "condition", "timeout"))

    def publish(self, extension):
        """Says something in focus's presence in the room, where it stays until it is said anew."""
        presence = self.client.make_presence(pto=f"{self.room}/{NICK}")
        presence.xml.append(extension)
        presence.send()

    def leave(self):
        self.gone = asyncio.get_running_loop().create_future()
        self.client.send_presence(pto=f"{self.room}/{NICK}", ptype="unavailable")

    def out(self):
        """Focus is out of the room: a recorder that still records is told to stop."""
        if self.recording is not None:
            self.recording.stop()
        self.forget()

    def forget(self):
        """Without a word to anybody."""
        if self.recording is not None:
            self.recording.forget()
        self.over()
        if self.gone is not None and not self.gone.done():
            self.gone.set_result(None)
