#!/usr/bin/env python3
"""Publishes an FLV file by RTMP with its times as they are, however broken; ffmpeg and `weir push` would mend them.

    tests/e2e/rtmp_push.py FILE rtmp://host:port/app/name

Written after the RTMP 1.0 specification alone, so that the server is not only met by its own other half. The pace comes from the
number of frames, since the times cannot be trusted: 25 pictures a second, or 43 sounds where there is no picture.
"""

import os
import pathlib
import socket
import struct
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import flv  # noqa: E402

CHUNK = 4096


def amf(value):
    """One value in AMF0."""
    if value is None:
        return b"\5"
    if isinstance(value, (int, float)):
        return b"\0" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\2" + struct.pack(">H", len(value.encode())) + value.encode()
    return b"\3" + b"".join(struct.pack(">H", len(k)) + k.encode() + amf(v) for k, v in value.items()) + b"\0\0\x09"


class Publisher:
    def __init__(self, url):
        place = urllib.parse.urlparse(url)
        app, name = place.path.strip("/").split("/", 1)
        name += "?" + place.query if place.query else ""
        self.socket = socket.create_connection((place.hostname, place.port or 1935), 10)
        self.shake_hands()
        self.message(2, 1, 0, 0, struct.pack(">I", CHUNK))
        self.command(3, 0, "connect", 1, {"app": app, "type": "nonprivate", "tcUrl": f"rtmp://{place.netloc}/{app}"})
        self.command(3, 0, "releaseStream", 2, None, name)
        self.command(3, 0, "FCPublish", 3, None, name)
        self.command(3, 0, "createStream", 4, None)
        self.hear(b"_result", 2)
        self.command(4, 1, "publish", 5, None, name, "live")
        self.hear(b"NetStream.Publish.Start", 1)
        # Nobody answers what else the server says; it is read, so that it does not pile up.
        threading.Thread(target=self.drain, daemon=True).start()

    def shake_hands(self):
        ours = struct.pack(">II", 0, 0) + os.urandom(1528)
        self.socket.sendall(b"\3" + ours)
        answer = b""
        while len(answer) < 1 + 2 * 1536:
            answer += self.receive()
        if answer[0] != 3 or answer[1537:3073][8:] != ours[8:]:
            raise SystemExit("the server does not answer the handshake as it should")
        self.heard = answer[3073:]
        self.socket.sendall(answer[1:1537])

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the server closed the connection")
        return data

    def hear(self, word, times):
        """Waits until the server said a word so many times; its answers come in order."""
        while self.heard.count(word) < times:
            if b"_error" in self.heard or b"NetStream.Publish.BadName" in self.heard or b"Rejected" in self.heard:
                raise SystemExit(f"refused: {self.heard!r}")
            self.heard += self.receive()

    def drain(self):
        try:
            while self.socket.recv(65536):
                pass
        except OSError:
            pass

    def command(self, chunk_stream, stream, *values):
        self.message(chunk_stream, 20, stream, 0, b"".join(map(amf, values)))

    def message(self, chunk_stream, kind, stream, time, payload):
        """One message in chunks; every first chunk has the full head."""
        stamp, extended = (time, b"") if time < 0xFFFFFF else (0xFFFFFF, struct.pack(">I", time))
        head = struct.pack(">I", stamp)[1:] + struct.pack(">I", len(payload))[1:] + bytes([kind]) + struct.pack("<I", stream)
        out = bytes([chunk_stream]) + head + extended + payload[:CHUNK]
        for at in range(CHUNK, len(payload), CHUNK):
            out += bytes([0xC0 | chunk_stream]) + extended + payload[at : at + CHUNK]
        self.socket.sendall(out)

    def close(self):
        self.command(3, 0, "FCUnpublish", 6, None, "")
        self.command(3, 0, "deleteStream", 7, None, 1)
        self.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.2)


def main():
    file, url = sys.argv[1:]
    tags = list(flv.tags(open(file, "rb").read()))
    paced, pace = (9, 0.04) if any(kind == 9 for kind, _, _ in tags) else (8, 1024 / 44100)
    publisher = Publisher(url)
    at = time.monotonic()
    for kind, stamp, payload in tags:
        if kind == 18:
            publisher.message(4, 18, 1, stamp, amf("@setDataFrame") + payload)
            continue
        publisher.message(4 if kind == 8 else 6, kind, 1, stamp, payload)
        if kind == paced:
            at += pace
            time.sleep(max(0, at - time.monotonic()))
    publisher.close()


if __name__ == "__main__":
    main()
