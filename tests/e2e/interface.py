"""The signed API by clients that were not written for Weir: the public SDKs, and a script after the interface document."""

import pathlib
import sys

from harness import KEY_ID, KEY_SECRET, Server, case, run

HERE = pathlib.Path(__file__).resolve().parent


AUTH_KEY = "e2ePlaybackKey"


def script(name, endpoint):
    def check(context):
        # A server of its own: a group takes its application away from `access.open`, which the other cases stand on.
        server = Server(context.weir, **{"playback.auth_key": AUTH_KEY})
        try:
            server.start()
            command = [sys.executable, HERE / name, endpoint(server), KEY_ID, KEY_SECRET]
            out, _ = run(command + ([AUTH_KEY] if name == "live.py" else []), 120, cwd=server.folder)
        finally:
            server.remove()
        lines = out.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else None

    return check


# The SDKs want a host, the script an address.
SCRIPTS = [
    ("the public SDKs drive the API", "sdk.py", lambda server: f"127.0.0.1:{server.http_port}"),
    ("a script after the interface document drives the API", "plain.py", lambda server: server.http("/")),
    ("streams of the API are pushed, played, refused and cut", "live.py", lambda server: server.http("/")),
]

for title, name, endpoint in SCRIPTS:
    case(title, weight=2, seconds=130)(script(name, endpoint))
