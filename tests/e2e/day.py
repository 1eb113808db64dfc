"""A day in the life of a surveillance server, in about a minute: 50 simulated cameras, their pictures, recordings, alarms and
restarts, and a server that is killed and comes back."""

import hashlib
import hmac
import http.server
import json
import threading
import time

import media
from harness import KEY_ID, KEY_SECRET, TOP, Background, Failure, Server, case, eventually, run
from plain import Client

# What simulated cameras send when they are given no file.
PATTERN = TOP / "fixtures" / "media" / "h264_g711a.flv"
PASSWORD = "day-secret-1"
# The fleets: first id, cameras, channels of each.
FLEETS = {"udp": ("34020000001320000001", 25, 1), "tcp": ("34020000001320000101", 24, 1), "nvr": ("34020000001180000001", 1, 4)}
DEVICES = sum(count for _, count, _ in FLEETS.values())
CHANNELS = sum(count * channels for _, count, channels in FLEETS.values())
AUTO = 8


class Callbacks:
    """Receives what the server posts, and checks its signature."""

    def __init__(self):
        self.events, self.wrong = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                parts = [self.headers["X-Weir-Timestamp"], self.headers["X-Weir-Delivery"], body]
                made = hmac.new(KEY_SECRET.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()
                if self.headers["X-Weir-AccessKeyId"] != KEY_ID or self.headers["X-Weir-Signature"] != f"v1={made}":
                    outer.wrong.append(dict(self.headers))
                outer.events.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, event):
        return [told for told in self.events if told["Event"] == event]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Day:
    def __init__(self, context, server, callbacks):
        self.context, self.server, self.callbacks = context, server, callbacks
        self.api = Client(server.http("/"), KEY_ID, KEY_SECRET).call
        self.expected = media.of(media.source(PATTERN), "video")
        self.rounds = [packet.hash for packet in self.expected]
        self.devices = {}

    def make(self):
        """A group that follows demand, a device for each camera; a few start by themselves, one tells where it is."""
        group = self.api(
            "CreateGroup", Name="day", App="day", InProtocol="gb28181", OutProtocol="rtmp,flv,hls", LazyPull="true", Callback=self.callbacks.url
        )
        self.group, self.platform = group["Id"], group["GbId"]
        for fleet, (first, count, _) in FLEETS.items():
            self.devices[fleet] = []
            for n in range(count):
                more = {"AutoStart": "true"} if n < AUTO // 2 and fleet != "nvr" else {}
                if fleet == "udp" and n == 0:
                    more |= {"AutoPos": "true", "PosInterval": 1}
                gb_id = f"{int(first) + n:020}"
                made = self.api("CreateDevice", GroupId=self.group, Name=f"{fleet} {n}", Type="ipc", GbId=gb_id, Password=PASSWORD, **more)
                self.devices[fleet].append(made["Id"])

    def camera(self, fleet, transport, *more):
        first, count, channels = FLEETS[fleet]
        command = [self.context.weir, "camera", "--server", self.server.keys[f"sip.{transport}_listen"], "--domain", self.platform]
        command += ["--id", first, "--count", count, "--channels", channels, "--transport", transport, "--keepalive", 4, *more]
        return Background(command, env={**self.server.environment(), "WEIR_CAMERA_PASSWORD": PASSWORD})

    def count(self, action, **parameters):
        return self.api(action, GroupId=self.group, PageSize=1, **parameters)["TotalCount"]

    def all_there(self, seconds):
        eventually(f"{DEVICES} devices are on", lambda: self.count("DescribeDevices", Status="on") == DEVICES, seconds)
        eventually(f"{CHANNELS} streams are known", lambda: self.count("DescribeStreams") == CHANNELS, seconds)
        eventually(f"{AUTO} streams start by themselves", lambda: self.count("DescribeStreams", Status="on") >= AUTO, seconds)

    def stream(self, fleet, n, channel=0):
        found = self.api("DescribeStreams", DeviceId=self.devices[fleet][n])["Streams"]
        return sorted(found, key=lambda stream: stream["Name"])[channel]["Id"]

    def url(self, stream, form):
        out, _ = run([self.context.weir, "url", stream, form], 10, env=self.server.environment())
        return out.decode().split()[-1]

    def plays(self, what, url, seconds=3):
        """Its pictures are the clip's, one after the other, over and over."""
        got = media.of(media.probe(url, 30, "-read_intervals", f"%+{seconds}")[1], "video")
        self.in_rounds(what, got)
        if len(got) < 25:
            raise Failure(f"{what}: only {len(got)} pictures")

    def in_rounds(self, what, got):
        """Gives where in the clip the pictures begin."""
        hashes = [packet.hash for packet in got]
        if not hashes:
            raise Failure(f"{what}: no pictures")
        starts = [n for n, known in enumerate(self.rounds) if known == hashes[0]]
        for start in starts:
            if hashes == [self.rounds[(start + n) % len(self.rounds)] for n in range(len(hashes))]:
                return start
        raise Failure(f"{what}: {len(hashes)} pictures that are not the clip's in their order")

    def pictures(self):
        self.plays("RTMP of a camera over UDP", self.url(self.stream("udp", 0), "rtmp"))
        self.plays("FLV of a camera over TCP", self.url(self.stream("tcp", 0), "flv"))
        self.plays("HLS of a camera over UDP", self.url(self.stream("udp", 1), "hls"))
        self.plays("FLV that nobody started", self.url(self.stream("tcp", 20), "flv"))
        self.plays("RTMP of an NVR's third channel that nobody started", self.url(self.stream("nvr", 0, 2), "rtmp"))

    def playback(self):
        """A minute of an NVR's recording; after some seconds its last five, then it ends by itself."""
        stream, until = self.stream("nvr", 0, 1), int(time.time()) - 600
        stretch = {"StartTime": until - 60, "EndTime": until}
        found = self.api("DescribeDeviceRecords", Id=stream, StartTime=at(until - 7200), EndTime=at(until))
        if not 2 <= found["TotalCount"] <= 4:
            raise Failure(f"two hours of recordings are {found}")
        key, _ = run([self.context.weir, "url", stream, "flv", "--auth-key"], 10, env=self.server.environment())
        url = self.api("DescribeStreamURL", Id=stream, OutProtocol="flv", AuthKey=key.decode().strip(), Type="vod", **stretch)["Url"]
        if f"/{stream}_{until - 60}_{until}.flv?" not in url:
            raise Failure(f"the playback is not named after its stream: {url}")
        result = []
        reader = threading.Thread(target=lambda: result.append(outcome(lambda: media.probe(url, 40))), daemon=True)
        reader.start()
        time.sleep(4)
        self.api("ControlPlayback", Id=stream, Command="seek", Position=56, **stretch)
        reader.join(45)
        if not result or isinstance(result[0], Failure):
            raise Failure(f"the playback: {result}")
        got = media.of(result[0][1], "video")
        # 56 s are seven rounds of the clip: the recording goes on with the clip's first picture, and has 4 s more, all of them.
        hashes = [packet.hash for packet in got]
        if hashes[-100:] != self.rounds[:100] or not 25 <= len(got) - 100 <= 250:
            known = next((n for n in range(100, 0, -1) if hashes[-n:] == self.rounds[:n]), 0)
            raise Failure(f"{len(got)} pictures, of which the last {known} are those after the seek, not 100")
        self.in_rounds("playback before the seek", got[:-100])

    def alarms(self):
        eventually("alarms are called back", lambda: len(self.callbacks.of("device_alarm")) >= 5, 20)
        for told in self.callbacks.of("device_alarm"):
            if (told["Alarm"], told["SubAlarm"], told["GroupId"]) != ("5", 2, self.group):
                raise Failure(f"not the alarm that was sent: {told}")
        on = {told["DeviceId"] for told in self.callbacks.of("device_status") if told["DeviceStatus"] == "on"}
        if len(on) != DEVICES:
            raise Failure(f"{len(on)} devices were called back as on")
        if self.callbacks.wrong:
            raise Failure(f"signatures are wrong: {self.callbacks.wrong[:2]}")

        def here():
            device = self.api("DescribeDevice", Id=self.devices["udp"][0])
            return abs(float(device["Longitude"] or 0) - 118.376) < 0.011 and abs(float(device["Latitude"] or 0) - 31.334) < 0.011

        eventually("a position is stored", here, 10)

    def published(self, stream):
        """How often the server was sent a stream."""
        return sum('role="publish"' in line and ": opened " in line and f"/{stream}" in line for line in self.server.log().splitlines())

    def reboots(self, camera):
        before = self.published(self.stream("udp", 0))
        for fleet in ("udp", "tcp"):
            self.api("RebootDevice", Id=self.devices[fleet][0])
        eventually("cameras restart", lambda: camera["udp"].output().count("camera restarts camera=") == 1, 10)
        stream = self.stream("udp", 0)
        eventually("they are back", lambda: camera["udp"].output().count("camera registered") == FLEETS["udp"][1] + 1, 15)
        eventually("their streams too", lambda: self.count("DescribeStreams", Status="on") >= AUTO, 20)
        # Its row says "on" throughout: who came in the gap would see a picture from before it, the gap, and then the rest.
        eventually("it is called for again", lambda: self.published(stream) == before + 1, 20)
        self.plays("a camera after its restart", self.url(stream, "flv"), 2)


def at(unix):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix))


def outcome(work):
    try:
        return work()
    except Failure as failure:
        return failure


@case("a day in the life: 50 cameras, recordings, alarms, restarts, a killed server", weight=6, seconds=150)
def day(context):
    callbacks = Callbacks()
    server = Server(context.weir, **{"notify.allow": "127.0.0.1", "gb28181.media": "tcp"})
    steps, began = [], time.monotonic()

    def step(name):
        steps.append(f"{name} {time.monotonic() - began:.0f} s")

    try:
        server.start()
        life = Day(context, server, callbacks)
        life.make()
        with life.camera("udp", "udp", "--alarm-every", 20) as udp, life.camera("tcp", "tcp") as tcp, life.camera("nvr", "tcp", "--type", "nvr"):
            life.all_there(40)
            step("there")
            life.pictures()
            step("pictures")
            life.playback()
            step("playback")
            life.alarms()
            life.reboots({"udp": udp, "tcp": tcp})
            step("restarts")
            server.kill()
            time.sleep(2)
            server.start()
            life.all_there(40)
            step("back")
            life.plays("FLV after the server was killed", life.url(life.stream("tcp", 0), "flv"))
            life.plays("lazy FLV after the server was killed", life.url(life.stream("udp", 20), "flv"))
            if "panicked" in server.log():
                raise Failure(f"the server panicked:\n{server.log()[-3000:]}")
        eventually("all devices are off", lambda: life.count("DescribeDevices", Status="on") == 0, 15)
        return ", ".join(steps)
    finally:
        server.remove()
        callbacks.close()
