"""kill -9: whatever was answered is there after the restart, and every kind of state with it."""

import hashlib
import hmac
import base64
import json
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from harness import KEY_ID, KEY_SECRET, TOP, Background, Failure, Server, case, eventually, publish
from plain import Client, percent_encode

FIXTURE = TOP / "fixtures" / "media" / "demo.flv"
CALLS, LANES = 1000, 16


def code(serial):
    return f"3402000000132{serial:07}"


@case("kill -9 amid 1,000 CreateDevice calls loses nothing that was answered", weight=3, seconds=60)
def creating(context):
    server = Server(context.weir, **{"api.rate": "0"})
    try:
        server.start()
        api = Client(server.http("/"), KEY_ID, KEY_SECRET)
        group = api.call("CreateGroup", Name="g", InProtocol="gb28181", OutProtocol="flv", Region="r")["Id"]
        answered, lock, stop_at = {}, threading.Lock(), random.randint(200, 800)
        enough = threading.Event()

        def lane(first):
            for serial in range(first, CALLS, LANES):
                try:
                    made = api.call("CreateDevice", GroupId=group, Type="ipc", GbId=code(serial), Username="u", Password="secret12", Name=f"d{serial}")
                except (OSError, ValueError, urllib.error.URLError):
                    return  # killed in the middle
                with lock:
                    answered[made["Id"]] = serial
                    if len(answered) >= stop_at:
                        enough.set()

        lanes = [threading.Thread(target=lane, args=(n,)) for n in range(LANES)]
        for one in lanes:
            one.start()
        if not enough.wait(40):
            raise Failure(f"only {len(answered)} devices were created within 40 s")
        server.kill()
        for one in lanes:
            one.join(10)
        if len(answered) == CALLS:
            raise Failure("all calls were answered before the kill: it proved nothing")
        server.start()
        there, number = {}, 1
        while True:
            rows = api.call("DescribeDevices", GroupId=group, PageSize=100, PageNum=number)["Devices"]
            if not rows:
                break
            there.update({row["Id"]: row for row in rows})
            number += 1
        lost = [serial for one, serial in answered.items() if one not in there or there[one]["GbId"] != code(serial)]
        if lost:
            raise Failure(f"{len(lost)} of {len(answered)} answered devices are lost: {lost[:5]}")
        # No half of a device either: each has its channel and its stream.
        streams = api.call("DescribeStreams", GroupId=group, PageSize=1)["TotalCount"]
        if streams != len(there):
            raise Failure(f"{len(there)} devices have {streams} streams")
        # What was not answered may be made now, or is there already.
        some = next(serial for serial in range(CALLS) if serial not in {int(row["GbId"][13:]) for row in there.values()})
        api.call("CreateDevice", GroupId=group, Type="ipc", GbId=code(some), Username="u", Password="secret12")
        return f"killed after {len(answered)} answers, {len(there)} devices there"
    finally:
        server.remove()


def signed(base, action, **fields):
    """A signed request as it travels: to be sent twice."""
    fields = {
        "Action": action, "Version": "2018-12-12", "AccessKeyId": KEY_ID, "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex, "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields,
    }
    query = "&".join(f"{percent_encode(k)}={percent_encode(fields[k])}" for k in sorted(fields))
    text = f"GET&%2F&{percent_encode(query)}".encode()
    digest = base64.b64encode(hmac.new((KEY_SECRET + "&").encode(), text, hashlib.sha1).digest()).decode()
    return f"{base}?{query}&Signature={percent_encode(digest)}"


def send(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


@case("every kind of state survives kill -9", weight=2, seconds=90)
def state(context):
    server = Server(context.weir, **{"stream.grace": "1s"})
    try:
        server.start()
        base = server.http("/")
        root = Client(base, KEY_ID, KEY_SECRET)
        bucket = json.dumps({"AccessKeyId": "demo", "AccessKeySecret": "demo"})
        tenant = root.call("CreateMtsService", UserId="kept", AccessInfo=bucket)
        gone = root.call("CreateMtsService", UserId="suspended", AccessInfo=bucket)
        root.call("SuspendMtsService", UserId="suspended")
        api = Client(base, tenant["UserAccessKeyId"], tenant["UserAccessKeySecret"])
        group = api.call("CreateGroup", Name="组", Region="r", InProtocol="rtmp", OutProtocol="rtmp,flv", Description="d", Callback="https://example.com/hook")["Id"]
        halted = api.call("CreateGroup", Name="halted", Region="r", InProtocol="rtmp", OutProtocol="flv")["Id"]
        api.call("HaltGroup", Id=halted)
        streams = [api.call("CreateRtmpGroupStreamurl", Id=group, Name=name, AccessInfo=bucket) for name in ("open", "forbidden")]
        api.call("ForbidVsStream", Id=streams[1]["StreamId"])
        template = api.call("CreateTemplate", Name="t", Type="record", Region="r", Interval=60, FileFormat="mp4", Mp4="{StreamName}/{EscapedStartTime}_{EscapedEndTime}")["Id"]
        api.call("BindTemplate", TemplateId=template, InstanceId=group, InstanceType="group")
        gb = api.call("CreateGroup", Name="gb", Region="r", InProtocol="gb28181", OutProtocol="flv")
        device = api.call("CreateDevice", GroupId=gb["Id"], Type="ipc", GbId=code(1), Username=code(1), Password="secret12", Name="locked")["Id"]
        # A camera with a wrong password, until it is locked.
        sip = server.keys["sip.udp_listen"]
        command = [context.weir, "camera", "--server", sip, "--domain", gb["GbId"], "--id", code(1), "--password", "wrong"]
        began = time.monotonic()
        while api.call("DescribeDevice", Id=device)["Status"] != "failed":
            if time.monotonic() - began > 30:
                raise Failure("a camera with a wrong password is not locked within 30 s")
            with Background(command, env=server.environment()):
                time.sleep(1)
        calls = [signed(base, "DescribeGroups") for _ in range(3)]
        for call in calls:
            if send(call)[0] != 200:
                raise Failure(f"a signed call: {send(call)}")

        def everything():
            shown = {
                "group": api.call("DescribeGroup", Id=group),
                "halted": api.call("DescribeGroup", Id=halted),
                "streams": [api.call("DescribeStream", Id=one["StreamId"]) for one in streams],
                "template": api.call("DescribeTemplate", Id=template),
                "bound": api.call("DescribeTemplates", InstanceId=group),
                "device": api.call("DescribeDevice", Id=device),
                "tenants": [root.call("GetMtsServiceStatus", UserId=user)["Status"] for user in ("kept", "suspended")],
            }
            return json.loads(json.dumps(shown, sort_keys=True), object_hook=lambda o: {k: v for k, v in o.items() if k != "RequestId"})

        before = everything()
        if (before["device"]["Status"], before["streams"][1]["Enabled"], before["halted"]["Status"], before["tenants"]) != ("failed", False, "off", [2, 1]):
            raise Failure(f"before the kill: {before}")
        server.kill()
        server.start()
        # A call that was taken before must not be taken again; new ones are. Timestamps are good for a quarter of an hour.
        for call in calls:
            status, body = send(call)
            if (status, body.get("Code")) != (400, "SignatureNonceUsed"):
                raise Failure(f"a replay after the restart is answered with {status} {body}")
        after = everything()
        if after != before:
            changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
            raise Failure(f"not as before: {changed}")
        if Client(base, gone["UserAccessKeyId"], gone["UserAccessKeySecret"]).call("DescribeGroups", expect=403)["Code"] != "InvalidAccessKeyId.Inactive":
            raise Failure("the suspended tenant is not suspended any more")
        # The push keys are the same: the URL of before is good, the forbidden stream's is not.
        with publish(streams[1]["PushUrl"], FIXTURE) as refused:
            if refused.wait(15) == 0:
                raise Failure("a forbidden stream is taken after the restart")
        with publish(streams[0]["PushUrl"], FIXTURE, loop=True):
            eventually("the push URL of before still pushes", lambda: api.call("DescribeStream", Id=streams[0]["StreamId"])["Status"] == "on", 15)
        # The lock holds against the right password, until it is taken off.
        command[-1] = "secret12"
        with Background(command, env=server.environment()):
            time.sleep(2)
            if api.call("DescribeDevice", Id=device)["Status"] != "failed":
                raise Failure("the locked camera registers after the restart")
            api.call("UnlockDevice", Id=device)
            with Background(command, env=server.environment()):
                eventually("the unlocked camera registers", lambda: api.call("DescribeDevice", Id=device)["Status"] == "on", 20)
    finally:
        server.remove()
