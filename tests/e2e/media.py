"""Frames as they are compared: what a client got must be what the source holds, byte for byte.

A frame is brought into one form whatever carried it: the NAL units of a picture without parameter sets and delimiters
(containers keep those in different places), an AAC frame without its ADTS header. Its hash is what is compared.
"""

import dataclasses
import hashlib
import json
import pathlib

import flv
from harness import Failure, run

# Access unit delimiters, parameter sets and filler stand in different places in different containers.
NOT_COMPARED = {"h264": {7, 8, 9, 12}, "hevc": {32, 33, 34, 35, 38}}


@dataclasses.dataclass
class Packet:
    kind: str  # "video" or "audio"
    dts: float  # seconds
    pts: float
    key: bool
    hash: str


def probe(source, seconds, *options):
    """All packets of a file or URL as ffprobe reads them."""
    command = ["ffprobe", "-hide_banner", "-loglevel", "error", *options, "-show_streams", "-show_packets", "-show_data", "-of", "json", source]
    out, _ = run(command, seconds)
    try:
        read = json.loads(out)
    except ValueError:
        raise Failure(f"ffprobe of {source}: no JSON") from None
    streams = {stream["index"]: stream for stream in read.get("streams", [])}
    others = [stream.get("codec_type") for stream in streams.values() if stream.get("codec_type") not in ("video", "audio")]
    if others:
        raise Failure(f"ffprobe of {source} finds tracks that nobody sent: {others}")
    packets = []
    for packet in read.get("packets", []):
        stream = streams.get(packet["stream_index"])
        if not stream or packet.get("codec_type") not in ("video", "audio"):
            continue
        data = from_hexdump(packet.get("data", ""))
        # `is_avc` is told for H.264 only; of H.265 the container decides, which shows in the extradata.
        prefixed = from_hexdump(stream.get("extradata", ""))[:1] == b"\x01"
        codec = stream["codec_name"]
        dts = float(packet.get("dts_time", packet.get("pts_time", "nan")))
        pts = float(packet.get("pts_time", packet.get("dts_time", "nan")))
        packets.append(Packet(packet.get("codec_type"), dts, pts, "K" in packet["flags"], canonical(codec, data, prefixed)))
    return {stream["codec_type"]: stream for stream in streams.values()}, packets


def from_hexdump(text):
    """`00000010: 0011 2233 …  ascii`, as ffprobe prints bytes."""
    return bytes.fromhex("".join(line[10:50] for line in text.splitlines() if line))


def canonical(codec, data, prefixed):
    if codec in NOT_COMPARED:
        nals = prefixed_nals(data) if prefixed else annexb_nals(data)
        kind = (lambda nal: nal[0] & 31) if codec == "h264" else (lambda nal: nal[0] >> 1 & 63)
        data = b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals if nal and kind(nal) not in NOT_COMPARED[codec])
    elif codec == "aac" and len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        data = data[7 if data[1] & 1 else 9 :]
    return hashlib.sha256(data).hexdigest()[:16]


def prefixed_nals(data):
    at, nals = 0, []
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        nals.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return nals


def annexb_nals(data):
    starts, at = [], data.find(b"\0\0\1")
    while at >= 0:
        starts.append(at)
        at = data.find(b"\0\0\1", at + 3)
    ends = [*starts[1:], len(data)]
    # Zeros behind a NAL unit belong to the byte stream: a NAL unit never ends with one (H.264, B.1).
    return [data[start + 3 : end].rstrip(b"\0") for start, end in zip(starts, ends)]


def from_flv(data):
    """All packets of FLV bytes, read by our own small reader, which knows what this ffmpeg does not (H.265)."""
    packets = []
    for tag in flv.frames(data):
        packets.append(Packet(tag.kind, tag.dts, tag.pts, tag.key, canonical(tag.codec, tag.data, True)))
    return packets


def source(file):
    """The packets of a fixture."""
    file = pathlib.Path(file)
    return from_flv(file.read_bytes()) if file.suffix == ".flv" else probe(file, 30)[1]


def compare(expected, got, what, kinds=("video", "audio"), least=0.5, times=True, sound=None):
    """`got` must be `expected` from one of its key frames to its end, frame by frame, at the source's pace."""
    parts = {}
    for kind in kinds:
        e, g = of(expected, kind), of(got, kind)
        if not e:
            if g:
                raise Failure(f"{what}: {len(g)} {kind} frames that the source does not have")
            continue
        if not g:
            raise Failure(f"{what}: no {kind} frames at all, the source has {len(e)}")
        start = len(e) - len(g)
        if start < 0:
            raise Failure(f"{what}: {len(g)} {kind} frames, the source has {len(e)}; {first_difference(e, g, 0)}")
        if [p.hash for p in e[start:]] != [p.hash for p in g]:
            raise Failure(f"{what}: of {len(e)} {kind} frames {len(g)} came; {first_difference(e, g, start)}")
        if kind == "video" and not e[start].key:
            raise Failure(f"{what}: begins with frame {start} of the source, which is no key frame")
        if len(g) < least * len(e):
            raise Failure(f"{what}: only {len(g)} of {len(e)} {kind} frames came")
        parts[kind] = (e[start:], g)
        if times:
            same_pace(e[start:], g, f"{what}: {kind}", sound if sound and kind == "audio" else 0.0025)
    if times and len(parts) == 2:
        apart = abs(parts["video"][0][0].dts - parts["audio"][0][0].dts)
        # A newcomer's sound begins with its picture.
        if apart > 0.5 and parts["video"][0][0] is not of(expected, "video")[0]:
            raise Failure(f"{what}: picture and sound begin {apart:.2f} s apart")
    return ", ".join(f"{len(g)} of {len(of(expected, kind))} {kind}" for kind, (_, g) in parts.items())


def of(packets, kind):
    return [packet for packet in packets if packet.kind == kind]


def first_difference(e, g, start):
    """Says where two lists part: the next source frame that did not come."""
    known = {packet.hash: n for n, packet in enumerate(e)}
    at = [known.get(packet.hash) for packet in g]
    begins = next((n for n in at if n is not None), None)
    if begins is None:
        return "none of them is of the source"
    for n, place in enumerate(at):
        if place != begins + n:
            there = "is not of the source" if place is None else f"is the source's {place}"
            return f"they begin at the source's {begins}, but number {n} {there} instead of {begins + n}"
    return f"they are the source's {begins} to {begins + len(g) - 1}: the end is missing"


def same_pace(e, g, what, most):
    """Times may begin anywhere; from there on they are the source's, to the millisecond that RTMP has."""
    before = None
    for n, (source, got) in enumerate(zip(e, g)):
        if before is not None and got.dts < before:
            raise Failure(f"{what}: frame {n} runs back in time, from {before:.3f} to {got.dts:.3f}")
        before = got.dts
        for name in ("dts", "pts"):
            # Both relative to the first frame's decoding time.
            drift = (getattr(got, name) - g[0].dts) - (getattr(source, name) - e[0].dts)
            if abs(drift) > most:
                raise Failure(f"{what}: {name} of frame {n} is {drift * 1000:.1f} ms off the source's")
