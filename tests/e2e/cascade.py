"""Two servers, one above the other: a stream that is pushed below is shown, called for and played above, frame by frame the same."""

import json

from frames import FOLDER, Reader
from harness import Background, Failure, Server, case, eventually, run

LOCAL = "34010000002000000001"


def caller(weir, server):
    def api(action, **parameters):
        words = [f"{key}={value}" for key, value in parameters.items()]
        out, err = run([weir, "api", action, *words], 20, env=server.environment())
        answer = json.loads(out)
        if "Code" in answer:
            raise Failure(f"{action}: {answer['Code']}: {answer['Message']} {err[-300:]!r}")
        return answer

    return api


def pictures(weir, server, stream, seconds):
    """Hashes of the coded pictures that a player gets."""
    url = run([weir, "url", stream, "flv"], 10, env=server.environment())[0].decode().split()[-1]
    command = ["ffmpeg", "-v", "error", "-i", url, "-t", seconds, "-map", "0:v", "-c", "copy", "-f", "framemd5", "-"]
    out, _ = run(command, seconds + 20)
    return [line.rsplit(",", 1)[1].strip() for line in out.decode().splitlines() if line and not line.startswith("#")]


@case("a stream below is played by the platform above", weight=2, seconds=100)
def cascade(context):
    below, above = Server(context.weir), Server(context.weir, **{"gb28181.media": "tcp"})
    try:
        below.start()
        above.start()
        lower, upper = caller(context.weir, below), caller(context.weir, above)
        group = upper("CreateGroup", Name="town", App="town", InProtocol="gb28181", OutProtocol="flv")
        device = upper("CreateDevice", GroupId=group["Id"], Name="yard", Type="platform", GbId=LOCAL, Password="secret12")["Id"]
        pushed = lower("CreateGroup", Name="yard", App="yard", InProtocol="rtmp", OutProtocol="rtmp,flv")
        made = lower("CreateRtmpGroupStreamurl", Id=pushed["Id"], Name="gate")
        sip = above.keys["sip.udp_listen"].rsplit(":", 1)[1]
        platform = {"ServerGbId": group["GbId"], "LocalGbId": LOCAL, "Password": "secret12", "KeepaliveInterval": 5}
        platform = lower("CreateUpperPlatform", Name="yard", Host="127.0.0.1", Port=sip, **platform)["Id"]
        lower("BindUpperPlatformStreams", Id=platform, InstanceType="group", InstanceId=pushed["Id"])
        target = next(value for value in made.values() if str(value).startswith("rtmp://"))
        with Background([context.weir, "push", FOLDER / "h264_g711a.flv", target]):
            channels = []

            def shown():
                channels[:] = upper("DescribeDeviceChannels", Id=device)["Channels"]
                return channels

            eventually("the channel is shown above", shown, 20)
            if channels[0]["Name"] != "gate":
                raise Failure(f"another channel: {channels}")
            eventually("the stream is pushed", lambda: lower("DescribeStreams", GroupId=pushed["Id"])["Streams"][0]["Status"] == "on", 10)
            upper("StartStream", Id=channels[0]["StreamId"])
            source = Reader("below", lambda: pictures(context.weir, below, made["StreamId"], 14))
            played = pictures(context.weir, above, channels[0]["StreamId"], 4)
            sent = source.get(40)
            if len(played) < 50 or not any(sent[at : at + len(played)] == played for at in range(len(sent))):
                raise Failure(f"{len(played)} pictures above are not among the {len(sent)} below")
            row = lower("DescribeUpperPlatforms")["UpperPlatforms"][0]
            if (row["Status"], row["CallNum"], row["ChannelNum"]) != ("on", 1, 1):
                raise Failure(f"the state of the platform: {row}")
            told, _ = run([context.weir, "doctor", LOCAL, "--messages"], 15, env=above.environment())
            if b"Nothing is wrong." not in told or b"INVITE" not in told:
                raise Failure("the doctor: " + told.decode()[-2000:])
        below.stop()
        eventually("the platform is off above", lambda: upper("DescribeDevice", Id=device)["Status"] == "off", 10)
        return f"{len(played)} pictures"
    finally:
        below.remove()
        above.remove()
