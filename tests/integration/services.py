# SPDX-License-Identifier: MIT
"""Outside services for the integration tests: a small HTTP server that says what a test wants."""
import contextlib
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading

PROFILE = """\
profile: {name}
volatile: {volatile}
status:
  - request: GET /jobs/{id}
    rules:
      - '200 & /id = "{id}" & /state = "completed" => completed'
      - '200 & /id = "{id}" & /state = "failed" => failed'
      - '200 & /id = "{id}" & /state = "cancelled" => cancelled'
      - '200 & /id = "{id}" & /state = "pending" => pending'
      - '200 & /id = "{id}" & /state = "running" => running'
      - '404 & /unknown = "{id}" => not_found'
result: /result
word: /state
"""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def get_request(self):
        self.service.connections += 1
        return super().get_request()

    def handle_error(self, request, client_address):
        pass  # who asked may have gone, or refused our certificate


class Service:
    """Answers GET /jobs/ID by what `states` holds for the id: the word of its state, or a function
    that is given the request's handler; an id that it does not know is told as unknown. `settings`
    go into the configuration; `tls` makes it speak HTTPS."""

    def __init__(self, place, name="render", is_volatile=False, profile=PROFILE, tls=None,
                 **settings):
        self.name = name
        self.settings = settings
        self.tls = tls
        self.states = {}
        self.asked = []
        self.requests = []  # (method, path, headers, body)
        self.connections = 0
        self.port = 0
        self.server = None
        self.profile = os.path.join(place.folder, name + ".yaml")
        with open(self.profile, "w", encoding="utf-8") as file:
            file.write(profile.replace("{name}", name)
                       .replace("{volatile}", str(is_volatile).lower()))
        self.start()
        place.servers.append(self)

    def start(self):
        """Listens: at first at a port that is free, then at the same again."""
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.requests.append((self.command, self.path, dict(self.headers), body))
                service.asked.append(self.path)
                service.answer(self, self.path.rsplit("/", 1)[1])

            do_GET = do_POST = do_PUT = do_DELETE = do_any

            def log_message(self, *_):
                pass

        self.is_closing = threading.Event()
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.service = self
        self.port = self.server.server_address[1]
        if self.tls is not None:
            # The handshake is the handler's: whoever is slow at it keeps nobody waiting.
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def base(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def config(self):
        """For the section `services` of the configuration."""
        return {self.name: {"profile": self.profile, "base": self.base, **self.settings}}

    def answer(self, handler, job):
        state = self.states.get(job)
        if callable(state):
            state(handler)
        elif state is None:
            reply(handler, 404, {"unknown": job})
        else:
            reply(handler, 200, {"id": job, "state": state, "result": f"s3://results/{job}.png"})

    def questions(self, job):
        return self.asked.count(f"/jobs/{job}")

    def kill(self):
        """Nobody listens at its port any more."""
        if self.server is not None:
            self.is_closing.set()
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()
            self.server = None


class BlackHole:
    """Takes connections at the port and never says a word."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", port), backlog=128)

    def close(self):
        self.socket.close()


class Trap:
    """Listens where nobody has any business, and counts who comes."""

    def __init__(self, place, address="127.0.0.1"):
        self.socket = socket.create_server((address, 0))
        self.address, self.port = self.socket.getsockname()
        self.visits = 0
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()
        place.servers.append(self)

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = self.socket.accept()
                self.visits += 1
                visitor.close()

    def visit(self):
        """The proof that it counts: one visit of our own."""
        socket.create_connection((self.address, self.port)).close()

    def kill(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Authority:
    """A certificate authority of the place: its own certificate, and contexts for servers."""

    def __init__(self, place):
        self.folder = place.folder
        self.file = os.path.join(place.folder, "authority.pem")
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", self.file + ".key", "-out", self.file, "-subj", "/CN=authority",
                  "-days", "2")

    def _run(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def context(self, name, days):
        """For a server at 127.0.0.1; its certificate ends so many days from today."""
        base = os.path.join(self.folder, name)
        with open(base + ".extensions", "w", encoding="utf-8") as file:
            file.write("subjectAltName=IP:127.0.0.1\n")
        self._run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/CN=127.0.0.1")
        self._run("x509", "-req", "-in", base + ".csr", "-CA", self.file, "-CAkey",
                  self.file + ".key", "-CAcreateserial", "-days", str(days), "-extfile",
                  base + ".extensions", "-out", base + ".pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(base + ".pem", base + ".key")
        return context


def reply(handler, status, body, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    with contextlib.suppress(ConnectionError):  # who asked may have been killed meanwhile
        handler.wfile.write(data)


class Comfy(Service):
    """Speaks ComfyUI's queue and history protocol; `states` holds completed, failed, running."""

    def __init__(self, place):
        super().__init__(place, "comfyui", True)
        self.profile = "comfyui"

    def answer(self, handler, job):
        def queue_of(word):
            return [[1, id, {}, {}, []] for id, state in self.states.items() if state == word]
        if handler.path == "/queue":
            reply(handler, 200, {"queue_running": queue_of("running"),
                                 "queue_pending": queue_of("pending")})
            return
        if handler.path == "/system_stats":
            reply(handler, 200, {"system": {"comfyui_version": "0.3.0"}, "devices": []})
            return
        if not handler.path.startswith("/history/"):
            reply(handler, 404, b"404: Not Found", "text/plain")
            return
        state = self.states.get(job)
        if state not in ("completed", "failed"):
            reply(handler, 200, {})
            return
        is_fine = state == "completed"
        message = "execution_success" if is_fine else "execution_error"
        reply(handler, 200, {job: {
            "outputs": {"9": {"images": [{"filename": job + ".png", "type": "output"}]}},
            "status": {"status_str": "success" if is_fine else "error", "completed": is_fine,
                       "messages": [[message, {"prompt_id": job}]]}}})
