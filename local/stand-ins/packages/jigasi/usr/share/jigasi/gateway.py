"""Stand-in for Jigasi: a member of its brewery that takes no calls and speaks no SIP.

It reads sip-communicator.properties: the XMPP account and its brewery, in which it says how it is
(http://jitsi.org/protocol/colibri). REST on port 8788: /about/health, /about/version, /about/stats.
"""

import asyncio
import base64
import logging
import os
import secrets
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stand_in

PROPERTIES = "/etc/jitsi/jigasi/sip-communicator.properties"
PROTOCOLS = "net.java.sip.communicator.impl.protocol"
COLIBRI = "http://jitsi.org/protocol/colibri"
VERSION = "1.1-stand-in"

log = logging.getLogger("stand-in.gateway")


def properties(path):
    """Java properties; of their escapes only those of ":" and "=" are known."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith("#"):
                found[key] = value.replace("\\:", ":").replace("\\=", "=")
    return found


def account(found, protocol):
    """The settings of the one account of a protocol, without their prefix; empty when there is none."""
    prefix = f"{PROTOCOLS}.{protocol}."
    name = next((key for key in found if key.startswith(prefix) and "." not in key[len(prefix) :]), None)
    return {} if name is None else {key[len(name) + 1 :]: value for key, value in found.items() if key.startswith(name + ".")}


class Gateway:
    def __init__(self, found):
        self.sip = account(found, "sip")
        self.rest = (found.get("org.jitsi.jigasi.rest.jetty.host", "0.0.0.0"), int(found.get("org.jitsi.jigasi.rest.jetty.port", "8788")))
        self.xmpp = account(found, "jabber")
        self.member = False

    def figures(self):
        return {"conferences": 0, "participants": 0, "supports_sip": bool(self.sip), "supports_transcription": False, "version": VERSION}

    def log_in(self):
        from slixmpp.xmlstream import ET

        gateway = self
        occupant = f"{self.xmpp['BREWERY']}/jigasi-{secrets.token_hex(4)}"

        class Member(stand_in.client_class()):
            """Its login in the brewery."""

            async def started(self, _):
                self.send_presence()
                presence = self.make_presence(pto=occupant)
                presence.xml.append(ET.Element(f"{{{stand_in.MUC}}}x"))
                stats = ET.SubElement(presence.xml, f"{{{COLIBRI}}}stats")
                for name, value in gateway.figures().items():
                    ET.SubElement(stats, f"{{{COLIBRI}}}stat", {"name": name, "value": str(value).lower() if isinstance(value, bool) else str(value)})
                presence.send()

            def seen(self, presence):
                if str(presence["from"]).lower() != occupant.lower():
                    return
                gateway.member = presence["type"] not in ("error", "unavailable")
                log.info("in the brewery as %s: %s", occupant, gateway.member)

        password = base64.b64decode(self.xmpp["PASSWORD"]).decode()
        verify = not stand_in.true(self.xmpp.get("ALLOW_NON_SECURE", "false"))
        self.login = Member(self.xmpp["USER_ID"], password, self.xmpp["SERVER_ADDRESS"], int(self.xmpp["SERVER_PORT"]), verify)
        self.login.add_event_handler("session_start", self.login.started)
        self.login.add_event_handler("presence", self.login.seen)
        self.login.add_event_handler("disconnected", lambda _: setattr(self, "member", False))
        self.login.open()

    def answer(self, method, path, _):
        if method == "GET" and path == "/about/health":
            return (200, {}) if self.member else (500, "no brewery has let the gateway in")
        if method == "GET" and path == "/about/version":
            return 200, {"name": "Jigasi", "version": VERSION, "os": "Linux"}
        if method == "GET" and path == "/about/stats":
            return 200, self.figures()
        return 404, ""


async def main():
    gateway = Gateway(properties(PROPERTIES))
    # Java's exit status after this signal.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: os._exit(143))
    await stand_in.serve(*gateway.rest, gateway.answer)
    if "BREWERY" in gateway.xmpp:
        gateway.log_in()
    else:
        log.error("%s names no brewery", PROPERTIES)
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("stand-in").setLevel(logging.INFO)
    print("This is a stand-in for Jigasi: it joins its brewery and takes no calls.", flush=True)
    asyncio.run(main())
