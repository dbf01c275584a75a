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
    jibri = stand_in.at(settings, "jibri", {})
    if "brewery-jid" in jibri:
        sys.argv += ["--jibri-brewery", jibri["brewery-jid"]]
        sys.argv += ["--pending-timeout", str(stand_in.seconds(jibri.get("pending-timeout", "90 seconds")))]
        sys.argv += ["--num-retries", str(jibri.get("num-retries", 5))]
        sys.argv += ["--reply-timeout", str(stand_in.seconds(client.get("reply-timeout", "15 seconds")))]
    if not stand_in.true(stand_in.at(settings, "conference.enable-moderator-checks", True)):
        sys.argv += ["--no-moderator-checks"]
    runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "focus.py"), run_name="__main__")


main()
