"""What the stand-ins for Jitsi's Java programs share: HOCON settings, an XMPP login in a brewery, a small HTTP server."""

import asyncio
import json
import logging
import re
import socket
import ssl
import subprocess

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
MUC = "http://jabber.org/protocol/muc"

log = logging.getLogger("stand-in")


def settings(file, path):
    """The object at a path of a HOCON file.

    Raises SystemExit with hocon's own words when the file is no HOCON or has no such path.
    """
    done = subprocess.run(["hocon", "-f", file, "get", path, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{file}: {(done.stdout + done.stderr).strip()}")
    return json.loads(done.stdout)


def at(found, path, default=None):
    """The value at a dotted path below parsed settings."""
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return default
        found = found[key]
    return found


def true(value):
    """HOCON's booleans may come as words."""
    return str(value).lower() in ("true", "yes", "on")


def seconds(text):
    """A HOCON duration in seconds, e.g. `30 seconds`, `3 minutes`; a bare number counts milliseconds."""
    number, unit = re.fullmatch(r"\s*([\d.]+)\s*([a-z]*)\s*", str(text)).groups()
    names = {0.001: ("", "ms", "millis", "milliseconds"), 1: ("s", "second", "seconds"), 60: ("m", "minute", "minutes"), 3600: ("h", "hour", "hours")}
    return float(number) * next(factor for factor, known in names.items() if unit in known)


def address(host):
    """IPv4 address of a host: slixmpp checks the certificate for a name that it is given, not for the domain's."""
    return socket.gethostbyname(host)


def client_class():
    """slixmpp's client with what all stand-ins want; imported late, so that settings are checked without it."""
    import slixmpp

    class Client(slixmpp.ClientXMPP):
        """A login that comes back whenever it is lost.

        verify: whether the server's certificate must be of a known authority and for the account's domain.
        """

        def __init__(self, jid, password, host, port, verify=True):
            super().__init__(jid, password)
            self.place = (host, port)
            self.closing = False
            self.whitespace_keepalive_interval = 10
            if verify:
                self.ca_certs = AUTHORITIES
            else:
                self.ssl_context.check_hostname = False
                self.ssl_context.verify_mode = ssl.CERT_NONE
            self.add_event_handler("disconnected", self.lost)
            self.add_event_handler("failed_all_auth", lambda _: log.error("%s: wrong password", self.boundjid.bare))

        def open(self):
            host, port = self.place
            try:
                place = (address(host), port)
            except OSError as error:
                log.warning("%s: %s", host, error)
                asyncio.get_running_loop().call_later(5, self.open)
                return
            # 1.8 takes a pair, later ones two arguments.
            if slixmpp.__version_info__ < (1, 9):
                self.connect(place)
            else:
                self.connect(*place)

        async def lost(self, _):
            if self.closing:
                return
            log.warning("%s: the connection is lost", self.boundjid.bare)
            await asyncio.sleep(2)
            self.open()

        def close(self):
            self.closing = True
            self.disconnect()

    return Client


async def serve(host, port, answer):
    """Serves HTTP/1.1, one request a connection: answer(method, path, body) gives (status, object or text)."""
    words = {200: "OK", 202: "Accepted", 400: "Bad Request", 404: "Not Found", 409: "Conflict", 500: "Internal Server Error"}

    async def connection(reader, writer):
        try:
            method, path, _ = (await reader.readline()).decode("latin-1").split(" ", 2)
            length = 0
            while (line := (await reader.readline()).strip()) != b"":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = min(int(value), 65536)
            body = await reader.readexactly(length)
            status, content = answer(method, path.split("?")[0], body)
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            kind = "text/plain" if isinstance(content, str) else "application/json"
            head = f"HTTP/1.1 {status} {words[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + data)
            await writer.drain()
        except (ValueError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(connection, host, port)
