"""WebRTC: Chromium and an independent client play and publish; the time from camera to screen is measured."""

import json
import pathlib
import subprocess
import sys
import threading
import time

import media
from cascade import caller
from frames import is_live
from harness import Background, Failure, Server, case, eventually, run

HERE = pathlib.Path(__file__).parent


def source(server, name, sound, *more, video=("libx264",), container="flv"):
    """A test picture as cameras send it: no B-frames, a key frame every two seconds, low delay."""
    codecs = {
        "pcma": ["-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"],
        "aac": ["-c:a", "aac", "-ar", "44100", "-ac", "2"],
        "none": ["-an"],
    }[sound]
    x264 = ["-c:v", *video, "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-b:v", "1M"]
    tune = more or ("-tune", "zerolatency", "-profile:v", "baseline")
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440", *x264, *tune, *codecs, "-f", container, server.rtmp(name)]
    return Background(command)


def browse(context, kind, url, *more, seconds=25):
    out, err = run(["node", (HERE / "browser" / "webrtc.mjs").resolve(), kind, url, str(seconds), *more], seconds + 40, cwd=context.node)
    try:
        return json.loads(out.decode().strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise Failure(f"no result: {out[-500:]!r} {err[-1000:]!r}") from None


def expect(result, **wanted):
    """The result is good, and has at least this."""
    wrong = {name: (result.get(name), least) for name, least in wanted.items() if (result.get(name) or 0) < least}
    if not result.get("ok") or wrong:
        raise Failure(f"{wrong}\n{json.dumps(result, indent=1)}")


def over_tcp(context):
    """Where no UDP comes through: the page learns of the TCP address only."""
    server, name = context.server, "webrtc-tcp"
    with source(server, name, "pcma") as sender:
        eventually("live", lambda: is_live(server, name, sender), 10)
        result = browse(context, "tcp", server.http(f"/live/{name}.whep"))
        expect(result, width=640, height=360, frames=60, sound=20_000)
        if result["protocol"] != "tcp":
            raise Failure(f"it came over {result['protocol']}")
    return f"{result['frames']} pictures over {result['protocol']}, first after {result['took']:.2f} s"


def gone(server):
    return 'weir_webrtc_sessions 0' in server.get("/metrics")[2].decode()


def chromium(kind, sound):
    def play(context):
        server, name = context.server, f"webrtc-{kind}-{sound}"
        with source(server, name, sound) as sender:
            eventually("live", lambda: is_live(server, name, sender), 10)
            if kind == "rtc":
                stream = f"webrtc://127.0.0.1:{server.http_port}/live/{name}"
                result = browse(context, "rtc", server.http("/rtc/v1/play/"), stream)
            else:
                result = browse(context, "whep", server.http(f"/live/{name}.whep"))
            # Two and a half seconds of samples, at the rate of the codec.
            expect(result, width=640, height=360, frames=60, sound=20_000 if sound == "pcma" else 120_000)
            if kind == "whep" and result["patched"] != 204:
                raise Failure(f"PATCH answers {result['patched']}")
            if not result["energy"]:
                raise Failure(f"there is no sound in the sound: {json.dumps(result, indent=1)}")
            if result["delay"] > 0.5:
                raise Failure(f"pictures wait {result['delay']:.3f} s for their turn")
        return f"{result['frames']} pictures, first after {result['took']:.2f} s, {result['delay'] * 1e3:.0f} ms in the buffer, {result['nacks']} NACK"

    return play


def clock_picture(milliseconds):
    """A picture of 320 x 180 whose upper part is a time in 32 squares of 20 x 20, the highest bit first; planar YUV."""
    rows = []
    for row in range(2):
        bits = [milliseconds >> (31 - row * 16 - n) & 1 for n in range(16)]
        rows.append(b"".join(bytes([235 if bit else 16]) * 20 for bit in bits) * 20)
    return b"".join(rows) + bytes([120]) * (320 * 140) + bytes([128]) * (320 * 180 // 2)


def delay(context):
    """From the camera's picture to the screen: encoder, RTMP, the server, WebRTC, decoder, page."""
    server, name = context.server, "webrtc-delay"
    command = ["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "320x180", "-r", "25", "-i", "pipe:"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-g", "100", "-b:v", "1M"]
    sender = subprocess.Popen([*command, "-f", "flv", server.rtmp(name)], stdin=subprocess.PIPE, start_new_session=True)
    over = threading.Event()

    def camera():
        due = time.monotonic()
        while not over.is_set():
            try:
                sender.stdin.write(clock_picture(int(time.time() * 1000) & 0xFFFFFFFF))
                sender.stdin.flush()
            except OSError:
                return
            due += 0.04
            time.sleep(max(0, due - time.monotonic()))

    thread = threading.Thread(target=camera, daemon=True)
    thread.start()
    try:
        eventually("live", lambda: server.get(f"/live/{name}.jpg", seconds=10)[0] == 200, 15)
        # In the middle of a group of pictures of four seconds.
        result = browse(context, "delay", server.http(f"/live/{name}.whep"))
    finally:
        over.set()
        sender.kill()
        sender.wait()
        thread.join(2)
    if not result.get("ok") or result["median"] > 500:
        raise Failure(json.dumps(result))
    return f"{result['median']} ms in the middle, {result['worst']} ms at most"


def aiortc_plays(context):
    server, name = context.server, "webrtc-aiortc"
    with source(server, name, "pcma") as sender:
        eventually("live", lambda: is_live(server, name, sender), 10)
        out, _ = run([sys.executable, HERE / "rtc_client.py", "play", server.http(f"/live/{name}.whep"), "20"], 40)
        got = json.loads(out.decode().strip().splitlines()[-1])
        if got["pictures"] < 75 or got["sounds"] < 75 or got["size"] != [640, 360] or not got["ordered"] or got["deleted"] != 200:
            raise Failure(json.dumps(got))
        eventually("the session is gone", lambda: gone(server) or server.get("/metrics")[2].decode(), 5)
    return f"{got['pictures']} pictures in {got['span']:.1f} s, {got['sounds']} sounds, first after {got['first']:.2f} s"


def check_published(server, name, sender):
    """What a publisher sends is played by others: FLV with both tracks."""
    eventually("live", lambda: is_live(server, name, sender), 20)
    file = server.folder / f"{name}.flv"
    # This ffmpeg does not know Opus in FLV, and shall not look for more of it.
    run(["ffmpeg", "-y", "-loglevel", "error", "-analyzeduration", "500000", "-i", server.http(f"/live/{name}.flv"), "-t", "3", "-map", "0:v", "-c", "copy", file], 30)
    streams, packets = media.probe(file, 10)
    pictures = media.of(packets, "video")
    if streams["video"]["codec_name"] != "h264" or len(pictures) < 30 or not any(picture.key for picture in pictures):
        raise Failure(f"{len(pictures)} pictures of {streams.get('video')}")
    return f"{len(pictures)} pictures of {streams['video']['width']}x{streams['video']['height']}"


def aiortc_publishes(context):
    server, name = context.server, "webrtc-whip"
    file = server.folder / "whip.mp4"
    make = ["ffmpeg", "-y", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i", "sine"]
    run([*make, "-t", "10", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", file], 20)
    command = [sys.executable, HERE / "rtc_client.py", "publish", server.http(f"/live/{name}.whip"), "20", file]
    with Background(command) as sender:
        found = check_published(server, name, sender)
        sender.expect_success(30)
        result = json.loads(sender.output().strip().splitlines()[-1])
    if result["state"] != "connected" or result["deleted"] != 200:
        raise Failure(str(result))
    return found


def chromium_publishes(context):
    server, name = context.server, "webrtc-camera"
    command = ["node", (HERE / "browser" / "webrtc.mjs").resolve(), "whip", server.http(f"/live/{name}.whip"), "25"]
    with Background(command, cwd=context.node) as sender:
        return check_published(server, name, sender)


def signed_whip(context):
    """Into a stream of the API: with its push URL's signature, and not without."""
    server = context.server
    api = caller(context.weir, server)
    group = api("CreateGroup", Name="whip", App="whip", InProtocol="rtmp", OutProtocol="rtmp,flv")["Id"]
    made = api("CreateRtmpGroupStreamurl", Id=group, Name="browser")
    base, query = made["PushUrl"].split("?")
    path = "/" + "/".join(base.split("/")[3:]) + ".whip"
    command = ["node", (HERE / "browser" / "webrtc.mjs").resolve(), "whip"]
    out, _ = run([*command, server.http(path), "10"], 50, cwd=context.node)
    refused = json.loads(out.decode().strip().splitlines()[-1])
    if refused.get("status") != 403 or "auth_key" not in refused.get("error", ""):
        raise Failure(json.dumps(refused))
    with Background([*command, server.http(f"{path}?{query}"), "25"], cwd=context.node) as sender:
        is_on = lambda: api("DescribeStreams", GroupId=group)["Streams"][0]["Status"] == "on"
        eventually("the stream is on", is_on, 20)
        api("ForbidVsStream", Id=made["StreamId"])
        eventually("it is cut off", lambda: not is_on(), 10)
    return refused["error"].strip()


def b_frames_are_encoded_anew(context):
    """What browsers cannot show comes as plain H.264, with sound; the address stays the stream's own."""
    server, name = context.server, "webrtc-b"
    with source(server, name, "aac", "-bf", "2", "-preset", "veryfast") as sender:
        eventually("live", lambda: is_live(server, name, sender), 10)
        result = browse(context, "whep", server.http(f"/live/{name}.whep"))
        expect(result, width=640, height=360, frames=60, sound=120_000)
    return f"{result['frames']} pictures"


def b_frames_are_refused(context):
    server = Server(context.weir, **{"transcode.h264": "false"})
    try:
        server.start()
        with source(server, "webrtc-b", "none", "-bf", "2", "-preset", "veryfast") as sender:
            eventually("live", lambda: is_live(server, "webrtc-b", sender), 10)
            result = browse(context, "whep", server.http("/live/webrtc-b.whep"))
            if result.get("status") != 406 or "B-frames" not in result.get("error", ""):
                raise Failure(json.dumps(result))
        return result["error"]
    finally:
        server.remove()


def h265_is_encoded_anew(context):
    """A client that offers no H.265 sees the stream all the same."""
    server, name = context.server, "webrtc-h265"
    file = HERE.parents[1] / "fixtures" / "media" / "h265_aac_enhanced.flv"
    with Background([context.weir, "push", file, server.rtmp(name)]) as sender:
        eventually("live", lambda: is_live(server, name, sender), 10)
        out, _ = run([sys.executable, HERE / "rtc_client.py", "play", server.http(f"/live/{name}.whep"), "20"], 40)
        got = json.loads(out.decode().strip().splitlines()[-1])
        if got["pictures"] < 75 or got["sounds"] < 75 or got["size"] != [320, 180] or not got["ordered"]:
            raise Failure(json.dumps(got))
    return f"{got['pictures']} pictures, {got['sounds']} sounds"


case("Chromium plays WHEP with G.711", weight=4, seconds=60)(chromium("whep", "pcma"))
case("Chromium plays WHEP with AAC as Opus", weight=4, seconds=60)(chromium("whep", "aac"))
case("Chromium plays WHEP over TCP", weight=4, seconds=60)(over_tcp)
case("Chromium publishes into a closed application by a signed WHIP URL", weight=4, seconds=60)(signed_whip)
case("Chromium plays rtc/v1/play", weight=4, seconds=60)(chromium("rtc", "pcma"))
case("from camera to Chromium by WHEP in half a second", weight=4, seconds=60)(delay)
case("aiortc plays WHEP", weight=2, seconds=60)(aiortc_plays)
case("aiortc publishes by WHIP", weight=2, seconds=60)(aiortc_publishes)
case("Chromium publishes its camera by WHIP", weight=4, seconds=60)(chromium_publishes)
case("Chromium plays B-frames as plain H.264 by WHEP", weight=4, seconds=60)(b_frames_are_encoded_anew)
case("aiortc plays H.265 as plain H.264 by WHEP", weight=2, seconds=60)(h265_is_encoded_anew)
case("WHEP refuses B-frames with the reason where nothing is encoded", weight=3, seconds=60)(b_frames_are_refused)
