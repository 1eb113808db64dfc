"""Callbacks, from the queue to a receiver on this machine: order, retries, signature, the log, and what a kill -9 leaves of them."""

import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import KEY_ID, KEY_SECRET, Background, Failure, Server, case, eventually, publish, TOP
from plain import Client

FIXTURE = TOP / "fixtures" / "media" / "demo.flv"
CAMERA = "34020000001320000001"


class Receiver:
    """Takes posts; answers each with what `answer` says for it."""

    def __init__(self):
        self.posts, self.lock, self.answer = [], threading.Lock(), lambda post: 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    post = {"headers": self.headers, "body": body, "json": json.loads(body), "at": time.monotonic()}
                    status = post["status"] = outer.answer(post)
                    outer.posts.append(post)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?of=weir"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def all(self, event=None):
        with self.lock:
            return [post for post in self.posts if event in (None, post["json"].get("Event"))]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def verify(post):
    """What a receiver does with the signature."""
    headers = post["headers"]
    if headers["X-Weir-AccessKeyId"] != KEY_ID or abs(int(headers["X-Weir-Timestamp"]) - time.time()) > 60:
        raise Failure(f"not the tenant's key, or an old time: {dict(headers)}")
    text = f"{headers['X-Weir-Timestamp']}\n{headers['X-Weir-Delivery']}\n".encode() + post["body"]
    if headers["X-Weir-Signature"] != "v1=" + hmac.new(KEY_SECRET.encode(), text, hashlib.sha256).hexdigest():
        raise Failure(f"a wrong signature: {dict(headers)} {post['body']}")


def start(context, **keys):
    # Few tries after short waits; a callback that was under way when the server was killed is free again after the lease.
    server = Server(context.weir, **{"notify.first_wait": "300ms", "notify.timeout": "2s", "stream.grace": "1s", **keys})
    return server, lambda: Client(server.http("/"), KEY_ID, KEY_SECRET)


def pushed(api, receiver, name):
    group = api.call("CreateGroup", Name="callbacks", InProtocol="rtmp", OutProtocol="flv", Region="r", Callback=receiver.url)["Id"]
    made = api.call("CreateRtmpGroupStreamurl", Id=group, Name=name)
    return group, made["StreamId"], made["PushUrl"]


@case("callbacks are signed, in order, tried again and logged", weight=2, seconds=60)
def delivered(context):
    server, api = start(context, **{"notify.allow": "127.0.0.1/32"})
    with Receiver() as receiver:
        try:
            server.start()
            group, stream, url = pushed(api(), receiver, "门口")
            # The first two posts fail: what comes later about the same stream must wait for its turn.
            receiver.answer = lambda post: 500 if len(receiver.posts) < 2 else 200
            with publish(url, FIXTURE) as sender:
                eventually("the first post", receiver.all, 10)
                sender.kill()
            eventually("on and off are taken", lambda: len(receiver.all()) >= 4, 30)
            told = [(post["json"]["StreamStatus"], post["status"]) for post in receiver.all("stream_status")]
            if told != [("on", 500), ("on", 500), ("on", 200), ("off", 200)]:
                raise Failure(f"told in this order: {told}")
            first, again, third, last = receiver.all()
            for post in receiver.all():
                verify(post)
                body = post["json"]
                if (body["GroupId"], body["StreamId"], body["StreamName"], body["DeviceId"]) != (group, stream, "门口", ""):
                    raise Failure(f"about another stream: {body}")
                if abs(body["Time"] - time.time()) > 60 or not post["headers"]["Content-Type"].startswith("application/json"):
                    raise Failure(f"{body} {dict(post['headers'])}")
            deliveries = [post["headers"]["X-Weir-Delivery"] for post in (first, again, third, last)]
            if len(set(deliveries[:3])) != 1 or deliveries[3] == deliveries[0]:
                raise Failure(f"tries of one callback share its number, another one has its own: {deliveries}")
            if third["at"] - again["at"] < 1.5 * (again["at"] - first["at"]):
                raise Failure("the waits between tries do not grow")
            log = eventually("all is logged", lambda: page(api(), f"stream/{stream}", 4), 10)
            rows = [(row["HttpStatus"], row["Try"], row["Last"], bool(row["Error"])) for row in log]
            if rows != [(200, 1, True, False), (200, 3, True, False), (500, 2, False, True), (500, 1, False, True)]:
                raise Failure(f"the log, newest first: {log}")
            if [row["Id"] for row in log] != deliveries[::-1] or any(row["Url"] != receiver.url for row in log):
                raise Failure(f"the log is of other callbacks: {log}")
            if len(api().call("ListCallbackDeliveries", Object=f"stream/{stream}", Failed="true")["Deliveries"]) != 2:
                raise Failure("the failed tries are not listed on their own")
            return devices(server, api(), receiver, context)
        finally:
            server.remove()


def page(api, thing, rows):
    log = api.call("ListCallbackDeliveries", Object=thing)["Deliveries"]
    return log if len(log) >= rows else None


def devices(server, api, receiver, context):
    """A camera registers and leaves."""
    group = api.call("CreateGroup", Name="gb", InProtocol="gb28181", OutProtocol="flv", Region="r", Callback=receiver.url)
    device = api.call("CreateDevice", GroupId=group["Id"], Type="ipc", GbId=CAMERA, Username=CAMERA, Password="secret12")["Id"]
    command = [context.weir, "camera", "--server", server.keys["sip.udp_listen"], "--domain", group["GbId"], "--id", CAMERA]
    with Background([*command, "--password", "secret12"], env=server.environment()):
        eventually("the camera is told to be on", lambda: receiver.all("device_status"), 15)
    # It unregisters when it is ended in order.
    eventually("the camera is told to be off", lambda: len(receiver.all("device_status")) >= 2, 15)
    told = [(p["json"]["DeviceStatus"], p["json"]["GbId"], p["json"]["DeviceId"], p["json"]["GroupId"]) for p in receiver.all("device_status")]
    if told != [(state, CAMERA, device, group["Id"]) for state in ("on", "off")]:
        raise Failure(f"told of the camera: {told}")
    for post in receiver.all("device_status"):
        verify(post)
    return f"{len(receiver.all())} posts"


@case("callbacks to addresses that are not public are refused", seconds=40)
def guarded(context):
    server, api = start(context, **{"notify.tries": "2"})
    with Receiver() as receiver:
        try:
            server.start()
            _, stream, url = pushed(api(), receiver, "inside")
            with publish(url, FIXTURE):
                log = eventually("the refusal is logged", lambda: page(api(), f"stream/{stream}", 2), 20)
            if receiver.all() or any("not public" not in row["Error"] or row["HttpStatus"] != 0 for row in log):
                raise Failure(f"{len(receiver.all())} posts came through: {log}")
        finally:
            server.remove()


@case("callbacks that wait survive kill -9, and what was on is told to be off", weight=2, seconds=60)
def survive(context):
    server, api = start(context, **{"notify.allow": "127.0.0.1/32", "notify.first_wait": "1s"})
    with Receiver() as receiver:
        try:
            server.start()
            receiver.answer = lambda post: 503
            _, stream, url = pushed(api(), receiver, "killed")
            with publish(url, FIXTURE, loop=True):
                # The try has been answered and logged: it waits for its second one.
                eventually("the first try is logged", lambda: page(api(), f"stream/{stream}", 1), 15)
                server.kill()
            refused = len(receiver.all())
            receiver.answer = lambda post: 200
            server.start()
            eventually("both are taken", lambda: len(receiver.all()) >= refused + 2, 20)
            after = receiver.all()[refused:]
            told = [post["json"]["StreamStatus"] for post in after]
            if told != ["on", "off"] or any(post["json"]["StreamId"] != stream for post in after):
                raise Failure(f"told after the restart: {told}")
            if after[0]["headers"]["X-Weir-Delivery"] != receiver.all()[0]["headers"]["X-Weir-Delivery"]:
                raise Failure("the callback came again under another number")
            for post in after:
                verify(post)
            status = api().call("DescribeStream", Id=stream)
            if (status["Status"], bool(status["StopTime"])) != ("off", True):
                raise Failure(f"after the restart the stream is {status}")
        finally:
            server.remove()
