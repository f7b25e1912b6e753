# SPDX-License-Identifier: MIT
"""Outside services for the integration tests: a small HTTP server that says what a test wants."""
import contextlib
import http.server
import json
import os
import threading

PROFILE = """\
profile: {name}
volatile: {volatile}
status:
  - request: GET /jobs/{{id}}
    rules:
      - '200 & /id = "{{id}}" & /state = "completed" => completed'
      - '200 & /id = "{{id}}" & /state = "failed" => failed'
      - '200 & /id = "{{id}}" & /state = "cancelled" => cancelled'
      - '200 & /id = "{{id}}" & /state = "pending" => pending'
      - '200 & /id = "{{id}}" & /state = "running" => running'
      - '404 & /unknown = "{{id}}" => not_found'
result: /result
word: /state
"""


class Service:
    """Answers GET /jobs/ID by what `states` holds for the id: the word of its state, or a function
    that is given the request's handler; an id that it does not know is told as unknown."""

    def __init__(self, place, name="render", is_volatile=False):
        self.name = name
        self.states = {}
        self.asked = []
        self.is_closing = threading.Event()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                service.asked.append(self.path)
                service.answer(self, self.path.rsplit("/", 1)[1])

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.profile = os.path.join(place.folder, name + ".yaml")
        with open(self.profile, "w", encoding="utf-8") as file:
            file.write(PROFILE.format(name=name, volatile=str(is_volatile).lower()))
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        place.servers.append(self)

    @property
    def config(self):
        """For the section `services` of the configuration."""
        return {self.name: {"profile": self.profile, "base": self.base}}

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
        self.is_closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


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
