"""Stands between the proxy and the store, and stalls: it answers a head for some buckets and then nothing.

`relay.py PORT STORE_PORT BUCKET`: requests for this bucket stall, save DELETE, which is refused with an error that the
proxy logs. All others pass as they are.
"""

import asyncio
import sys

STALLED = b'HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 500\r\n\r\n<?xml version="1.0"?>'
CHUNK = 1 << 16
REFUSAL = b"<Error><Code>SignatureDoesNotMatch</Code><Message>refused</Message></Error>"
REFUSED = (b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\n"
           b"Content-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL))
METHODS = (b"GET", b"HEAD", b"PUT", b"POST", b"DELETE")


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Passes everything on, to the end."""
    try:
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers a head, and then nothing until the proxy gives up."""
    writer.write(STALLED)
    while await reader.read(CHUNK):
        pass


async def serve(reader, writer, store_port: int, bucket: str) -> None:
    """Serves one connection of the proxy."""
    onward = returning = None
    stalling = tuple(method + f" /{bucket}/".encode() for method in METHODS) + (f"GET /{bucket}?".encode(),)
    try:
        # The proxy writes a head by itself, so each begins what is read.
        while data := await reader.read(CHUNK):
            if data.startswith(stalling):
                if data.startswith(b"DELETE"):
                    writer.write(REFUSED)
                    return
                await stall(reader, writer)
                return
            if onward is None:
                answers, onward = await asyncio.open_connection("127.0.0.1", store_port)
                returning = asyncio.create_task(copy(answers, writer))
            onward.write(data)
            await onward.drain()
    except OSError:
        pass
    finally:
        writer.close()
        if onward is not None:
            onward.close()
            await asyncio.gather(returning, return_exceptions=True)


async def main(port: int, store_port: int, bucket: str) -> None:
    """Listens until it is ended."""
    server = await asyncio.start_server(
        lambda reader, writer: serve(reader, writer, store_port, bucket), "127.0.0.1", port, backlog=1024
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
