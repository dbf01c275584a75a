"""Prints the UDP ports that answer a STUN binding request (RFC 8489) within two seconds, as JSON.

usage: udp-probe.py ADDRESS PORT…
"""

import json
import os
import select
import socket
import struct
import sys
import time

address, *ports = sys.argv[1:]
REQUEST = struct.pack("!HHI", 1, 0, 0x2112A442)
sockets = {}
for port in ports:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.connect((address, int(port)))
    sockets[one] = int(port)
answered = set()
end = time.monotonic() + 2
while time.monotonic() < end:
    for one in sockets:
        try:
            # Again and again: one may be lost.
            one.send(REQUEST + os.urandom(12))
        except OSError:
            pass
    for one in select.select(list(sockets), [], [], 0.3)[0]:
        try:
            one.recv(2048)
            answered.add(sockets[one])
        except OSError:
            pass
print(json.dumps(sorted(answered)))
