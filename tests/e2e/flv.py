"""A small FLV reader, independent of the server's: tags, classic and Enhanced heads."""

import dataclasses

FOURCC = {b"avc1": "h264", b"hvc1": "hevc", b"av01": "av1", b"vp09": "vp9"}
AUDIO_FOURCC = {b"mp4a": "aac", b"Opus": "opus", b".mp3": "mp3"}
SOUND = {2: "mp3", 7: "pcm_alaw", 8: "pcm_mulaw", 10: "aac", 13: "opus"}


@dataclasses.dataclass
class Tag:
    kind: str
    codec: str
    dts: float
    pts: float
    key: bool
    data: bytes


def tags(data):
    """(type, time stamp in ms, payload) of each whole tag."""
    if data[:3] != b"FLV":
        raise ValueError(f"not FLV: begins with {data[:16]!r}")
    at = int.from_bytes(data[5:9], "big") + 4
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if at + 11 + size + 4 > len(data):
            return
        time = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        back = int.from_bytes(data[at + 11 + size : at + 15 + size], "big")
        if back != size + 11:
            raise ValueError(f"the tag at {at} has {size} bytes, the number after it says {back}")
        yield data[at] & 31, time, data[at + 11 : at + 11 + size]
        at += 15 + size


def frames(data):
    """The frames; headers and metadata are left out."""
    for kind, time, payload in tags(data):
        if not payload:
            continue
        tag = video(time, payload) if kind == 9 else audio(time, payload) if kind == 8 else None
        if tag:
            yield tag


def video(time, payload):
    key = payload[0] >> 4 & 7 == 1
    if payload[0] & 0x80:
        packet, codec = payload[0] & 15, FOURCC.get(payload[1:5])
        if packet not in (1, 3) or not codec:
            return None
        shift = int.from_bytes(payload[5:8], "big", signed=True) if packet == 1 and codec in ("h264", "hevc") else 0
        body = payload[8:] if packet == 1 and codec in ("h264", "hevc") else payload[5:]
    else:
        codec = {7: "h264", 12: "hevc"}.get(payload[0] & 15)
        if not codec or payload[1] != 1:
            return None
        shift, body = int.from_bytes(payload[2:5], "big", signed=True), payload[5:]
    return Tag("video", codec, time / 1000, (time + shift) / 1000, key, body)


def audio(time, payload):
    sound = payload[0] >> 4
    if sound == 9:
        codec = AUDIO_FOURCC.get(payload[1:5])
        body = payload[5:] if payload[0] & 15 == 1 and codec else None
    else:
        codec = SOUND.get(sound)
        body = (payload[2:] if payload[1] == 1 else None) if codec == "aac" else payload[1:] if codec else None
    return Tag("audio", codec, time / 1000, time / 1000, True, body) if body else None
