"""The API against its own description: schemathesis calls every action of /openapi.json with values that fit and values that do not."""

import json
import os
import pathlib
import re
import sys
import tempfile

from harness import KEY_ID, KEY_SECRET, Failure, Server, case, run
from plain import Client

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 40
# Every answer: no 5xx, a documented status, JSON, the documented fields. That what does not fit is refused is tested from the
# declarations (src/api/tests/bad_input.rs): this tool also counts parameters that are not ours, which we ignore.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def objects(api):
    """One of each, of two tenants' worth, so that ids can be right."""
    group = api.call("CreateGroup", Name="g", Region="r", InProtocol="rtmp", OutProtocol="rtmp,flv,hls")["Id"]
    gb = api.call("CreateGroup", Name="gb", Region="r", InProtocol="gb28181", OutProtocol="flv")["Id"]
    streams = [api.call("CreateRtmpGroupStreamurl", Id=group, Name=f"s{n}")["StreamId"] for n in range(4)]
    devices = [
        api.call("CreateDevice", GroupId=gb, Type=kind, GbId=f"340200000013200000{n:02}", Username="u", Password="secret12", Name=f"d{n}")["Id"]
        for n, kind in enumerate(("ipc", "ied", "platform"))
    ]
    channels = api.call("DescribeDeviceChannels", Id=devices[0])["Channels"]
    templates = [api.call("CreateTemplate", Name=kind, Type=kind, Region="r")["Id"] for kind in ("record", "snapshot")]
    directory = api.call("CreateDirectory", GroupId=gb, Name="d")["Id"]
    return {
        "Group": [group, gb],
        "Stream": streams + [channel["StreamId"] for channel in channels],
        "Device": devices,
        "Channel": [channel["Id"] for channel in channels],
        "Template": templates,
        "Directory": [directory],
    }


@case("schemathesis finds no 5xx and no undocumented answer", weight=4, seconds=110)
def conforms(context):
    server = Server(context.weir, **{"api.rate": "0", "api.device_patience": "1s"})
    try:
        server.start()
        api = Client(server.http("/"), KEY_ID, KEY_SECRET)
        known = objects(api)
        actions = len(json.loads(server.get("/openapi.json")[2])["paths"])
        # SEED=… makes a run that failed again.
        seed = os.environ.get("SEED") or str(int.from_bytes(os.urandom(2), "big"))
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "schema_hooks",
            "PYTHONPATH": str(HERE),
            "SCHEMA_KEY_ID": KEY_ID,
            "SCHEMA_KEY_SECRET": KEY_SECRET,
            "SCHEMA_OBJECTS": json.dumps(known),
            "SCHEMA_SEED": seed,
        }
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "schemathesis.cli", "run", server.http("/openapi.json"), "--no-color", "--checks", CHECKS,
                "--phases", "examples,coverage,fuzzing", "--max-time", SECONDS, "--workers", 2, "--request-timeout", 10, "--seed", seed,
                "--max-examples", 12, "--no-shrink", "--continue-on-failure", "--generation-database", "none", "--warnings", "off",
                "--suppress-health-check", "all", "--generation-with-security-parameters", "false",
            ]
            out, err = run(command, SECONDS + 60, ok=False, env=environment, cwd=folder)
        text = re.sub(r"(.)\1{80,}", r"\1…", out.decode(errors="replace"))
        tested = re.search(r"Tested:\s+(\d+)", text)
        cases = re.search(r"([\d,]+) generated", text)
        if "Failures" in text or "Errors" in text or not tested or not cases:
            raise Failure(f"seed {seed}:\n{text[-6000:]}\n{err.decode(errors='replace')[-1000:]}")
        # GET and POST of each action were called; were the signatures refused, nothing would have been tested.
        if int(tested.group(1)) < 2 * actions:
            raise Failure(f"only {tested.group(1)} operations of {actions} actions were tested:\n{text[-3000:]}")
        log = server.log()
        done = log.count("api call request=")
        if done < 60 or "SignatureDoesNotMatch" in log:
            raise Failure(f"only {done} calls were answered with 200, or a signature was refused: {text[-1000:]}")
        if server.status("/readyz") != 200 or "panicked" in server.log():
            raise Failure(f"the server is not sound after it: {server.log()[-3000:]}")
        return f"{actions} actions, {cases.group(1)} calls, {done} of them done"
    finally:
        server.remove()
