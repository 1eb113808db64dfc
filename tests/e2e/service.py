"""The server as an operator sees it: start, readiness, metrics, signals, bad peers, publishers that vanish and return."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import media
from frames import FOLDER, Reader, http_flv, is_live
from harness import TOP, Background, Failure, Server, case, eventually, publish, run

HERE = pathlib.Path(__file__).resolve().parent
FIXTURE = FOLDER / "h264_aac.flv"


@case("health, readiness and metrics", seconds=20)
def health(context):
    server = context.server
    for path in ("/healthz", "/readyz"):
        if server.status(path) != 200:
            raise Failure(f"{path} answers {server.status(path)}")
    status, _, body = server.get("/metrics")
    if status != 200 or not re.search(rb"^weir_\w+", body, re.M):
        raise Failure(f"/metrics answers {status}: {body[:300]!r}")
    for line in body.decode().splitlines():
        if line and not line.startswith("#") and not re.fullmatch(r'[a-z_:]\w*(\{.*\})? \S+', line):
            raise Failure(f"/metrics: not a line of Prometheus: {line}")


@case("answers to wrong requests can be read", seconds=40)
def wrong_requests(context):
    for path, expected in [("/live/nobody-sends-this.flv", {404}), ("/closed/stream.flv", {403, 404}), ("/live/nobody.m3u8", {404})]:
        status, _, body = context.server.get(path, seconds=15)
        if status not in expected or not body.strip():
            raise Failure(f"{path} answers {status} with {body[:200]!r}")


@case("SIGTERM ends sessions in order", weight=2, seconds=60)
def sigterm(context):
    server = Server(context.weir)
    try:
        server.start()
        with publish(server.rtmp("a"), FIXTURE, loop=True) as sender:
            eventually("live", lambda: is_live(server, "a", sender), 10)
            player = Reader("HTTP-FLV", lambda: http_flv(server.http("/live/a.flv"), 30))
            time.sleep(1)
            began = time.monotonic()
            code = server.stop(15)
            if code != 0:
                raise Failure(f"ends with {code}: {server.log()[-1500:]}")
            if not player.get(5):
                raise Failure("the player got nothing")
            return f"ended after {time.monotonic() - began:.1f} s"
    finally:
        server.remove()


@case("a publisher that is killed is noticed, one that returns keeps its players", weight=2, seconds=90)
def vanish_and_return(context):
    server, name = context.server, "vanish"
    with publish(server.rtmp(name), FIXTURE, loop=True) as sender:
        eventually("live", lambda: is_live(server, name, sender), 10)
        player = Reader("HTTP-FLV", lambda: http_flv(server.http(f"/live/{name}.flv"), 60))
        time.sleep(3)
        sender.kill()
        sender.process.wait(5)
    with publish(server.rtmp(name), FIXTURE) as sender:
        time.sleep(4)
        if not player.is_alive():
            player.get(1)
            raise Failure("the player was let go when its publisher was killed, though the publisher came back at once")
        sender.kill()
        sender.process.wait(5)
    packets = player.get(30)
    times = [packet.dts for packet in media.of(packets, "video")]
    if any(later < earlier for earlier, later in zip(times, times[1:])):
        raise Failure("time runs backwards across the gap")
    if times[-1] - times[0] < 5:
        raise Failure(f"only {times[-1] - times[0]:.1f} s came: the second publisher was not heard")
    return f"{times[-1] - times[0]:.1f} s across the gap"


@case("hostile peers lose their sessions, players lose nothing", weight=2, seconds=120)
def hostile(context):
    server, name = context.server, "hostile"
    expected = media.source(FIXTURE)
    with publish(server.rtmp(name), FIXTURE) as sender:
        eventually("live", lambda: is_live(server, name, sender), 10)
        player = Reader("HTTP-FLV", lambda: http_flv(server.http(f"/live/{name}.flv"), 60))
        attackers = []
        for n in range(100):
            port = (server.rtmp_port, server.http_port)[n % 2]
            attack = ATTACKS[n % len(ATTACKS)]
            s = socket.create_connection(("127.0.0.1", port), 5)
            s.settimeout(5)
            try:
                s.sendall(attack)
            except OSError:
                pass
            attackers.append(s)
        media.compare(expected, player.get(60), "the healthy player")
        for s in attackers:
            s.close()
        sender.expect_success(20)
    if server.status("/readyz") != 200:
        raise Failure("the server is not ready any more")
    if "panicked" in server.log():
        raise Failure(f"something panicked: {server.log()[-2000:]}")


ATTACKS = [
    os.urandom(4096),
    b"\x03" + bytes(1536) + os.urandom(4000),
    b"\x03" + bytes(700),
    b"\x03" + bytes(1536 * 2) + b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\x7f\xff\xff\xff" + b"\x03\0\0\0\xff\xff\xff\x14\0\0\0\0" + bytes(65536),
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20000,
    b"GET /" + b"a" * 100000,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"GET /live/x.flv HTTP/1.1\r\nHost",
    b"",
]


@case("make run: the demo plays, public SDKs drive it with the keys it prints, Ctrl-C ends all", weight=2, seconds=120)
def demo(context):
    recipe = run(["make", "-n", "run"], 20, cwd=TOP)[0].decode()
    if "WEIR=target/release/weir tests/demo.sh" not in recipe:
        raise Failure(f"`make run` starts something else: {recipe}")
    server = Server(context.weir)
    server.folder.mkdir(exist_ok=True)
    # The script is what `make run` starts after building; its own defaults are wanted, but not its ports and folder.
    keys = ("WEIR_DATA_DIR", "WEIR_HTTP__LISTEN", "WEIR_RTMP__LISTEN", "WEIR_SIP__UDP_LISTEN", "WEIR_SIP__TCP_LISTEN", "WEIR_RTP__LISTEN")
    keys += ("WEIR_WEBRTC__LISTEN",)
    ours = server.environment()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
    environment |= {name: ours[name] for name in keys if name in ours} | {"WEIR": str(context.weir.resolve())}
    try:
        with Background([TOP / "tests" / "demo.sh"], env=environment) as script:
            streams = eventually("the demo plays", lambda: demo_streams(server, script), 30)
            if {stream["codec_type"] for stream in streams} != {"video", "audio"}:
                raise Failure(f"not picture and sound: {streams}")
            # Told when its stream is there, and signed.
            cameras = eventually("the camera's addresses are told", lambda: told(script), 40)
            said = script.output()
            for url in (server.rtmp("stream", "demo"), server.http("/demo/stream.flv"), server.http("/demo/stream.m3u8")):
                if url not in said:
                    raise Failure(f"{url} is not told: {said}")
            for url in cameras:
                if not any(found["codec_type"] == "video" for found in media.probe(url, 15, "-read_intervals", "%+1")[0].values()):
                    raise Failure(f"no picture at {url}")
            drive(server, said)
            group = descendants(script.process.pid)
            os.killpg(script.process.pid, signal.SIGINT)
            script.wait(20)
            left = [pid for pid in group if os.path.exists(f"/proc/{pid}")]
            if left:
                raise Failure(f"still running after Ctrl-C: {left}")
    finally:
        server.remove()


def drive(server, said):
    """The public SDKs and a script after the interface document, unchanged, with the key that was printed."""
    keys = dict(re.findall(r"AccessKey(Id|Secret)\s+(\S+)", said))
    if set(keys) != {"Id", "Secret"}:
        raise Failure(f"no access key is printed: {said}")
    for name, endpoint in (("plain.py", server.http("/")), ("sdk.py", f"127.0.0.1:{server.http_port}")):
        run([sys.executable, HERE / name, endpoint, keys["Id"], keys["Secret"]], 60)
        if said.count(keys["Secret"]) != 1:
            raise Failure("the secret is printed more than once")


def told(script):
    """The addresses of the camera that the script tells, when all three are there."""
    if script.process.poll() is not None:
        raise Failure(f"the demo ended: {script.output()[-2000:]}")
    urls = [word for word in script.output().split() if "://" in word and "/cameras/" in word and "auth_key=" in word]
    return urls if len(urls) == 3 else None


def demo_streams(server, script):
    if script.process.poll() is not None:
        raise Failure(f"the demo ended: {script.output()[-2000:]}")
    try:
        return list(media.probe(server.rtmp("stream", "demo"), 10, "-read_intervals", "%+1")[0].values())
    except Failure:
        return None


def descendants(pid):
    """All processes below one."""
    found = []
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE).stdout.decode().split()
    for child in map(int, children):
        found += [child, *descendants(child)]
    return found
