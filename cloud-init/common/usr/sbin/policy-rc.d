#!/bin/sh
# Packages neither start, stop nor restart what carries lessons: converge does, when no lesson is lost by it, and on
# the first boot after the firewall is up.
#
# Asked by invoke-rc.d and deb-systemd-invoke: policy-rc.d [OPTION…] UNIT ACTION    exit status: 0 do it, 101 do not
while [ "${1#-}" != "${1-}" ]; do shift; done
case "${1%.service}" in
    prosody | jicofo | jitsi-videobridge2 | jigasi | coturn | nginx) ;;
    *) exit 0 ;;
esac
case "${2-}" in
    *start* | *stop*) exit 101 ;;
esac
