"""What the hub starts in place of notebooks: for the attacker a server with pages of their own, for everybody else
one that uses what it is told to.

The attacker's server says what it likes to whoever opens it, with any header, at the hub's own origin:

  attack      a page that tries to read and do what whoever opened it may; `?coop=1` in a browsing context of its own
  worker.js   a service worker for all of the hub; `?preload=1` lets the browser ask ahead
"""

import os
import runpy
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).parent
ADDRESS = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
FILES = {
    "attack": ("attack.html", "text/html; charset=utf-8"),
    "attack.js": ("attack.js", "text/javascript"),
    "worker.js": ("worker.js", "text/javascript"),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        name, kind = FILES.get(url.path.removeprefix(ADDRESS.path).strip("/"), (None, "text/plain"))
        body = (HERE / name).read_bytes() if name else b"a notebook\n"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Service-Worker-Allowed", "/")
        if "coop" in asked:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments):
        pass


def main():
    if not os.environ["JUPYTERHUB_USER"].startswith("mallory"):
        runpy.run_path(str(HERE.parent.parent / "usage_local/burner.py"), run_name="__main__")
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    server = ThreadingHTTPServer((ADDRESS.hostname, ADDRESS.port), Handler)
    server.daemon_threads = True
    sys.exit(server.serve_forever())


main()
