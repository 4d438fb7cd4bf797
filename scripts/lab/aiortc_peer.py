"""One end of a data channel, by aiortc. It is as browser/datachannel.mjs, but
"transport" says how TURN is reached, and it has candidates of every kind."""

import asyncio
import json
import sys

from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)

MESSAGES = 100


def say(value):
    print(json.dumps(value), flush=True)


async def main():
    options = json.loads(sys.argv[1])
    url = "turn:{host}:{port}?transport={transport}".format(**options)
    server = RTCIceServer(url, options["username"], options["credential"])
    pc = RTCPeerConnection(RTCConfiguration([server]))

    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)

    async def describe(description):
        await pc.setLocalDescription(description)  # gathers all candidates
        say({"type": pc.localDescription.type, "sdp": pc.localDescription.sdp})

    async def hear():
        await pc.setRemoteDescription(
            RTCSessionDescription(**json.loads(await stdin.readline()))
        )

    if options["role"] == "offer":
        channel = pc.createDataChannel("echo")
        echoed = 0

        @channel.on("open")
        def on_open():
            for i in range(MESSAGES):
                channel.send(f"message {i}")

        @channel.on("message")
        def on_message(message):
            nonlocal echoed
            assert message == f"message {echoed}", message
            echoed += 1
            if echoed == MESSAGES:
                say({"echoed": echoed})

        await describe(await pc.createOffer())
        await hear()
    else:

        @pc.on("datachannel")
        def on_datachannel(channel):
            channel.on("message", channel.send)

        await hear()
        await describe(await pc.createAnswer())

    await stdin.read()
    await pc.close()


asyncio.run(main())
