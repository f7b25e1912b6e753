#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`salvor capture anonymize` on what a run left: the same decisions under other names, and nothing
that a stranger should not see."""
import ctypes
import json
import os
import re

from harness import (Place, Redis, SALVOR, STREAM, Salvor, check, check_equal, claim, main, prove,
                     run, submit)
from services import Service

WORDS = ("secret", "render-42", "gpu-7", "ada.l", "127.0.0.1", "/r/", "hunter2")


def packed(**fields):
    """A msgpack map of texts and small numbers."""
    out = bytes([0x80 | len(fields)])
    for name, value in fields.items():
        out += bytes([0xa0 | len(name)]) + name.encode()
        out += bytes([value]) if isinstance(value, int) else \
            bytes([0xd9, len(value)]) + value.encode()
    return out


def work(place):
    """A capture of two files: jobs that are lost, asked about, put back, failed, ordered."""
    redis = Redis(place)
    service = Service(place)
    salvor = Salvor(place, redis, {
        "services": service.config,
        "policy": {"backoff_ms": 40, "requeue_percent": 50, "ask_backoff_ms": 40}})
    salvor.wait_log("in_charge")
    redis.xadd("worker.registered", worker="gpu-7.secret", machine="gpu-7",
               services=f"{service.name}={service.base} other")
    for number in range(12):
        job, worker = f"render-42-{number}", f"gpu-7.secret-{number % 3}"
        submit(redis, job)
        claim(redis, job, worker)
        if number % 2 == 0:
            service.states[f"of-{job}"] = ("completed", "failed", None)[number // 2 % 3]
            redis.call("XADD", STREAM, "*", "e", packed(
                type="job.handed_off", job=job, worker=worker, attempt=1, service=service.name,
                service_job=f"of-{job}", result_url=f"http://127.0.0.1/r/{job}"))
    redis.xadd("job.failed", job="render-42-11", worker="gpu-7.secret-2", attempt=1,
               error="secret path", trace="secret-trace")
    redis.xadd("job.claimed", job="render-42-12", worker="gpu-7.secret-2", attempt=1,
               service="http://alice:hunter2@10.0.0.9:8188/?key=SECRET")
    redis.xadd("secret.type", job="render-42-1")
    redis.xadd("job.progress", job="render-42-1", worker="gpu-7.secret-1", attempt=1, progress="secret")
    for number in range(3):
        redis.xadd("worker.lost", worker=f"gpu-7.secret-{number}", reason="secret reason")
    salvor.wait_decision("render-42-0", action="complete")
    salvor.wait_decision(action="requeue")
    check_equal(0, salvor.stop())
    salvor.start()
    salvor.wait_log("in_charge")
    redis.xadd("operator.requeue", job="render-42-1", who="ada.l", why="secret why")
    salvor.wait_decision("render-42-1", reason="operator")
    check_equal(0, salvor.stop())
    prove(salvor)
    service.kill()
    return salvor


def anonymize(capture, out, *more, code=0):
    return run(SALVOR, "capture", "anonymize", capture, "--out", out, *more, code=code)


def content(capture):
    """All bytes that its files hold, unpacked frame by frame."""
    zstd = ctypes.CDLL("libzstd.so.1")
    zstd.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
    zstd.ZSTD_decompress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(16 << 20)
    told = ""
    for name in sorted(os.listdir(capture)):
        with open(os.path.join(capture, name), "rb") as file:
            rest = file.read()
        while (at := rest.find(b"\x28\xb5\x2f\xfd")) >= 0:
            rest = rest[at:]
            size = zstd.ZSTD_findFrameCompressedSize(rest, ctypes.c_size_t(len(rest)))
            got = zstd.ZSTD_decompress(out, ctypes.c_size_t(len(out)), rest, ctypes.c_size_t(size))
            check(size <= len(rest) and got <= len(out), name)
            told += out.raw[:got].decode("latin-1")
            rest = rest[size:]
    return told


def decisions(capture):
    lines = run(SALVOR, "replay", capture, "--decisions").stdout
    return lines, re.findall(r'^(\S+) action=(\S+) reason=(\S+) job="(.*?)" worker="(.*?)" '
                             r'attempt=(\S+)', lines, re.M)


def test_a_stranger_sees_the_same_decisions_and_nothing_else():
    with Place() as place:
        salvor = work(place)
        check(len(os.listdir(salvor.capture)) >= 2, "the capture has several files")
        out = os.path.join(place.folder, "out")
        said = anonymize(salvor.capture, out).stdout
        lines, before = decisions(salvor.capture)
        shown, after = decisions(out)
        check(len(before) > 10 and "secret" in lines, lines)
        check(f"all {len(before)} decisions" in said, said)
        names = {}
        for left, right in zip(before, after, strict=True):
            check_equal(left[:3] + left[5:], right[:3] + right[5:])
            for column in (3, 4):
                check_equal(names.setdefault(left[column], right[column]), right[column])
        check_equal(len(names), len(set(names.values())), "no two have one name")
        inspected = run(SALVOR, "capture", "inspect", out, "--json").stdout
        check_equal("whole", json.loads(inspected)["ends"])
        told = (shown + said + inspected + content(out)).replace(place.folder, "")
        original = content(salvor.capture)
        for word in WORDS:
            check(word in original, word, "is searched where it can be found")
            check(word not in told, word, "is told")
        # The second file alone, which begins with a snapshot.
        second = os.path.join(salvor.capture, sorted(os.listdir(salvor.capture))[1])
        part = json.loads(anonymize(second, os.path.join(place.folder, "part"), "--json").stdout)
        check(part["entries"] > 0 and part["ids"] > 0 and not part["torn"], part)
        _, after = decisions(os.path.join(place.folder, "part"))
        check_equal([row[:3] for row in decisions(second)[1]], [row[:3] for row in after])
        keys(place, salvor.capture)


def keys(place, capture):
    """One key gives one set of names, whatever the capture; without one they are new each time."""
    key = os.path.join(place.folder, "key")
    with open(key, "wb") as file:
        file.write(bytes(range(15)))
    outs = [os.path.join(place.folder, f"out{number}") for number in range(4)]
    check("fewer bytes than allowed" in anonymize(capture, outs[0], "--key", key, code=2).stderr)
    check("No such file" in anonymize(capture, outs[0], "--key", key + "x", code=2).stderr)
    with open(key, "ab") as file:
        file.write(b"x")
    for out in outs[:2]:
        anonymize(capture, out, "--key", key)
    for out in outs[2:]:
        anonymize(capture, out)
    told = [decisions(out)[1] for out in outs]
    check_equal(told[0], told[1])
    check(told[0] != told[2] and told[2] != told[3], "other keys, other names")
    check("needs --out" in run(SALVOR, "capture", "anonymize", capture, code=2).stderr)
    check("is there" in anonymize(capture, outs[0], code=2).stderr)
    check_equal([], [name for name in os.listdir(place.folder) if re.match(r"out\d?\.", name)])


if __name__ == "__main__":
    main(test_a_stranger_sees_the_same_decisions_and_nothing_else)
