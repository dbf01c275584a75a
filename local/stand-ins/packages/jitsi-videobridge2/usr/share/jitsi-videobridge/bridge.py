"""Stand-in for Jitsi's videobridge: a member of its brewery that carries no media.

usage: bridge.py [JVB.CONF]

It reads jvb.conf: every entry of videobridge.apis.xmpp-client.configs is a login that says in its brewery, each 10 s
or when something changes, how the bridge is (http://jitsi.org/protocol/colibri). REST on the private HTTP server:
/about/health, /about/version, /colibri/stats, /colibri/drain, /colibri/drain/enable, /colibri/drain/disable and, when
allowed, /colibri/shutdown. The media port answers STUN binding requests (RFC 8489), the public HTTP server 404.
"""

import asyncio
import json
import logging
import os
import signal
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stand_in

COLIBRI = "http://jitsi.org/protocol/colibri"
VERSION = "2.3-stand-in"
MAGIC = 0x2112A442

log = logging.getLogger("stand-in.bridge")


class MediaPort(asyncio.DatagramProtocol):
    """Answers binding requests with the address that they came from; everything else is dropped."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        if len(data) < 20 or data[:2] != b"\x00\x01" or struct.unpack("!I", data[4:8])[0] != MAGIC:
            return
        port = source[1] ^ (MAGIC >> 16)
        where = struct.unpack("!I", bytes(int(part) for part in source[0].split(".")))[0] ^ MAGIC
        # XOR-MAPPED-ADDRESS, IPv4
        attribute = struct.pack("!HHBBHI", 0x0020, 8, 0, 1, port, where)
        self.transport.sendto(struct.pack("!HH", 0x0101, len(attribute)) + data[4:20] + attribute, source)


class Bridge:
    def __init__(self, settings):
        self.settings = settings
        self.drained = stand_in.true(stand_in.at(settings, "initial-drain-mode", False))
        self.ending = asyncio.Event()
        self.logins = []
        # Without a login that has got in it is not healthy: Jicofo could not ask anything of it.
        self.members = set()

    @property
    def healthy(self):
        return not self.logins or bool(self.members)

    def figures(self):
        relay = stand_in.at(self.settings, "relay", {})
        return {
            "conferences": 0,
            "participants": 0,
            "endpoints": 0,
            "stress_level": 0.0,
            "drain": self.drained,
            "graceful_shutdown": self.ending.is_set(),
            "shutting_down": self.ending.is_set(),
            "healthy": self.healthy,
            "colibri2": True,
            "region": relay.get("region", ""),
            "relay_id": relay.get("relay-id", "") if stand_in.true(relay.get("enabled", False)) else "",
            "version": VERSION,
        }

    def log_in(self, configs):
        from slixmpp.xmlstream import ET

        client_class = stand_in.client_class()

        class Member(client_class):
            """One login in one shard's brewery."""

            def __init__(self, bridge, config):
                jid = f"{config['username']}@{config['domain']}"
                verify = not stand_in.true(config.get("disable_certificate_verification", False))
                super().__init__(jid, str(config["password"]), config["hostname"], int(config.get("port", 5222)), verify)
                self.bridge = bridge
                self.occupant = f"{config['muc_jids'].split(',')[0].strip()}/{config['muc_nickname']}"
                self.add_event_handler("session_start", self.started)
                self.add_event_handler("disconnected", lambda _: bridge.members.discard(self))
                self.add_event_handler("presence", self.seen)

            async def started(self, _):
                self.send_presence()
                self.say()

            def say(self):
                presence = self.make_presence(pto=self.occupant)
                presence.xml.append(ET.Element(f"{{{stand_in.MUC}}}x"))
                stats = ET.SubElement(presence.xml, f"{{{COLIBRI}}}stats")
                for name, value in self.bridge.figures().items():
                    text = str(value).lower() if isinstance(value, bool) else str(value)
                    ET.SubElement(stats, f"{{{COLIBRI}}}stat", {"name": name, "value": text})
                presence.send()

            def seen(self, presence):
                if str(presence["from"]) != self.occupant:
                    return
                if presence["type"] == "error":
                    log.error("%s: not let in: %s", self.occupant, presence["error"]["condition"])
                elif presence["type"] == "unavailable":
                    self.bridge.members.discard(self)
                elif self not in self.bridge.members:
                    log.info("in the brewery as %s", self.occupant)
                    self.bridge.members.add(self)

        for config in configs.values():
            self.logins.append(Member(self, config))
            self.logins[-1].open()

    async def report(self):
        while True:
            await asyncio.sleep(10)
            self.tell()

    def tell(self):
        for member in self.members:
            member.say()

    def answer(self, method, path, body):
        if method == "GET" and path == "/about/health":
            return (200, "") if self.healthy else (500, "no brewery has let the bridge in")
        if method == "GET" and path == "/about/version":
            return 200, {"name": "JVB", "version": VERSION, "os": "Linux"}
        if method == "GET" and path == "/colibri/stats":
            return 200, self.figures()
        if method == "GET" and path == "/colibri/drain":
            return 200, {"drain": self.drained}
        if method == "POST" and path in ("/colibri/drain/enable", "/colibri/drain/disable"):
            self.drained = path.endswith("enable")
            log.info("drain: %s", self.drained)
            self.tell()
            return 200, ""
        if method == "POST" and path == "/colibri/shutdown" and self.may_shut_down():
            try:
                how = json.loads(body)
            except ValueError:
                return 400, "no JSON"
            if how.get("graceful-shutdown") == "true" or how.get("force-shutdown") == "true":
                # It never has a conference to wait for.
                self.ending.set()
                return 200, ""
            return 400, "graceful-shutdown or force-shutdown is to be \"true\""
        return 404, ""

    def may_shut_down(self):
        return any(stand_in.true(stand_in.at(self.settings, path, False)) for path in ("rest.shutdown.enabled", "apis.rest.shutdown.enabled"))


async def main(conf):
    settings = stand_in.settings(conf, "videobridge")
    bridge = Bridge(settings)
    loop = asyncio.get_running_loop()
    # Java's exit status after this signal.
    loop.add_signal_handler(signal.SIGTERM, lambda: os._exit(143))
    port = int(stand_in.at(settings, "ice.udp.port", 10000))
    await loop.create_datagram_endpoint(MediaPort, local_addr=("0.0.0.0", port))
    private = stand_in.at(settings, "http-servers.private", {})
    await stand_in.serve(private.get("host", "127.0.0.1"), int(private.get("port", 8080)), bridge.answer)
    public = stand_in.at(settings, "http-servers.public", {})
    if int(public.get("port", -1)) > 0:
        await stand_in.serve(public.get("host", "0.0.0.0"), int(public["port"]), lambda *_: (404, ""))
    bridge.log_in(stand_in.at(settings, "apis.xmpp-client.configs", {}))
    report = asyncio.create_task(bridge.report())
    await bridge.ending.wait()
    bridge.tell()
    log.info("shut down gracefully")
    await asyncio.sleep(1)
    report.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("stand-in").setLevel(logging.INFO)
    print("This is a stand-in for Jitsi Videobridge: it joins its brewery and carries no media.", flush=True)
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "/etc/jitsi/videobridge/jvb.conf"))
