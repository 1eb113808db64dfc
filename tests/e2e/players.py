"""GStreamer, VLC and web pages play a live stream: pictures are decoded, and they move."""

import json
import os
import pathlib
import shutil
import tempfile

import media
from frames import FOLDER
from harness import Background, Failure, case, eventually, publish, run, tail

FIXTURE = FOLDER / "h264_aac.flv"
NAME = "players"


def live(context):
    """One stream for all players, sent as long as they need it."""
    server = context.server
    if not getattr(server, "players_stream", None):
        with_lock(server)
    return server


def with_lock(server):
    import frames

    with server.lock:
        if getattr(server, "players_stream", None):
            return
        sender = publish(server.rtmp(NAME), FIXTURE, loop=True)
        server.cleanup.append(sender)
        eventually("the players' stream is live", lambda: frames.is_live(server, NAME, sender), 10)
        # The answer comes when there is a segment.
        status, _, body = server.get(f"/live/{NAME}.m3u8", seconds=20)
        if status != 200:
            raise Failure(f"the playlist answers {status}: {body[:300]!r}")
        server.players_stream = sender


def url_of(server, protocol):
    return {"rtmp": server.rtmp(NAME), "flv": server.http(f"/live/{NAME}.flv"), "hls": server.http(f"/live/{NAME}.m3u8")}[protocol]


def gstreamer(protocol):
    def play(context):
        url = url_of(live(context), protocol)
        picture = ["fakesink", "name=picture", "silent=false", "sync=true"]
        sound = ["fakesink", "name=sound", "silent=false", "sync=true"]
        if protocol == "hls":
            line = ["uridecodebin", f"uri={url}", "name=d", "d.", "!", "video/x-raw", "!", *picture, "d.", "!", "audio/x-raw", "!", *sound]
        else:
            source = "rtmp2src" if protocol == "rtmp" else "souphttpsrc"
            line = [source, f"location={url}", "!", "flvdemux", "name=d"]
            line += ["d.video", "!", "queue", "!", "h264parse", "!", "avdec_h264", "!", *picture]
            line += ["d.audio", "!", "queue", "!", "aacparse", "!", "avdec_aac", "!", *sound]
        with Background(["gst-launch-1.0", "-v", *line]) as player:

            def shown():
                said = player.output()
                counts = [said.count(f"GstFakeSink:{sink}: last-message = chain") for sink in ("picture", "sound")]
                if "ERROR" in said or player.process.poll() is not None:
                    raise Failure(f"{counts[0]} pictures, {counts[1]} sounds, then: {said[-1500:]}")
                return counts if min(counts) >= 75 else None

            pictures, sounds = eventually("75 pictures and sounds are shown", shown, 45)
        return f"{pictures} pictures, {sounds} sounds"

    return play


def vlc(protocol):
    def play(context):
        url = url_of(live(context), protocol)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-e2e-vlc-"))
        try:
            folder.chmod(0o777)
            # VLC refuses to run as root; its wrapper steps down.
            program = ["vlc-wrapper"] if os.geteuid() == 0 else ["cvlc"]
            # What is decoded is encoded anew, small, so that it can be counted.
            chain = f"#transcode{{vcodec=mp2v,vb=500,width=160,acodec=mpga,ab=64}}:std{{access=file,mux=ts,dst={folder}/out.ts}}"
            command = [*program, "-I", "dummy", "--no-one-instance", f"--sout={chain}", "--run-time=8", url, "vlc://quit"]
            nobody = {"SUDO_UID": "65534", "SUDO_GID": "65534"}
            environment = {**os.environ, **nobody, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
            _, err = run(command, 45, ok=False, env=environment)
            output = folder / "out.ts"
            packets = media.probe(output, 20)[1] if output.exists() else []
            pictures, sounds = media.of(packets, "video"), media.of(packets, "audio")
            # Eight seconds of 25 pictures; half of them are enough on a busy machine.
            if len(pictures) < 100 or len(sounds) < 100:
                raise Failure(f"only {len(pictures)} pictures and {len(sounds)} sounds: {tail(err)}")
            if len({picture.hash for picture in pictures}) < 50:
                raise Failure("the picture does not move")
            return f"{len(pictures)} pictures, {len(sounds)} sounds"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return play


def browser(kind):
    def play(context):
        server = live(context)
        url = {
            "mpegts-http": server.http(f"/live/{NAME}.flv"),
            "mpegts-ws": server.ws(f"/live/{NAME}.flv"),
            "hls": server.http(f"/live/{NAME}.m3u8"),
            "hls-low": server.http(f"/live/{NAME}.m3u8?format=fmp4"),
            "mse-ws": server.ws(f"/live/{NAME}.live.mp4"),
        }[kind]
        script = pathlib.Path(__file__).parent / "browser" / "play.mjs"
        out, err = run(["node", script.resolve(), kind, url, "40"], 100, cwd=context.node)
        try:
            result = json.loads(out.decode().strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise Failure(f"no result: {out[-500:]!r} {err[-1000:]!r}") from None
        if not result.get("ok"):
            raise Failure(json.dumps(result, indent=1))
        late = f", {result['latency']:.1f} s behind" if result.get("latency") else ""
        if kind == "hls-low" and not 0 < result["latency"] < 3:
            raise Failure(f"that is not low latency: {json.dumps(result, indent=1)}")
        return f"{result['frames']} pictures of {result['width']}x{result['height']}, first after {result['took'] - 3:.1f} s{late}"

    return play


def fragments(kind):
    """What other programs read of fragmented MP4: all pictures in order, sound beside them."""

    def read(context):
        server = live(context)
        url = server.http(f"/live/{NAME}.m3u8?format=fmp4" if kind == "hls" else f"/live/{NAME}.live.mp4")
        file = server.folder / f"fragments-{kind}.mp4"
        run(["ffmpeg", "-y", "-loglevel", "error", "-i", url, "-t", "5", "-c", "copy", file], 40)
        streams, packets = media.probe(file, 20)
        pictures, sounds = media.of(packets, "video"), media.of(packets, "audio")
        if len(pictures) < 100 or len(sounds) < 150 or set(streams) != {"video", "audio"}:
            raise Failure(f"{len(pictures)} pictures, {len(sounds)} sounds")
        steps = [b.dts - a.dts for a, b in zip(pictures, pictures[1:])]
        # The fixture begins anew every few seconds; but for that, no picture is missing.
        if sum(1 for step in steps if not 0.02 < step < 0.06) > 2:
            raise Failure(f"pictures are not a frame apart: {[round(step, 3) for step in steps]}")
        return f"{len(pictures)} pictures, {len(sounds)} sounds"

    return read


if FIXTURE.exists():
    case("ffmpeg reads low-latency HLS", weight=2, seconds=60)(fragments("hls"))
    case("ffmpeg reads HTTP-fMP4", weight=2, seconds=60)(fragments("http"))
    for protocol in ("rtmp", "flv", "hls"):
        case(f"GStreamer plays {protocol}", weight=2, seconds=60)(gstreamer(protocol))
        case(f"VLC plays {protocol}", weight=3, seconds=60)(vlc(protocol))
    case("mpegts.js plays HTTP-FLV in Chromium", weight=4, seconds=110)(browser("mpegts-http"))
    case("mpegts.js plays WS-FLV in Chromium", weight=4, seconds=110)(browser("mpegts-ws"))
    case("hls.js plays HLS in Chromium", weight=4, seconds=110)(browser("hls"))
    case("hls.js plays low-latency HLS in Chromium", weight=4, seconds=110)(browser("hls-low"))
    case("Media Source Extensions play WS-fMP4 in Chromium", weight=4, seconds=110)(browser("mse-ws"))
