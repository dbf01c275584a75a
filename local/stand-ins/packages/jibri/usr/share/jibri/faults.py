"""Stand-in for Jibri: what it is told to do wrong, so that tests can order it.

The file `stand-in-fault` in its working directory (on a host /var/lib/jibri/INSTANCE) holds one of these words.

while the file is there:
  busy, error, iq-error, on    its answer to a start
  silent                       no answer to a start
  never-on                     says pending, and then nothing; it records nothing
  no-media                     records, and gives up after jibri.conf's no-media-timeout, to be retried elsewhere
  unhealthy                    says so in its brewery and over HTTP
at once, and the file is gone:
  end                          ends by itself, as when a call is empty
  fail, fail-retry             a failure in the middle of it, to be retried elsewhere or not
  die                          the process is gone
"""

import os

FILE = "stand-in-fault"


def ordered():
    """The word in the file; empty when there is none."""
    try:
        with open(FILE, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def take(*words):
    """The ordered word when it is one of these, which is thereby done; else None."""
    word = ordered()
    if word not in words:
        return None
    os.unlink(FILE)
    return word
