"""Clients that ask a server about one image again and again: ``clients.py PORT IMAGE SECONDS CLIENTS``.

Prints one JSON object: the milliseconds of each answered request, how many failed, and the seconds of all. Over plain
sockets, since an HTTP library takes longer for a request than the servers do.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter

_BOUNDARY = "x" * 24


def _request(port: int, image: Path) -> bytes:
    part = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="{image.name}"\r\n'
    body = part.encode() + b"Content-Type: image/png\r\n\r\n" + image.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n\r\n"
    )
    return head.encode() + body


async def _client(port: int, request: bytes, until: float, took: list[float], failed: list[str]) -> None:
    reader = writer = None
    while (began := perf_counter()) < until:
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert reader is not None
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r")[0])
            answer = await reader.readexactly(length)
            if not head.startswith(b"http/1.1 200"):
                failed.append(answer[:200].decode(errors="replace"))
                continue
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            failed.append(str(error))
            writer = None
            continue
        took.append(1000 * (perf_counter() - began))


async def _all(port: int, image: Path, seconds: float, clients: int) -> dict[str, object]:
    request, took, failed = _request(port, image), [], []  # type: ignore[var-annotated]
    began = perf_counter()
    await asyncio.gather(*(_client(port, request, began + seconds, took, failed) for _ in range(clients)))
    return {"ms": took, "failed": len(failed), "first": failed[:1], "seconds": perf_counter() - began}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_all(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))))
