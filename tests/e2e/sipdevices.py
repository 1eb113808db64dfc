"""SIPp, a SIP stack of other people, plays cameras: digests, signs of life, catalogs, strangers, wrong passwords, rubbish."""

import os
import pathlib
import socket
import tempfile

from harness import KEY_ID, KEY_SECRET, Failure, Server, case, eventually, free_port, run
from plain import Client

SCENARIOS = pathlib.Path(__file__).resolve().parent / "sipp"
CAMERAS = 20
PASSWORD = "sipp-secret-1"


def sipp(server, scenario, transport, rows, *more):
    """Plays a scenario once for each row; a message that does not come, or another than expected, is a failure."""
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "rows.csv"
        table.write_text("\n".join(["SEQUENTIAL", *(";".join(row) for row in rows)]) + "\n")
        port = free_port(socket.SOCK_DGRAM if transport == "u1" else socket.SOCK_STREAM)
        command = ["sipp", "-sf", SCENARIOS / scenario, "-inf", table, "-t", transport, "-i", "127.0.0.1", "-p", port, "-m", len(rows)]
        command += ["-r", 20, "-timeout", "40s", "-timeout_error", "-nostdin", "-max_socket", 1000, *more, server.keys["sip.udp_listen"]]
        return run(command, 50, cwd=folder, env={**os.environ, "TERM": "dumb"})


def credentials(device, password):
    return f"[authentication username={device} password={password}]"


def check(transport):
    def look(context):
        # SIPp answers for the catalog only: what else is asked is not waited for long.
        server = Server(context.weir, **{"gb28181.query": "1s"})
        try:
            server.start()
            api = Client(server.http("/"), KEY_ID, KEY_SECRET).call
            group = api("CreateGroup", Name="sipp", InProtocol="gb28181", OutProtocol="flv")
            ids = [f"340200000013200{n:05}" for n in range(1, CAMERAS + 1)]
            for id in ids:
                api("CreateDevice", GroupId=group["Id"], Name=id, Type="ipc", GbId=id, Password=PASSWORD)
            on = lambda: api("DescribeDevices", GroupId=group["Id"], Status="on", PageSize=1)["TotalCount"]  # noqa: E731
            platform = group["GbId"]
            rows = [(id, credentials(id, PASSWORD), platform) for id in ids]
            sipp(server, "device.xml", transport, rows, "-oocsf", SCENARIOS / "asked.xml")
            told = {"First & foremost", "Second"}
            for id in ids:
                device = api("DescribeDevices", GroupId=group["Id"], GbId=id)["Devices"][0]
                names = {channel["Name"] for channel in api("DescribeDeviceChannels", Id=device["Id"])["Channels"]}
                if names != told:
                    raise Failure(f"{id} has the channels {names}")
            eventually("all unregistered", lambda: on() == 0, 5)
            sipp(server, "stranger.xml", transport, [(f"340200000013299{n:05}", "", platform) for n in range(5)])
            # Five wrong passwords lock a device; the sixth is refused without a challenge, so five are tried.
            sipp(server, "wrong.xml", transport, [(id, credentials(id, "wrong"), platform) for id in ids[:5]])
            if on() != 0:
                raise Failure("a device is on that gave a wrong password")
            rubbish(server)
            sipp(server, "stranger.xml", transport, [("34020000001329900009", "", platform)])
            if "panicked" in server.log():
                raise Failure(f"the server panicked:\n{server.log()[-3000:]}")
            return f"{CAMERAS} cameras"
        finally:
            server.remove()

    return look


def rubbish(server):
    """What is no SIP does no harm, in datagrams and on connections."""
    host, port = server.keys["sip.udp_listen"].rsplit(":", 1)
    parts = [b"", b"\r\n\r\n", b"\0" * 1400, os.urandom(1400), b"REGISTER", b"SIP/2.0 200 OK\r\n\r\n", b"REGISTER sip:a SIP/2.0\r\n" + b"a" * 60000]
    parts += [b"MESSAGE sip:x SIP/2.0\r\nContent-Length: -5\r\n\r\n", b"INVITE sip:\xff SIP/2.0\r\nVia: \r\nFrom: \r\nCSeq: 99999999999 X\r\n\r\n"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for part in parts * 5:
            s.sendto(part, (host, int(port)))
    for part in parts:
        with socket.create_connection((host, int(port)), 5) as s:
            try:
                s.sendall(part)
            except OSError:
                # It may have been hung up on already.
                pass


for way, name in (("u1", "udp"), ("tn", "tcp")):
    case(f"SIPp's cameras register over {name}", weight=2, seconds=60)(check(way))
