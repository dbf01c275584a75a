#!/bin/bash
# Stand-in. The process is called java, as the real one's: those who look for it find it.
exec /usr/share/jigasi/java /usr/share/jigasi/gateway.py
