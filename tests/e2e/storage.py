"""Pictures, transcode rules and buckets: what an operator gets of templates, looked at by other programs.

The source's pictures carry their own number as a bar code, 16 bars of 16 pixels: so what was stored says which frame it is.
"""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request

from harness import KEY_ID, KEY_SECRET, TOP, Background, Failure, Server, case, eventually, free_port, run
from plain import Client

BARS, SIDE, RATE, GOP = 16, 16, 25, 25
WIDTH, HEIGHT = BARS * SIDE, 64


def sending(url, codec="libx264", sound=("-c:a", "aac"), seconds=60):
    """ffmpeg sends numbered pictures at their own pace."""
    code = f"nullsrc=s={WIDTH}x{HEIGHT}:r={RATE},geq=lum='if(bitand(N,pow(2,floor(X/{SIDE}))),235,16)':cb=128:cr=128"
    speed = ["-preset", "ultrafast", "-tune", "zerolatency", "-g", GOP]
    return Background([
        "ffmpeg", "-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", code, "-f", "lavfi", "-i", "sine=r=8000",
        "-t", seconds, "-c:v", codec, *speed, "-pix_fmt", "yuv420p", *sound, "-f", "flv", url,
    ])


def number(picture):
    """The number that a picture carries, whatever its size."""
    gray, _ = run(["ffmpeg", "-loglevel", "error", "-i", picture, "-frames:v", "1", "-vf", f"scale={WIDTH}:{HEIGHT}", "-f", "rawvideo", "-pix_fmt", "gray", "-"], 20)
    row = gray[WIDTH * (HEIGHT // 2):][:WIDTH]
    if len(row) < WIDTH:
        raise Failure(f"{picture} is no picture")
    return sum(1 << bar for bar in range(BARS) if row[bar * SIDE + SIDE // 2] > 128)


class Desk:
    """A server whose streams anybody may play, with a group and a stream."""

    def __init__(self, context, **keys):
        self.server = Server(context.weir, **{"playback.auth": "false", "playback.push_auth": "false", **keys})

    def __enter__(self):
        self.server.start()
        self.client = Client(self.server.http("/"), KEY_ID, KEY_SECRET)
        self.group = self.call("CreateGroup", Name="g", InProtocol="rtmp", OutProtocol="rtmp,flv,hls", App="cam")["Id"]
        self.stream = self.call("CreateRtmpGroupStreamurl", Id=self.group, Name="s")["StreamId"]
        self.push = self.server.rtmp(self.stream, app="cam")
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.server.log()[-3000:])
        self.server.remove()

    def call(self, action, **parameters):
        return self.client.call(action, **parameters)

    def template(self, **parameters):
        made = self.call("CreateTemplate", Name="t", **parameters)["Id"]
        self.call("BindTemplate", TemplateId=made, InstanceId=self.group, InstanceType="group")
        return made

    def records(self, kind):
        found = self.call("DescribeRecords", Type=kind, StreamId=self.stream, StartTime="2020-01-01T00:00:00Z", EndTime="2099-01-01T00:00:00Z", PageSize=100)
        return found["Records"]

    def live(self, sender):
        def look():
            if sender.process.poll() is not None:
                raise Failure(f"the sender ended: {sender.output()[-1500:]}")
            return self.server.get(f"/cam/{self.stream}.jpg", seconds=15)[0] == 200

        eventually("live", look, 15)


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.status, answer.headers, answer.read()


def now_shown(desk):
    """The number of the key frame that a player begins with now."""
    return number(desk.server.http(f"/cam/{desk.stream}.flv"))


@case("pictures by template and on demand show the right frame", weight=2, seconds=60)
def pictures(context):
    with Desk(context) as desk:
        desk.template(Type="snapshot", Interval=2, JpgOverwrite="now/{AppName}/{StreamName}", JpgSequence="{AppName}/{StreamName}/{Sequence}_{UnixTimestamp}")
        with sending(desk.push) as sender:
            desk.live(sender)
            for _ in range(2):
                before = now_shown(desk)
                taken = desk.call("CreateStreamSnapshot", StreamId=desk.stream)
                after = now_shown(desk)
                status, headers, body = fetch(taken["Url"])
                if (status, headers["Content-Type"]) != (200, "image/jpeg"):
                    raise Failure(f"{taken['Url']} answers {status} {headers['Content-Type']}")
                file = desk.server.folder / "taken.jpg"
                file.write_bytes(body)
                shown = number(file)
                if not (before <= shown <= after and shown % GOP == 0):
                    raise Failure(f"the picture shows frame {shown}; a player began with {before} before and {after} after")
                if (taken["Width"], taken["Height"], taken["Size"]) != (WIDTH, HEIGHT, len(body)):
                    raise Failure(f"{taken} of {WIDTH} x {HEIGHT}, {len(body)} bytes")
                time.sleep(1.2)
            eventually("four pictures of the sequence", lambda: len(of_sequence(desk)) >= 4, 15)
        numbers = []
        for record in of_sequence(desk):
            file = desk.server.folder / "seen.jpg"
            file.write_bytes(fetch(record["Url"])[2])
            numbers.append(number(file))
        if numbers != sorted(numbers) or any(n % GOP for n in numbers) or len(set(numbers)) < 3:
            raise Failure(f"the pictures show the frames {numbers}")
        now = [record for record in desk.records("snapshot") if record["oNestObject"].startswith("now/")]
        if len(now) != 1:
            raise Failure(f"the picture that is overwritten is there {len(now)} times")
        return f"frames {numbers}"


@case("a picture of a camera's H.265 shows the right frame", weight=2, seconds=60)
def pictures_of_h265(context):
    """A simulated camera sends numbered pictures in H.265 over and over; what is stored says which one it is."""
    camera, length = "34020000001320000077", 12 * GOP
    with Desk(context) as desk:
        file = desk.server.folder / "numbered.h265"
        source = f"nullsrc=s={WIDTH}x{HEIGHT}:r={RATE},geq=lum='if(bitand(N,pow(2,floor(X/{SIDE}))),235,16)':cb=128:cr=128"
        x265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=0:log-level=none"]
        run(["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, "-frames:v", length, *x265, "-pix_fmt", "yuv420p", "-f", "hevc", file], 30)
        group = desk.call("CreateGroup", Name="gb", InProtocol="gb28181", OutProtocol="flv", App="gb")
        desk.call("CreateDevice", GroupId=group["Id"], Name="one", Type="ipc", GbId=camera, Username=camera, Password="secret12", AutoStart="true")
        sip = desk.server.keys["sip.tcp_listen"]
        command = [context.weir, "camera", "--server", sip, "--domain", group["GbId"], "--id", camera, "--password", "secret12", "--transport", "tcp", "--file", file]
        with Background(command, env=desk.server.environment()):
            on = lambda: [s["Id"] for s in desk.call("DescribeStreams", GroupId=group["Id"])["Streams"] if s["Status"] == "on" and s["Name"] != camera]
            stream = eventually("the camera's stream is on", on, 20)[0]
            eventually("it has a picture", lambda: desk.server.get(f"/gb/{stream}.jpg", seconds=15)[0] == 200, 20)
            taken = []
            for _ in range(3):
                at = time.monotonic()
                picture = desk.call("CreateStreamSnapshot", StreamId=stream)
                seen = desk.server.folder / "h265.jpg"
                seen.write_bytes(fetch(picture["Url"])[2])
                taken.append((at, number(seen), (picture["Width"], picture["Height"])))
                time.sleep(2)
        for (at, first, size), (later, second, _) in zip(taken, taken[1:]):
            passed = (second - first) % length
            # The newest key frame is up to a group old, at both times.
            if first % GOP or size != (WIDTH, HEIGHT) or abs(passed - (later - at) * RATE) > 1.5 * GOP:
                raise Failure(f"the pictures show {taken}")
        return f"frames {[shown for _, shown, _ in taken]}"


def of_sequence(desk):
    return [record for record in desk.records("snapshot") if record["oNestObject"].startswith("cam/")]


@case("a transcode rule makes the asked size, rate and key frames", weight=4, seconds=80)
def transcode(context):
    rules = [
        {"Name": "sd", "VideoCodec": "h264", "VideoBitrate": 150, "Fps": 10, "Gop": 20, "Height": 48, "Width": 192},
        {"Name": "ld", "VideoCodec": "h264", "VideoBitrate": 60, "Fps": 5, "Gop": 5, "Height": 32, "Width": 128},
    ]
    with Desk(context) as desk:
        desk.template(Type="transcode", TransConfigsJSON=json.dumps(rules))
        with sending(desk.push, sound=("-c:a", "aac", "-ar", "44100")) as sender:
            desk.live(sender)
            players = [playing(desk, rule["Name"], 6) for rule in rules]
            for rule, player in zip(rules, players):
                check(rule, *player())
            name = f"{desk.stream}_sd.m3u8"
            status, _, body = desk.server.get(f"/cam/{name}", seconds=20)
            if status != 200 or b"#EXT-X-STREAM-INF" not in body:
                raise Failure(f"HLS of the rule answers {status}: {body[:300]!r}")
            if sender.process.poll() is not None or "panicked" in desk.server.log():
                raise Failure("the source did not go on")
        status = desk.server.status(f"/cam/{desk.stream}_none.flv")
        if status != 404:
            raise Failure(f"a rule that is not there answers {status}")


@case("hls.js changes between the sizes of an adaptive stream", weight=4, seconds=100)
def adaptive(context):
    rules = [
        {"Name": "sd", "VideoCodec": "h264", "VideoBitrate": 150, "Fps": 10, "Gop": 20, "Height": 48, "Width": 192},
        {"Name": "ld", "VideoCodec": "h264", "VideoBitrate": 60, "Fps": 5, "Gop": 10, "Height": 32, "Width": 128},
    ]
    with Desk(context, **{"playback.auth": "true"}) as desk:
        desk.template(Type="transcode", TransConfigsJSON=json.dumps(rules))
        with sending(desk.push, sound=("-c:a", "aac", "-ar", "44100"), seconds=90):
            url = eventually("the stream is live", lambda: abr_url(desk), 15)
            status, _, body = eventually("its playlist", lambda: found(url), 20)
            text = body.decode()
            attributes = re.findall(r"#EXT-X-STREAM-INF:(.*)\n(.*)", text)
            sizes = [re.search(r"RESOLUTION=(\d+x\d+)", line).group(1) for line, _ in attributes]
            if sizes != ["256x64", "192x48", "128x32"]:
                raise Failure(f"the variants are {sizes}: {text}")
            for line, _ in attributes:
                if not re.search(r'BANDWIDTH=\d+', line) or 'mp4a.40.2' not in line or "avc1." not in line or "FRAME-RATE=" not in line:
                    raise Failure(f"a variant does not say what it is: {line}")
            log = desk.server.log()
            if "transcoding begins" in log:
                raise Failure("a playlist alone starts encoders")
            wrong = url.rsplit("/", 1)[0] + "/" + attributes[1][1][:-1] + ("0" if attributes[1][1][-1] != "0" else "1")
            if refusal(wrong) != 403:
                raise Failure("a pass that was altered opens a variant")
            script = TOP / "tests" / "e2e" / "browser" / "play.mjs"
            out, err = run(["node", script, "hls-abr", url, "60"], 90, cwd=context.node)
            result = json.loads(out.decode().strip().splitlines()[-1])
            if not result.get("ok") or len(result["seen"]) != 3:
                raise Failure(json.dumps(result, indent=1) + err.decode()[-500:])
            return ", ".join(f"{level['width']}x{level['height']}" for level in result["seen"])


def abr_url(desk):
    return desk.call("DescribePlayUrls", Id=desk.stream)["Results"][0].get("AbrUrl") if desk.call("DescribeStream", Id=desk.stream)["Status"] == "on" else None


def found(url):
    try:
        return fetch(url)
    except urllib.error.HTTPError:
        return None


@case("H.265 plays as H.264 where a browser takes nothing else", weight=3, seconds=60)
def plain_h264(context):
    """Without any template: the output `_h264` of an open stream."""
    file = TOP / "fixtures" / "media" / "h265_aac_enhanced.flv"
    server, name = context.server, "plain-h265"
    with Background([context.weir, "push", file, server.rtmp(name)]):
        eventually("live", lambda: server.get(f"/live/{name}.jpg", seconds=15)[0] == 200, 20)
        command = ["ffprobe", "-loglevel", "error", "-read_intervals", "%+4", "-show_entries", "stream=codec_name,codec_type,width,height", "-of", "json"]
        streams = json.loads(run([*command, server.http(f"/live/{name}_h264.flv")], 30)[0])["streams"]
        shapes = {stream["codec_type"]: (stream["codec_name"], stream.get("width"), stream.get("height")) for stream in streams}
        if shapes.get("video") != ("h264", 320, 180) or shapes.get("audio", [""])[0] != "aac":
            raise Failure(f"it is {shapes}")
        status, _, body = server.get(f"/live/{name}.m3u8?abr=1", seconds=20)
        if status != 200 or body.count(b"#EXT-X-STREAM-INF") != 2 or b"avc1." not in body:
            raise Failure(f"the adaptive playlist of H.265 answers {status}: {body[:600]!r}")
    return str(shapes["video"])


def playing(desk, rule, seconds):
    """ffprobe reads the output of a rule for some seconds, beside others."""
    url = desk.server.http(f"/cam/{desk.stream}_{rule}.flv")
    command = ["ffprobe", "-loglevel", "error", "-read_intervals", f"%+{seconds}", "-show_entries",
               "stream=codec_name,codec_type,width,height:packet=codec_type,pts_time,dts_time,flags", "-of", "json", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def result():
        try:
            out, err = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failure(f"{rule}: ffprobe hangs") from None
        if process.returncode:
            raise Failure(f"{rule}: {err.decode()[-500:]}")
        found = json.loads(out)
        return found["streams"], found["packets"]

    return result


def check(rule, streams, packets):
    video = next(s for s in streams if s["codec_type"] == "video")
    shape = (video["codec_name"], video["width"], video["height"])
    if shape != ("h264", rule["Width"], rule["Height"]):
        raise Failure(f"{rule['Name']}: {shape}")
    if not any(s["codec_type"] == "audio" and s["codec_name"] == "aac" for s in streams):
        raise Failure(f"{rule['Name']}: no sound")
    pictures = [p for p in packets if p["codec_type"] == "video"]
    times = [float(p["pts_time"]) for p in pictures]
    rate = (len(times) - 1) / (times[-1] - times[0])
    if abs(rate - rule["Fps"]) > 0.6:
        raise Failure(f"{rule['Name']}: {rate:.2f} pictures a second")
    keys = [n for n, p in enumerate(pictures) if "K" in p["flags"]]
    # Another rule that comes in, or goes, changes nothing here.
    if len(keys) < 3 or any(later - earlier != rule["Gop"] for earlier, later in zip(keys, keys[1:])):
        raise Failure(f"{rule['Name']}: key frames at {keys}")
    decoded = [float(p["dts_time"]) for p in packets]
    if back := [(before, after) for before, after in zip(decoded, decoded[1:]) if after < before]:
        raise Failure(f"{rule['Name']}: time runs back: {back[:5]}")


@case("recordings play by their signed addresses, parts of them too, and expire", weight=2, seconds=60)
def served(context):
    with Desk(context, **{"playback.auth": "true", "playback.expire": "14s"}) as desk:
        desk.template(Type="record", Interval=3, FileFormat="mp4,hls")
        with sending(desk.push, seconds=9) as sender:
            sender.wait(30)
        kinds = {"mp4", "hls"}
        eventually("a recording of each kind", lambda: {r["FileFormat"] for r in desk.records("record")} == kinds, 20)
        first = {record["FileFormat"]: record for record in reversed(desk.records("record"))}
        for kind, record in first.items():
            out, _ = run(["ffprobe", "-loglevel", "error", "-show_entries", "format=duration:stream=codec_name", "-of", "json", record["Url"]], 20)
            found = json.loads(out)
            codecs = {stream["codec_name"] for stream in found["streams"]}
            if codecs != {"h264", "aac"} or abs(float(found["format"]["duration"]) - record["Duration"]) > 1.1:
                raise Failure(f"{kind}: {found} of {record}")
        url = first["mp4"]["Url"]
        whole = fetch(url)[2]
        status, headers, part = fetch(url, Range="bytes=100-199")
        if status != 206 or part != whole[100:200] or headers["Content-Range"] != f"bytes 100-199/{len(whole)}":
            raise Failure(f"a part answers {status} {headers['Content-Range']}")
        if headers["Access-Control-Allow-Origin"] != "*" or headers["Content-Type"] != "video/mp4":
            raise Failure(f"headers of a part: {headers}")
        if len(whole) != first["mp4"]["Size"]:
            raise Failure(f"{len(whole)} bytes, {first['mp4']['Size']} are listed")
        refused = [url.split("?")[0], url.replace("auth_key=", "auth_key=1"), url.replace(".mp4?", "x.mp4?")]
        for wrong in refused:
            if (code := refusal(wrong)) != 403:
                raise Failure(f"{wrong} answers {code}")
        eventually("the address has expired", lambda: refusal(url) == 403, 20)


def refusal(url):
    try:
        return fetch(url)[0]
    except urllib.error.HTTPError as refused:
        return refused.code


class Bucket:
    """An S3 server with a bucket."""

    def __init__(self, context):
        self.program = context.node.parent / "s3s" / "bin" / "s3s-fs"
        if not self.program.exists():
            raise Failure(f"{self.program} is not there: make e2e builds it")
        self.port, self.root = free_port(), context.folder / f"s3-{free_port()}"
        (self.root / "pictures").mkdir(parents=True)
        self.process = None

    def start(self):
        command = [self.program, "--host", "127.0.0.1", "--port", self.port, "--access-key", "s3key", "--secret-key", "s3secret", self.root]
        self.process = Background(command)

    def stop(self):
        self.process.__exit__()

    def objects(self):
        files = [path.relative_to(self.root / "pictures") for path in (self.root / "pictures").rglob("*.jpg")]
        return sorted(str(path) for path in files if not path.name.startswith("."))


@case("a bucket that is away for a while loses nothing", weight=2, seconds=80)
def bucket(context):
    s3 = Bucket(context)
    with Desk(context, **{"storage.first_wait": "200ms", "storage.longest_wait": "1s"}) as desk:
        s3.start()
        try:
            access = json.dumps({"AccessKeyId": "s3key", "AccessKeySecret": "s3secret"})
            made = desk.call("CreateTemplate", Name="t", Type="snapshot", Interval=1, JpgSequence="{StreamName}/{Sequence}", oNestBucket="pictures", oNestEndpoint=f"http://127.0.0.1:{s3.port}")["Id"]
            with sending(desk.push) as sender:
                desk.live(sender)
                desk.call("CreateStreamSnapshot", StreamId=desk.stream, AccessInfo=access)
                desk.call("BindTemplate", TemplateId=made, InstanceId=desk.stream, InstanceType="stream")
                eventually("two pictures in the bucket", lambda: len(s3.objects()) >= 2, 15)
                s3.stop()
                there = len(desk.records("snapshot"))
                time.sleep(6)
                waiting = metric(desk.server, "weir_storage_waiting_files")
                if waiting < 4:
                    raise Failure(f"{waiting} pictures wait while the bucket is away")
                # A restart in between loses nothing either.
                desk.server.kill()
                desk.server.start()
                s3.start()
                eventually("nothing waits any more", lambda: metric(desk.server, "weir_storage_waiting_files") == 0, 20)
            rows = [row for row in desk.records("snapshot") if row["oNestBucket"] == "pictures"]
            eventually("everything is in the bucket", lambda: sorted(row["oNestObject"] for row in rows) == s3.objects(), 5)
            if len(rows) < there + 3:
                raise Failure(f"only {len(rows)} pictures: {s3.objects()}")
            status, _, body = fetch(rows[-1]["Url"])
            file = desk.server.folder / "fetched.jpg"
            file.write_bytes(body)
            if status != 200 or number(file) % GOP:
                raise Failure(f"{rows[-1]['Url']} answers {status}")
            try:
                fetch(rows[-1]["Url"].split("?")[0])
                raise Failure("the bucket gives its objects to everybody")
            except urllib.error.HTTPError:
                pass
            return f"{len(rows)} pictures"
        finally:
            s3.stop()


def metric(server, name):
    text = server.get("/metrics")[2].decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))
