"""Quotas with real media: what is beyond a tenant's quota is refused at the door with its reason, and taken when there is room."""

import urllib.error
import urllib.request

from harness import KEY_ID, KEY_SECRET, Background, Failure, Server, case, eventually, publish, run
from plain import Client
from tenants import AUTH_KEY, BUCKET, CAMERA, FIXTURE, Player, Tenant


def refusal(url, **request):
    """Status and text of a request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **request), timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@case("quotas refuse at the door and let in when there is room", weight=3, seconds=90)
def quotas(context):
    server = Server(context.weir, **{"playback.auth_key": AUTH_KEY, "stream.grace": "1s", "record.retry": "1s"})
    try:
        server.start()
        root = Client(server.http("/"), KEY_ID, KEY_SECRET)
        t = Tenant(server, root, "tenant-q")

        def limit(**limits):
            rows = root.call("SetTenantQuota", UserId=t.user, **limits)["Quotas"]
            return {row["Name"]: row["Used"] for row in rows}

        def refused(call, what, **parameters):
            answer = t.api.call(call, expect=409, **parameters)
            if answer["Code"] != f"QuotaExceeded.{what}":
                raise Failure(f"{call}: {answer}")

        gb = t.api.call("CreateGroup", Name="gb", Region="r", InProtocol="gb28181", OutProtocol="flv")
        camera = {"GroupId": gb["Id"], "Type": "ipc", "Username": CAMERA, "Password": "secret12"}
        device = t.api.call("CreateDevice", GbId=CAMERA, **camera)["Id"]
        other = t.api.call("CreateRtmpGroupStreamurl", Id=t.group, Name="two", AccessInfo=BUCKET)
        limit(Groups=2, Devices=1, Streams=1, Viewers=1)
        refused("CreateGroup", "Group", Name="g", Region="r", InProtocol="rtmp", OutProtocol="flv")
        refused("CreateDevice", "Device", GbId="34020000001320000002", **camera)

        command = [context.weir, "camera", "--server", server.keys["sip.udp_listen"], "--domain", gb["GbId"], "--id", CAMERA, "--password", "secret12"]
        with publish(t.push, FIXTURE, loop=True), Background(command, env=server.environment()):
            eventually("the first stream is on", t.on, 15)
            # The second push is refused with its reason, and so is a call to a device.
            with publish(other["PushUrl"], FIXTURE) as second:
                if second.wait(15) == 0:
                    raise Failure("a stream beyond the quota was taken")
            if "QuotaExceeded.Stream" not in server.log():
                raise Failure(f"why the push was refused is not logged:\n{server.log()[-1500:]}")

            def channel():
                rows = t.api.call("DescribeStreams", DeviceId=device)["Streams"]
                return next((row["Id"] for row in rows if row["Name"] != CAMERA), None)

            called = eventually("the camera's channels are known", channel, 25)
            refused("StartStream", "Stream", Id=called)

            # One player; whoever comes beside it is refused, by whatever way.
            player = Player(t.play())
            if not player.comes():
                raise Failure("the one player gets nothing")
            hls = t.api.call("DescribeStreamURL", Id=t.stream, OutProtocol="hls", AuthKey=AUTH_KEY)["Url"]
            rtmp = t.api.call("DescribeStreamURL", Id=t.stream, OutProtocol="rtmp", AuthKey=AUTH_KEY)["Url"]
            # The page of all screens gives URLs for WebRTC.
            screen = t.api.call("ScreenShowStreams", GroupId=t.group)["Streams"][0]["Url"]
            whep = screen.replace("rtc://", "http://").replace("?", ".whep?", 1)
            sdp = {"data": b"v=0\r\n", "headers": {"Content-Type": "application/sdp"}, "method": "POST"}
            for what, (status, text) in {"flv": refusal(t.play()), "hls": refusal(hls), "whep": refusal(whep, **sdp)}.items():
                if status != 403 or "quota of 1 players at once" not in text:
                    raise Failure(f"{what} beyond the quota: {status} {text}")
            _, err = run(["ffprobe", "-hide_banner", rtmp], 15, ok=False)
            if b"QuotaExceeded.Viewer" not in err and "QuotaExceeded.Viewer" not in server.log():
                raise Failure(f"rtmp beyond the quota: {err[-500:]!r}")
            if limit(Viewers=2)["Viewers"] != 1:
                raise Failure("who was refused is counted")
            second = Player(t.play())
            if not second.comes():
                raise Failure("there is room for a second player, who gets nothing")
            second.answer.close()
            eventually("who left is not counted", lambda: limit()["Viewers"] == 1, 10)

            # The bandwidth that one player takes is more than this.
            used = eventually("the bandwidth is measured", lambda: limit()["Bandwidth"], 10)
            limit(Viewers=-1, Bandwidth=used)
            status, text = refusal(t.play())
            if status != 403 or "QuotaExceeded.Bandwidth" not in text:
                raise Failure(f"flv beyond the bandwidth: {status} {text}")
            limit(Bandwidth=-1)

            # Recordings: refused where one asks, and where a template says so.
            limit(Recordings=0)
            refused("StartRecordStream", "Recording", Id=t.stream, FileFormat="mp4")
            limit(Recordings=-1, Storage=0)
            refused("StartRecordStream", "Storage", Id=t.stream, FileFormat="mp4")
            template = t.api.call("CreateTemplate", Name="r", Type="record", FileFormat="mp4", Interval=3)["Id"]
            t.api.call("BindTemplate", TemplateId=template, InstanceId=t.stream, InstanceType="stream")
            running = lambda: t.api.call("DescribeRecordStreams", StreamId=t.stream)["Recordings"]  # noqa: E731
            failing = eventually("the template's recording says why it does not write", lambda: [r for r in running() if r["Status"] == "failing"], 10)
            if "QuotaExceeded.Storage" not in failing[0]["Trouble"]:
                raise Failure(f"{failing}")
            limit(Storage=-1)
            eventually("it records when there is room", lambda: [r for r in running() if r["Status"] == "recording" and r["Size"] > 0], 15)
            eventually("what is stored is counted", lambda: limit()["Storage"] > 0, 20)
            if not player.comes():
                raise Failure("the player that was there was disturbed")

        eventually("the push is over", lambda: limit()["Streams"] == 0, 10)
        with Background(command, env=server.environment()), publish(t.push, FIXTURE, loop=True):
            eventually("a stream is taken again", t.on, 15)
            limit(Streams=2)

            def started():
                try:
                    return t.api.call("StartStream", Id=called)
                except AssertionError:
                    return None

            eventually("the camera's stream starts when there is room", started, 25)
            eventually("two streams are counted", lambda: limit()["Streams"] == 2, 10)
    finally:
        server.remove()
