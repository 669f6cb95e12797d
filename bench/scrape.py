"""One scrape as Prometheus does it, and a server which does nothing but send the same bytes, to compare with."""

import contextlib
import dataclasses
import http.client
import socket
import sys
import time

from program import Cost

ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
SETTLE_SECONDS = 0.02


class ScrapeFailed(Exception):
    """No connection, or an answer other than 200."""


@dataclasses.dataclass(frozen=True)
class Scrape:
    cost: Cost
    body: memoryview  # into the buffer given: good until the next scrape


class Buffer:
    """Memory which replies are read into, kept from one scrape to the next so that growing it is not measured."""

    def __init__(self):
        self.bytes = bytearray(1 << 20)

    def read(self, response):
        length = 0
        while True:
            if length == len(self.bytes):
                self.bytes = self.bytes + bytes(len(self.bytes))
            count = response.readinto(memoryview(self.bytes)[length:])
            if count == 0:
                return memoryview(self.bytes)[:length]
            length += count


def scrape(program, port, path, buffer, encoding="identity", timeout=600):
    """GETs `path` over a new connection: time until the last byte is here, and the CPU which `program` spent on it."""
    cpu, start = program.cpu_seconds(), time.monotonic()
    try:
        status, body = get(port, path, buffer, encoding, timeout)
    except OSError as error:
        raise ScrapeFailed(f"{program.name}: {error}") from error
    wall = time.monotonic() - start
    if status != 200:
        raise ScrapeFailed(f"{program.name} answered {status} at {path}: {bytes(body[:500])!r}")
    time.sleep(SETTLE_SECONDS)
    return Scrape(Cost(program.cpu_seconds() - cpu, wall), body)


def get(port, path, buffer, encoding, timeout):
    headers = {"Accept": ACCEPT, "Accept-Encoding": encoding, "Connection": "close"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, buffer.read(response)


def serve_file(path, port):
    """Answers every connection with the same bytes, from memory: quicker here than `sendfile`. Runs until stopped."""
    with open(path, "rb") as file:
        body = file.read()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            with listener.accept()[0] as connection, contextlib.suppress(ConnectionError):
                connection.recv(65536)
                connection.sendall(head.encode())
                connection.sendall(body)


if __name__ == "__main__":
    serve_file(sys.argv[1], int(sys.argv[2]))
