"""The web console in headless Chromium: an operator's first hour on an empty server, and every page as it looks.

Screenshots go to `.cache/console/`.
"""

import json
import pathlib
import shutil
import subprocess
import threading
import time

from cascade import LOCAL, caller
from harness import KEY_ID, KEY_SECRET, TOP, Background, Failure, Server, Skip, case, eventually, run

HERE = pathlib.Path(__file__).resolve().parent
WEB = TOP / "src/console/web"
SHOTS = TOP / ".cache/console"
CAMERA = "34020000001320000001"
PASSWORD = "secret12"


def picture(number, url):
    """A moving test picture, encoded small, sent to an address."""
    source = f"testsrc2=size=640x360:rate=25,hue=h={number * 70}"
    return Background(
        ["ffmpeg", "-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=frequency=440"]
        + ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0", "-g", "25", "-pix_fmt", "yuv420p"]
        + ["-b:v", "500k", "-c:a", "aac", "-f", "flv", url]
    )


class Clock:
    """A stream whose pictures show when they were made: the milliseconds of the clock as 32 black and white blocks, and below
    them the same inverted."""

    WIDTH, HEIGHT, BLOCK, RATE = 320, 180, 10, 25

    def __init__(self, url):
        size = f"{self.WIDTH}x{self.HEIGHT}"
        self.sender = subprocess.Popen(
            ["ffmpeg", "-hide_banner", "-loglevel", "error", "-probesize", "32", "-analyzeduration", "0", "-f", "rawvideo", "-pix_fmt", "gray"]
            + ["-s", size, "-r", str(self.RATE), "-i", "-", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]
            + ["-profile:v", "baseline", "-g", str(self.RATE), "-flush_packets", "1", "-f", "flv", url],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.tick, daemon=True)
        self.thread.start()

    def tick(self):
        due = time.monotonic()
        grey = bytes([96]) * self.WIDTH
        while not self.over.is_set():
            now = int(time.time() * 1000) & 0xFFFFFFFF
            bits = [(now >> (31 - n)) & 1 for n in range(32)]
            rows = [b"".join(bytes([235 if bit ^ turned else 16]) * self.BLOCK for bit in bits) for turned in (0, 1)]
            try:
                self.sender.stdin.write(rows[0] * 40 + rows[1] * 40 + grey * (self.HEIGHT - 80))
                self.sender.stdin.flush()
            except OSError:
                return
            due += 1 / self.RATE
            time.sleep(max(0, due - time.monotonic()))

    def __exit__(self, *_):
        self.over.set()
        self.sender.kill()
        self.thread.join(2)
        self.sender.wait(5)


class Desk:
    """A server of its own, and what was started for it."""

    def __init__(self, context):
        self.context = context
        self.server = Server(context.weir, **{"access.open": "", "stream.grace": "1s"})
        self.running = []

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.__exit__()
        self.server.remove()

    def api(self, action, **parameters):
        words = [f"{key}={value}" for key, value in parameters.items()]
        out, err = run([self.context.weir, "api", action, *words], 20, env=self.server.environment(), ok=False)
        answer = json.loads(out or b"{}")
        if "Code" in answer or not answer:
            raise Failure(f"{action}: {answer} {err[-300:]!r}")
        return answer

    def add(self, process):
        self.running.append(process)
        return process

    def camera(self, domain):
        command = [self.context.weir, "camera", "--server", self.server.keys["sip.udp_listen"], "--domain", domain, "--id", CAMERA]
        return self.add(Background([*command, "--password", PASSWORD], env=self.server.environment()))

    def group(self, app="push"):
        return self.api("CreateGroup", Name="Studio", App=app, InProtocol="rtmp", OutProtocol="rtmp,flv,hls")["Id"]

    def streams(self, group, names):
        """Streams that are sent, by name: id and sender."""
        made = {}
        for number, name in enumerate(names):
            row = self.api("CreateRtmpGroupStreamurl", Id=group, Name=name)
            made[name] = [row["StreamId"], self.add(picture(number, row["PushUrl"])), row["PushUrl"]]
        wanted = len(names)
        eventually("the streams are live", lambda: self.api("DescribeStreams", Status="on")["TotalCount"] >= wanted, 20)
        return made

    def site(self):
        """A group with a camera that is on; its group, device and stream."""
        group = self.api("CreateGroup", Name="Site North", App="live", InProtocol="gb28181", OutProtocol="rtmp,flv,hls")
        device = self.api("CreateDevice", GroupId=group["Id"], Name="Gate", Type="ipc", GbId=CAMERA, Username=CAMERA, Password=PASSWORD, AutoStart="true")
        self.camera(group["GbId"])
        on = lambda: [s for s in self.api("DescribeStreams", DeviceId=device["Id"])["Streams"] if s["Status"] == "on" and s["Name"] != CAMERA]
        return group["Id"], device["Id"], eventually("the camera's stream is on", on, 25)[0]["Id"]

    def browse(self, what, seconds, on_word=None, **more):
        """Runs the script; `on_word` is told what it asks for on its second output."""
        asked = {"what": what, "base": self.server.http("/"), "key": KEY_ID, "secret": KEY_SECRET, "shots": str(SHOTS), **more}
        command = ["node", str(HERE / "console.mjs"), json.dumps(asked)]
        process = subprocess.Popen(
            command, cwd=self.context.node, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        words, wrong = [], []

        def listen():
            for line in process.stderr:
                words.append(line.decode(errors="replace"))
                if on_word and line.startswith(b"{"):
                    try:
                        on_word(json.loads(line))
                    except Exception as failure:  # noqa: BLE001: told below
                        wrong.append(failure)

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"the browser hangs for {seconds} s: {''.join(words)[-800:]}") from None
        finally:
            if process.poll() is None:
                process.kill()
            out = process.stdout.read()
        listener.join(5)
        if wrong:
            raise Failure(f"{what}: {wrong[0]}")
        told = json.loads(out.decode().strip().splitlines()[-1]) if out.strip() else {"failed": "".join(words)[-1500:], "done": []}
        if told["failed"]:
            raise Failure(f"{what}, after {told['done']}: {told['failed']}")
        return told["done"]


@case("the console leads from an empty server to a camera and a pushed stream", weight=3, seconds=90)
def first_hour(context):
    with Desk(context) as desk:

        def on_word(word):
            if "camera" in word:
                desk.camera(word["camera"])
            if "push" in word:
                desk.add(picture(1, word["push"]))

        return f"{len(desk.browse('work', 85, on_word, camera={'id': CAMERA, 'password': PASSWORD}))} steps"


@case("the console's wall shows four streams and gets them back", weight=4, seconds=110)
def wall(context):
    with Desk(context) as desk:
        group = desk.group()
        made = desk.streams(group, ["one", "two", "three"])
        clock = desk.api("CreateRtmpGroupStreamurl", Id=group, Name="clock")
        desk.add(Clock(clock["PushUrl"]))
        eventually("four streams are live", lambda: desk.api("DescribeStreams", Status="on")["TotalCount"] >= 4, 20)

        def on_word(word):
            if word.get("restart"):
                made["two"][1].__exit__()
                threading.Timer(3, lambda: desk.add(picture(7, made["two"][2]))).start()

        return "; ".join(desk.browse("wall", 105, on_word, clock=clock["StreamId"]))


@case("the console moves a camera, binds a template, draws usage, opens a tenant", weight=3, seconds=90)
def manage(context):
    with Desk(context) as desk:
        group = desk.group()
        _, _, stream = desk.site()
        return f"{len(desk.browse('manage', 85, cameraStream=stream, group=group, tenants=True))} steps"


@case("the console registers at an upper platform and shows a group there", weight=4, seconds=110)
def uppers(context):
    above = Server(context.weir)
    try:
        above.start()
        upper = caller(context.weir, above)
        town = upper("CreateGroup", Name="town", App="town", InProtocol="gb28181", OutProtocol="flv")
        device = upper("CreateDevice", GroupId=town["Id"], Name="yard", Type="platform", GbId=LOCAL, Password=PASSWORD)["Id"]
        with Desk(context) as desk:
            group = desk.group()
            made = desk.streams(group, ["Lobby"])
            _, camera, _ = desk.site()

            def on_word(word):
                if word.get("shown"):
                    channels = lambda: [row["Name"] for row in upper("DescribeDeviceChannels", Id=device)["Channels"]]
                    eventually("the stream is a channel above", lambda: "Lobby" in channels(), 15)

            host, port = above.keys["sip.udp_listen"].rsplit(":", 1)
            upper_at = {"host": host, "port": int(port), "server": town["GbId"], "local": LOCAL, "password": PASSWORD}
            more = {"upper": upper_at, "group": group, "device": camera, "stream": made["Lobby"][0]}
            return "; ".join(desk.browse("uppers", 90, on_word, **more))
    finally:
        above.remove()


@case("the console plays what a device recorded", weight=3, seconds=90)
def playback(context):
    with Desk(context) as desk:
        _, _, stream = desk.site()
        return "; ".join(desk.browse("playback", 85, cameraStream=stream))


@case("the console records a stream, plays and downloads what was recorded", weight=3, seconds=90)
def records(context):
    with Desk(context) as desk:
        if b'"StartRecordStream"' not in desk.server.get("/openapi.json")[2]:
            raise Skip("this server does not record on demand")
        if b"nothing at this address" in desk.server.get("/records/none.mp4")[2]:
            raise Skip("this server does not serve recordings")
        made = desk.streams(desk.group(), ["one"])
        return "; ".join(desk.browse("records", 85, recorded=made["one"][0]))


@case("every page of the console looks right in both languages", weight=4, seconds=170)
def look(context):
    with Desk(context) as desk:
        group = desk.group()
        made = desk.streams(group, ["Lobby", "Parking deck", "Loading bay", "Roof"])
        site, device, stream = desk.site()
        template = desk.api("CreateTemplate", Name="Week", Type="record", FileFormat="mp4", Interval=600, Expired=7)["Id"]
        desk.api("BindTemplate", TemplateId=template, InstanceId=group, InstanceType="group")
        pages = {
            "overview": "overview", "wall": "wall", "alarms": "alarms", "groups": "groups", "group-rtmp": f"groups/{group}", "group-gb28181": f"groups/{site}",
            "devices": f"devices?group={site}", "device": f"devices/{device}", "streams": "streams", "stream": f"streams/{stream}", "records": "records",
            "records-of": f"records/{made['Lobby'][0]}", "playback": f"playback?group={site}", "playback-of": f"playback/{stream}", "templates": "templates",
            "template": f"templates/{template}", "usage": f"usage?group={group}", "doctor": f"doctor?group={site}", "doctor-of": f"doctor/{device}",
            "callbacks": "callbacks", "tenants": "tenants", "licenses": "licenses", "uppers": "uppers", "explorer": "explorer/DescribeStreams", "add": "add?what=camera", "add-push": "add?what=push",
        }
        return "; ".join(desk.browse("look", 165, pages=pages))


@case("the console that is committed is what its sources make", weight=2, seconds=90)
def built(context):
    folder = context.server.folder / "console-web"
    # Beside the sources nothing is installed: a copy is built, and compared with what is committed.
    shutil.copytree(WEB, folder / "web", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(WEB.parent / "dist", folder / "dist")
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], 60, cwd=folder / "web")
    run(["node_modules/.bin/tsc", "--noEmit"], 60, cwd=folder / "web")
    run(["node", "--test", *sorted(str(path) for path in (folder / "web/test").glob("*.test.mjs"))], 60, cwd=folder / "web")
    out, _ = run(["node", "build.mjs", "--check"], 60, cwd=folder / "web")
    return out.decode().strip().splitlines()[-1]
