#!/usr/bin/env python3
"""Real clients against a real server. Every case is bounded in time; the last line says how many passed and failed.

    tests/e2e/run.py --weir target/debug/weir --node .cache/node [--only NAME] [--list]
"""

import argparse
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import harness  # noqa: E402
import frames  # noqa: E402, F401
import players  # noqa: E402, F401
import service  # noqa: E402, F401
import interface  # noqa: E402, F401
import pictures  # noqa: E402, F401
import cameras  # noqa: E402, F401
import console  # noqa: E402, F401
import callbacks  # noqa: E402, F401
import crash  # noqa: E402, F401
import backup  # noqa: E402, F401
import schema  # noqa: E402, F401
import tenants  # noqa: E402, F401
import sipdevices  # noqa: E402, F401
import day  # noqa: E402, F401
import record  # noqa: E402, F401
import storage  # noqa: E402, F401
import webrtc  # noqa: E402, F401
import av1  # noqa: E402, F401
import cascade  # noqa: E402, F401
import usage  # noqa: E402, F401
import quotas  # noqa: E402, F401
import cloud_recording  # noqa: E402, F401


def main():
    # Whoever runs this in the background of a plain shell has it, and all that it starts, ignore Ctrl-C; cases press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True, type=pathlib.Path)
    parser.add_argument("--node", required=True, type=pathlib.Path, help="the folder that holds node_modules")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--room", type=int, default=10, help="how much runs side by side")
    args = parser.parse_args()
    cases = [case for case in harness.CASES if args.only.lower() in case.name.lower()]
    if args.list:
        print("\n".join(case.name for case in cases))
        return 0
    if not cases:
        print(f"no case is called {args.only}")
        return 1
    began = time.monotonic()
    server = harness.Server(args.weir.resolve())
    server.lock, server.cleanup = threading.Lock(), []
    try:
        server.start()
        context = harness.Context(server, args.node.resolve(), args.weir.resolve(), server.folder)
        counts = harness.run_all(cases, context, args.room)
        if "panicked" in server.log():
            print(f"\n---- the server panicked\n{server.log()[-4000:]}")
            counts["FAILED"] += 1
        elif counts["FAILED"]:
            print(f"\n---- what the server complained about\n{complaints(server.log())}")
    finally:
        for background in server.cleanup:
            background.__exit__()
        server.remove()
    skipped = f", {counts['SKIPPED']} skipped" if counts["SKIPPED"] else ""
    print(f"\nafter {time.monotonic() - began:.0f} s: {counts['ok']} passed, {counts['FAILED']} failed{skipped}")
    return 1 if counts["FAILED"] else 0


def complaints(log):
    """Warnings and errors of a log, at most the last of them."""
    lines = [line for line in log.splitlines() if " INFO " not in line[:60]]
    return "\n".join(lines[-40:])


if __name__ == "__main__":
    sys.exit(main())
