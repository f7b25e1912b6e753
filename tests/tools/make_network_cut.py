#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the capture of the incident that docs/replay.md tells about, with a real Redis, a real HTTP
service and `salvor run`: make_network_cut.py OUT (a folder that does not exist yet; it takes about
half a minute).

Four workers on two machines render with a service on each. The network of machine a is cut for a
while: its two workers fall silent and their service cannot be asked, so their jobs go back to the
queue and run again on machine b. Then the network is back, and the workers tell that their jobs had
been done all along. Meanwhile one worker of machine b dies of its own; its service is asked, and
its job completed.
"""
import os
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import Place, Redis, Salvor, check, claim, submit, wait_until  # noqa: E402
from services import Service  # noqa: E402

HEARTBEAT_S = 0.5


class Worker:
    """Heartbeats from a thread while its machine has a network; the rest is told by hand."""

    def __init__(self, place, redis, name, machine, service):
        self.redis, self.name, self.service = Redis.__new__(Redis), name, service
        self.redis.__dict__.update(redis.__dict__)  # a connection of its own
        self.redis.wait_answers()
        self.lock = threading.Lock()
        self.is_reached = True
        self.told = []
        self.is_over = threading.Event()
        self.tell("worker.registered", machine=machine, heartbeat_ms=int(HEARTBEAT_S * 1000),
                  services=f"render={service.base}", incarnation=1)
        self.thread = threading.Thread(target=self.beat, daemon=True)
        self.thread.start()

    def tell(self, type, **fields):
        with self.lock:
            if self.is_reached:
                self.redis.xadd(type, worker=self.name, **fields)
            else:
                self.told.append((type, fields))

    def beat(self):
        while not self.is_over.wait(HEARTBEAT_S):
            with self.lock:
                if self.is_reached:
                    self.redis.xadd("worker.heartbeat", worker=self.name)

    def take(self, job, attempt, prompt):
        with self.lock:
            claim(self.redis, job, self.name, attempt, service="render")
        self.tell("job.handed_off", job=job, attempt=attempt, service="render", service_job=prompt)
        self.service.states[prompt] = "running"

    def finish(self, job, attempt, prompt):
        self.service.states[prompt] = "completed"
        self.tell("job.completed", job=job, attempt=attempt, result=f"s3://renders/{job}.png")
        with self.lock:
            if self.is_reached:
                self.redis.call("HSET", f"job:{job}", "status", "completed")
                self.redis.call("HDEL", f"jobs:active:{self.name}", job)

    def cut(self):
        with self.lock:
            self.is_reached = False

    def heal(self):
        with self.lock:
            self.is_reached = True
            told, self.told = self.told, []
        self.tell("worker.heartbeat")
        for type, fields in told:
            self.tell(type, **fields)

    def die(self):
        self.is_over.set()
        self.thread.join()


def main():
    out = sys.argv[1]
    check(not os.path.exists(out), out, "exists")
    with Place(keeps=False) as place:
        redis = Redis(place)
        near, far = (Service(place, name) for name in ("render", "far"))
        far.kill()
        far.name, far.profile = near.name, near.profile
        far.start()  # machine a's: the same service at another address
        salvor = Salvor(place, redis, {"salvor": {"tick_ms": 250}, "services": {
            "render": {"profile": near.profile, "base": near.base, "allow": ["127.0.0.0/8"]}}})
        salvor.wait_log("in_charge")
        machines = {"gpu-1": ("node-a", far), "gpu-2": ("node-a", far),
                    "gpu-3": ("node-b", near), "gpu-4": ("node-b", near)}
        workers = {name: Worker(place, redis, name, *at) for name, at in machines.items()}
        pause = threading.Event()

        jobs = [f"render-{number}" for number in range(101, 105)]
        for job, worker in zip(jobs, workers.values()):
            submit(redis, job)
            redis.xadd("job.submitted", job=job, service="render", workflow="catalogue")
            worker.take(job, 1, f"{job}-first")
        pause.wait(2)

        workers["gpu-1"].cut()
        workers["gpu-2"].cut()
        far.kill()
        pause.wait(1)
        workers["gpu-3"].finish("render-103", 1, "render-103-first")
        workers["gpu-4"].die()
        near.states["render-104-first"] = "completed"
        for worker, job in (("gpu-1", "render-101"), ("gpu-2", "render-102")):
            workers[worker].finish(job, 1, f"{job}-first")  # nobody hears it
        wait_until(lambda: "render-101" in redis.pending() and "render-102" in redis.pending(),
                   "both jobs are in the queue again", 60)
        pause.wait(1)
        workers["gpu-3"].take("render-101", 2, "render-101-second")
        pause.wait(4)
        for name in ("gpu-1", "gpu-2"):
            workers[name].heal()
        pause.wait(2)
        workers["gpu-3"].finish("render-101", 2, "render-101-second")
        pause.wait(1)
        for worker in workers.values():
            worker.die()
        salvor.wait_folded(redis)
        check(salvor.stop() == 0, "\n".join(salvor.lines[-5:]))
        wanted = {"render-101": "complete", "render-102": "complete", "render-104": "complete"}
        for job, action in wanted.items():
            check(salvor.decisions(job, action=action), job, salvor.decisions(job))
        shutil.copytree(salvor.capture, out)
        for row in salvor.decisions():
            print(row["stream_id"], row["job"], row["action"], row["reason"], row["worker"])


if __name__ == "__main__":
    main()
