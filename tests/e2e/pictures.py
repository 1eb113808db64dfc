"""The present picture of a live stream, as a JPEG file that other programs read."""

import json

from frames import FOLDER, is_live
from harness import Background, Failure, case, eventually, run

SOURCES = {"h264": "h264_aac.flv", "h265": "h265_aac_enhanced.flv"}


def size(source):
    """Width, height and codec of a file's first picture; our FLV of H.265 is not known to this ffprobe, so its twin in MP4 is asked."""
    command = ["ffprobe", "-loglevel", "error", "-select_streams", "v:0", "-show_entries", "stream=codec_name,width,height", "-of", "json", source]
    stream = json.loads(run(command, 10)[0])["streams"][0]
    return stream["codec_name"], stream["width"], stream["height"]


def pictures(codec):
    def take(context):
        server, name = context.server, f"pictures-{codec}"
        _, width, height = size(FOLDER / SOURCES[codec].replace("h265_aac_enhanced.flv", "h265_aac.mp4"))
        with Background([context.weir, "push", FOLDER / SOURCES[codec], server.rtmp(name)]) as sender:
            eventually("live", lambda: is_live(server, name, sender), 10)
            for query, expected in [("", (width, height)), ("?width=160", (160, 160 * height // width & ~1))]:
                status, headers, body = server.get(f"/live/{name}.jpg{query}", seconds=15)
                if status != 200 or headers["Content-Type"] != "image/jpeg":
                    raise Failure(f".jpg{query} answers {status} {headers['Content-Type']}: {body[:300]!r}")
                file = server.folder / f"{name}-{expected[0]}.jpg"
                file.write_bytes(body)
                if size(file) != ("mjpeg", *expected):
                    raise Failure(f".jpg{query} is {size(file)}, not a JPEG of {expected}")
                # Decoding it to the end finds what a head alone hides.
                _, said = run(["ffmpeg", "-loglevel", "error", "-xerror", "-i", file, "-f", "null", "-"], 10)
                if said.strip():
                    raise Failure(f".jpg{query}: {said[:300]!r}")
        status, _, body = server.get("/live/nobody-has-a-picture.jpg", seconds=15)
        if status != 404 or not body.strip():
            raise Failure(f"a stream that is not live answers {status}: {body[:200]!r}")
        return f"{width} x {height}"

    return take


for codec in SOURCES:
    case(f"picture of {codec} as JPEG", seconds=45)(pictures(codec))
