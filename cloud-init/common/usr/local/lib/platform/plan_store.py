"""What a Jitsi host keeps for the other hosts of its shard."""

import hashlib
import time
import urllib.request

PORT = 8460


def fetch(digest: str, addresses: list[str], seconds: float) -> bytes:
    """The text with this SHA-256; asks one address (`ADDRESS[:PORT]`) after the other until one has it.

    Raises TimeoutError with the last reason when none has it within the time.
    """
    deadline = time.monotonic() + seconds
    problem = "no address given"
    while True:
        for address in addresses:
            try:
                place = address if ":" in address else f"{address}:{PORT}"
                with urllib.request.urlopen(f"http://{place}/plans/{digest}", timeout=20) as answer:
                    text = answer.read()
                if hashlib.sha256(text).hexdigest() == digest:
                    return text
                problem = f"{address} gave one with another digest"
            except OSError as error:
                problem = f"{address}: {error}"
        if time.monotonic() >= deadline:
            raise TimeoutError(f"nothing with the digest {digest[:12]} within {seconds:g} s; last: {problem}")
        time.sleep(2)
