"""A small WebSocket client: connects, gives the binary messages until the server closes."""

import base64
import hashlib
import os
import socket
import struct
import time
import urllib.parse

from harness import Failure


def read_all(url, seconds):
    """All binary messages of a connection, put together."""
    place = urllib.parse.urlparse(url)
    until = time.monotonic() + seconds
    with socket.create_connection((place.hostname, place.port), 5) as s:
        key = base64.b64encode(os.urandom(16)).decode()
        target = place.path + ("?" + place.query if place.query else "")
        s.sendall(
            f"GET {target} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        read = Reader(s, until)
        head = read.until(b"\r\n\r\n").decode(errors="replace")
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        if " 101 " not in head.split("\r\n")[0] or f"sec-websocket-accept: {accept}".lower() not in head.lower():
            raise Failure(f"{url}: no WebSocket: {head}")
        got = bytearray()
        while True:
            first = read.maybe(2)
            if first is None:
                return bytes(got), "ended without a closing frame"
            code, size = first[0] & 15, first[1] & 127
            if first[1] & 128:
                raise Failure(f"{url}: the server masks its frames")
            if size == 126:
                size = struct.unpack(">H", read.exactly(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", read.exactly(8))[0]
            body = read.exactly(size)
            if code in (0, 2):
                got += body
            elif code == 9:
                mask = os.urandom(4)
                s.sendall(bytes([0x8A, 0x80 | len(body)]) + mask + bytes(b ^ mask[n % 4] for n, b in enumerate(body)))
            elif code == 8:
                return bytes(got), "closed"
            elif code == 1:
                raise Failure(f"{url}: a text message: {body[:200]!r}")


class Reader:
    def __init__(self, s, until):
        self.socket, self.deadline, self.buffer = s, until, b""

    def more(self):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Failure("the WebSocket does not end in time")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise Failure("the WebSocket does not end in time") from None
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def maybe(self, size):
        while len(self.buffer) < size:
            if not self.more():
                return None
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def exactly(self, size):
        taken = self.maybe(size)
        if taken is None:
            raise Failure("the WebSocket ends in the middle of a frame")
        return taken

    def until(self, mark):
        while mark not in self.buffer:
            if not self.more():
                raise Failure(f"the connection ends before its answer: {self.buffer!r}")
        taken, self.buffer = self.buffer.split(mark, 1)
        return taken

