"""Recordings: every frame of the source once, in all formats, with true rows; and what is left when the server is killed."""

import json
import os
import pathlib
import random
import re
import shutil
import tempfile
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import media
from callbacks import Receiver, verify
from frames import FOLDER
from harness import Background, Failure, Server, case, eventually, run, tail


class Recorder:
    """A server with a group, a stream and a record template."""

    def __init__(self, context, **keys):
        self.weir = context.weir
        self.server = Server(context.weir, **{"playback.auth_key": "e2ePlaybackKey", "stream.grace": "1s", **keys})

    def __enter__(self):
        self.server.start()
        self.environment = self.server.environment()
        return self

    def __exit__(self, *_):
        self.server.remove()

    def api(self, action, **parameters):
        words = [f"{key}={value}" for key, value in parameters.items()]
        out, err = run([self.weir, "api", action, *words], 20, env=self.environment)
        answer = json.loads(out)
        if "Code" in answer:
            raise Failure(f"{action}: {answer['Code']}: {answer['Message']} {err[-300:]!r}")
        return answer

    def prepare(self, **template):
        self.group = self.api("CreateGroup", Name="rec", App="rec", InProtocol="rtmp", OutProtocol="rtmp,flv,hls", Region="r")["Id"]
        made = self.api("CreateRtmpGroupStreamurl", Id=self.group, Name="cam")
        self.stream = self.api("DescribeStreams", GroupId=self.group)["Streams"][0]
        self.push_url = made["PushUrl"]
        if template:
            self.template = self.api("CreateTemplate", Name="t", Type="record", **template)["Id"]
            self.api("BindTemplate", TemplateId=self.template, InstanceId=self.group, InstanceType="group")

    def records(self, stream=None):
        span = {"StartTime": "2000-01-01T00:00:00Z", "EndTime": "2100-01-01T00:00:00Z"}
        return self.api("DescribeRecords", Type="record", StreamId=stream or self.stream["Id"], PageSize=100, **span)["Records"]

    def running(self):
        return self.api("DescribeRecordStreams", StreamId=self.stream["Id"])["Recordings"]

    def file(self, record):
        return self.server.folder / "data" / "records" / record["oNestObject"]

    def spool_empties(self):
        spool = self.server.folder / "data" / "records" / ".spool"
        eventually("all drafts are finished", lambda: not list(spool.iterdir()), 15)

    def push(self, file, *more):
        return Background([self.weir, "push", *more, file, self.push_url])


def segments(playlist):
    """The files that a playlist names, each of which must be there."""
    lines = [line for line in playlist.read_text().splitlines() if line and not line.startswith("#")]
    if not playlist.read_text().rstrip().endswith("#EXT-X-ENDLIST"):
        raise Failure("the playlist of a recording does not end")
    return [(playlist.parent / urllib.parse.unquote(line)).resolve() for line in lines]


def packets(file, kind):
    """What a file holds: packets, and what ffprobe says of it (our FLV of H.265 is not known to this ffprobe)."""
    if kind == "flv":
        return media.from_flv(file.read_bytes())
    if kind == "hls":
        out = []
        for segment in segments(file):
            out += media.probe(segment, 20)[1]
        return out
    return media.probe(file, 20)[1]


def every_frame_once(expected, files, what, kinds=("video", "audio"), exact=True):
    """Over consecutive files each frame of the source comes once, from the first on, in order."""
    for kind in kinds:
        wanted = [p.hash for p in media.of(expected, kind)]
        got = [p.hash for file in files for p in media.of(file, kind)]
        if got != wanted[: len(got)] or (exact and len(got) != len(wanted)):
            raise Failure(f"{what}: {len(got)} {kind} frames, the source has {len(wanted)}; "
                          + media.first_difference(media.of(expected, kind), [p for f in files for p in media.of(f, kind)], 0))


def same_offset(expected, files, what, most=0.03):
    """In each file sound and pictures stand to each other as in the source."""
    known = {(packet.kind, packet.hash): packet.pts for packet in expected}
    seen = [(packet.kind, packet.hash) for packet in expected]
    # a tone in G.711 repeats its packets: those tell nothing
    known = {name: pts for name, pts in known.items() if seen.count(name) == 1}
    for n, file in enumerate(files):
        moved = {}
        for kind in ("video", "audio"):
            # the first frames of sound of an FLV stand at its beginning; the median does not see them
            shifts = sorted(p.pts - known[(kind, p.hash)] for p in media.of(file, kind) if (kind, p.hash) in known)
            if shifts:
                moved[kind] = shifts[len(shifts) // 2]
        if len(moved) == 2 and abs(moved["video"] - moved["audio"]) > most:
            raise Failure(f"{what}: in file {n} sound is {moved['audio'] - moved['video']:.3f} s off the picture")


def shape(records):
    """The rows of each format, the oldest first."""
    rows = sorted(records, key=lambda row: row["StartTime"])
    return {form: [row for row in rows if row["FileFormat"] == form] for form in ("mp4", "flv", "hls")}


def true_row(recorder, row):
    """What a row says of an MP4 is what another program reads in it."""
    file = recorder.file(row)
    found = json.loads(run(["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", file], 20)[0])
    picture = next(s for s in found["streams"] if s["codec_type"] == "video")
    said = (row["Size"], row["Width"], row["Height"])
    if said != (file.stat().st_size, picture["width"], picture["height"]):
        raise Failure(f"the row says {said} of {file.name}: {file.stat().st_size} bytes, {picture['width']}x{picture['height']}")
    # the row has whole seconds
    if abs(row["Duration"] - float(found["format"]["duration"])) > 0.51:
        raise Failure(f"the row says {row['Duration']} s, ffprobe {found['format']['duration']} s")
    if file.read_bytes()[:64].find(b"moov") < 0:
        raise Failure("an MP4 does not begin with its index")
    _, err = run(["ffmpeg", "-v", "error", "-i", file, "-f", "null", "-"], 30)
    said = [line for line in err.decode(errors="replace").splitlines() if line.strip() and "non monotonically" not in line]
    if said:
        raise Failure(f"{file.name} does not decode: {said[:5]}")


def all_formats(name, interval, sound):
    def check(context):
        expected = media.source(FOLDER / f"{name}.flv")
        with Recorder(context) as recorder:
            recorder.prepare(FileFormat="mp4,flv,hls", Interval=interval)
            with recorder.push(FOLDER / f"{name}.flv", "--once") as sender:
                eventually("it is being recorded", lambda: [r for r in recorder.running() if r["Status"] == "recording"], 10)
                sender.expect_success(40)
            eventually("the recording ends with the stream", lambda: not recorder.running(), 15)
            recorder.spool_empties()
            formats = shape(recorder.records())
            keys = [p.dts for p in media.of(expected, "video") if p.key]
            gop = max(b - a for a, b in zip(keys, keys[1:]))
            length = max(p.dts for p in expected) - min(p.dts for p in expected)
            told = []
            for form, rows in formats.items():
                # a file ends at the key frame that is nearest to its interval
                if len(rows) < max(2, int(length / (max(interval, gop) + gop / 2))):
                    raise Failure(f"{len(rows)} {form} files of {length:.0f} s with {interval} s each: {rows}")
                files = [packets(recorder.file(row), form) for row in rows]
                kinds = ("video", "audio") if form in sound else ("video",)
                every_frame_once(expected, files, form, kinds)
                if form in sound:
                    same_offset(expected, files, form)
                elif not all(media.of(file, "audio") for file in files):
                    # G.711 cannot be carried there and is AAC instead: other frames
                    raise Failure(f"{form}: a file has no sound")
                ends = [(row["StartTime"], row["EndTime"]) for row in rows]
                if any(a[1] != b[0] for a, b in zip(ends, ends[1:])):
                    raise Failure(f"{form}: the files do not follow each other: {ends}")
                told.append(f"{len(rows)} {form}")
            for row in formats["mp4"]:
                true_row(recorder, row)
            return ", ".join(told)

    return check


ALL, KEPT = ("mp4", "flv", "hls"), ("mp4", "flv")
SOURCES = [
    ("h264_bframes_aac", 3, ALL), ("h264_gop10_aac", 3, ALL), ("h264_g711a", 2, KEPT),
    ("h265_bframes_aac_enhanced", 4, ALL), ("h265_g711a_enhanced", 3, KEPT),
]
for fixture, interval, sound in SOURCES:
    case(f"record: {fixture} in all formats", weight=2, seconds=90)(all_formats(fixture, interval, sound))


def cyclic(source, files, kind, what):
    """Over consecutive files the frames of a source that is sent over and over, each once, in order."""
    cycle, got = [p.hash for p in media.of(source, kind)], [p.hash for file in files for p in media.of(file, kind)]
    if len(got) < 50:
        raise Failure(f"{what}: only {len(got)} {kind} frames")
    # what stands before the first picture of the file is not sent by a camera
    for lead in range(3):
        turn = cycle[lead:]
        for start in (n for n, one in enumerate(turn) if one == got[0]):
            if all(one == turn[(start + n) % len(turn)] for n, one in enumerate(got)):
                return len(got)
    raise Failure(f"{what}: {len(got)} {kind} frames are not the source's, one after the other")


CAMERAS = [("34020000001320000001", "h264_aac", ALL), ("34020000001320000002", "h265_g711a_enhanced", KEPT)]


@case("record: cameras in all formats", weight=3, seconds=90)
def cameras(context):
    with Recorder(context, **{"gb28181.media": "tcp"}) as recorder:
        api = recorder.api
        group = api("CreateGroup", Name="gb", App="gb", InProtocol="gb28181", OutProtocol="rtmp,flv,hls", Region="r")
        template = api("CreateTemplate", Name="t", Type="record", FileFormat="mp4,flv,hls", Interval=3)["Id"]
        api("BindTemplate", TemplateId=template, InstanceId=group["Id"], InstanceType="group")
        senders, streams = [], {}
        try:
            for code, name, _ in CAMERAS:
                device = api("CreateDevice", GroupId=group["Id"], Name=name, Type="ipc", GbId=code, Username=code, Password="secret12", AutoStart="true")
                command = [context.weir, "camera", "--server", recorder.server.keys["sip.udp_listen"], "--domain", group["GbId"], "--id", code]
                senders.append(Background([*command, "--password", "secret12", "--file", FOLDER / f"{name}.flv"], env=recorder.environment))
                streams[code] = device["Id"]

            def recording(code):
                # until its catalog is there, a camera has one channel, itself
                named = {s["Id"] for s in api("DescribeStreams", DeviceId=streams[code])["Streams"] if s["Name"] != code}
                running = api("DescribeRecordStreams", GroupId=group["Id"], PageSize=100)["Recordings"]
                return next((r["StreamId"] for r in running if r["StreamId"] in named and r["Status"] == "recording"), None)

            ids = {code: eventually(f"{name} is recorded", lambda: recording(code), 25) for code, name, _ in CAMERAS}
            time.sleep(9)
        finally:
            for sender in senders:
                sender.__exit__()
        eventually("the recordings end with the streams", lambda: not api("DescribeRecordStreams", GroupId=group["Id"])["Recordings"], 25)
        recorder.spool_empties()
        told = []
        for code, name, sound in CAMERAS:
            source = media.source(FOLDER / f"{name}.flv")
            for form, rows in shape(recorder.records(ids[code])).items():
                if len(rows) < 2:
                    raise Failure(f"{name}: {len(rows)} {form} files")
                files = [packets(recorder.file(row), form) for row in rows]
                count = cyclic(source, files, "video", f"{name} {form}")
                if form in sound:
                    cyclic(source, files, "audio", f"{name} {form}")
                elif not any(media.of(file, "audio") for file in files):
                    raise Failure(f"{name} {form}: there is no sound")
                told.append(f"{count} pictures in {len(rows)} {form}")
            for row in shape(recorder.records(ids[code]))["mp4"]:
                true_row(recorder, row)
        return ", ".join(told)


def chromium(context, kind, url):
    script = pathlib.Path(__file__).parent / "browser" / "play.mjs"
    out, err = run(["node", script.resolve(), kind, url, "30"], 60, cwd=context.node)
    try:
        result = json.loads(out.decode().strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise Failure(f"no result: {out[-500:]!r} {err[-1000:]!r}") from None
    if not result.get("ok"):
        raise Failure(f"{kind} {url}: {json.dumps(result, indent=1)}")
    return result["frames"]


def vlc(url, least, sound):
    """VLC reads a file to its end: what it decodes is encoded anew, small, so that it can be counted."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-e2e-vlc-"))
    try:
        folder.chmod(0o777)
        program = ["vlc-wrapper"] if os.geteuid() == 0 else ["cvlc"]
        chain = f"#transcode{{vcodec=mp2v,vb=500,width=160,acodec=mpga,ab=64}}:std{{access=file,mux=ts,dst={folder}/out.ts}}"
        command = [*program, "-I", "dummy", "--no-one-instance", f"--sout={chain}", "--run-time=12", url, "vlc://quit"]
        environment = {**os.environ, "SUDO_UID": "65534", "SUDO_GID": "65534", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        _, err = run(command, 40, ok=False, env=environment)
        output = folder / "out.ts"
        found = media.probe(output, 20)[1] if output.exists() else []
        pictures, sounds = len(media.of(found, "video")), len(media.of(found, "audio"))
        if pictures < least or sound and not sounds:
            raise Failure(f"VLC shows {pictures} pictures and {sounds} sounds of {url}: {tail(err)}")
        return pictures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@case("record: files open in Chromium and VLC", weight=4, seconds=150)
def opened(context):
    with Recorder(context) as recorder:
        recorder.prepare(FileFormat="mp4,flv,hls", Interval=5)
        made = recorder.api("CreateRtmpGroupStreamurl", Id=recorder.group, Name="other")
        pushes = [(recorder.stream["Id"], "h264_bframes_aac", recorder.push_url), (made["StreamId"], "h265_bframes_aac_enhanced", made["PushUrl"])]
        senders = [Background([context.weir, "push", "--once", FOLDER / f"{name}.flv", url]) for _, name, url in pushes]
        for sender in senders:
            with sender:
                sender.expect_success(40)
        eventually("the recordings end with the streams", lambda: not recorder.api("DescribeRecordStreams")["Recordings"], 15)
        recorder.spool_empties()
        told = []
        for stream, name, _ in pushes:
            for form, rows in shape(recorder.records(stream)).items():
                row = max(rows, key=lambda row: row["Duration"])
                # browsers play H.265 by hardware alone, VLC does not know it in FLV
                if name.startswith("h264"):
                    told.append(f"{form}: {chromium(context, {'mp4': 'file', 'flv': 'mpegts-http', 'hls': 'hls'}[form], row['Url'])}")
                if name.startswith("h264") or form != "flv":
                    # 25 a second; the encoder drops some
                    told.append(f"{name[:4]} {form} in VLC: {vlc(row['Url'], row['Duration'] * 25 * 0.6, True)}")
        return ", ".join(told)


@case("record: on demand, from the key frame before", weight=2, seconds=60)
def on_demand(context):
    source = FOLDER / "h264_gop10_aac.flv"
    with Recorder(context) as recorder:
        recorder.prepare()
        began = time.monotonic()
        with recorder.push(source):
            eventually("it is on", lambda: recorder.api("DescribeStream", Id=recorder.stream["Id"])["Status"] == "on", 10)
            time.sleep(1)
            started = recorder.api("StartRecordStream", Id=recorder.stream["Id"], FileFormat="mp4")
            time.sleep(3)
            [running] = recorder.running()
            if running["Id"] != started["Id"] or running["Trigger"] != "ondemand" or running["Size"] == 0:
                raise Failure(f"what runs is {running}")
            recorder.api("StopRecordStream", Id=recorder.stream["Id"])
        [row] = eventually("the file", recorder.records, 10)
        took = time.monotonic() - began
        if not 2 <= row["Duration"] <= took:
            raise Failure(f"{row['Duration']} s were recorded in {took:.1f} s")
        if not packets(recorder.file(row), "mp4")[0].key:
            raise Failure("it does not begin with a key frame")
        return f"{row['Duration']} s"


def received(recorder):
    """Frames that the server has taken in of the stream."""
    text = recorder.server.get("/metrics")[2].decode()
    found = re.search(rf'^weir_stream_frames_total{{stream="rec/{recorder.stream["Id"]}"}} (\d+)', text, re.M)
    return int(found.group(1)) if found else 0


KILLS, LANES, FRAGMENT = 20, 4, 2.0


def kill_and_look(recorder, source, expected, wait, seen, forms):
    """Kills the server amid a stream; gives how much of what it had received is in no file after it was started again."""
    pictures = media.of(expected, "video")
    with recorder.push(source, "--once"):
        eventually("it is being recorded", lambda: [r for r in recorder.running() if r["Status"] == "recording"], 10)
        time.sleep(wait)
        count = received(recorder)
        recorder.server.kill()
    if not 0 < count <= len(expected):
        raise Failure(f"{count} frames were received of {len(expected)}")
    recorder.server.start()
    recorder.spool_empties()
    rows = [row for row in recorder.records() if row["Id"] not in seen]
    seen |= {row["Id"] for row in rows}
    worst = 0.0
    for form in forms:
        files = [packets(recorder.file(row), form) for row in shape(rows)[form]]
        every_frame_once(expected, files, form, ("video",), exact=False)
        held = sum(len(media.of(file, "video")) for file in files)
        # all that was received is there up to this moment
        until = pictures[held - 1].dts if held else pictures[0].dts
        lost = expected[count - 1].dts - until
        if lost >= FRAGMENT:
            raise Failure(f"killed {expected[count - 1].dts:.2f} s into the stream, the {form} files end at {until:.2f} s")
        worst = max(worst, lost)
    return worst


@case("record: killed at 20 random moments, less than a fragment is lost", weight=4, seconds=150)
def killed(context):
    source = FOLDER / "h264_bframes_aac.flv"
    expected = media.source(source)
    seed = int(os.environ.get("WEIR_SEED") or random.randrange(1 << 32))
    chance = random.Random(seed)
    # moments spread over the stream, a file or several into it
    plans = [[chance.uniform(0, 5.5) for _ in range(KILLS // LANES)] for _ in range(LANES)]

    def lane(waits):
        with Recorder(context, **{"http.metrics_streams": "true"}) as recorder:
            recorder.prepare(FileFormat="mp4,flv,hls", Interval=2)
            seen = set()
            # the segments of HLS are looked at once: it takes a probe for each of them
            forms = [ALL] + [KEPT] * (len(waits) - 1)
            return max(kill_and_look(recorder, source, expected, wait, seen, form) for wait, form in zip(waits, forms))

    try:
        with ThreadPoolExecutor(LANES) as pool:
            worst = max(pool.map(lane, plans))
    except Failure as failure:
        raise Failure(f"{failure} (WEIR_SEED={seed} does the same again)") from None
    return f"at most {worst:.2f} s lost, seed {seed}"


@case("record: what was ordered goes on after kill -9 until it is stopped", weight=2, seconds=60)
def ordered(context):
    source = FOLDER / "h264_bframes_aac.flv"
    with Recorder(context) as recorder:
        recorder.prepare()
        stream = recorder.stream["Id"]
        with recorder.push(source):
            started = recorder.api("StartRecordStream", Id=stream, FileFormat="mp4", Interval=60)["Id"]
            eventually("it is being recorded", lambda: recorder.running()[0]["Size"] > 0, 10)
            # what is written of a second is kept
            time.sleep(2.5)
            recorder.server.kill()
        recorder.server.start()
        [waiting] = recorder.running()
        if (waiting["Id"], waiting["Trigger"], waiting["Status"]) != (started, "ondemand", "waiting"):
            raise Failure(f"after the restart: {waiting}")
        [before] = eventually("the file of before", recorder.records, 15)
        with recorder.push(source):
            eventually("it goes on", lambda: recorder.running()[0]["Size"] > 0, 10)
            time.sleep(1.5)
            recorder.api("StopRecordStream", Id=stream)
        rows = eventually("both files", lambda: (lambda rows: rows if len(rows) == 2 else None)(recorder.records()), 10)
        if len({row["oNestObject"] for row in rows}) != 2 or before["Id"] not in {row["Id"] for row in rows}:
            raise Failure(f"the files: {rows}")
        for row in rows:
            true_row(recorder, row)
        recorder.server.kill()
        recorder.server.start()
        if recorder.running():
            raise Failure("what was stopped goes on after a restart")


@case("record: callbacks of files and of what happens", weight=2, seconds=60)
def callbacks(context):
    source = FOLDER / "h264_bframes_aac.flv"
    keys = {"notify.allow": "127.0.0.1/32", "notify.first_wait": "300ms"}
    with Receiver() as receiver, Recorder(context, **keys) as recorder:
        recorder.prepare(FileFormat="mp4", Interval=4, Callback=receiver.url)
        stream = recorder.stream["Id"]

        def events():
            return [post["json"]["event"] for post in receiver.all() if "event" in post["json"]]

        def files():
            return [post["json"] for post in receiver.all() if "uri" in post["json"]]

        for begin in ("record_started", "record_resumed"):
            with recorder.push(source, "--once") as sender:
                eventually(begin, lambda: events()[-1:] == [begin], 15)
                sender.expect_success(40)
            eventually("record_paused", lambda: events()[-1:] == ["record_paused"], 15)
        recorder.spool_empties()
        rows = {row["oNestObject"]: row for row in recorder.records()}
        eventually("a callback for each file", lambda: len(files()) >= len(rows), 15)
        for post in receiver.all():
            verify(post)
            if (post["json"]["app"], post["json"]["stream"], bool(post["json"]["domain"])) != ("rec", stream, True):
                raise Failure(f"of another stream: {post['json']}")
        if sorted(file["uri"] for file in files()) != sorted(rows):
            raise Failure(f"told: {files()}, stored: {rows}")
        for file in files():
            row = rows[file["uri"]]
            clock = lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
            said = (clock(file["start_time"]), clock(file["stop_time"]))
            if said != (row["StartTime"], row["EndTime"]) or abs(file["duration"] - row["Duration"]) > 1:
                raise Failure(f"told: {file}, stored: {row}")
        if events() != ["record_started", "record_paused", "record_resumed", "record_paused"]:
            raise Failure(f"the events: {events()}")
        # no room any more: that is told, and nothing is written
        recorder.server.stop()
        told = len(receiver.all())
        recorder.server.keys |= {"storage.when_full": "refuse", "storage.min_free": "900000GiB"}
        recorder.server.start()
        with recorder.push(source):
            eventually("record_error", lambda: "record_error" in [p["json"].get("event") for p in receiver.all()[told:]], 20)
            [failing] = recorder.running()
            if failing["Status"] != "failing" or "full" not in failing["Trouble"]:
                raise Failure(f"what runs is {failing}")
            metrics = recorder.server.get("/metrics")[2].decode()
            if "\nweir_recordings_refused_total 1\n" not in metrics or "\nweir_recordings_failing 1\n" not in metrics:
                raise Failure("the metrics do not tell")
        if len(recorder.records()) != len(rows) or "no file begins" not in recorder.server.log():
            raise Failure("something was recorded without room, or nothing was logged")
        return f"{len(rows)} files"


def time_shift(name, wait):
    def check(context):
        source = FOLDER / f"{name}.flv"
        expected = {p.hash for p in media.of(media.source(source), "video")}
        with Recorder(context, **{"timeshift.segment": "2s", "timeshift.chunk": "5s"}) as recorder:
            recorder.prepare()
            template = recorder.api("CreateTemplate", Name="past", Type="timeshift", Retention=1)["Id"]
            recorder.api("BindTemplate", TemplateId=template, InstanceId=recorder.stream["Id"], InstanceType="stream")
            signed = run([context.weir, "url", recorder.stream["Id"], "hls"], 10, env=recorder.environment)[0].decode().split()[-1]
            local = signed.split(str(recorder.server.http_port))[1]
            began = time.time()
            with recorder.push(source):
                eventually("its past is kept", lambda: "time shift: opened" in recorder.server.log(), 10)
                time.sleep(wait)
                now = int(time.time())
                # running along, some seconds behind
                out, _ = run(["ffmpeg", "-v", "error", "-i", f"{signed}&delay=7", "-t", "3", "-map", "0:v", "-c", "copy", "-f", "framemd5", "-"], 25)
                behind = [line for line in out.decode().splitlines() if line and not line.startswith("#")]
                if len(behind) < 40:
                    raise Failure(f"{len(behind)} pictures came with a delay")
            stretch = f"start={now - 9}&end={now - 3}"
            streams, found = media.probe(f"{signed}&{stretch}", 20)
            if set(streams) != {"video", "audio"}:
                raise Failure(f"the past has {set(streams)}")
            pictures = media.of(found, "video")
            if any(p.hash not in expected for p in pictures) or not pictures[0].key:
                raise Failure("the past has pictures that the source does not have, or begins without a key frame")
            # what a player shows of it: from where it is told to begin to the end
            master = recorder.server.get(f"{local}&{stretch}")[2].decode()
            inner = next(line for line in master.splitlines() if line and not line.startswith("#"))
            listed = recorder.server.get(urllib.parse.urljoin(local, inner))[2].decode()
            begin = float(re.search(r"#EXT-X-START:TIME-OFFSET=([0-9.]+),PRECISE=YES", listed).group(1))
            length = sum(map(float, re.findall(r"#EXTINF:([0-9.]+),", listed))) - begin
            if abs(length - 6) > 0.05:
                raise Failure(f"six seconds of the past are {length:.2f} s in the list:\n{listed}")
            film = recorder.server.folder / "film.mp4"
            film.write_bytes(recorder.server.get(local.replace(".m3u8", ".mp4") + "&" + stretch)[2])
            held = [p.hash for p in media.of(media.probe(film, 20)[1], "video")]
            # its decoding begins with the key frame, the list's with the segment
            if held != [p.hash for p in pictures][-len(held) :]:
                raise Failure("the download has other pictures than the playlist")
            if film.read_bytes()[:64].find(b"moov") < 0:
                raise Failure("the download does not begin with its index")
            shown = json.loads(run(["ffprobe", "-v", "error", "-show_format", "-of", "json", film], 20)[0])["format"]["duration"]
            out, _ = run(["ffmpeg", "-v", "error", "-i", film, "-map", "0:v", "-f", "framemd5", "-"], 30)
            count = sum(1 for line in out.decode().splitlines() if line and not line.startswith("#"))
            if abs(float(shown) - 6) > 0.1 or not 147 <= count <= 153:
                raise Failure(f"six seconds of the past are a film of {shown} s with {count} pictures")
            unsigned = local.split("?")[0]
            if recorder.server.get(f"{unsigned}?{stretch}")[0] != 403:
                raise Failure("the past plays without a signature")
            if recorder.server.get(local + f"&start={int(began) - 900}&end={int(began) - 800}")[0] != 404:
                raise Failure("there is a past before the beginning")
            return f"{count} pictures of {shown} s, {len(held)} decoded"

    return check


for fixture, wait in [("h264_bframes_aac", 13), ("h264_gop10_aac", 17)]:
    case(f"time shift: the past of {fixture} plays as HLS, at a distance, and as one MP4", weight=2, seconds=90)(time_shift(fixture, wait))
