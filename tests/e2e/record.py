"""Recordings: every frame of the source once, in all formats, with true rows; and what is left when the server is killed."""

import json
import random
import time
import urllib.parse

import media
from frames import FOLDER
from harness import Background, Failure, Server, case, eventually, run

INTERVAL = 3


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

    def records(self):
        span = {"StartTime": "2000-01-01T00:00:00Z", "EndTime": "2100-01-01T00:00:00Z"}
        return self.api("DescribeRecords", Type="record", StreamId=self.stream["Id"], PageSize=100, **span)["Records"]

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
        # a file begins with a key frame: sound that stands before the very first one is not in it
        skip = next((n for n in range(4) if kind == "audio" and got[:20] == wanted[n : n + 20]), 0)
        wanted = wanted[skip:]
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


def all_formats(name, sound):
    def check(context):
        expected = media.source(FOLDER / f"{name}.flv")
        with Recorder(context) as recorder:
            recorder.prepare(FileFormat="mp4,flv,hls", Interval=INTERVAL)
            with recorder.push(FOLDER / f"{name}.flv", "--once") as sender:
                eventually("it is being recorded", lambda: [r for r in recorder.running() if r["Status"] == "recording"], 10)
                sender.expect_success(40)
            eventually("the recording ends with the stream", lambda: not recorder.running(), 15)
            recorder.spool_empties()
            records = recorder.records()
            formats = {form: [r for r in records if r["FileFormat"] == form] for form in ("mp4", "flv", "hls")}
            length = max(p.dts for p in expected) - min(p.dts for p in expected)
            told = []
            for form, rows in formats.items():
                # files end at key frames, which are up to ten seconds apart in these sources
                if len(rows) < max(2, length / 11):
                    raise Failure(f"{len(rows)} {form} files of {length:.0f} s with {INTERVAL} s each: {records}")
                files = [packets(recorder.file(row), form) for row in rows]
                kinds = ("video", "audio") if form in sound else ("video",)
                if form == "hls" and form not in sound:
                    # the stream with AAC begins when somebody asks for it
                    got, wanted = [p.hash for f in files for p in media.of(f, "video")], [p.hash for p in media.of(expected, "video")]
                    if got != wanted[-len(got) :] or len(got) < len(wanted) / 2 or not any(media.of(f, "audio") for f in files):
                        raise Failure(f"hls: {len(got)} pictures are not the last of {len(wanted)}, or there is no sound")
                    told.append(f"{len(rows)} hls")
                    continue
                every_frame_once(expected, files, form, kinds)
                if form == "mp4" and len(kinds) == 2:
                    same_offset(expected, files, form)
                ends = [(row["StartTime"], row["EndTime"]) for row in rows]
                if any(a[1] != b[0] for a, b in zip(ends, ends[1:])):
                    raise Failure(f"{form}: the files do not follow each other: {ends}")
                told.append(f"{len(rows)} {form}")
            for row in formats["mp4"]:
                file = recorder.file(row)
                found = json.loads(run(["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", file], 20)[0])
                picture = next(s for s in found["streams"] if s["codec_type"] == "video")
                said = (row["Size"], row["Width"], row["Height"])
                if said != (file.stat().st_size, picture["width"], picture["height"]):
                    raise Failure(f"the row says {said} of {file.name}: {file.stat().st_size} bytes, {picture['width']}x{picture['height']}")
                if abs(row["Duration"] - float(found["format"]["duration"])) > 0.51:
                    raise Failure(f"the row says {row['Duration']} s, ffprobe {found['format']['duration']} s")
                if file.read_bytes()[:64].find(b"moov") < 0:
                    raise Failure("an MP4 does not begin with its index")
                _, err = run(["ffmpeg", "-v", "error", "-i", file, "-f", "null", "-"], 30)
                said = [line for line in err.decode(errors="replace").splitlines() if line.strip() and "non monotonically" not in line]
                if said:
                    raise Failure(f"{file.name} does not decode: {said[:5]}")
            return ", ".join(told)

    return check


ALL = ("mp4", "flv", "hls")
for fixture, sound in [("h264_bframes_aac", ALL), ("h264_gop10_aac", ALL), ("h264_g711a", ("mp4", "flv"))]:
    case(f"record: {fixture} in all formats", weight=2, seconds=90)(all_formats(fixture, sound))


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


@case("record: killed at random moments, less than a fragment is lost", weight=2, seconds=100)
def killed(context):
    source = FOLDER / "h264_gop10_aac.flv"
    expected = media.source(source)
    lost = []
    with Recorder(context) as recorder:
        recorder.prepare(FileFormat="mp4,flv,hls", Interval=3600)
        seen = set()
        for _ in range(3):
            with recorder.push(source, "--once"):
                eventually("it is being recorded", lambda: [r for r in recorder.running() if r["Status"] == "recording"], 10)
                began = time.monotonic()
                time.sleep(random.uniform(2.5, 5.5))
                recorder.server.kill()
                ran = time.monotonic() - began
            recorder.server.start()
            rows = eventually(
                "the drafts are finished", lambda: [r for r in recorder.records() if r["Id"] not in seen] and
                (lambda new: new if len(new) == 3 else None)([r for r in recorder.records() if r["Id"] not in seen]), 20
            )
            seen |= {row["Id"] for row in rows}
            for row in rows:
                held = packets(recorder.file(row), row["FileFormat"])
                every_frame_once(expected, [held], row["FileFormat"], ("video",), exact=False)
                pictures = media.of(held, "video")
                length = max(p.dts for p in pictures) - min(p.dts for p in pictures)
                lost.append(ran - length)
                # two seconds are written at once; the rest is what it takes to notice that it is being recorded
                if ran - length > 2.5:
                    raise Failure(f"killed after {ran:.1f} s of recording, the {row['FileFormat']} has {length:.1f} s")
        recorder.spool_empties()
    return f"at most {max(lost):.1f} s lost"


@case("time shift: the past plays as HLS, at a distance, and as one MP4", weight=2, seconds=90)
def time_shift(context):
    source = FOLDER / "h264_bframes_aac.flv"
    expected = {p.hash for p in media.of(media.source(source), "video")}
    with Recorder(context, **{"timeshift.segment": "2s", "timeshift.chunk": "5s"}) as recorder:
        recorder.prepare()
        template = recorder.api("CreateTemplate", Name="past", Type="timeshift", Retention=1)["Id"]
        recorder.api("BindTemplate", TemplateId=template, InstanceId=recorder.stream["Id"], InstanceType="stream")
        signed = run([context.weir, "url", recorder.stream["Id"], "hls"], 10, env=recorder.environment)[0].decode().split()[-1]
        began = time.time()
        with recorder.push(source):
            eventually("its past is kept", lambda: "time shift: opened" in recorder.server.log(), 10)
            time.sleep(14)
            now = int(time.time())
            # running along, some seconds behind
            out, _ = run(["ffmpeg", "-v", "error", "-i", f"{signed}&delay=6", "-t", "3", "-map", "0:v", "-c", "copy", "-f", "framemd5", "-"], 25)
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
        length = max(p.dts for p in pictures) - min(p.dts for p in pictures)
        if not 5.5 <= length <= 10.5:
            raise Failure(f"six seconds of the past are {length:.1f} s")
        film = recorder.server.folder / "film.mp4"
        film.write_bytes(recorder.server.get(signed.split(str(recorder.server.http_port))[1].replace(".m3u8", ".mp4") + "&" + stretch)[2])
        streams, held = media.probe(film, 20)
        if [p.hash for p in media.of(held, "video")] != [p.hash for p in pictures]:
            raise Failure("the download has other pictures than the playlist")
        if film.read_bytes()[:64].find(b"moov") < 0:
            raise Failure("the download does not begin with its index")
        unsigned = signed.split("?")[0].split(str(recorder.server.http_port))[1]
        if recorder.server.get(f"{unsigned}?{stretch}")[0] != 403:
            raise Failure("the past plays without a signature")
        if recorder.server.get(signed.split(str(recorder.server.http_port))[1] + f"&start={int(began) - 900}&end={int(began) - 800}")[0] != 404:
            raise Failure("there is a past before the beginning")
        return f"{len(pictures)} pictures of {length:.1f} s"
