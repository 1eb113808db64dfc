"""Tenants with real media: what is one's does not exist for the other; suspension cuts calls, pushes, plays and pulls, renewal restores them."""

import json
import time
import urllib.error
import urllib.request

from harness import KEY_ID, KEY_SECRET, TOP, Background, Failure, Server, case, eventually, publish
from plain import Client

FIXTURE = TOP / "fixtures" / "media" / "demo.flv"
AUTH_KEY = "tenantsAuthKey"
CAMERA = "34020000001320000001"
BUCKET = json.dumps({"AccessKeyId": "demo", "AccessKeySecret": "demo"})


class Player:
    """Reads a stream over HTTP for as long as it comes."""

    def __init__(self, url):
        self.answer = urllib.request.urlopen(url, timeout=10)

    def comes(self, seconds=3):
        """Whether media still comes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if self.answer.read1(4096):
                    return True
            except OSError:
                return False
            if self.answer.closed or self.answer.isclosed():
                return False
        return False

    def ends(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if not self.answer.read1(65536):
                    return True
            except OSError:
                return True
        return False


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


class Tenant:
    def __init__(self, server, root, user):
        made = root.call("CreateMtsService", UserId=user, AccessInfo=BUCKET)
        self.user = user
        self.api = Client(server.http("/"), made["UserAccessKeyId"], made["UserAccessKeySecret"])
        self.group = self.api.call("CreateGroup", Name=user, Region="r", InProtocol="rtmp", OutProtocol="rtmp,flv,hls")["Id"]
        stream = self.api.call("CreateRtmpGroupStreamurl", Id=self.group, Name="door", AccessInfo=BUCKET)
        self.stream, self.push = stream["StreamId"], stream["PushUrl"]

    def play(self, stream=None, **more):
        return self.api.call("DescribeStreamURL", Id=stream or self.stream, OutProtocol="flv", AuthKey=AUTH_KEY, Expire=600, **more)["Url"]

    def on(self, stream=None):
        return self.api.call("DescribeStream", Id=stream or self.stream)["Status"] == "on"


@case("tenants: isolation, suspension, renewal", weight=3, seconds=100)
def tenants(context):
    server = Server(context.weir, **{"playback.auth_key": AUTH_KEY, "stream.grace": "1s"})
    try:
        server.start()
        root = Client(server.http("/"), KEY_ID, KEY_SECRET)
        a, b = Tenant(server, root, "tenant-a"), Tenant(server, root, "tenant-b")

        # Each sees its own alone, the operator both.
        for call, noun in (("DescribeGroup", "Group"), ("HaltGroup", "Group"), ("DeleteGroup", "Group")):
            if b.api.call(call, expect=404, Id=a.group)["Code"] != f"ResourceNotFound.{noun}":
                raise Failure(f"{call} of another tenant's group")
        for call in ("DescribeStream", "ForbidVsStream", "ResumeVsStream"):
            b.api.call(call, expect=404, Id=a.stream)
        b.api.call("DescribeStreamURL", expect=404, Id=a.stream, OutProtocol="flv", AuthKey=AUTH_KEY)
        b.api.call("CreateRtmpGroupStreamurl", expect=404, Id=a.group, Name="x", AccessInfo=BUCKET)
        b.api.call("SuspendMtsService", expect=403, UserId=a.user)
        if [g["Id"] for g in b.api.call("DescribeGroups")["Groups"]] != [b.group] or root.call("DescribeGroups")["TotalCount"] != 2:
            raise Failure("the groups of one tenant are listed for another, or hidden from the operator")
        if b.api.call("DescribeStreams", GroupId=a.group)["TotalCount"] != 0:
            raise Failure("the streams of one tenant are listed for another")

        # A camera of a's that is pulled, beside a push and a player of each.
        gb = a.api.call("CreateGroup", Name="gb", Region="r", InProtocol="gb28181", OutProtocol="flv")
        device = a.api.call("CreateDevice", GroupId=gb["Id"], Type="ipc", GbId=CAMERA, Username=CAMERA, Password="secret12", AutoStart="true")["Id"]
        sip = server.keys["sip.udp_listen"]
        # Signs of life are quick, so that a camera that was let go notices soon.
        camera = [context.weir, "camera", "--server", sip, "--domain", gb["GbId"], "--id", CAMERA, "--password", "secret12", "--keepalive", "1"]
        with publish(a.push, FIXTURE, loop=True) as push_a, publish(b.push, FIXTURE, loop=True) as push_b, Background(camera, env=server.environment()):
            for one in (a, b):
                eventually(f"the push of {one.user} is on", one.on, 15)

            def pulled():
                rows = a.api.call("DescribeStreams", DeviceId=device, Status="on")["Streams"]
                return next((row["Id"] for row in rows if row["Name"] != CAMERA), None)

            channel = eventually("the camera's stream is on", pulled, 25)
            url_a, url_b, url_gb = a.play(), b.play(), a.play(channel)
            player_a, player_b, player_gb = Player(url_a), Player(url_b), Player(url_gb)
            if not (player_a.comes() and player_b.comes() and player_gb.comes()):
                raise Failure("the streams do not play before the suspension")

            root.call("SuspendMtsService", UserId=a.user)
            began = time.monotonic()
            if root.call("GetMtsServiceStatus", UserId=a.user)["Status"] != 1:
                raise Failure("the status does not say that the service is suspended")
            if a.api.call("DescribeGroups", expect=403)["Code"] != "InvalidAccessKeyId.Inactive":
                raise Failure("a suspended tenant's call")
            if push_a.wait(10) == 0:
                raise Failure("the push of the suspended tenant ended in order")
            if not (player_a.ends(5) and player_gb.ends(5)):
                raise Failure("a player of the suspended tenant's stream goes on")
            cut = time.monotonic() - began
            for what, url in (("a play", url_a), ("a play of the camera", url_gb)):
                if status_of(url) != 403:
                    raise Failure(f"{what} of the suspended tenant: {status_of(url)}")
            with publish(a.push, FIXTURE) as again:
                if again.wait(10) == 0:
                    raise Failure("a push of the suspended tenant is taken")

            def off():
                return root.call("DescribeStream", Id=channel)["Status"] == "off" and root.call("DescribeDevice", Id=device)["Status"] == "off"

            eventually("the camera is let go", off, 10)
            # A camera that was refused waits for a minute; one that is switched on anew tries at once, and must not come in.
            with Background(camera, env=server.environment()):
                time.sleep(3)
                if not off():
                    raise Failure("the camera of the suspended tenant came back")
            if push_b.process.poll() is not None or not player_b.comes():
                raise Failure("the other tenant was cut, too")

            root.call("RenewMtsService", UserId=a.user)
            with publish(a.push, FIXTURE, loop=True), Background(camera, env=server.environment()):
                eventually("a push is taken again", a.on, 15)
                if not Player(a.play()).comes():
                    raise Failure("the renewed tenant's stream does not play")
                eventually("the camera is let in again, and its stream starts by itself", lambda: pulled() == channel, 30)
                if not Player(a.play(channel)).comes(8):
                    raise Failure("the camera's stream does not play after the renewal")
            root.call("DeleteMtsService", UserId=a.user)
            a.api.call("DescribeGroups", expect=403)
            if status_of(url_gb) != 403 or status_of(url_b) != 200:
                raise Failure("after the deletion")
        return f"cut after {cut:.1f} s"
    finally:
        server.remove()
