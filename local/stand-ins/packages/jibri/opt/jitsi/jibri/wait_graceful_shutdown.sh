#!/bin/sh
# Gives up after six hours.
/opt/jitsi/jibri/graceful_shutdown.sh || exit 0
end=$(($(date +%s) + 21600))
while [ "$(date +%s)" -lt "$end" ]; do
    curl --silent --fail --output /dev/null http://localhost:2222/jibri/api/v1.0/health || exit 0
    sleep 5
done
exit 1
