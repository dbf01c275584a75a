"""A recording as Jibri wrote it → a file to be played, with pictures to find one's way in it."""

import json
import math
import os
import struct
import subprocess

from upload.spool import Broken

# Storyboard: a picture of 160x90 every so many seconds, ten in a row, a hundred at most.
TILE_WIDTH, TILE_HEIGHT, TILES_IN_ROW, TILES = 160, 90, 10, 100
SHORTEST_STEP_SECONDS = 5


def run(command):
    """Standard output of ffmpeg or ffprobe. Raises Broken when it refuses the file, OSError when it could not work."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        return done.stdout
    reason = f"{command[0]}: {done.stderr.strip()[-300:] or f'ended with {done.returncode}'}"
    if done.returncode < 0 or "No space left" in reason or "Cannot allocate memory" in reason:
        raise OSError(reason)
    raise Broken(reason)


def closed_in_order(path):
    """Whether the writer ended the file: the last top-level box of a fragmented MP4 is then `mfra`."""
    size, kind, fragmented = os.path.getsize(path), b"", False
    with open(path, "rb") as file:
        at = 0
        while at + 8 <= size:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            fragmented |= kind == b"moof"
            if length == 1 and at + 16 <= size:
                (length,) = struct.unpack(">Q", file.read(8))
            at += length if length >= 8 else size
    return at == size and (kind == b"mfra" or not fragmented)


def packets(path):
    """Packets of each stream, as (kind, number). A last one that is cut short does not count."""
    probe = ["ffprobe", "-v", "error", "-fflags", "+discardcorrupt", "-count_packets", "-of", "json"]
    found = json.loads(run([*probe, "-show_entries", "stream=codec_type,nb_read_packets", path]))
    return sorted((one["codec_type"], int(one["nb_read_packets"])) for one in found["streams"])


def remux(source, target):
    """Copies the streams, with the index at the beginning. Raises Broken when they did not all arrive."""
    read = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-protocol_whitelist", "file", "-fflags", "+discardcorrupt", "-i", source]
    run([*read, "-map", "0:v:0", "-map", "0:a?", "-c", "copy", "-movflags", "+faststart", "-f", "mp4", target])
    before, after = packets(source), packets(target)
    # Where a file was cut, the reader may count a packet that the writer leaves out.
    if len(before) != len(after) or any(b[0] != a[0] or b[1] - a[1] > 2 for b, a in zip(before, after)):
        raise Broken(f"the copy has other packets: {after} of {before}")


def describe(path):
    """{width, height, codec, seconds} of a file. Raises Broken when it shows nothing."""
    show = "stream=codec_type,codec_name,width,height:format=duration"
    found = json.loads(run(["ffprobe", "-v", "error", "-of", "json", "-show_entries", show, path]))
    video = next((one for one in found["streams"] if one["codec_type"] == "video"), None)
    seconds = float(found["format"].get("duration", 0))
    if video is None or seconds <= 0:
        raise Broken("no picture in it")
    return {"width": video["width"], "height": video["height"], "codec": video["codec_name"], "seconds": seconds}


def poster(video, seconds, target):
    """One picture: not the first, which is often the waiting browser."""
    seek = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-threads", "1", "-ss", f"{min(30, seconds / 3):.3f}"]
    run([*seek, "-i", video, "-frames:v", "1", "-vf", "scale=640:-2", "-q:v", "4", target])


def clock(seconds):
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes // 60):02}:{int(minutes % 60):02}:{rest:06.3f}"


def storyboard(video, seconds, picture, index):
    """Pictures in one file, and a WebVTT file that says which part of it belongs to which time.

    Only key frames are decoded, which Jibri's settings put every two seconds.
    """
    step = max(SHORTEST_STEP_SECONDS, math.ceil(seconds / TILES))
    count = math.ceil(seconds / step)
    size = f"{TILE_WIDTH}:{TILE_HEIGHT}"
    fit = f"scale={size}:force_original_aspect_ratio=decrease,pad={size}:-1:-1"
    chosen = f"select='gte(t,selected_n*{step})',{fit},tile={min(count, TILES_IN_ROW)}x{math.ceil(count / TILES_IN_ROW)}"
    read = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-threads", "1", "-skip_frame", "nokey", "-i", video, "-an"]
    run([*read, "-vf", chosen, "-frames:v", "1", "-q:v", "5", picture])
    cues = ["WEBVTT\n"]
    for number in range(count):
        x, y = number % TILES_IN_ROW * TILE_WIDTH, number // TILES_IN_ROW * TILE_HEIGHT
        times = f"{clock(number * step)} --> {clock(min(seconds, (number + 1) * step))}"
        cues.append(f"{times}\n{os.path.basename(picture)}#xywh={x},{y},{TILE_WIDTH},{TILE_HEIGHT}\n")
    with open(index, "w", encoding="utf-8") as file:
        file.write("\n".join(cues))
