#!/usr/bin/env python3
"""Measures Weir's intake of GB28181 media: simulated cameras do the signalling, the shared `ps_send` sends what they promise.

    benches/load/cameras.py --weir FILE --tools FOLDER --media FILE --m 100 --trans tcp [--warm 5] [--dur 20] [--cores 0]

Starts the server on the cores, registers M cameras over one UDP socket, starts their streams through the API, answers each INVITE
with an SSRC of ps_send's and then lets ps_send send. Prints its JSON line, with the memory before the first packet added, what got lost
(datagrams that full sockets dropped, RTP packets that are missing) and how long a stream's first frame took from its first packet.

A thousand cameras on two cores: --m 1000 --trans udp --cores 0,1. ps_send then shares core 1 with the server.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "e2e"))

from plain import Client  # noqa: E402

HTTP, SIP, RTP = 18080, 15060, 10000
DOMAIN = "3402000000"
# ps_send numbers its streams from here on.
FIRST_SSRC = 100000001
KEY = ("bench", "bench-secret-0123456789")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True)
    parser.add_argument("--tools", required=True, type=pathlib.Path)
    parser.add_argument("--media", default="b1.flv")
    parser.add_argument("--m", type=int, default=100)
    parser.add_argument("--trans", choices=["tcp", "udp"], default="tcp")
    parser.add_argument("--warm", type=float, default=5)
    parser.add_argument("--dur", type=float, default=20)
    parser.add_argument("--cores", default="0", help="the server's")
    args = parser.parse_args()
    os.sched_setaffinity(0, {1})
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-"))
    log = open(folder / "log", "wb")
    server = subprocess.Popen(["taskset", "-c", args.cores, *command(args, folder)], stdout=log, stderr=log, cwd=folder)
    try:
        ready(server, folder)
        row = measure(args, server)
        # Each must have arrived as a stream, or the figures are those of a server that throws packets away.
        if row["streams"] != args.m or row["dead"]:
            raise SystemExit(f"{row['streams']} of {args.m} streams are live, {row['dead']} connections were cut\n{(folder / 'log').read_text()[-3000:]}")
        print(json.dumps(row))
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def command(args, folder):
    keys = {
        "data_dir": folder / "data",
        "http.listen": f"127.0.0.1:{HTTP}",
        "rtmp.listen": "127.0.0.1:11935",
        "sip.udp_listen": f"127.0.0.1:{SIP}",
        "sip.tcp_listen": f"127.0.0.1:{SIP}",
        "rtp.listen": f"127.0.0.1:{RTP}",
        "webrtc.listen": "127.0.0.1:0",
        "rtp.first_packet": "2m",
        "gb28181.media": args.trans,
        "gb28181.no_password": "true",
        # Nobody watches; the streams are to stay all the same.
        "gb28181.linger": "10m",
        "access_key_id": KEY[0],
        "access_key_secret": KEY[1],
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


def measure(args, server):
    api = Client(f"http://127.0.0.1:{HTTP}/", *KEY)
    group = api.call("CreateGroup", Name="bench", InProtocol="gb28181", OutProtocol="flv")["Id"]
    platform = api.call("DescribeGroup", Id=group)["GbId"]
    cameras = Cameras(args.m, platform, args.trans)
    for number in range(args.m):
        api.call("CreateDevice", GroupId=group, Name=f"camera {number}", Type="ipc", GbId=cameras.id(number))
    cameras.register()
    streams, devices = [], []
    while len(streams) < args.m:
        page = api.call("DescribeStreams", GroupId=group, PageNum=len(streams) // 50 + 1, PageSize=50)["Streams"]
        if not page:
            raise SystemExit(f"{len(streams)} streams of {args.m} cameras")
        streams += [stream["Id"] for stream in page]
        devices += [stream["DeviceId"] for stream in page]
    for stream in streams:
        api.call("StartStream", Id=stream)
    cameras.wait_until("called", 60 + args.m / 10)
    time.sleep(2)
    idle = rss_kib(server.pid)
    send = [args.tools / "bin" / "ps_send", "-p", RTP, "-f", args.tools / "media" / args.media, "-m", args.m]
    send += ["-tcp", int(args.trans == "tcp"), "-ssrc", FIRST_SSRC, "-rate", 25, "-warm", args.warm, "-dur", args.dur, "-pid", server.pid]
    sender = subprocess.Popen([str(part) for part in send], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    # Counted while all of them send.
    time.sleep(args.m / 25 + args.warm + args.dur / 2)
    calls = [found for device in devices[:: max(1, args.m // 100)] for found in media(api, device)]
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/metrics", timeout=10).read().decode()
    live = re.search(r'^weir_streams\{state="live"\} (\d+)', metrics, re.M)
    cached = re.search(r"^weir_cached_bytes (\d+)", metrics, re.M)
    out, err = sender.communicate(timeout=args.dur + 60)
    if sender.returncode != 0 or not out:
        raise SystemExit(f"ps_send: {err.decode(errors='replace')[-500:]}")
    row = json.loads(out)
    row["udp_dropped"] = udp_dropped(RTP)
    waits = sorted(call["first_frame_ms"] - call["first_packet_ms"] for call in calls if call["first_frame_ms"] is not None)
    row.update(looked_at=len(calls), lost=sum(call["lost"] for call in calls), packets=sum(call["packets"] for call in calls))
    row.update(first_frame_ms_median=waits[len(waits) // 2] if waits else None, first_frame_ms_most=waits[-1] if waits else None)
    row.update(streams=int(live.group(1)) if live else 0, rss0_kb=idle, cached_kb=int(cached.group(1)) // 1024 if cached else 0)
    row["rss_kb_per_stream"] = (row["rss_kb"] - idle) / args.m
    row["noisy"] = row["cpu0_foreign_pct"] > 12 or row["steal_pct"] > 3
    return row


def media(api, device):
    """What the call doctor knows of the media of a device's open calls."""
    calls = api.call("DiagnoseDevice", Id=device)["Findings"]["calls"]
    return [call["media"] for call in calls if call["media"] and call["over"] is None]


def udp_dropped(port):
    """Datagrams that the kernel threw away because the sockets on this port were full."""
    rows = [line.split() for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[12]) for row in rows if int(row[1].split(":")[1], 16) == port)


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


class Cameras:
    """Cameras behind one UDP socket: they register, answer questions with 200, and take every call."""

    def __init__(self, count, platform, transport):
        self.count, self.platform, self.transport = count, platform, transport
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.registered, self.called, self.answered = set(), set(), 0
        threading.Thread(target=self.listen, daemon=True).start()

    def id(self, number):
        return f"{DOMAIN}132{number:07}"

    def register(self):
        for attempt in range(5):
            for number in range(self.count):
                if number not in self.registered:
                    self.send_register(number, attempt)
                    time.sleep(0.002)
            try:
                return self.wait_until("registered", 3)
            except SystemExit:
                continue
        self.wait_until("registered", 1)

    def wait_until(self, what, seconds):
        until = time.monotonic() + seconds
        while len(getattr(self, what)) < self.count:
            if time.monotonic() > until:
                raise SystemExit(f"only {len(getattr(self, what))} of {self.count} cameras are {what}")
            time.sleep(0.1)

    def send_register(self, number, attempt):
        me = f"<sip:{self.id(number)}@{DOMAIN}>"
        self.send(
            f"REGISTER sip:{self.platform}@{DOMAIN} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{number}x{attempt}",
            f"From: {me};tag=t{number}",
            f"To: {me}",
            f"Call-ID: register-{number}",
            f"CSeq: {attempt + 1} REGISTER",
            f"Contact: <sip:{self.id(number)}@127.0.0.1:{self.port}>",
            "Max-Forwards: 70",
            "Expires: 3600",
        )

    def send(self, *lines, body=""):
        kind = ["Content-Type: application/sdp"] if body else []
        text = "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", body])
        self.socket.sendto(text.encode(), ("127.0.0.1", SIP))

    def listen(self):
        while True:
            text = self.socket.recv(65535).decode(errors="replace")
            head = text.split("\r\n\r\n")[0].split("\r\n")
            first = head[0].split(" ")
            if first[0] == "SIP/2.0":
                call = field(head, "Call-ID")
                if first[1] == "200" and call.startswith("keepalive-"):
                    self.answered += 1
                if first[1] == "200" and call.startswith("register-"):
                    self.registered.add(int(call.rsplit("-", 1)[1]))
            elif first[0] != "ACK":
                self.answer(first[0], head)

    def answer(self, method, head):
        copied = [line for line in head[1:] if line.split(":")[0].strip().lower() in ("via", "from", "call-id", "cseq")]
        to = field(head, "To")
        # To tell apart who is asked: the name in the request line.
        asked = head[0].split("sip:")[1].split("@")[0]
        number = int(asked[13:]) if asked[13:].isdigit() and len(asked) == 20 else 0
        lines = ["SIP/2.0 200 OK", *copied, f"To: {to}" + ("" if "tag=" in to else f";tag=a{number}")]
        if method != "INVITE":
            return self.send(*lines)
        self.called.add(number)
        me = self.id(number)
        tcp = self.transport == "tcp"
        body = [
            "v=0", f"o={me} 0 0 IN IP4 127.0.0.1", "s=Play", "c=IN IP4 127.0.0.1", "t=0 0",
            f"m=video {20000 + number * 2} {'TCP/RTP/AVP' if tcp else 'RTP/AVP'} 96",
            *(["a=setup:active", "a=connection:new"] if tcp else []),
            "a=sendonly", "a=rtpmap:96 PS/90000", f"y={FIRST_SSRC + number:010}", "",
        ]
        self.send(*lines, f"Contact: <sip:{me}@127.0.0.1:{self.port}>", body="\r\n".join(body))


def field(head, name):
    return next((line.split(":", 1)[1].strip() for line in head[1:] if line.lower().startswith(name.lower() + ":")), "")


if __name__ == "__main__":
    main()
