"""A service that the hub starts: records events and asks the hub whose token they came with."""

import http.server
import json
import os
import ssl
import urllib.parse
import urllib.request

PREFIX = os.environ["JUPYTERHUB_SERVICE_PREFIX"]


def tls(purpose):
    """With internal_ssl both sides show a certificate; None without."""
    key = os.environ.get("JUPYTERHUB_SSL_KEYFILE")
    if not key:
        return None
    context = ssl.create_default_context(purpose, cafile=os.environ["JUPYTERHUB_SSL_CLIENT_CA"])
    context.load_cert_chain(os.environ["JUPYTERHUB_SSL_CERTFILE"], key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(200, b"a page")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != PREFIX + "api/v1/events":
            self.reply(404, b"")
            return
        request = urllib.request.Request(
            os.environ["JUPYTERHUB_API_URL"] + "/user",
            headers={"Authorization": self.headers["Authorization"]},
        )
        with urllib.request.urlopen(request, context=tls(ssl.Purpose.SERVER_AUTH)) as response:
            model = json.load(response)
        if "custom:insights:write" not in model["scopes"]:
            self.reply(403, b"")
            return
        with open(os.environ["ITEMS"], "a") as file:
            for line in body.decode().rstrip("\n").split("\n"):
                file.write(json.dumps([model["name"], json.loads(line)]) + "\n")
        self.reply(200, b"{}")

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    url = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    server = http.server.ThreadingHTTPServer((url.hostname, url.port), Handler)
    context = tls(ssl.Purpose.CLIENT_AUTH)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
