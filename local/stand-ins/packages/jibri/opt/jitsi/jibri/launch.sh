#!/bin/bash
# Stand-in. As the real one it wants sudo and Chrome, on which the package does not depend.
set -e
sudo -n true
google-chrome --version
exec java -Djava.util.logging.config.file=/etc/jitsi/jibri/logging.properties \
    -Dconfig.file=/etc/jitsi/jibri/jibri.conf -jar /opt/jitsi/jibri/jibri.jar
