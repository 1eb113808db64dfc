"""The signed API by clients that were not written for Weir: the public SDKs, and a script after the interface document."""

import pathlib
import sys

from harness import KEY_ID, KEY_SECRET, case, run

HERE = pathlib.Path(__file__).resolve().parent


def script(name):
    def check(context):
        out, _ = run([sys.executable, HERE / name, context.server.http("/"), KEY_ID, KEY_SECRET], 120, cwd=context.folder)
        lines = out.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else None

    return check


for title, name in (("the public SDKs drive the API", "sdk.py"), ("a script after the interface document drives the API", "plain.py")):
    if (HERE / name).exists():
        case(title, weight=2, seconds=130)(script(name))
