#!/usr/bin/env python3
"""Load figures of Weir beside the floor program and nginx-rtmp, as ratios of one run.

The tools are not part of this repository: they are looked for in ../shared/bench or where BENCH_TOOLS says, copied to
target/bench and built there. The server is pinned to core 0, everything else to core 1, in a network namespace of its own.
Without the tools nothing is measured, and that is said.

    benches/load/run.py --weir target/release/weir [--quick] [--what fanout,ingest,psin,record,devices,maxn] [--n 500,1000] [--reps 3]
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("BENCH_TOOLS", TOP.parent / "shared" / "bench"))
WORK = TOP / "target" / "bench"

# What the goals are told for: (variant of Weir, program of the floor, most CPU time in ratio to that floor).
MERGES = {"weir-0": ("0", "floor", 1.15), "weir-20": ("20ms", "floor20", 1.15), "weir-350": ("350ms", "floor350", 1.30)}
MOST_RSS_PLAYER_KB = 5.0
MOST_RSS_STREAM_KB = 300.0
MOST_FIRST_KEY_MS = 2.0
MOST_LATENCY_OVER_FLOOR_MS = 1.0
LEAST_RATE = 0.99
MOST_INGEST_CPU = 0.3
MOST_PS_CPU = 0.6
MOST_PS_RSS_KB = 150.0
MOST_RECORD_CPU = 1.10
MOST_RECORD_RSS_KB = 1024.0
MOST_KEEPALIVE_PCT = 25.0
MOST_CATALOG_S = 10.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True)
    parser.add_argument("--quick", action="store_true", help="one run, 500 players, 200 publishers: minutes instead of an hour")
    parser.add_argument("--what", default="", help="fanout, ingest, psin, record, devices, maxn; by default all, and without maxn if quick")
    parser.add_argument("--proto", default="rtmp,flv")
    parser.add_argument("--only", default="", help="of the servers only these, by comma")
    parser.add_argument("--n", default="")
    parser.add_argument("--m", default="")
    parser.add_argument("--reps", type=int, default=0)
    parser.add_argument("--dur", type=float, default=0)
    args = parser.parse_args()
    if not (TOOLS / "bench.py").exists():
        print("=" * 78)
        print(f"SKIPPED: the load tools are not in {os.path.relpath(TOOLS, TOP)}. Nothing was measured.")
        print("=" * 78)
        return
    args.n = [int(n) for n in (args.n or ("500" if args.quick else "100,500,1000")).split(",")]
    args.m = [int(m) for m in (args.m or ("200" if args.quick else "50,100,200")).split(",")]
    args.what = args.what or ("fanout,ingest,psin,record,devices" if args.quick else "fanout,ingest,psin,record,devices,maxn")
    args.reps = args.reps or (1 if args.quick else 3)
    args.dur = args.dur or (8 if args.quick else 20)
    args.weir = str(pathlib.Path(args.weir).resolve())
    args.only = [name for name in args.only.split(",") if name]
    tools = build_tools()
    run = Run(tools, args)
    what = args.what.split(",")
    if "fanout" in what:
        run.fanout()
    if "ingest" in what:
        run.ingest()
    if "psin" in what:
        run.psin()
    if "record" in what:
        run.record()
    if "devices" in what:
        run.devices()
    if "maxn" in what:
        run.maxn()
    run.report()


def build_tools():
    """A copy of the tools, built; both only where something changed."""
    tools = WORK / "tools"
    for folder in ("src", "conf", "media"):
        (tools / folder).mkdir(parents=True, exist_ok=True)
    copied = False
    for source in TOOLS.rglob("*"):
        relative = source.relative_to(TOOLS)
        if not source.is_file() or relative.parts[0] in ("bin", "run", "results") or source.suffix in (".flv", ".md"):
            continue
        target = tools / relative
        if not target.exists() or target.read_bytes() != source.read_bytes():
            if target.exists():
                target.chmod(0o644)
            shutil.copyfile(source, target)
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
            copied = True
    if copied or not (tools / "bin" / "ps_send").exists():
        subprocess.run([tools / "build.sh"], check=True)
    subprocess.run([tools / "media" / "gen.sh"], check=True, stdout=subprocess.DEVNULL)
    (tools / "run").mkdir(exist_ok=True)
    return tools


class Run:
    """One run: its figures go to a folder of their own."""

    def __init__(self, tools, args):
        self.tools, self.args = tools, args
        self.folder = time.strftime("%Y%m%d-%H%M%S")
        self.rows = []

    def weir(self, **keys):
        """The command line of a Weir that serves what the tools send, with these keys of its configuration."""
        data = WORK / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        keys = {
            "data_dir": data,
            "http__listen": "127.0.0.1:8080",
            "rtmp__listen": "127.0.0.1:1935",
            "access__open": "live/*",
            "log__level": "warn",
            **keys,
        }
        variables = " ".join(f"WEIR_{key.upper()}={value}" for key, value in keys.items())
        return f"env {variables} {self.args.weir} serve"

    def wanted(self, name):
        return not self.args.only or name in self.args.only

    def bench(self, what, peer, name, command=None, **options):
        """Measures one server once and keeps its row."""
        out = f"{self.folder}-{what}-{name}"
        line = [] if os.geteuid() == 0 else ["unshare", "-r"]
        line += [self.tools / "ns.sh", self.tools / "bench.py", what, "--peers", peer, "--reps", "1", "--out", out]
        line += ["--dur", str(self.args.dur), "--tries", "1" if self.args.quick else "2", "--wait", "5" if self.args.quick else "20"]
        if command:
            line += ["--cmd", command, "--cwd", str(WORK), "--pub", "rtmp://127.0.0.1:1935/live/{}"]
            line += ["--rtmp", "rtmp://127.0.0.1:1935/live/{}", "--flv", "http://127.0.0.1:8080/live/{}.flv"]
        for option, value in options.items():
            line += [f"--{option}", str(value)]
        results = self.tools / "results" / f"{out}.jsonl"
        known = len(results.read_text().splitlines()) if results.exists() else 0
        try:
            done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800 if what == "maxn" else 300)
            said = done.stdout.decode(errors="replace").strip()
        except subprocess.TimeoutExpired as late:
            said = f"did not end in time: {(late.stdout or b'').decode(errors='replace')[-500:]}"
        rows = results.read_text().splitlines()[known:] if results.exists() else []
        if not rows:
            print(f"{name} {what} {options}: FAILED: {said[-800:]}", flush=True)
            self.rows.append(dict(what=what, name=name, failed=True, **{k: v for k, v in options.items() if k in ("n", "m", "proto")}))
        for row in rows:
            self.rows.append({**json.loads(row), "what": what, "name": name})
            print(f"{name:9s} {said.splitlines()[-1]}", flush=True)

    def fanout(self):
        for _ in range(self.args.reps):
            for n in self.args.n:
                for proto in self.args.proto.split(","):
                    # The floor speaks no RTMP: its HTTP figures of the same run stand for both.
                    peers = ["floor", "floor20", "floor350"] if proto == "flv" or "flv" not in self.args.proto else ["nginx"]
                    for peer in filter(self.wanted, peers):
                        self.bench("fanout", peer, peer, n=n, proto="flv" if peer.startswith("floor") else proto)
                    for name, (merge, _, _) in MERGES.items():
                        if self.wanted(name):
                            self.bench("fanout", "ext", name, self.weir(play__merge=merge), n=n, proto=proto)

    def ingest(self):
        for _ in range(self.args.reps):
            for m in self.args.m:
                if self.wanted("nginx"):
                    self.bench("ingest", "nginx", "nginx", m=m)
                if self.wanted("weir"):
                    self.bench("ingest", "ext", "weir", self.weir(), m=m)

    def psin(self):
        if not self.wanted("weir"):
            return
        for _ in range(self.args.reps):
            for m in self.args.m:
                for transport in ("tcp", "udp"):
                    line = [] if os.geteuid() == 0 else ["unshare", "-r"]
                    line += [self.tools / "ns.sh", TOP / "benches" / "load" / "cameras.py", "--weir", self.args.weir]
                    line += ["--tools", self.tools, "--m", str(m), "--trans", transport, "--dur", str(self.args.dur)]
                    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
                    said, name = done.stdout.decode(errors="replace").strip(), f"weir-{transport}"
                    if done.returncode != 0:
                        print(f"{name} psin m={m}: FAILED: {said[-800:]}", flush=True)
                        self.rows.append(dict(what="psin", name=name, m=m, failed=True))
                        continue
                    row = json.loads(said.splitlines()[-1])
                    self.rows.append({**row, "what": "psin", "name": name})
                    noisy = " NOISY" if row["noisy"] else ""
                    figures = f"s/Gbit={row['cpu_s_per_gbit']:.3f} rss={row['rss_kb_per_stream']:.0f}K/st cached={row['cached_kb'] / m:.0f}K/st dropped={row['udp_dropped']}"
                    print(f"{name:9s} M={m:4d} {figures}{noisy}", flush=True)

    def record(self):
        """200 streams, as they are and recorded, in turns."""
        if not self.wanted("weir"):
            return
        for _ in range(self.args.reps):
            for name, more in (("plain", ["--plain"]), ("recorded", [])):
                line = [] if os.geteuid() == 0 else ["unshare", "-r"]
                line += [self.tools / "ns.sh", TOP / "benches" / "load" / "recording.py", "--weir", self.args.weir]
                line += ["--tools", self.tools, "--m", "200", "--dur", str(self.args.dur), *more]
                done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
                said = done.stdout.decode(errors="replace").strip()
                if done.returncode != 0:
                    print(f"{name} record: FAILED: {said[-800:]}", flush=True)
                    self.rows.append(dict(what="record", name=name, failed=True))
                    continue
                row = json.loads(said.splitlines()[-1])
                self.rows.append({**row, "what": "record", "name": name})
                figures = f"s/Gbit={row['cpu_s_per_gbit']:.4f} rss={row['rss_kb_per_stream']:.0f}K/st written={row['written_to_received']:.2f} syncs={row['syncs_per_s']:.1f}/s"
                print(f"{name:9s} M={row['m']:4d} {figures}{' NOISY' if row['noisy'] else ''}", flush=True)

    def devices(self):
        """100,000 cameras that only tell that they are alive, and one platform with 100,000 channels."""
        if not self.wanted("weir"):
            return
        for what in ("keepalive", "catalog"):
            line = [] if os.geteuid() == 0 else ["unshare", "-r"]
            line += [self.tools / "ns.sh", TOP / "benches" / "load" / "devices.py", "--weir", self.args.weir, "--what", what]
            done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
            said = done.stdout.decode(errors="replace").strip()
            if done.returncode != 0:
                print(f"{what}: FAILED: {said[-800:]}", flush=True)
                self.rows.append(dict(what=what, name="weir", failed=True))
                continue
            self.rows.append({**json.loads(said.splitlines()[-1]), "what": what, "name": "weir"})
            print(f"{what:9s} {said.splitlines()[-1]}", flush=True)

    def maxn(self):
        for proto in self.args.proto.split(","):
            for name, (merge, _, _) in MERGES.items():
                if self.wanted(name):
                    self.bench("maxn", "ext", name, self.weir(play__merge=merge), proto=proto)

    def figures(self, what, key, **where):
        """The values of a figure, sorted."""
        fits = lambda row: row["what"] == what and all(row.get(k) == v for k, v in where.items())
        return sorted(row[key] for row in self.rows if fits(row) and key in row)

    def report(self):
        print(f"\nMedians (lowest–highest) of {self.args.reps} run(s). CPU is user and system time of the server for each delivered Gbit.")
        self.report_fanout()
        self.report_streams("ingest", "RTMP publishers of 1.015 Mbit/s, nobody watches", MOST_INGEST_CPU, None)
        self.report_streams("psin", "GB28181 senders (PS over RTP) of 1.015 Mbit/s", MOST_PS_CPU, MOST_PS_RSS_KB)
        self.report_record()
        self.report_devices()
        self.report_most()
        noisy = sum(row.get("noisy", False) for row in self.rows)
        failed = sum(row.get("failed", False) for row in self.rows)
        print(f"\n{len(self.rows)} measurements, {failed} failed, {noisy} noisy (others used the server's core: do not trust those)")
        kept = WORK / f"{self.folder}.jsonl"
        kept.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        print(f"figures kept in {os.path.relpath(kept, TOP)}")
        if failed:
            sys.exit(1)

    def report_record(self):
        get = lambda name, key: self.figures("record", key, name=name)
        plain, recorded = get("plain", "cpu_s_per_gbit"), get("recorded", "cpu_s_per_gbit")
        if not plain or not recorded:
            return
        ratio = statistics.median(recorded) / statistics.median(plain)
        more = statistics.median(get("recorded", "rss_kb_per_stream")) - statistics.median(get("plain", "rss_kb_per_stream"))
        missed = [what for what, is_missed in (("CPU", ratio > MOST_RECORD_CPU), ("RSS", more > MOST_RECORD_RSS_KB)) if is_missed]
        print(f"\n### 200 RTMP publishers of 1.015 Mbit/s, recorded as MP4\n\nCPU s/Gbit {spread(recorded, 4)}, not recorded {spread(plain, 4)}: "
              f"{ratio:.2f} × (at most {MOST_RECORD_CPU:.2f}); {more:.0f} KB more a stream (at most {MOST_RECORD_RSS_KB:.0f}); "
              f"{spread(get('recorded', 'written_to_received'), 2)} bytes written for each received; "
              f"{spread(get('recorded', 'syncs_per_s'), 1)} forced writes a second: {'missed: ' + ', '.join(missed) if missed else 'met'}")

    def report_devices(self):
        rows = {row["what"]: row for row in self.rows if row["what"] in ("keepalive", "catalog") and not row.get("failed")}
        if row := rows.get("keepalive"):
            met = row["cpu_pct"] <= MOST_KEEPALIVE_PCT and row["answered"] == row["sent"]
            print(f"\n{row['devices']} devices, a sign of life a minute each: {row['cpu_pct']:.1f} % of a core (at most {MOST_KEEPALIVE_PCT:.0f}), "
                  f"{row['answered']} of {row['sent']} answered, {row['written_kb']} KB written: {'met' if met else 'MISSED'}")
        if row := rows.get("catalog"):
            met = row["seconds"] <= MOST_CATALOG_S
            print(f"\nA catalog of {row['channels']} channels stored in {row['seconds']:.1f} s (at most {MOST_CATALOG_S:.0f}): {'met' if met else 'MISSED'}")

    def report_most(self):
        """The largest crowd that got all of the stream in real time, and the smallest that did not."""
        rows = [row for row in self.rows if row["what"] == "maxn" and not row.get("failed")]
        if not rows:
            return
        print("\n### The largest number of players in real time, one core\n")
        print("| server | protocol | players | the server's core there | too many |")
        print("| --- | --- | --- | --- | --- |")
        for name, proto in dict.fromkeys((row["name"], row["proto"]) for row in rows):
            mine = [row for row in rows if (row["name"], row["proto"]) == (name, proto)]
            most = max((row for row in mine if row["ok"]), key=lambda row: row["n"], default=None)
            least = min((row["n"] for row in mine if not row["ok"]), default=None)
            reached = f"{most['n']} | {most['srv_cpu_pct']:.0f} %" if most else "none of those tried | –"
            print(f"| {name} | {'RTMP' if proto == 'rtmp' else 'HTTP-FLV'} | {reached} | {least or 'not reached'} |")

    def report_fanout(self):
        for n in self.args.n:
            for proto in self.args.proto.split(","):
                measured = {row["name"] for row in self.rows if row["what"] == "fanout" and row.get("n") == n and not row.get("failed")}
                if not measured:
                    continue
                print(f"\n### {'RTMP' if proto == 'rtmp' else 'HTTP-FLV'}, {n} players\n")
                print("| server | CPU s/Gbit | ratio to its floor | latency p50 / p99 ms | RSS KB a player | first key frame ms | slowest player | goals |")
                print("| --- | --- | --- | --- | --- | --- | --- | --- |")
                for name in ("floor", "floor20", "floor350", "nginx", *MERGES):
                    if name in measured:
                        self.row_of_fanout(name, proto, n)

    def row_of_fanout(self, name, proto, n):
        of = "flv" if name.startswith("floor") else proto
        get = lambda key, name=name, of=of: self.figures("fanout", key, name=name, proto=of, n=n)
        cpu = get("cpu_s_per_gbit")
        if not cpu:
            return
        ratio, goals = "", ""
        if name in MERGES:
            _, floor, most = MERGES[name]
            of_floor = get("cpu_s_per_gbit", floor, "flv")
            missed = []
            if of_floor:
                value = statistics.median(cpu) / statistics.median(of_floor)
                ratio = f"{value:.2f} × (at most {most:.2f})"
                if value > most:
                    missed.append("CPU")
                over = statistics.median(get("lat_ms_p50")) - statistics.median(get("lat_ms_p50", floor, "flv"))
                if over > MOST_LATENCY_OVER_FLOOR_MS and name == "weir-0":
                    missed.append(f"latency (+{over:.1f} ms)")
            if statistics.median(get("rss_kb_per_player")) > MOST_RSS_PLAYER_KB:
                missed.append("RSS")
            if statistics.median(get("ttfk_ms_med")) > MOST_FIRST_KEY_MS:
                missed.append("first key frame")
            if statistics.median(get("min_ratio")) < LEAST_RATE:
                missed.append("slowest player")
            goals = "missed: " + ", ".join(missed) if missed else "met"
            if not of_floor:
                goals += " (no floor in this run)"
        p50, p99 = statistics.median(get("lat_ms_p50")), statistics.median(get("lat_ms_p99"))
        print(
            f"| {name} | {spread(cpu, 3)} | {ratio} | {p50:.1f} / {p99:.0f} | {spread(get('rss_kb_per_player'), 1)} "
            f"| {spread(get('ttfk_ms_med'), 1)} | {spread(get('min_ratio'), 3)} | {goals} |"
        )

    def report_streams(self, what, title, most_cpu, most_rss):
        rows = [row for row in self.rows if row["what"] == what and not row.get("failed")]
        if not rows:
            return
        # What must be cached of each stream: the pictures of two seconds, from key frame to key frame.
        gop = (self.tools / "media" / "b1.flv").stat().st_size / 60 * 2 / 1024
        print(f"\n### {title}\n\n(a group of pictures of this stream is {gop:.0f} KB)\n")
        print("| streams | server | CPU s/Gbit | RSS KB a stream | goals |")
        print("| --- | --- | --- | --- | --- |")
        for m in sorted({row["m"] for row in rows}):
            for name in sorted({row["name"] for row in rows}):
                cpu = self.figures(what, "cpu_s_per_gbit", name=name, m=m)
                rss = self.figures(what, "rss_kb_per_stream", name=name, m=m)
                if not cpu:
                    continue
                missed = []
                cached = statistics.median([kb / m for kb in self.figures(what, "cached_kb", name=name, m=m)] or [gop])
                if name.startswith("weir"):
                    at = 200 if what == "ingest" else 100
                    if m == at and statistics.median(cpu) > most_cpu:
                        missed.append(f"CPU (at most {most_cpu})")
                    if statistics.median(rss) > cached + (most_rss or MOST_RSS_STREAM_KB):
                        missed.append("RSS")
                goals = ("missed: " + ", ".join(missed) if missed else "met") if name.startswith("weir") else ""
                print(f"| {m} | {name} | {spread(cpu, 3)} | {spread(rss, 0)} | {goals} |")


def spread(values, digits):
    """`median (lowest–highest)`, or the one value."""
    if not values:
        return "–"
    median = f"{statistics.median(values):.{digits}f}"
    return median if len(values) == 1 else f"{median} ({values[0]:.{digits}f}–{values[-1]:.{digits}f})"


if __name__ == "__main__":
    main()
