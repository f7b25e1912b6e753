#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Entries that are malformed, oversized, hostile or forged: each is kept with its bytes and with a
reason that names the field, everything else goes on, memory stays bounded, a replay agrees."""
import json
import os
import struct

from harness import (CONTROL, STREAM, check, check_equal, claim, main, rescue, submit, wait_until)

CONFIG = {"policy": {"backoff_ms": 0}, "queue": {"failures": "salvor"}}
MEMORY_MAX = 400 << 20
KEPT_MAX = 128 << 10  # of an oversized entry
IS_SANITIZED = os.environ.get("BUILD", "").endswith(("asan", "tsan"))


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return bytes([0xd9, len(data)]) + data


def packed(*pairs, count=None):
    """A msgpack map of names and values that are packed already."""
    body = b"".join(text(name) + value for name, value in pairs)
    return bytes([0x80 | (len(pairs) if count is None else count)]) + body


def heartbeat(*pairs):
    return packed(("type", text("worker.heartbeat")), *pairs)


W9 = ("worker", text("w9"))
# name: (fields of the entry, problem, field). A worker w9 or job j9 is in none of them for real.
BAD = {
    # flat
    "no type": (["worker", "w9"], "missing", "type"),
    "no worker": (["type", "worker.heartbeat"], "missing", "worker"),
    "empty worker": (["type", "worker.heartbeat", "worker", ""], "ill_typed", "worker"),
    "control bytes": (["type", "worker.heartbeat", "worker", b"w\x009"], "ill_typed", "worker"),
    "not ASCII": (["type", "worker.heartbeat", "worker", "w\u00e4"], "ill_typed", "worker"),
    "long worker": (["type", "worker.heartbeat", "worker", "w" * 129], "oversized", "worker"),
    "leading zero": (["type", "job.failed", "job", "j9", "attempt", "01"], "ill_typed", "attempt"),
    "negative": (["type", "job.failed", "job", "j9", "attempt", "-1"], "ill_typed", "attempt"),
    "float": (["type", "job.failed", "job", "j9", "attempt", "1.5"], "ill_typed", "attempt"),
    "exponent": (["type", "job.failed", "job", "j9", "attempt", "1e3"], "ill_typed", "attempt"),
    "above 64 bits": (["type", "job.failed", "job", "j9", "attempt", "1" * 25], None, "attempt"),
    "no attempt": (["type", "job.failed", "job", "j9"], "missing", "attempt"),
    "odd boolean": (["type", "job.failed", "job", "j9", "attempt", "1", "retryable", "yes"],
                    "ill_typed", "retryable"),
    "above 100": (["type", "job.progress", "job", "j9", "worker", "w9", "attempt", "1", "progress",
                   "101"], "out_of_range", "progress"),
    "long error": (["type", "job.failed", "job", "j9", "attempt", "1", "error", "x" * 1025],
                   "oversized", "error"),
    "long url": (["type", "job.handed_off", "job", "j9", "worker", "w9", "attempt", "1", "service",
                  "s", "service_job", "x", "status_url", "http://h/" + "x" * 1024], "oversized",
                 "status_url"),
    "worker twice": (["type", "worker.heartbeat", "worker", "w9", "worker", "w8"], "repeated",
                     "worker"),
    "type twice": (["type", "worker.heartbeat", "type", "worker.lost", "worker", "w9"], "repeated",
                   "type"),
    "65 fields": (["type", "worker.heartbeat", "worker", "w9",
                   *[part for i in range(63) for part in (f"x{i}", "")]], "too_many_fields", ""),
    "64 KiB": (["type", "worker.heartbeat", "worker", "w9", "x", "x" * 65536], "oversized", ""),
    "1 MiB": (["type", "worker.heartbeat", "worker", "w9", "x", "x" * (1 << 20)], "oversized", ""),
    # packed
    "empty": (["e", b""], "malformed", None),
    "not a map": (["e", b"\x01"], "malformed", None),
    "text": (["e", text("worker.heartbeat")], "malformed", None),
    "behind it": (["e", heartbeat(W9) + b"\x00"], "malformed", None),
    "cut": (["e", heartbeat(W9)[:-1]], "malformed", None),
    "map bomb": (["e", b"\xdf\xff\xff\xff\xff"], "malformed", None),
    "array bomb": (["e", b"\xdd\xff\xff\xff\xff"], "malformed", None),
    "text bomb": (["e", b"\xdb\xff\xff\xff\xff"], "malformed", None),
    "bytes bomb": (["e", b"\xc6\x7f\xff\xff\xff"], "malformed", None),
    "extension bomb": (["e", b"\xc9\xff\xff\xff\xff\x01"], "malformed", None),
    "bomb within": (["e", packed(("type", text("worker.heartbeat")), W9,
                                 ("x", b"\xdd\x7f\xff\xff\xff"))], "malformed", None),
    "depth bomb": (["e", b"\x91" * 60000], "malformed", None),
    "maps in maps": (["e", b"\x81\xa1a" * 20000 + b"\xc0"], "malformed", None),
    "unused byte": (["e", b"\x81\xc1\xc1"], "malformed", None),
    "number as key": (["e", b"\x81\x01\x02"], "malformed", None),
    "more than it holds": (["e", packed(("type", text("worker.heartbeat")), W9, count=9)],
                           "malformed", None),
    "packed without type": (["e", packed(W9)], "missing", "type"),
    "packed type as number": (["e", packed(("type", b"\x05"), W9)], "ill_typed", "type"),
    "packed worker as number": (["e", heartbeat(("worker", b"\x05"))], "ill_typed", "worker"),
    "packed worker as map": (["e", heartbeat(("worker", b"\x80"))], "ill_typed", "worker"),
    "packed float": (["e", packed(("type", text("job.failed")), ("job", text("j9")),
                                  ("attempt", b"\xcb" + struct.pack(">d", 1.0)))], "ill_typed",
                     "attempt"),
    "packed negative": (["e", packed(("type", text("job.failed")), ("job", text("j9")),
                                     ("attempt", b"\xff"))], "ill_typed", "attempt"),
    "packed twice": (["e", heartbeat(W9, W9)], "repeated", "worker"),
    "packed 65": (["e", b"\xde\x00\x41" + b"".join(text(f"x{i}") + b"\xc0" for i in range(65))],
                  "too_many_fields", "e"),
}


def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def raw_of(fields):
    """The bytes of an entry: the number of its fields, then each name and value, sized; so much of
    them as is kept."""
    parts = [part if isinstance(part, bytes) else part.encode() for part in fields]
    raw = varint(len(parts) // 2) + b"".join(varint(len(part)) + part for part in parts)
    return raw[:KEPT_MAX]


def peak_memory(salvor):
    with open(f"/proc/{salvor.process.pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def still_rescues(redis, salvor, job, attempt=1):
    submit(redis, job)
    claim(redis, job, "w1")
    redis.xadd("job.failed", job=job, worker="w1", attempt=1)
    wait_until(lambda: job in redis.pending(), f"{job} waits in the queue")
    salvor.wait_folded(redis)
    check_equal(["requeue"], [row["action"] for row in salvor.decisions(job)])


def quarantined(salvor):
    return {row["stream_id"]: row for row in salvor.query(
        "SELECT q.stream_id, q.reason, q.raw, d.evidence, d.reason AS code FROM quarantine AS q "
        "JOIN decision AS d ON d.stream_id = q.stream_id AND d.action = 'quarantine'")}


def test_bad_entries_are_kept_with_their_bytes_and_a_reason_that_names_the_field():
    with rescue(CONFIG) as (_, redis, salvor):
        sent = {}
        for name, (fields, problem, field) in BAD.items():
            sent[redis.call("XADD", STREAM, "*", *fields)] = (name, fields, problem, field)
        still_rescues(redis, salvor, "j1")
        rows = quarantined(salvor)
        names = {id: name for id, (name, *_) in sent.items()}
        check_equal(set(), {names[id] for id in set(sent) - set(rows)}, "not quarantined")
        check_equal(set(), set(rows) - set(sent), "quarantined without a cause")
        for id, (name, fields, problem, field) in sent.items():
            row, told = rows[id], json.loads(rows[id]["evidence"])
            check_equal("bad_field", row["code"], name)
            check(raw_of(fields) == row["raw"], name, "is not kept as it was")
            if problem:
                check_equal(problem, told["problem"], name)
            if field is not None:
                check_equal(field, told["field"], name)
            field = f' "{told["field"]}"' if told["field"] else ""
            check_equal(f"bad_field: {told['problem']}{field}", row["reason"], name)
        check(b"w9" not in b"".join(str(row).encode() for row in salvor.decisions()
                                    if row["action"] != "quarantine"), "one of them was believed")


def test_only_the_leader_is_believed_in_what_only_the_leader_may_say():
    with rescue(CONFIG) as (_, redis, salvor):
        submit(redis, "j1")
        claim(redis, "j1", "w1", timeout_ms=600000)
        salvor.wait_folded(redis)
        held = redis.hash(CONTROL)
        true = {"owner": held["owner"], "epoch": held["epoch"]}
        other = {"owner": "f" * 32, "epoch": held["epoch"]}
        policy = "effects=observe\n"
        forged = [
            ("tick", {"elapsed_ms": 1000, "gap_ms": 999999999, "wall_ms": 1, **other}),
            ("tick", {"elapsed_ms": 1000, "gap_ms": 999999999, "wall_ms": 1, **true,
                      "epoch": int(held["epoch"]) + 1}),
            ("epoch", {"timeline": 1, "reducers": 2, "ordinal": 1, "wall_ms": 1,
                       "gap_ms": 999999999, **other}),
            ("effect.settled", {"effect": "0.1.1-1.1.1", "outcome": "applied", **other}),
            ("service.answered", {"question": "q", "job": "j1", "attempt": 1,
                                  "verdict": "completed", **other}),
            ("policy", {"text": policy, "origin": "file", "hash": "0" * 64, **other}),
            ("stream.lost", {"count": 5, "ordinal": 1, **other}),
            ("job.observed", {"job": "j1", "status": "completed", "attempt": 1, **other}),
            ("worker.observed", {"worker": "w1", "silent_ms": 999999999, **other}),
        ]
        sent = [redis.xadd(type, **fields) for type, fields in forged]
        # No owner and epoch at all: then a field is missing.
        bare = redis.xadd("tick", elapsed_ms=1000, gap_ms=999999999, wall_ms=1)
        wrong = redis.xadd("policy", text="backoff_ms=many\n", origin="operator", hash="0" * 64)
        strange = redis.xadd("policy", text=policy, origin="nobody", hash="0" * 64)
        still_rescues(redis, salvor, "j2")
        rows = quarantined(salvor)
        for id, (type, fields) in zip(sent, forged):
            check(id in rows, "not quarantined:", type, fields)
            check_equal("forged", rows[id]["code"], type, fields)
        for id, code, word in ((bare, "bad_field", ""), (wrong, "bad_policy", "backoff_ms"),
                               (strange, "bad_field", "origin")):
            check_equal(code, rows[id]["code"])
            check(word in rows[id]["evidence"], rows[id])
            check(rows[id]["reason"].startswith(f"{code}: ") and word in rows[id]["reason"],
                  rows[id])
        check_equal(len(sent) + 3, len(rows))
        check_equal([], salvor.decisions("j1"))
        check_equal("in_progress", redis.hash("job:j1")["status"])
        check_equal([1], [row["epoch"] for row in salvor.query("SELECT epoch FROM leadership")])


def test_unknown_types_and_fields_are_passed_over():
    with rescue(CONFIG) as (_, redis, salvor):
        redis.xadd("worker.danced", worker="w1")
        redis.xadd("", worker="w1")
        redis.xadd("x" * 200)
        redis.xadd("worker.heartbeat", worker="w1", mood="fine", attempt="many")
        still_rescues(redis, salvor, "j1")
        # No type may be empty or so long; one that nobody knows is only counted.
        check_equal([("ill_typed", "type"), ("oversized", "type")],
                    [tuple(json.loads(row["evidence"]).values())
                     for row in quarantined(salvor).values()])


def test_a_far_future_id_freezes_no_clock():
    with rescue(CONFIG) as (_, redis, salvor):
        redis.xadd("worker.registered", worker="w1", heartbeat_ms=200)
        submit(redis, "j1")
        claim(redis, "j1", "w1")
        redis.call("XADD", STREAM, "99999999999999-1", "type", "worker.heartbeat", "worker", "w2")
        wait_until(lambda: redis.pending() == ["j1"], "the silent worker is given up")
        check_equal(["requeue"], [row["action"] for row in salvor.decisions("j1")
                                  if row["action"] != "release"])


def test_a_restart_right_behind_an_oversized_entry_finds_its_anchor():
    with rescue({**CONFIG, "salvor": {"tick_ms": 500}}) as (_, redis, salvor):
        def dies_behind_it():
            fields = ["type", "worker.heartbeat", "worker", "w9", "x", "x" * (1 << 20)]
            last = redis.call("XADD", STREAM, "*", *fields)
            salvor.wait_folded(redis)
            salvor.kill()
            is_behind = salvor.query("SELECT stream_id FROM position")[0]["stream_id"] == last
            salvor.start()
            salvor.wait_log("in_charge")
            return is_behind
        wait_until(dies_behind_it, "no tick came in between")
        still_rescues(redis, salvor, "j1")


def test_a_flood_of_bad_entries_takes_bounded_memory():
    with rescue(CONFIG) as (_, redis, salvor):
        large = b"x" * (4 << 20)
        for _ in range(40):
            redis.call("XADD", STREAM, "*", "type", "worker.heartbeat", "worker", "w9", "x", large)
        small = [fields for fields, *_ in BAD.values() if len(str(fields)) < 10000]
        count = 0
        for _ in range(100):
            for fields in small:
                redis.client.send("XADD", STREAM, "*", *fields)
            for _ in small:
                redis.client.reply()
                count += 1
        for _ in range(50):
            redis.call("XADD", STREAM, "*", "e", b"\x91" * 60000)
        still_rescues(redis, salvor, "j1")
        check_equal(count + 90, salvor.query("SELECT count(*) AS n FROM quarantine")[0]["n"])
        if not IS_SANITIZED:
            check(peak_memory(salvor) < MEMORY_MAX, peak_memory(salvor) >> 20, "MiB")


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
