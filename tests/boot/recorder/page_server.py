#!/usr/bin/env python3
"""Serves a folder over HTTPS on this host's loopback: the lesson's page, in the Jitsi host's place.

usage: page_server.py FOLDER CERTIFICATE KEY [PORT]
"""

import functools
import http.server
import ssl
import sys

folder, certificate, key, *port = sys.argv[1:]
server = http.server.ThreadingHTTPServer(
    ("127.0.0.1", int(port[0]) if port else 443),
    functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder),
)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
