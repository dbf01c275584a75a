#!/bin/sh
# Stand-in: no new conferences, and the end with the last one.
exec curl --silent --fail --request POST --header 'Content-Type: application/json' \
    --data '{"graceful-shutdown":"true"}' http://127.0.0.1:8080/colibri/shutdown
