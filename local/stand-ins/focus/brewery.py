"""Stand-in for tests: the recorders that Jicofo knows, by what they say in their brewery, and which of them it picks."""

import asyncio
import logging
import time
import zlib

from slixmpp.xmlstream import ET

MUC = "http://jabber.org/protocol/muc"
JIBRI = "http://jitsi.org/protocol/jibri"
HEALTH = "http://jitsi.org/protocol/health"
NICK = "focus"
# None is picked twice within this time, so that two starts do not reach one that has not said busy yet.
SELECT_TIMEOUT = 0.2
JOIN_RETRY = 15

log = logging.getLogger("focus.brewery")


class Instance:
    """A recorder: what it says of itself, and when it was last picked and last failed."""

    def __init__(self):
        self.available = False
        self.selected = self.failed = float("-inf")


class Brewery:
    """The room in which recorders say what they are.

    client: a slixmpp client
    room: bare JID
    failure_timeout: seconds for which a recorder that failed is not picked, unless it says anew that it is idle
    """

    def __init__(self, client, room, failure_timeout):
        self.client = client
        self.room = room
        self.failure_timeout = failure_timeout
        # occupant JID -> Instance, of those that have said something of themselves
        self.instances = {}
        # Called with an occupant JID that has left.
        self.watchers = []

    def forget(self):
        """The link is gone, and with it what the recorders said; nobody is told."""
        for occupant in self.instances:
            log.info("recorder gone: %s", occupant)
        self.instances.clear()

    def join(self):
        presence = self.client.make_presence(pto=f"{self.room}/{NICK}")
        presence.xml.append(ET.Element(f"{{{MUC}}}x"))
        presence.send()

    def presence(self, presence):
        """Takes a presence from the brewery."""
        occupant = str(presence["from"])
        if presence["type"] == "error":
            log.warning("not let into %s, tried again in %s s", self.room, JOIN_RETRY)
            asyncio.get_running_loop().call_later(JOIN_RETRY, self.join)
        elif presence["from"].resource == NICK:
            return
        elif presence["type"] == "unavailable":
            if self.instances.pop(occupant, None) is not None:
                log.info("recorder gone: %s", occupant)
                for watcher in list(self.watchers):
                    watcher(occupant)
        else:
            said = presence.xml.find(f"{{{JIBRI}}}jibri-status")
            # A presence that does not speak of it changes nothing.
            if said is not None:
                self.said(occupant, said)

    def said(self, occupant, status):
        busy = status.find(f"{{{JIBRI}}}busy-status")
        health = status.find(f"{{{HEALTH}}}health-status")
        instance = self.instances.setdefault(occupant, Instance())
        instance.available = (
            busy is not None
            and health is not None
            and (busy.get("status"), health.get("status")) == ("idle", "healthy")
        )
        if instance.available:
            log.info("recorder idle: %s", occupant)
            instance.failed = float("-inf")

    def select(self):
        """Picks a recorder that is idle and healthy, the least recently failed first; among equals an arbitrary one,
        always the same. None when there is none that may be picked now.
        """
        now = time.monotonic()
        candidates = [
            (instance.failed, zlib.crc32(occupant.encode()), occupant)
            for occupant, instance in self.instances.items()
            if instance.available and now - instance.selected >= SELECT_TIMEOUT
        ]
        if not candidates:
            return None
        failed, _, occupant = min(candidates)
        if now - failed < self.failure_timeout:
            return None
        self.instances[occupant].selected = now
        return occupant

    def failed(self, occupant):
        if occupant in self.instances:
            self.instances[occupant].failed = time.monotonic()
