"""Cloud recording by its public client: a stream is recorded to a bucket of the caller's."""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import urllib.parse

from harness import Failure, Server, case, eventually, free_port, publish, run
from usage import KEY_ID, KEY_SECRET, api, clip

HERE = pathlib.Path(__file__).resolve().parent


class Bucket(http.server.BaseHTTPRequestHandler):
    """An S3-compatible storage, as far as an upload needs one. Objects are in memory; signatures are not checked."""

    objects, parts = {}, {}
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def split(self):
        url = urllib.parse.urlsplit(self.path)
        return urllib.parse.unquote(url.path), urllib.parse.parse_qs(url.query, keep_blank_values=True)

    def content(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self):
        path, query = self.split()
        body = self.content()
        if "partNumber" in query:
            Bucket.parts[(path, int(query["partNumber"][0]))] = body
        else:
            Bucket.objects[path] = body
        self.answer(200, ETag='"e"')

    def do_POST(self):
        path, query = self.split()
        self.content()
        if "uploads" in query:
            body = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        else:
            Bucket.objects[path] = b"".join(Bucket.parts[key] for key in sorted(key for key in Bucket.parts if key[0] == path))
            body = b'<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>'
        self.answer(200, body, Content_Type="application/xml")

    def do_GET(self):
        found = Bucket.objects.get(self.split()[0])
        self.answer(404) if found is None else self.answer(200, found, ETag='"e"', Last_Modified="Wed, 25 Nov 2026 00:00:00 GMT")

    do_HEAD = do_GET

    def do_DELETE(self):
        Bucket.objects.pop(self.split()[0], None)
        self.answer(204)


@case("agora-rest-client records a stream to a bucket", weight=2, seconds=80)
def cloud(context):
    bucket = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=bucket.serve_forever, daemon=True).start()
    server, tls = Server(context.weir), free_port()
    certificate, key = server.folder / "cert.pem", server.folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate, *subject], capture_output=True, timeout=30)
    if made.returncode != 0:
        raise Failure(made.stderr.decode())
    server.keys |= {
        "playback.push_auth": "false",
        "http.tls_listen": f"127.0.0.1:{tls}",
        "http.tls_certificate": certificate,
        "http.tls_key": key,
        "cloud.endpoint": f"http://127.0.0.1:{bucket.server_port}",
    }
    try:
        server.start()
        file = clip(server.folder, 20)
        group = api(server, "CreateGroup", "Name=c", "InProtocol=rtmp", "OutProtocol=rtmp,flv,hls")["Id"]
        url = api(server, "CreateRtmpGroupStreamurl", f"Id={group}", "Name=channel-1")
        path = urllib.parse.urlsplit(url["PushUrl"]).path.strip("/").split("/")
        with publish(server.rtmp(path[1], path[0]), file, loop=True):
            eventually("the stream is live", lambda: api(server, "DescribeStream", f"Id={url['StreamId']}")["Status"] == "on", 10)
            command = [sys.executable, HERE / "agora.py", f"127.0.0.1:{tls}", KEY_ID, KEY_SECRET, group, "channel-1"]
            out, _ = run(command, 60, cwd=server.folder, env={**os.environ, "REQUESTS_CA_BUNDLE": str(certificate)})
        names = json.loads(out.decode().strip().splitlines()[-1])
        eventually("all files are in the bucket", lambda: all(f"/records/{name}" in Bucket.objects for name in names), 10)
        film = next(name for name in names if name.endswith(".mp4"))
        (server.folder / "film.mp4").write_bytes(Bucket.objects[f"/records/{film}"])
        out, _ = run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", server.folder / "film.mp4"], 20)
        if not 4 <= float(out) <= 15:
            raise Failure(f"some seven seconds were recorded, the file has {out}")
        return f"{', '.join(names)}: {float(out):.1f} s"
    finally:
        server.remove()
        bucket.shutdown()
