#!/usr/bin/env python3
"""Measures what many cameras cost beside their media: signs of life of N devices, and the catalog of a large platform.

    benches/load/devices.py --weir FILE --what keepalive [--n 100000] [--dur 30]
    benches/load/devices.py --weir FILE --what catalog [--n 100000]

keepalive: registers one camera, stops the server, copies the camera's row N times in the store, starts the server on core 0 and
sends a sign of life a minute for each from core 1. Tells CPU in per cent of a core, answers, memory, bytes written to the store.

catalog: a simulated platform with N channels registers over TCP and gives its catalog, 1000 entries a message. Tells the seconds
from its registration until all are stored; up to two of them are the server's pause before it asks.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cameras  # noqa: E402
from cameras import DOMAIN, HTTP, KEY, SIP, Cameras, Client, ready, rss_kib  # noqa: E402


PLATFORM = f"{DOMAIN}2000000009"
PASSWORD = "bench-secret-1"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True)
    parser.add_argument("--what", choices=["keepalive", "catalog"], default="keepalive")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--dur", type=float, default=30)
    args = parser.parse_args()
    args.trans = "udp"
    os.sched_setaffinity(0, {1})
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-"))
    try:
        print(json.dumps(keepalive(args, folder) if args.what == "keepalive" else catalog(args, folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keepalive(args, folder):
    first = start(args, folder)
    try:
        ready(first, folder)
        api, group, platform = make_group()
        fleet = Cameras(1, platform, "udp")
        api.call("CreateDevice", GroupId=group, Name="camera", Type="ipc", GbId=fleet.id(0))
        fleet.register()
        time.sleep(3)
    finally:
        first.kill()
        first.wait(15)
    copy_rows(folder / "data", args.n)
    server = start(args, folder)
    try:
        ready(server, folder)
        return measure(args, server, fleet, platform)
    finally:
        server.terminate()
        server.wait(30)


def catalog(args, folder):
    server, platform = start(args, folder), None
    try:
        ready(server, folder)
        api, group, own = make_group()
        device = api.call("CreateDevice", GroupId=group, Name="platform", Type="platform", GbId=PLATFORM, Password=PASSWORD)["Id"]
        count = lambda: api.call("DescribeDeviceChannels", Id=device, PageSize=1)["TotalCount"]  # noqa: E731
        before, cpu, began = rss_kib(server.pid), cpu_seconds(server.pid), time.monotonic()
        command = [args.weir, "camera", "--server", f"127.0.0.1:{SIP}", "--domain", own, "--id", PLATFORM, "--type", "platform"]
        command += ["--channels", str(args.n), "--items", "1000", "--transport", "tcp", "--password", PASSWORD]
        platform = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        while count() < args.n:
            if time.monotonic() - began > 120:
                raise SystemExit(f"{count()} of {args.n} channels after two minutes\n{(folder / 'log').read_text()[-3000:]}")
            time.sleep(0.2)
        took = time.monotonic() - began
        return {
            "channels": args.n,
            "seconds": round(took, 1),
            "cpu_s": round(cpu_seconds(server.pid) - cpu, 2),
            "rss_mb": (rss_kib(server.pid) - before) // 1024,
        }
    finally:
        for process in filter(None, (platform, server)):
            process.terminate()
            process.wait(30)


def make_group():
    """The API, a group and its platform id."""
    api = Client(f"http://127.0.0.1:{HTTP}/", *KEY)
    group = api.call("CreateGroup", Name="bench", InProtocol="gb28181", OutProtocol="flv")
    return api, group["Id"], group["GbId"]


def start(args, folder):
    log = open(folder / "log", "ab")
    return subprocess.Popen(["taskset", "-c", "0", *cameras.command(args, folder)], stdout=log, stderr=log, cwd=folder)


def copy_rows(data, count):
    """The first device's row, with other ids."""
    (file,) = [path for path in data.iterdir() if path.suffix in (".db", ".sqlite", ".sqlite3")]
    store = sqlite3.connect(file)
    store.row_factory = sqlite3.Row
    row = dict(store.execute("SELECT * FROM devices WHERE status = 'on'").fetchone())
    names = list(row)
    insert = f"INSERT INTO devices ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    rows = ({**row, "id": row["id"] + n, "gb_id": f"{DOMAIN}132{n:07}", "name": f"camera {n}"} for n in range(1, count))
    with store:
        store.executemany(insert, ([one[name] for name in names] for one in rows))
    store.close()


def measure(args, server, fleet, platform):
    # From the socket that registered, whose answers the fleet counts.
    sock, rate, sent = fleet.socket, args.n / 60, 0
    time.sleep(2)
    cpu, began, written = cpu_seconds(server.pid), time.monotonic(), written_bytes(server.pid)
    while (elapsed := time.monotonic() - began) < args.dur:
        due = int(elapsed * rate)
        while sent < due:
            sock.sendto(life_sign(f"{DOMAIN}132{sent % args.n:07}", platform, fleet.port, sent), ("127.0.0.1", SIP))
            sent += 1
        time.sleep(0.002)
    time.sleep(0.5)
    used = cpu_seconds(server.pid) - cpu
    return {
        "devices": args.n,
        "sent": sent,
        "answered": fleet.answered,
        "cpu_pct": round(100 * used / args.dur, 2),
        "rss_mb": rss_kib(server.pid) // 1024,
        "written_kb": (written_bytes(server.pid) - written) // 1024,
    }


def life_sign(device, platform, port, number):
    body = f'<?xml version="1.0"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>{number}</SN>\r\n<DeviceID>{device}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n'
    lines = [
        f"MESSAGE sip:{platform}@{DOMAIN} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bKk{number}",
        f"From: <sip:{device}@{DOMAIN}>;tag=k{number}",
        f"To: <sip:{platform}@{DOMAIN}>",
        f"Call-ID: keepalive-{number}",
        "CSeq: 20 MESSAGE",
        "Max-Forwards: 70",
        "Content-Type: Application/MANSCDP+xml",
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_bytes(pid):
    return int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M).group(1))


if __name__ == "__main__":
    main()
