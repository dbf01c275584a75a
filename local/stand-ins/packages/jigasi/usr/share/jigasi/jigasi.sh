#!/bin/sh
echo 'This is a stand-in for Jigasi: it takes no calls.'
exec sleep infinity
