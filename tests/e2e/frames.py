"""Each fixture in by RTMP, out by RTMP, HTTP-FLV, WS-FLV and HLS: the same frames, from the first key frame to the end."""

import pathlib
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
import urllib.request

import media
import ws
from harness import TOP, Background, Failure, case, eventually, publish, run

FOLDER = TOP / "fixtures" / "media"
# What this ffmpeg can put into FLV by itself. The others are sent by `weir push`, which sends the file as it is.
BY_FFMPEG = {"h264", "aac", "mp3", "pcm_alaw", "pcm_mulaw"}
# What MPEG-TS segments carry.
IN_TS = {"h264", "hevc", "aac", "mp3"}
# Sound that becomes AAC there.
MADE_AAC = {"pcm_alaw", "pcm_mulaw"}


def fixtures():
    return sorted(path for path in FOLDER.glob("*.flv") if path.stem != "demo") if FOLDER.exists() else []


class Reader(threading.Thread):
    """A client beside the others; its failure is raised when it is joined."""

    def __init__(self, what, read, delay=0.0):
        super().__init__(daemon=True)
        self.what, self.read, self.delay, self.result, self.failure = what, read, delay, None, None
        self.start()

    def run(self):
        time.sleep(self.delay)
        try:
            self.result = self.read()
        except Failure as failure:
            self.failure = f"{self.what}: {failure}"
        except Exception:
            self.failure = f"{self.what}: {traceback.format_exc(limit=-2)}"

    def get(self, seconds):
        self.join(seconds)
        if self.is_alive():
            raise Failure(f"{self.what}: does not end in {seconds:.0f} s")
        if self.failure:
            raise Failure(self.failure)
        return self.result


def http_flv(url, seconds):
    """HTTP-FLV by the standard library and our own FLV reader."""
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        if answer.headers.get("Content-Type") != "video/x-flv":
            raise Failure(f"Content-Type is {answer.headers.get('Content-Type')}")
        return media.from_flv(answer.read())


def ws_flv(url, seconds):
    data, how = ws.read_all(url, seconds)
    if how != "closed":
        raise Failure(how)
    return media.from_flv(data)


def exact(file):
    def check(context):
        server, name = context.server, f"frames-{file.stem}"
        expected = media.source(file)
        kinds = {packet.kind for packet in expected}
        codecs = codecs_of(file)
        broken = file.stem.startswith("broken")
        # Times that jump say nothing; all broken files are eight seconds long.
        length = 8 if broken else max(p.dts for p in expected) - min(p.dts for p in expected)
        url = server.rtmp(name)
        limit = length + 45
        if broken:
            sender = Background([sys.executable, pathlib.Path(__file__).parent / "rtmp_push.py", file, url])
        elif codecs <= BY_FFMPEG:
            sender = publish(url, file)
        else:
            sender = Background([context.weir, "push", "--once", file, url])
        with sender:
            eventually(f"{name} is live", lambda: is_live(server, name, sender), 10)
            path = f"/live/{name}"
            readers = [
                (Reader("HTTP-FLV", lambda: http_flv(server.http(path + ".flv"), limit)), kinds),
                (Reader("WS-FLV", lambda: ws_flv(server.ws(path + ".flv"), limit)), kinds),
                (Reader("HTTP-FLV of a latecomer", lambda: http_flv(server.http(path + ".flv"), limit), length * 0.6), kinds),
            ]
            # ffprobe fixes the tracks of FLV before the late one comes; our own reader does not.
            if codecs <= BY_FFMPEG and file.stem != "broken_late":
                readers += [
                    (Reader("RTMP by ffprobe", lambda: media.probe(url, limit)[1]), kinds),
                    (Reader("HTTP-FLV by ffprobe", lambda: media.probe(server.http(path + ".flv"), limit)[1]), kinds),
                    (Reader("RTMP of a latecomer by ffprobe", lambda: media.probe(url, limit)[1], length * 0.6), kinds),
                ]
                decoder = Reader("RTMP decoded by ffmpeg", lambda: decode(url, limit))
            else:
                decoder = None
            if codecs & (IN_TS | MADE_AAC):
                carried = {kind for kind, codec in named_codecs(file) if codec in IN_TS}
                hls = server.http(path + ".m3u8")
                if file.stem == "broken_late":
                    readers.append((Reader("HLS by download", lambda: download_hls(server, path + ".m3u8", limit)), carried))
                else:
                    readers.append((Reader("HLS by ffprobe", lambda: media.probe(hls, limit, "-live_start_index", "0")[1]), carried))
            told = []
            for reader, carried in readers:
                got = reader.get(limit + 10)
                late = "latecomer" in reader.what
                wanted = [packet for packet in expected if packet.kind in carried]
                if reader.what.startswith("HLS") and codecs & MADE_AAC:
                    # Coded anew: other frames, but sound there is, for nearly as long as the source's.
                    sound = media.of(got, "audio")
                    spoken = max((p.dts for p in sound), default=0) - min((p.dts for p in sound), default=0)
                    if spoken < 0.5 * length:
                        raise Failure(f"{reader.what}: {spoken:.1f} s of sound, the source has {length:.1f} s")
                    got = media.of(got, "video")
                    if not wanted:
                        continue
                # With times that had to be mended, only the frames can be the source's.
                # ffmpeg spreads the time of several AAC frames that share a packet of MPEG-TS over them by itself.
                loose = 0.03 if reader.what.startswith("HLS") else None
                told.append(media.compare(wanted, got, reader.what, least=0.05 if late else 0.5, times=not broken, sound=loose))
            if decoder:
                decoder.get(limit + 10)
            sender.expect_success(20)
            return told[0]

    return check


def codecs_of(file):
    return {codec for _, codec in named_codecs(file)}


def named_codecs(file):
    """(kind, codec) of each track, by our own reader."""
    import flv

    return {(frame.kind, frame.codec) for frame in flv.frames(file.read_bytes())}


def is_live(server, name, sender):
    if sender.process.poll() is not None:
        raise Failure(f"the publisher ended at once: {sender.output()[-1000:]}")
    # An FLV answer begins only when somebody publishes.
    try:
        with urllib.request.urlopen(server.http(f"/live/{name}.flv"), timeout=2) as answer:
            return len(answer.read(13)) == 13
    except OSError:
        return False


def download_hls(server, path, seconds):
    """Reads the playlist and each of its segments as players do, until it says that it is over; then all of it at once."""
    until, segments, playlist = time.monotonic() + seconds, {}, path
    while time.monotonic() < until:
        status, _, body = server.get(playlist, seconds=20)
        if status != 200:
            raise Failure(f"{playlist} answers {status}: {body[:200]!r}")
        lines = [line for line in body.decode().splitlines() if line and not line.startswith("#")]
        if b"#EXT-X-STREAM-INF" in body:
            playlist = urllib.parse.urljoin(playlist, lines[0])
            continue
        for line in lines:
            if line not in segments:
                status, _, segments[line] = server.get(urllib.parse.urljoin(playlist, line), seconds=10)
                if status != 200:
                    raise Failure(f"{line} answers {status}")
        if b"#EXT-X-ENDLIST" in body:
            with tempfile.NamedTemporaryFile(suffix=".ts") as file:
                file.write(b"".join(segments.values()))
                file.flush()
                return media.probe(file.name, 20, "-analyzeduration", "60M", "-probesize", "100M")[1]
        time.sleep(0.5)
    raise Failure(f"{path} does not end in {seconds:.0f} s")


def decode(url, seconds):
    """ffmpeg decodes all of it without one error."""
    _, err = run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-i", url, "-vsync", "passthrough", "-f", "null", "-"], seconds)
    # Pictures a millisecond apart, where the source gave them the same time, are one for the null muxer's coarse clock.
    said = [line for line in err.decode(errors="replace").splitlines() if line.strip() and "non monotonically" not in line]
    if said:
        raise Failure("ffmpeg says: " + "\n".join(said[-10:]))


for fixture in fixtures():
    case(f"frames: {fixture.stem}", weight=2, seconds=180)(exact(fixture))
