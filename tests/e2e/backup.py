"""`weir backup` and `weir restore`: beside a running server, secrets and all; and two servers that share one PostgreSQL."""

import json
import re
import shutil
import stat
import subprocess
import threading
import time

from crash import code, send, signed
from harness import KEY_ID, KEY_SECRET, TOP, Background, Failure, Server, case, eventually, run
from plain import Client

BUCKET = json.dumps({"AccessKeyId": "bucket-id", "AccessKeySecret": "bucket-secret-PLAIN"})
PASSWORD = "camera-secret-PLAIN"


def refused(command, says, env):
    """Runs a command that must fail and say why."""
    done = subprocess.run([str(part) for part in command], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    told = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode == 0 or not re.search(says, told):
        raise Failure(f"{command[1:]} ends with {done.returncode} and says: {told}")


def only_owner(path):
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode != 0o600:
        raise Failure(f"{path.name} has mode {mode:o}")


def filled(server):
    """A tenant with one of everything that has a secret."""
    root = Client(server.http("/"), KEY_ID, KEY_SECRET)
    tenant = root.call("CreateMtsService", UserId="kept", AccessInfo=BUCKET)
    key = tenant["UserAccessKeyId"], tenant["UserAccessKeySecret"]
    api = Client(server.http("/"), *key)
    group = api.call("CreateGroup", Name="组", Region="r", InProtocol="rtmp", OutProtocol="rtmp,flv")["Id"]
    stream = api.call("CreateRtmpGroupStreamurl", Id=group, Name="s", AccessInfo=BUCKET)["StreamId"]
    gb = api.call("CreateGroup", Name="gb", Region="r", InProtocol="gb28181", OutProtocol="flv")
    device = api.call("CreateDevice", GroupId=gb["Id"], Type="ipc", GbId=code(1), Username=code(1), Password=PASSWORD)["Id"]
    return key, group, stream, gb["GbId"], device


def same(server, key, group, stream, device):
    """What must be alike before and after."""
    api = Client(server.http("/"), *key)
    shown = [api.call("DescribeGroup", Id=group), api.call("DescribeStream", Id=stream), api.call("DescribeDevice", Id=device)]
    # The ports are a server's own.
    text = json.dumps([{k: v for k, v in one.items() if k != "RequestId"} for one in shown], sort_keys=True)
    return re.sub(r"(127\.0\.0\.1:|Port\": )\d+", r"\1PORT", text)


def unsealed(context, server, domain, device, key, play):
    """Passwords and keys are what they were: a camera registers with its own, and a URL of before opens its stream."""
    api = Client(server.http("/"), *key)
    sip = server.keys["sip.udp_listen"]
    camera = [context.weir, "camera", "--server", sip, "--domain", domain, "--id", code(1), "--password", PASSWORD]
    with Background(camera, env=server.environment()):
        eventually("the camera registers with its password", lambda: api.call("DescribeDevice", Id=device)["Status"] == "on", 20)
    path = "/" + play.split("://")[1].split("/", 1)[1].strip()
    # Nobody sends it, but the signature is good.
    if (server.get(path)[0], server.get(path[:-1])[0]) != (404, 403):
        raise Failure(f"{path} answers {server.get(path)[0]}, altered {server.get(path[:-1])[0]}")


@case("a backup beside a running server comes back with its secrets", weight=2, seconds=60)
def sqlite(context):
    server, other = Server(context.weir), Server(context.weir, **{"http.patience": "200ms"})
    file = server.folder / "weir.backup"
    weir = lambda *words: [context.weir, *words]
    try:
        server.start()
        key, group, stream, domain, device = filled(server)
        api = Client(server.http("/"), *key)
        data = server.folder / "data"
        only_owner(data / "secret.key")
        for part in data.glob("weir.db*"):
            held = part.read_bytes()
            for secret in (PASSWORD, "bucket-secret-PLAIN", key[1]):
                if secret.encode() in held:
                    raise Failure(f"{part.name} holds a secret in the clear")
        answered, done = [], threading.Event()

        def write():
            while not done.is_set():
                answered.append(api.call("CreateRtmpGroupStreamurl", Id=group, Name="n", AccessInfo=BUCKET)["StreamId"])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            time.sleep(0.5)
            there = list(answered)
            before = same(server, key, group, stream, device)
            run(weir("backup", file), 30, env=server.environment())
        finally:
            done.set()
            writer.join(20)
        only_owner(file)
        if not there:
            raise Failure("nothing was written while the backup was taken")
        refused(weir("backup", file), "there already", server.environment())
        play = run(weir("url", stream, "flv"), 20, env=server.environment())[0].decode()
        refused(weir("restore", file), "another server uses", server.environment())

        damaged = server.folder / "damaged"
        bytes_ = bytearray(file.read_bytes())
        bytes_[len(bytes_) // 2] ^= 1
        damaged.write_bytes(bytes_)
        refused(weir("restore", damaged), "checksum", other.environment())
        run(weir("restore", file), 30, env=other.environment())
        only_owner(other.folder / "data" / "secret.key")
        if (other.folder / "data" / "secret.key").read_bytes() != (data / "secret.key").read_bytes():
            raise Failure("the key of the secrets is another one")
        other.start()
        if same(other, key, group, stream, device) != before:
            raise Failure(f"restored: {same(other, key, group, stream, device)}\nbefore: {before}")
        restored = Client(other.http("/"), *key)
        for one in there:
            restored.call("DescribeStream", Id=one)
        unsealed(context, other, domain, device, key, play)

        # Over a store that is there: only when it is forced, and what was there is kept.
        server.stop()
        refused(weir("restore", file), "force", server.environment())
        run(weir("restore", file, "--force"), 30, env=server.environment())
        kept = sorted(path.name for path in data.glob("*.before-restore-*"))
        if not any(name.startswith("weir.db.") for name in kept) or not any(name.startswith("secret.key.") for name in kept):
            raise Failure(f"put aside: {kept}")
        server.start()
        if same(server, key, group, stream, device) != before:
            raise Failure("restored over itself, it is not as before")
        return f"{file.stat().st_size // 1024} kB, {len(there)} streams made before it, {len(answered)} until its end"
    finally:
        server.remove()
        other.remove()


def database(script):
    """The URL of the throw-away PostgreSQL, once it runs."""
    if script.process.poll() is not None:
        raise Failure(f"no PostgreSQL: {script.output()[-1500:]}")
    found = re.search(r"^URL (\S+)$", script.output(), re.M)
    return found and found.group(1)


@case("two servers share one PostgreSQL: no call is good twice, and a backup moves to SQLite", weight=3, seconds=90)
def postgres(context):
    hold = ["sh", "-c", 'echo "URL $WEIR_TEST_POSTGRES"; exec sleep 300']
    servers = []
    with Background([TOP / "tests" / "postgres.sh", *hold]) as script:
        try:
            url = eventually("PostgreSQL runs", lambda: database(script), 40)
            one, two = (Server(context.weir, **{"store.url": url, "store.node": n}) for n in (1, 2))
            three = Server(context.weir, **{"http.patience": "200ms"})
            servers = [one, two, three]
            one.start()
            # Its own key would open nothing: that is told, with the file that is missing.
            refused([context.weir, "serve"], "secret.key", two.environment())
            (two.folder / "data").mkdir(exist_ok=True)
            shutil.copy(one.folder / "data" / "secret.key", two.folder / "data" / "secret.key")
            two.start()
            key, group, stream, domain, device = filled(one)
            if same(two, key, group, stream, device) != same(one, key, group, stream, device):
                raise Failure("the other server does not show the same")

            for first, second in ((one, two), (two, one)):
                call = signed(first.http("/"), "DescribeGroups")
                again = call.replace(first.http("/"), second.http("/"))
                answers = [send(call)[0], *((status, body.get("Code")) for status, body in map(send, (again, call)))]
                if answers != [200, (400, "SignatureNonceUsed"), (400, "SignatureNonceUsed")]:
                    raise Failure(f"a call and its replays on both servers: {answers}")
            # All at once on both: one of them takes it.
            calls = [signed(one.http("/"), "DescribeGroups") for _ in range(20)]
            results = {}

            def race(n, url):
                results.setdefault(n, []).append(send(url)[0])

            lanes = [threading.Thread(target=race, args=(n, to)) for n, call in enumerate(calls)
                     for to in (call, call.replace(one.http("/"), two.http("/")))]
            for lane in lanes:
                lane.start()
            for lane in lanes:
                lane.join(20)
            if any(sorted(got) != [200, 400] for got in results.values()) or len(results) != 20:
                raise Failure(f"answers to calls that were sent to both servers at once: {results}")

            Client(one.http("/"), KEY_ID, KEY_SECRET).call("SuspendMtsService", UserId="kept")
            suspended = lambda: send_as(two, key) == 403
            eventually("a tenant that one server suspends is shut out by the other", suspended, 15)
            Client(two.http("/"), KEY_ID, KEY_SECRET).call("RenewMtsService", UserId="kept")
            eventually("and let in again", lambda: send_as(one, key) == 200, 15)

            file = one.folder / "weir.backup"
            before = same(one, key, group, stream, device)
            play = run([context.weir, "url", stream, "flv"], 20, env=one.environment())[0].decode()
            run([context.weir, "backup", file], 30, env=one.environment())
            refused([context.weir, "restore", file, "--force"], "stop it first", one.environment())
            one.stop()
            two.stop()
            refused([context.weir, "restore", file], "force deletes it", one.environment())
            run([context.weir, "restore", file, "--force"], 30, env=one.environment())
            one.start()
            if same(one, key, group, stream, device) != before:
                raise Failure("restored into PostgreSQL, it is not as before")
            run([context.weir, "restore", file], 30, env=three.environment())
            three.start()
            if same(three, key, group, stream, device) != before:
                raise Failure("moved to SQLite, it is not as before")
            unsealed(context, three, domain, device, key, play)
        finally:
            for server in servers:
                server.remove()


def send_as(server, key):
    """The status of a call with this key."""
    for expect in (200, 403):
        try:
            Client(server.http("/"), *key).call("DescribeGroups", expect=expect)
            return expect
        except AssertionError:
            continue
    return None


@case("completion scripts load and know the actions", seconds=30)
def completion(context):
    scripts = {shell: run([context.weir, "completion", shell], 10)[0].decode() for shell in ("bash", "zsh", "fish")}
    known = json.loads(context.server.get("/openapi.json")[2])["paths"]
    for shell, text in scripts.items():
        path = context.folder / f"completion.{shell}"
        path.write_text(text)
        # Each by the shell that it is for: it reads the whole script without running it.
        run([shell, "-n", path], 15)
        missing = [action for action in (name.rsplit("=", 1)[1] for name in known) if action not in text]
        if missing:
            raise Failure(f"{shell}: {missing[:5]} are not completed")
    # And bash completes with it.
    script = context.folder / "completion.bash"
    for words, expected in ((["weir", "ba"], ["backup"]), (["weir", "api", "DescribeGr"], ["DescribeGroup", "DescribeGroups"])):
        ask = f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _weir weir {words[-1]} {words[-2]}"
        replies = run(["bash", "-c", ask + "; echo ${COMPREPLY[@]}"], 10)[0].decode().split()
        if sorted(replies) != expected:
            raise Failure(f"{' '.join(words)}<TAB> gives {replies}")
