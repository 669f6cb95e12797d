"""Ends https in front of a hub, as a site's own web server does."""

import contextlib
import http.client
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Of one connection, and so not handed on.
OF_THE_CONNECTION = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        # Here and not at `accept`, which would hold up others.
        self.request.do_handshake()
        super().setup()

    def hand_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub = http.client.HTTPConnection("127.0.0.1", self.server.hub_port, timeout=60)
        hub.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in OF_THE_CONNECTION:
                hub.putheader(name, value)
        if self.server.tells_scheme:
            hub.putheader("X-Forwarded-Proto", "https")
        hub.endheaders(body)
        reply = hub.getresponse()
        text = reply.read()
        hub.close()
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() not in OF_THE_CONNECTION | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = hand_on

    def log_message(self, *arguments):
        pass


class Front(ThreadingHTTPServer):
    daemon_threads = True
    # A browser opens many connections at once.
    request_queue_size = 64

    def __init__(self, told):
        super().__init__(("127.0.0.1", told["port"]), Handler)
        self.hub_port = told["hub_port"]
        self.tells_scheme = told["tells_scheme"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(told["certificate"], told["key"])
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request, client_address):
        # Browsers leave as they like.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def running(told):
    """Somebody who ends https until the block is left."""
    front = Front(told)
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        front.shutdown()
        front.server_close()
        thread.join()
