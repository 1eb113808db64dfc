"""What is charged, against what clients received; recording usage by its public client, and licenses."""

import base64
import datetime
import json
import pathlib
import re
import sys
import threading
import time

import urllib.error
import urllib.parse
import urllib.request

from harness import KEY_ID, KEY_SECRET, Background, Failure, Server, case, eventually, publish, run

HERE = pathlib.Path(__file__).resolve().parent
# What HTTP adds to the bytes of an FLV: the headers of the answer and the frames of chunked coding, if any.
OVERHEAD = 2000


def api(server, action, *parameters):
    command = [server.weir, "api", "--url", server.http(""), "--key", KEY_ID, "--secret", KEY_SECRET, action, *parameters]
    out, _ = run(command, 30, cwd=server.folder)
    return json.loads(out)


def clip(folder, seconds=6):
    """A file of constant bit rate with sound."""
    file = folder / "constant.flv"
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-b:v", "400k", "-minrate", "400k", "-maxrate", "400k", "-bufsize", "200k"]
    run(["ffmpeg", "-hide_banner", "-loglevel", "error", *source, *video, "-c:a", "aac", "-b:a", "64k", "-t", str(seconds), "-y", file], 60)
    return file


def packets(file):
    """How many packets of each kind there are, and their bytes in all."""
    out, _ = run(["ffprobe", "-v", "error", "-show_entries", "packet=codec_type,size", "-of", "json", file], 30)
    found = json.loads(out)["packets"]
    count = lambda kind: sum(1 for packet in found if packet["codec_type"] == kind)  # noqa: E731
    return count("video"), count("audio"), sum(int(packet["size"]) for packet in found)


def stamp(shift):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=shift)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@case("what is charged is what was sent and received", weight=2, seconds=60)
def charged(context):
    server = Server(context.weir, **{"playback.auth": "false", "playback.push_auth": "false"})
    try:
        server.start()
        file = clip(server.folder)
        video, audio, size = packets(file)
        group = api(server, "CreateGroup", "Name=u", "InProtocol=rtmp", "OutProtocol=rtmp,flv,hls")["Id"]
        template = api(server, "CreateTemplate", "Name=r", "Type=record", "FileFormat=mp4,flv", "Interval=3")["Id"]
        api(server, "BindTemplate", f"TemplateId={template}", f"InstanceId={group}", "InstanceType=group")
        url = api(server, "CreateRtmpGroupStreamurl", f"Id={group}", "Name=s")
        stream = url["StreamId"]
        path = urllib.parse.urlsplit(url["PushUrl"]).path
        received = [0, 0]

        def watch(at):
            with urllib.request.urlopen(server.http(f"{path}.flv"), timeout=20) as answer:
                while part := answer.read1(65536):
                    received[at] += len(part)

        with publish(server.rtmp(stream, path.strip("/").split("/")[0]), file) as push:
            eventually("the stream is live", lambda: api(server, "DescribeStream", f"Id={stream}")["Status"] == "on", 10)
            players = [threading.Thread(target=watch, args=(at,)) for at in (0, 1)]
            for player in players:
                player.start()
            push.expect_success(30)
            for player in players:
                player.join(20)
        eventually("the recording is over", lambda: not api(server, "DescribeRecordStreams", f"StreamId={stream}")["Recordings"], 15)
        spool = server.folder / "data" / "records" / ".spool"
        eventually("all files are finished", lambda: not list(spool.iterdir()), 15)
        # The running minute is written when the server ends.
        if server.stop() != 0:
            raise Failure("the server did not end well")
        server.start()
        around = [f"StartTime={stamp(-600)}", f"EndTime={stamp(600)}"]
        total = lambda answer, outer, value: sum(row[value] for row in answer[outer]["DataModule"])  # noqa: E731
        out = total(api(server, "DescribeUsageStatTrafficData", f"GroupId={group}", *around), "TrafficDataPerInterval", "TrafficValue")
        into = total(api(server, "DescribeUsageStatReqTrafficData", f"GroupId={group}", *around), "ReqTrafficDataPerInterval", "ReqTrafficValue")
        if not sum(received) <= out <= sum(received) + 2 * OVERHEAD:
            raise Failure(f"players received {received}, {out} bytes are charged")
        # Parameter sets travel beside the frames in RTMP; ffmpeg may leave out its own remarks (SEI).
        if abs(into - size) > size // 100:
            raise Failure(f"{size} bytes of media were sent, {into} are charged")
        days = api(server, "DescribeUsageStatUpPeakPublishStreamData", f"GroupId={group}", *around)
        peaks = [row["PublishStreamNum"] for row in days["DescribeVsUpPeakPublishStreamDatas"]["DescribeVsUpPeakPublishStreamData"]]
        if max(peaks) != 1:
            raise Failure(f"one stream was published, the peaks are {peaks}")
        # Recorded seconds, against what ffprobe says of the files; the answer leaves out parts of a second, once a day and format.
        days = api(server, "DescribeUsageStatRecordData", f"GroupId={group}", *around)["RecordDataInfos"]["RecordDataInfo"]
        span = ["StartTime=2000-01-01T00:00:00Z", "EndTime=2100-01-01T00:00:00Z"]
        records = api(server, "DescribeRecords", "Type=record", f"StreamId={stream}", "PageSize=100", *span)["Records"]
        told = {}
        for form in ("mp4", "flv"):
            files = [server.folder / "data" / "records" / row["oNestObject"] for row in records if row["FileFormat"] == form]
            length = sum(float(run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", file], 15)[0]) for file in files)
            seconds = sum(day["Detail"][form.upper()] for day in days)
            told[form] = f"{seconds} s of {form} for {length:.2f} s in {len(files)} files"
            if len(files) < 2 or not length - len(days) - 0.1 * len(files) <= seconds <= length + 0.1 * len(files):
                raise Failure(f"{told[form]}: {days} {records}")
        if sum(day["Total"] for day in days) != sum(day["Detail"]["MP4"] + day["Detail"]["FLV"] for day in days):
            raise Failure(f"the total of the day is not that of its formats: {days}")
        most = api(server, "QueryChargingRecordMaxNum", *around)["Datas"]
        if [row["Usage"] for row in most if row["UserId"] == "operator"] != ["1"]:
            raise Failure(f"one stream was recorded, charging says {most}")
        charged = api(server, "QueryChargingTrafficTotalUsage", "Type=down", *around)["Datas"]
        if [row["Usage"] for row in charged if row["UserId"] == "operator"] != [str(out)]:
            raise Failure(f"charging says {charged}, statistics say {out}")
        rates = api(server, "DescribeUsageStatUpVideoAudioInfo", f"GroupId={group}", f"StreamId={stream}", *around)
        rates = [row for row in rates["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"] if float(row["VideoFrameRate"]) > 0]
        rate = max(float(row["VideoFrameRate"]) for row in rates)
        # ffmpeg sends its first half second at once; the stream is seen to be gone a second late at most.
        if not 25 * 0.75 <= rate <= 25 * 1.15:
            raise Failure(f"25 frames a second were sent, {rates} are told")
        return f"{video}+{audio} frames, {into} B in, {out} B out for {sum(received)} B received, {told['mp4']}, {told['flv']}"
    finally:
        server.remove()


@case("huaweicloudsdklive reads the recording usage", seconds=60)
def recording_usage(context):
    server = Server(context.weir)
    try:
        server.start()
        out, _ = run([sys.executable, HERE / "stats.py", server.http(""), KEY_ID, KEY_SECRET], 40, cwd=server.folder)
        return out.decode().strip().splitlines()[-1]
    finally:
        server.remove()


def ask(server, method, path, body=None, secret=KEY_SECRET):
    """A call with HTTP Basic: status and JSON."""
    basic = base64.b64encode(f"{KEY_ID}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else (b"" if method == "POST" else None)
    request = urllib.request.Request(server.http(path), data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


@case("licenses are sold, allocated, activated and renewed", seconds=40)
def licenses(context):
    server = Server(context.weir)
    try:
        server.start()
        base = "/dabiz/license/v2"
        app = api(server, "CreateGroup", "Name=l", "InProtocol=gb28181", "OutProtocol=flv")["Id"]
        command = [server.weir, "license", "product", "--name", "sku", "--days", "30", "--quantity", "3", "--url", server.http("")]
        out, _ = run([*command, "--key", KEY_ID, "--secret", KEY_SECRET], 20, cwd=server.folder)
        pid = json.loads(out)["Pid"]
        status, answer = ask(server, "POST", f"{base}/allocate?appid={app}", {"pid": pid, "count": 2, "creator": "e2e"})
        if (status, answer) != (200, {"code": 200, "message": "license配额成功"}):
            raise Failure(f"allocate: {status} {answer}")
        got = [ask(server, "POST", f"{base}/active?pid={pid}&licenseKey=key-{n}&appid={app}") for n in range(3)]
        if [status for status, _ in got] != [200, 200, 400]:
            raise Failure(f"two of two can be activated: {got}")
        first = got[0][1]["data"]
        if not re.fullmatch("[0-9A-F]{32}", first["license"]) or first["expireTime"] - first["activationTime"] != 30 * 86400:
            raise Failure(f"active: {first}")
        command = [server.weir, "license", "renewal", "--pid", pid, "--days", "10", "--quantity", "1", "--url", server.http("")]
        out, _ = run([*command, "--key", KEY_ID, "--secret", KEY_SECRET], 20, cwd=server.folder)
        renew = json.loads(out)["RenewId"]
        status, answer = ask(server, "POST", f"{base}/renew?renewId={renew}&license={first['license']}&appid={app}")
        if (status, answer) != (200, {"code": 200, "message": "license续期成功"}):
            raise Failure(f"renew: {status} {answer}")
        _, answer = ask(server, "GET", f"{base}/detail?appid={app}&key=key-0")
        if answer["data"]["expireTime"] != first["expireTime"] + 10 * 86400:
            raise Failure(f"detail: {answer}")
        _, answer = ask(server, "GET", f"{base}/product/allocations?page=1&size=2&pid={pid}&appid={app}")
        if answer["data"]["count"] != 1 or answer["data"]["list"][0]["count"] != 2:
            raise Failure(f"allocations: {answer}")
        if ask(server, "GET", f"{base}/detail?appid={app}&key=key-0", secret="no")[0] != 401:
            raise Failure("a wrong secret was taken")
    finally:
        server.remove()


CAMERA = "34020000001320000007"


@case("a device of a group that requires licenses registers with one only", seconds=60)
def licensed_device(context):
    server = Server(context.weir)
    try:
        server.start()
        group = api(server, "CreateGroup", "Name=l", "InProtocol=gb28181", "OutProtocol=flv", "RequireLicense=true")
        device = api(server, "CreateDevice", f"GroupId={group['Id']}", "Type=ipc", f"GbId={CAMERA}", f"Username={CAMERA}", "Password=secret12")["Id"]
        camera = [server.weir, "camera", "--server", server.keys["sip.udp_listen"], "--domain", group["GbId"], "--id", CAMERA, "--password", "secret12"]
        status = lambda: api(server, "DescribeDevice", f"Id={device}")["Status"]  # noqa: E731
        with Background(camera, env=server.environment()) as refused:
            time.sleep(3)
            if status() == "on":
                raise Failure("it registered without a license")
            if "403" not in refused.output():
                raise Failure(f"the camera was not told why:\n{refused.output()[-1500:]}")
        pid = api(server, "CreateLicenseProduct", "Name=camera", "Validity=1", "Quantity=1")["Pid"]
        base = "/dabiz/license/v2"
        ask(server, "POST", f"{base}/allocate?appid={group['Id']}", {"pid": pid, "count": 1, "creator": "e2e"})
        got, answer = ask(server, "POST", f"{base}/active?pid={pid}&licenseKey={CAMERA}&appid={group['Id']}")
        if got != 200:
            raise Failure(f"active: {answer}")
        with Background(camera, env=server.environment()):
            eventually("it registers with a license", lambda: status() == "on", 15)
    finally:
        server.remove()
