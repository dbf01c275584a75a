#!/bin/sh
exec curl --silent --fail --request POST http://localhost:3333/jibri/api/internal/v1.0/notifyConfigChanged
