#!/usr/bin/env python3
"""A WebRTC client that shares nothing with the server but the standards (aiortc): plays by WHEP or publishes by WHIP.

    rtc_client.py play URL SECONDS        rtc_client.py publish URL SECONDS FILE

One JSON line tells what came of it.
"""

import asyncio
import json
import sys
import time

import aioice.ice
import aiohttp
import yarl
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import SessionDescription

# aioice leaves the loopback interface out, which is all that a test has for certain.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"] if use_ipv4 else []


async def signal(session, peer, url):
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp"}
    async with session.post(url, data=peer.localDescription.sdp, headers=headers) as answer:
        text = await answer.text()
        if answer.status != 201:
            raise RuntimeError(f"the offer is answered by {answer.status}: {text}")
        SessionDescription.parse(text)
        await peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
        return str(answer.url.join(yarl.URL(answer.headers["Location"])))


async def play(session, url, seconds):
    peer = RTCPeerConnection()
    got = {"pictures": 0, "sounds": 0, "size": None, "first": None, "times": []}
    began = time.monotonic()

    async def take(track):
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "video":
                got["first"] = got["first"] or time.monotonic() - began
                got["pictures"] += 1
                got["size"] = [frame.width, frame.height]
                got["times"].append(frame.pts / 90_000)
            else:
                got["sounds"] += 1

    tasks = []
    peer.on("track", lambda track: tasks.append(asyncio.ensure_future(take(track))))
    peer.addTransceiver("audio", direction="recvonly")
    peer.addTransceiver("video", direction="recvonly")
    resource = await signal(session, peer, url)
    until = began + seconds
    while time.monotonic() < until and (got["pictures"] < 75 or got["sounds"] < 75):
        await asyncio.sleep(0.05)
    async with session.delete(resource) as answer:
        got["deleted"] = answer.status
    await peer.close()
    for task in tasks:
        task.cancel()
    times = got.pop("times")
    got["span"] = times[-1] - times[0] if times else 0
    got["ordered"] = times == sorted(times)
    return got


async def publish(session, url, seconds, file):
    peer = RTCPeerConnection()
    player = MediaPlayer(file, loop=True)
    for track in (player.audio, player.video):
        peer.addTransceiver(track, direction="sendonly")
    codecs = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType in ("video/H264", "video/rtx")]
    [t.setCodecPreferences(codecs) for t in peer.getTransceivers() if t.kind == "video"]
    resource = await signal(session, peer, url)
    await asyncio.sleep(seconds)
    state = peer.connectionState
    async with session.delete(resource) as answer:
        deleted = answer.status
    await peer.close()
    return {"state": state, "deleted": deleted}


async def main():
    what, url, seconds, *rest = sys.argv[1:]
    async with aiohttp.ClientSession() as session:
        result = await {"play": play, "publish": publish}[what](session, url, float(seconds), *rest)
    print(json.dumps(result), flush=True)


asyncio.run(main())
