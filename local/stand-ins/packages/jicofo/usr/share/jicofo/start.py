"""Starts the stand-in focus with the settings of jicofo.conf."""

import os
import runpy
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stand_in

CONF = "/etc/jitsi/jicofo/jicofo.conf"


def main():
    print("This is a stand-in for Jicofo: rooms have a focus, and no media.", flush=True)
    settings = stand_in.settings(CONF, "jicofo")
    client = stand_in.at(settings, "xmpp.client")
    # A pipe, so that the password is in no file and no argument.
    reading, writing = os.pipe()
    os.write(writing, str(client["password"]).encode())
    os.close(writing)
    sys.argv = ["focus.py", "--domain", client["xmpp-domain"], "--password-file", f"/dev/fd/{reading}"]
    sys.argv += ["--host", stand_in.address(client.get("hostname", "localhost")), "--port", str(client.get("port", 5222))]
    sys.argv += ["--rest-port", str(stand_in.at(settings, "rest.port", 8888))]
    if not stand_in.true(client.get("disable-certificate-verification", False)):
        sys.argv += ["--ca", stand_in.AUTHORITIES]
    if stand_in.true(stand_in.at(settings, "conference.enable-auto-owner", True)):
        sys.argv += ["--auto-owner"]
    runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "focus.py"), run_name="__main__")


main()
