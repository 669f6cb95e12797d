"""A single-user server that starts in an instant and answers everything with nothing."""

import contextlib
import http.server
import os
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", os.environ.get("TINY_VERSION", "6.1.1"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    url = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    with contextlib.suppress(KeyboardInterrupt):
        http.server.HTTPServer((url.hostname, url.port), Handler).serve_forever()
