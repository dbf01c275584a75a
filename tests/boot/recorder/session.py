#!/usr/bin/env python3
"""One recording as Jibri makes it: chromedriver and chromium with the generated flags, ffmpeg with the generated settings.

usage: session.py INSTANCE ADDRESS SECONDS     records the page at ADDRESS into HOME/session/video.mp4

It takes Jibri's place in platform-jibri@INSTANCE, so all that the unit gives is given to it. When it records there is
a file `recording`, at the end facts.json: what the page says of itself (its object `facts`). Then it stays until it is
stopped.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, "/usr/share/jibri")
import stand_in

# What Jibri's reference.conf has, and the generated file leaves as it is.
AUDIO = ["-acodec", "aac", "-strict", "-2", "-ar", "44100", "-b:a", "128k", "-af", "aresample=async=1"]


class Browser:
    """The protocol before W3C's, which Jibri's Selenium 3 speaks."""

    def __init__(self, flags):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        # Jibri sets the display of its browser by itself, whatever its own environment says.
        environment = {**os.environ, "DISPLAY": ":0"}
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}", "--log-path=/tmp/chromedriver.log"], env=environment)
        for _ in range(600):
            try:
                if self.call("GET", "/status"):
                    break
            except OSError:
                time.sleep(0.1)
        options = {"args": flags, "extensions": [], "w3c": False}
        wanted = {"browserName": "chrome", "version": "", "platform": "ANY", "goog:chromeOptions": options}
        started = self.call("POST", "/session", {"desiredCapabilities": wanted})
        self.session = f"/session/{started['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as answer:
            said = json.loads(answer.read())
        if said.get("status"):
            raise SystemExit(f"{path}: {said['value']}")
        return said

    def visit(self, address):
        self.call("POST", self.session + "/url", {"url": address})

    def ask(self, script):
        return self.call("POST", self.session + "/execute", {"script": script, "args": []})["value"]


def main(instance, address, seconds):
    settings = stand_in.settings(f"/etc/jitsi/jibri/instance-{instance}/jibri.conf", "jibri")
    folder = os.path.join(os.environ["HOME"], "session")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    browser = Browser(stand_in.at(settings, "chrome.flags"))
    browser.visit(address)
    for _ in range(600):
        facts = browser.ask("return window.facts || null")
        if facts:
            break
        time.sleep(0.1)
    else:
        raise SystemExit(f"{address}: the page does not get ready: " + str(browser.ask("return document.documentElement.innerText")))
    video = os.path.join(folder, "video.mp4")
    ffmpeg = stand_in.at(settings, "ffmpeg")
    command = ["ffmpeg", "-y", "-v", "info", *ffmpeg["input-linux"], *AUDIO, *ffmpeg["video-params-recording"], video]
    with open("/tmp/ffmpeg.log", "wb") as log:
        recording = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=log, stderr=log)
    while not os.path.exists(video) and recording.poll() is None:
        time.sleep(0.1)
    with open(os.path.join(folder, "recording"), "w", encoding="utf-8") as file:
        file.write(f"{recording.pid}\n")
    time.sleep(float(seconds))
    if recording.poll() is not None:
        with open("/tmp/ffmpeg.log", encoding="utf-8") as log:
            raise SystemExit("ffmpeg ended: " + log.read()[-2000:])
    # As Jibri ends it.
    recording.communicate(b"q", timeout=60)
    with open(os.path.join(folder, "facts.json.new"), "w", encoding="utf-8") as file:
        json.dump(facts, file)
    os.rename(os.path.join(folder, "facts.json.new"), os.path.join(folder, "facts.json"))
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
