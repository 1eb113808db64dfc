#!/usr/bin/env python3
"""Measures what recording costs: M publishers of one stream each, not recorded and recorded as MP4, by the same program on one core.

    benches/load/recording.py --weir FILE --tools FOLDER [--m 200] [--warm 8] [--dur 20] [--interval 10] [--plain]

Starts the server on core 0, makes M streams by the API, binds a record template to their group (not with --plain), and lets the
shared publisher send. Prints one JSON line. Files are closed and finished within the measurement, as often as the interval says.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "e2e"))

from plain import Client  # noqa: E402

HTTP, RTMP = 18080, 11935
KEY = ("bench", "bench-secret-0123456789")
# The publisher numbers its streams; these are named by the API.
NUMBERED = "snprintf(s,300,pathfmt,p->idx)"
NAMES = """
static char names_of[4096][32];
static void name_of(char*s,int n){static int got;if(!got){FILE*f=fopen(getenv("STREAM_NAMES"),"r");while(got<4096&&f&&fscanf(f,"%31s",names_of[got])==1)got++;}
snprintf(s,300,"%s",names_of[n&4095]);}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True)
    parser.add_argument("--tools", required=True, type=pathlib.Path)
    parser.add_argument("--media", default="b1.flv")
    parser.add_argument("--m", type=int, default=200)
    parser.add_argument("--warm", type=float, default=8)
    parser.add_argument("--dur", type=float, default=20)
    parser.add_argument("--interval", type=int, default=10, help="seconds of a file")
    parser.add_argument("--plain", action="store_true", help="nothing is recorded")
    args = parser.parse_args()
    os.sched_setaffinity(0, {1})
    sender = publisher(args.tools)
    # a real disk: memory would hide what writing costs
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-record-", dir=TOP / "target"))
    log = open(folder / "log", "wb")
    server = subprocess.Popen(["taskset", "-c", "0", *command(args, folder)], stdout=log, stderr=log, cwd=folder)
    try:
        ready(server, folder)
        row = measure(args, server, folder, sender)
        if row["live"] != args.m or row["recordings"] != (0 if args.plain else args.m):
            raise SystemExit(f"{row['live']} of {args.m} streams are live, {row['recordings']} are recorded\n{(folder / 'log').read_text()[-3000:]}")
        print(json.dumps(row))
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def publisher(tools):
    """The shared publisher, taught names."""
    source = (tools / "src" / "pub.c").read_text()
    head = '#include "common.h"'
    if NUMBERED not in source or head not in source:
        raise SystemExit("the publisher is not the one that this was written for")
    made = tools / "src" / "pub_named.c"
    made.write_text(source.replace(NUMBERED, "name_of(s,p->idx)").replace(head, head + NAMES))
    subprocess.run(["gcc", "-O2", "-w", "-o", tools / "bin" / "pub_named", made, "-lm", "-lpthread"], check=True)
    return tools / "bin" / "pub_named"


def command(args, folder):
    keys = {
        "data_dir": folder / "data",
        "http.listen": f"127.0.0.1:{HTTP}",
        "rtmp.listen": f"127.0.0.1:{RTMP}",
        "sip.udp_listen": "127.0.0.1:15060",
        "sip.tcp_listen": "127.0.0.1:15060",
        "rtp.listen": "127.0.0.1:10000",
        "webrtc.listen": "127.0.0.1:0",
        "playback.push_auth": "false",
        "access_key_id": KEY[0],
        "access_key_secret": KEY[1],
        "api.rate": "0",
        "log.level": "warn",
    }
    line = [args.weir, "serve"]
    for key, value in keys.items():
        line += ["--set", f"{key}={value}"]
    return line


def ready(server, folder):
    for _ in range(200):
        try:
            if urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/readyz", timeout=2).status == 200:
                return
        except OSError:
            pass
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the server does not start:\n{(folder / 'log').read_text()[-3000:]}")


def measure(args, server, folder, sender):
    api = Client(f"http://127.0.0.1:{HTTP}/", *KEY)
    group = api.call("CreateGroup", Name="bench", App="bench", InProtocol="rtmp", OutProtocol="flv")["Id"]
    streams = [api.call("CreateRtmpGroupStreamurl", Id=group, Name=f"s{n}")["StreamId"] for n in range(args.m)]
    (folder / "names").write_text("\n".join(streams) + "\n")
    if not args.plain:
        template = api.call("CreateTemplate", Name="t", Type="record", FileFormat="mp4", Interval=args.interval)["Id"]
        api.call("BindTemplate", TemplateId=template, InstanceId=group, InstanceType="group")
    line = [sender, "-u", f"rtmp://127.0.0.1:{RTMP}/bench/s%d", "-f", args.tools / "media" / args.media, "-m", args.m, "-rate", 25]
    line += ["-warm", args.warm, "-dur", args.dur, "-pid", server.pid]
    sending = subprocess.Popen(
        [str(part) for part in line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        env={**os.environ, "STREAM_NAMES": str(folder / "names")},
    )
    # the same stretch that the publisher measures: from when all are there and warm
    time.sleep(args.m / 25 + args.warm)
    first = written(server.pid), figure("weir_received_bytes_total"), figure("weir_recording_syncs_total")
    time.sleep(args.dur * 0.9)
    last = written(server.pid), figure("weir_received_bytes_total"), figure("weir_recording_syncs_total")
    recordings, cached = figure("weir_recordings"), figure("weir_cached_bytes")
    out, err = sending.communicate(timeout=args.dur + 60)
    if sending.returncode != 0 or not out:
        raise SystemExit(f"the publisher: {err.decode(errors='replace')[-500:]}")
    row = json.loads(out)
    row.update(recorded=not args.plain, recordings=int(recordings), cached_kb=int(cached) // 1024)
    row["written_to_received"] = (last[0] - first[0]) / max(1, last[1] - first[1])
    row["syncs_per_s"] = (last[2] - first[2]) / (args.dur * 0.9)
    row["noisy"] = row["cpu0_foreign_pct"] > 12 or row["steal_pct"] > 3
    return row


def figure(name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/metrics", timeout=10).read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+]+)$", text, re.M))


def written(pid):
    """Bytes that the server had written to files; what it copies inside of the kernel is counted as well."""
    return int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M).group(1))


if __name__ == "__main__":
    main()
