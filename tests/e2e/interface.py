"""The signed API by clients that were not written for Weir: the public SDKs, and a script after the interface document."""

import pathlib
import sys

from harness import KEY_ID, KEY_SECRET, case, run

HERE = pathlib.Path(__file__).resolve().parent


def script(name, endpoint):
    def check(context):
        out, _ = run([sys.executable, HERE / name, endpoint(context.server), KEY_ID, KEY_SECRET], 120, cwd=context.folder)
        lines = out.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else None

    return check


# The SDKs want a host, the script an address.
SCRIPTS = [
    ("the public SDKs drive the API", "sdk.py", lambda server: f"127.0.0.1:{server.http_port}"),
    ("a script after the interface document drives the API", "plain.py", lambda server: server.http("/")),
]

for title, name, endpoint in SCRIPTS:
    case(title, weight=2, seconds=130)(script(name, endpoint))
