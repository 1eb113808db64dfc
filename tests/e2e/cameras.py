"""A simulated GB28181 camera beside the server, made known by the API: its stream starts by itself and plays everywhere."""

import json
import time

from harness import Background, Failure, Server, case, eventually, run

CAMERA = "34020000001320000001"


def check(transport):
    def look(context):
        server = Server(context.weir)
        try:
            server.start()
            environment = server.environment()

            def api(action, **parameters):
                words = [f"{key}={value}" for key, value in parameters.items()]
                out, err = run([context.weir, "api", action, *words], 20, env=environment)
                answer = json.loads(out)
                if "Code" in answer:
                    raise Failure(f"{action}: {answer['Code']}: {answer['Message']} {err[-300:]!r}")
                return answer

            group = api("CreateGroup", Name="cameras", App="cameras", InProtocol="gb28181", OutProtocol="rtmp,flv,hls", Region="r")
            device = api(
                "CreateDevice", GroupId=group["Id"], Name="one", Type="ipc", GbId=CAMERA, Username=CAMERA, Password="secret12", AutoStart="true"
            )
            sip = server.keys[f"sip.{transport}_listen"]
            command = [context.weir, "camera", "--server", sip, "--domain", group["GbId"], "--id", CAMERA]
            with Background([*command, "--password", "secret12", "--transport", transport], env=environment):
                streams = []

                def on():
                    # Until its catalog is there, an ipc has one channel, itself.
                    streams[:] = [s for s in api("DescribeStreams", DeviceId=device["Id"])["Streams"] if s["Status"] == "on" and s["Name"] != CAMERA]
                    return streams

                eventually("the camera's stream is on", on, 20)
                stream = streams[0]["Id"]
                # It runs already: starting it must neither disturb it nor bring a second one.
                api("StartStream", Id=stream)
                time.sleep(1)
                played = []
                for form in ("flv", "hls", "rtmp"):
                    url = run([context.weir, "url", stream, form], 10, env=environment)[0].decode().split()[-1]
                    out, _ = run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width", "-of", "json", url], 25)
                    found = json.loads(out)["streams"]
                    if not any(s.get("width") for s in found):
                        raise Failure(f"{form}: no picture in {found}")
                    played.append(form)
                if sum('role="publish"' in line and f"/{stream}}}" in line for line in server.log().splitlines()) != 1:
                    raise Failure("the stream was interrupted or fetched twice:\n" + server.log()[-2000:])
                # The camera's own channel may have been started before its catalog retired it; then it is stopped again.
                def one():
                    lines = [line for line in server.log().splitlines() if 'role="publish"' in line]
                    return sum(": opened " in line for line in lines) - sum(": closed " in line for line in lines) == 1

                eventually("one stream is sent", one, 10)
                return ", ".join(played)
        finally:
            server.remove()

    return look


for way in ("udp", "tcp"):
    case(f"a simulated camera over {way} starts by itself", weight=2, seconds=110)(check(way))
