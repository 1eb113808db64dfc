"""What the API says holds for media: pushes and plays with ffmpeg and plain HTTP, allowed and refused.

    python3 live.py http://127.0.0.1:8080/ KEY_ID KEY_SECRET [AUTH_KEY]

Without the AUTH_KEY of the play domain only the pushing part runs.
"""
import contextlib
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from plain import Client

FIXTURE = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "media" / "demo.flv"


@contextlib.contextmanager
def pushing(url):
    command = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(FIXTURE), "-c", "copy", "-f", "flv", url]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def refused(url):
    with pushing(url) as process:
        try:
            assert process.wait(15) != 0, f"a push that must be refused ended in order: {url}"
        except subprocess.TimeoutExpired:
            raise AssertionError(f"a push that must be refused goes on: {url}") from None


def until(seconds, what, holds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def fetch(url, most=20_000, seconds=20):
    """Status and the first bytes."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            body = b""
            while len(body) < most:
                part = answer.read1(most)
                if not part:
                    break
                body += part
            return answer.status, body
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def main():
    base, key_id, secret = sys.argv[1:4]
    auth_key = sys.argv[4] if len(sys.argv) > 4 else None
    api = Client(base, key_id, secret)
    group = api.call("CreateGroup", Name="live", Region="r", InProtocol="rtmp", OutProtocol="rtmp,flv,hls")["Id"]
    made = [api.call("CreateRtmpGroupStreamurl", Id=group, Name=name) for name in ("a", "b")]
    stream, other = (row["StreamId"] for row in made)
    push = made[0]["PushUrl"]

    def status():
        return api.call("DescribeStream", Id=stream)

    # Pushes that nobody allowed.
    refused(push.replace(stream, "12345"))
    refused(push.replace(stream, other))
    refused(push.split("?")[0])
    assert status()["Status"] == "off" and status()["StartTime"] == ""

    with pushing(push) as process:
        until(15, "the stream is on", lambda: status()["Status"] == "on")
        assert status()["StartTime"], status()
        until(5, "its picture is known", lambda: status().get("Width", 0) > 0)
        until(3, "it is listed as on", lambda: api.call("DescribeStreams", GroupId=group, Status="on")["TotalCount"] == 1)
        shown = api.call("ScreenShowStreams", GroupId=group)["Streams"]
        assert [row["Id"] for row in shown] == [stream] and shown[0]["Url"].startswith("rtc://"), shown
        if auth_key:
            play(api, group, stream, other, auth_key)
        # Forbidden: cut off within a second, refused from then on.
        api.call("ForbidVsStream", Id=stream)
        began = time.monotonic()
        until(1, "the push is cut", lambda: status()["Status"] == "off")
        assert process.wait(10) != 0
        print(f"live: cut after {time.monotonic() - began:.2f} s")
    refused(push)
    until(3, "its end is stored", lambda: status()["StopTime"] != "")
    api.call("ResumeVsStream", Id=stream)
    with pushing(push) as process:
        until(15, "it is on again", lambda: status()["Status"] == "on")
        api.call("HaltGroup", Id=group)
        until(1, "halting the group cuts it", lambda: status()["Status"] == "off")
        assert process.wait(10) != 0
    refused(push)
    api.call("DeleteGroup", Id=group)
    print("live: ok")


def play(api, group, stream, other, auth_key):
    def url(protocol, **more):
        return api.call("DescribeStreamURL", Id=stream, OutProtocol=protocol, AuthKey=auth_key, **more)["Url"]

    code, body = fetch(url("flv"))
    assert code == 200 and body[:3] == b"FLV" and len(body) >= 20_000, (code, body[:100])
    short = url("flv", Expire=1)
    signed = url("flv")
    forged = signed[:-1] + ("1" if signed.endswith("0") else "0")
    for altered in (signed.replace(stream, other), forged, url("flv").split("?")[0], url("hls").replace(".m3u8", ".flv")):
        assert fetch(altered)[0] == 403, altered
    probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", url("rtmp")]
    kinds = subprocess.run(probe, capture_output=True, timeout=30, check=True).stdout.split()
    assert b"video" in kinds, kinds
    assert subprocess.run(probe[:-1] + [url("rtmp")[:-1]], capture_output=True, timeout=30).returncode != 0

    # HLS, down to a segment.
    where, address = [], url("hls")
    for _ in range(3):
        code, text = fetch(address, 1_000_000)
        assert code == 200 and text.startswith(b"#EXTM3U"), (code, text[:200])
        where.append(address)
        lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
        address = urllib.parse.urljoin(address, lines[-1])
        if ".m3u8" not in address:
            break
    code, segment = fetch(address, 1000)
    assert code == 200 and len(segment) >= 1000, (code, address)
    assert fetch(url("hls").split("?")[0])[0] == 403
    assert fetch(address.split("?")[0])[0] == 403, "a segment plays without a signature"

    time.sleep(1.2)
    assert fetch(short)[0] == 403, "an expired URL plays"
    api.call("ModifyGroup", Id=group, OutProtocol="rtmp,hls")
    assert fetch(urllib.parse.urlunsplit(urllib.parse.urlsplit(where[0])._replace(path=f"/live/{stream}.flv")))[0] == 403
    api.call("DescribeStreamURL", expect=400, Id=stream, OutProtocol="flv", AuthKey=auth_key)
    api.call("ModifyGroup", Id=group, OutProtocol="rtmp,flv,hls")


if __name__ == "__main__":
    main()
