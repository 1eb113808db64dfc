"""What every case stands on: a server on free ports, processes that cannot outlive their time, and a list of cases."""

import dataclasses
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

TOP = pathlib.Path(__file__).resolve().parents[2]
KEY_ID, KEY_SECRET = "e2e-key", "e2e-secret-0123456789abcdef"


class Failure(Exception):
    """A case failed, and this is why."""


class Skip(Exception):
    """A case cannot be run here, and this is why. Counted, and told at the end."""


@dataclasses.dataclass
class Case:
    name: str
    run: object
    weight: int  # how much of the machine it needs; see `run_all`
    seconds: float


CASES = []


def case(name, weight=1, seconds=90):
    """Registers a function as a case; it takes the `Context`."""

    def register(function):
        CASES.append(Case(name, function, weight, seconds))
        return function

    return register


@dataclasses.dataclass
class Context:
    server: "Server"
    node: pathlib.Path
    weir: pathlib.Path
    folder: pathlib.Path


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(command, seconds, ok=True, **options):
    """Runs a command to its end; one that hangs or fails is a failure with its output. Gives its output."""
    command = [str(part) for part in command]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_group(process, signal.SIGKILL)
        out, err = process.communicate()
        raise Failure(f"hangs for {seconds} s: {' '.join(command)}\n{tail(err) or tail(out)}") from None
    if ok and process.returncode != 0:
        raise Failure(f"ends with {process.returncode}: {' '.join(command)}\n{tail(err) or tail(out)}")
    return out, err


def tail(output, length=1500):
    return output.decode(errors="replace")[-length:].strip()


def kill_group(process, sign):
    try:
        os.killpg(process.pid, sign)
    except ProcessLookupError:
        pass


class Background:
    """A process that runs beside a case and is ended with it."""

    def __init__(self, command, **options):
        self.command = [str(part) for part in command]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True, **options
        )

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"does not end in {seconds} s: {' '.join(self.command)}\n{self.output()[-1500:]}") from None

    def expect_success(self, seconds):
        if self.wait(seconds) != 0:
            raise Failure(f"ends with {self.process.returncode}: {' '.join(self.command)}\n{self.output()[-1500:]}")

    def kill(self, sign=signal.SIGKILL):
        kill_group(self.process, sign)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
                self.process.wait()
        self.log.close()


class Server:
    """A Weir with a folder and ports of its own."""

    def __init__(self, weir, **keys):
        self.weir = weir
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-e2e-"))
        self.http_port, self.rtmp_port = free_port(), free_port()
        sip = free_port()
        self.keys = {
            "data_dir": self.folder / "data",
            "access_key_id": KEY_ID,
            "access_key_secret": KEY_SECRET,
            "http.listen": f"127.0.0.1:{self.http_port}",
            "rtmp.listen": f"127.0.0.1:{self.rtmp_port}",
            "sip.udp_listen": f"127.0.0.1:{sip}",
            "sip.tcp_listen": f"127.0.0.1:{sip}",
            "rtp.listen": f"127.0.0.1:{free_port()}",
            "webrtc.listen": "127.0.0.1:0",
            "access.open": "live/*",
            "stream.grace": "3s",
            **keys,
        }
        self.process = None

    def environment(self):
        """The keys as variables; only those that this build knows."""
        known = known_keys(self.weir)
        variables = {f"WEIR_{key.upper().replace('.', '__')}": str(value) for key, value in self.keys.items() if key in known}
        return {**{name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}, **variables}

    def start(self, seconds=20):
        self.process = Background([self.weir, "serve"], env=self.environment(), cwd=self.folder)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.process.poll() is not None:
                raise Failure(f"the server ended:\n{self.process.output()[-3000:]}")
            if self.status("/readyz") == 200:
                return self
            time.sleep(0.05)
        raise Failure(f"the server is not ready after {seconds} s:\n{self.process.output()[-3000:]}")

    def stop(self, seconds=15):
        """Asks it to end, as an operator does; gives its exit code."""
        os.kill(self.process.process.pid, signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        self.process.kill()
        self.process.wait(5)

    def remove(self):
        if self.process and self.process.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return self.process.output()

    def rss_kb(self):
        text = pathlib.Path(f"/proc/{self.process.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def rtmp(self, name, app="live"):
        return f"rtmp://127.0.0.1:{self.rtmp_port}/{app}/{name}"

    def http(self, path):
        return f"http://127.0.0.1:{self.http_port}{path}"

    def ws(self, path):
        return f"ws://127.0.0.1:{self.http_port}{path}"

    def get(self, path, seconds=5, **headers):
        """Status, headers and body of a GET."""
        request = urllib.request.Request(self.http(path), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, refused.read()

    def status(self, path):
        try:
            return self.get(path, seconds=2)[0]
        except OSError:
            return 0


_known = {}


def known_keys(weir):
    """All keys of a build's configuration, from its own reference."""
    if weir not in _known:
        section, keys = "", set()
        for line in run([weir, "config"], 10)[0].decode().splitlines():
            if line.startswith("["):
                section = line.strip("[]") + "."
            elif found := re.match(r"#([a-z0-9_]+) =", line):
                keys.add(section + found.group(1))
        _known[weir] = keys
    return _known[weir]


def eventually(what, check, seconds):
    """Waits until `check` gives something true, and gives that."""
    until = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > until:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def publish(url, file, loop=False):
    """ffmpeg sends a file at its own pace, as a user would."""
    loops = ["-stream_loop", "-1"] if loop else []
    return Background(["ffmpeg", "-hide_banner", "-loglevel", "warning", "-re", *loops, "-i", file, "-c", "copy", "-f", "flv", url])


class Tickets:
    """Room for cases by weight: a browser needs more of a small machine than a probe."""

    def __init__(self, room):
        self.room, self.changed = room, threading.Condition()

    def take(self, weight):
        with self.changed:
            self.changed.wait_for(lambda: self.room >= weight)
            self.room -= weight

    def give(self, weight):
        with self.changed:
            self.room += weight
            self.changed.notify_all()


def run_all(cases, context, room):
    """Runs the cases side by side; one line each, failures in full at the end. Gives how many came out how."""
    tickets, results, lock = Tickets(room), [], threading.Lock()

    def one(case):
        tickets.take(case.weight)
        began = time.monotonic()
        try:
            why, kind = case.run(context), "ok"
        except Skip as skipped:
            why, kind = str(skipped), "SKIPPED"
        except Failure as failure:
            why, kind = str(failure), "FAILED"
        except Exception:
            why, kind = traceback.format_exc(), "FAILED"
        finally:
            tickets.give(case.weight)
        took = time.monotonic() - began
        if kind == "ok" and took > case.seconds:
            why, kind = f"took {took:.0f} s, {case.seconds:.0f} s are allowed", "FAILED"
        with lock:
            results.append((case, kind, why))
            note = f" ({why})" if why and kind != "FAILED" else ""
            print(f"{case.name} ... {kind} {took:.1f} s{note}", flush=True)

    # Long and heavy ones first, so that the end is not one browser alone.
    order = sorted(cases, key=lambda case: -case.weight)
    with ThreadPoolExecutor(max_workers=max(1, len(cases))) as pool:
        list(pool.map(one, order))
    for case, kind, why in results:
        if kind == "FAILED":
            print(f"\n---- {case.name}\n{why}")
    return {kind: sum(1 for _, k, _ in results if k == kind) for kind in ("ok", "FAILED", "SKIPPED")}
