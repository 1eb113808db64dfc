"""AV1: comes in by Enhanced RTMP, goes out as fragmented MP4; ffmpeg reads it, Chromium shows it."""

import json
import pathlib
import struct

import media
from frames import is_live
from harness import Background, Failure, case, eventually, run

HERE = pathlib.Path(__file__).parent
RATE = 25


def film(folder):
    """Four seconds of a moving picture in FLV as Enhanced RTMP has it, which this ffmpeg does not write."""
    picture = ["ffmpeg", "-y", "-loglevel", "error", "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={RATE}", "-t", "4", "-pix_fmt", "yuv420p"]
    ivf, mp4, flv = folder / "av1.ivf", folder / "av1.mp4", folder / "av1.flv"
    run([*picture, "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-g", "50", "-b:v", "300k", ivf], 60)
    run(["ffmpeg", "-y", "-loglevel", "error", "-i", ivf, "-c", "copy", mp4], 20)
    boxes = mp4.read_bytes()
    at = boxes.index(b"av1C")
    record = boxes[at + 4 : at - 4 + struct.unpack(">I", boxes[at - 4 : at])[0]]
    out = [b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"]

    def tag(time, body):
        out.append(struct.pack(">B3s", 9, len(body).to_bytes(3, "big")) + (time & 0xFFFFFF).to_bytes(3, "big") + bytes([time >> 24, 0, 0, 0]) + body)
        out.append(struct.pack(">I", 11 + len(body)))

    tag(0, b"\x90av01" + record)
    data, at, count = ivf.read_bytes(), 32, 0
    while at < len(data):
        size = struct.unpack("<I", data[at : at + 4])[0]
        unit = data[at + 12 : at + 12 + size]
        at += 12 + size
        # A temporal unit that begins with a sequence header, behind its delimiter, is a key frame.
        key = unit[2:3] == b"\x0a" if unit[:2] == b"\x12\x00" else unit[:1] == b"\x0a"
        tag(count * 1000 // RATE, (b"\x91av01" if key else b"\xa1av01") + unit)
        count += 1
    flv.write_bytes(b"".join(out))
    return flv


def av1(context):
    server, name = context.server, "av1"
    with Background([context.weir, "push", film(server.folder), server.rtmp(name)]) as sender:
        eventually("live", lambda: is_live(server, name, sender), 15)
        file = server.folder / "av1-got.mp4"
        run(["ffmpeg", "-y", "-loglevel", "error", "-i", server.http(f"/live/{name}.live.mp4"), "-t", "3", "-c", "copy", file], 30)
        streams, packets = media.probe(file, 10)
        found = {key: streams["video"][key] for key in ("codec_name", "width", "height")}
        if found != {"codec_name": "av1", "width": 320, "height": 180} or len(packets) < 60:
            raise Failure(f"{found}, {len(packets)} pictures")
        status, _, master = server.get(f"/live/{name}.m3u8?format=fmp4", seconds=15)
        if status != 200 or b'CODECS="av01.0.' not in master:
            raise Failure(f"{status}: {master!r}")
        script = HERE / "browser" / "play.mjs"
        out, _ = run(["node", script.resolve(), "hls-low", server.http(f"/live/{name}.m3u8?format=fmp4"), "25"], 60, cwd=context.node)
        result = json.loads(out.decode().strip().splitlines()[-1])
        if not result.get("ok") or result["width"] != 320:
            raise Failure(json.dumps(result, indent=1))
    return f"{len(packets)} pictures to ffmpeg, {result['frames']} in Chromium"


case("AV1 plays as fragmented MP4", weight=4, seconds=120)(av1)
