#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Redis absent, killed, loading, full, forgetful, cut off in the middle of a reply: Salvor waits,
resumes and does each thing once. A stream that is not the one that was folded, another leader, keys
of the wrong type: it stops, says why, and changes nothing."""
import contextlib
import os
import re
import signal
import socket
import threading

from harness import (CONTROL, SALVOR, STREAM, Client, Failure, Place, Redis, ReplyError, Salvor,
                     check, check_equal, check_ordinals, claim, main, prove, rescue, run,
                     submit, wait_until)

CONFIG = {"policy": {"backoff_ms": 0}, "queue": {"failures": "salvor"}}
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
ALLOW_OOM = "#!lua flags=allow-oom\nreturn redis.call('XADD', KEYS[1], '*', unpack(ARGV))"


def hold(redis, *jobs, worker="w1", event=True):
    for job in jobs:
        submit(redis, job)
        claim(redis, job, worker, event=event)


def fail(redis, job, worker="w1"):
    redis.xadd("job.failed", job=job, worker=worker, attempt=1, error="once")


def wait_once(redis, salvor, *jobs):
    """Each job waits in the queue again, requeued just once."""
    wait_until(lambda: set(jobs) <= set(redis.pending()),
               lambda: f"{jobs} wait in the queue: {redis.pending()}\n" +
               "\n".join(salvor.lines[-10:]))
    salvor.wait_folded(redis)
    for job in jobs:
        check_equal("1", redis.hash(f"job:{job}")["retry_count"], job)
        check_equal(["requeue"], [row["action"] for row in salvor.decisions(job)
                                  if row["action"] != "release"], job)
    told = salvor.query("SELECT outcome, count(*) AS count FROM effect JOIN decision "
                        "ON effect.decision = decision.id WHERE kind = 'requeue' AND job IN (" +
                        ",".join("?" * len(jobs)) + ") GROUP BY 1", *jobs)
    check_equal([{"outcome": "applied", "count": len(jobs)}], told)
    settled = [fields["effect"] for _, fields in redis.entries()
               if fields["type"] == "effect.settled"]
    check_equal(len(set(settled)), len(settled), "an effect was settled twice")


def finish(redis, salvor):
    check_equal(0, salvor.stop())
    check_ordinals(redis, salvor)
    # No group of an earlier epoch or connection is left.
    groups = [dict(zip(flat[::2], flat[1::2])) for flat in redis.call("XINFO", "GROUPS", STREAM)]
    check_equal(1, len(groups), groups)
    epoch = salvor.query("SELECT max(epoch) AS epoch FROM leadership")[0]["epoch"]
    check(groups[0]["name"].startswith(f"salvor.{epoch}."), groups)
    redis.stop()
    prove(salvor)


@contextlib.contextmanager
def again_and_again(action):
    """Does `action` over and over beside the test; counts how often."""
    done, ends = [], threading.Event()

    def repeat():
        while not ends.wait(0.003):
            done.append(action())
    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield done
    finally:
        ends.set()
        thread.join()


# --- Redis comes and goes ---

def test_an_absent_redis_is_waited_for():
    with Place() as place:
        redis = Redis(place, starts=False)
        salvor = Salvor(place, redis, CONFIG)
        told = salvor.wait_log("redis_away")
        check("connect" in told["because"].lower() or "no such file" in told["because"].lower(),
              told)
        check_equal([], salvor.log("took_over"))
        redis.start()
        salvor.wait_log("in_charge")
        hold(redis, "j1")
        fail(redis, "j1")
        wait_once(redis, salvor, "j1")
        check_equal(1, len(salvor.log("caught_up")))
        finish(redis, salvor)


def test_a_salvor_that_waits_for_redis_stops_when_asked():
    with Place() as place:
        salvor = Salvor(place, None, CONFIG)
        salvor.wait_log("redis_away")
        check_equal(0, salvor.stop())


def test_a_killed_redis_that_comes_back_with_its_log_loses_nothing():
    with Place() as place:
        redis = Redis(place, *DURABLE)
        salvor = Salvor(place, redis, CONFIG)
        salvor.wait_log("in_charge")
        for turn in range(3):
            jobs = [f"j{turn}{i}" for i in range(5)]
            hold(redis, *jobs)
            for job in jobs:
                fail(redis, job)
            redis.kill()
            wait_until(lambda: len(salvor.log("connection_lost")) > turn, "the loss is noticed")
            redis.start()
            wait_once(redis, salvor, *jobs)
        check_equal(3, len(salvor.log("connection_mended")))
        finish(redis, salvor)


def test_a_redis_that_is_loading_is_waited_for():
    with Place() as place:
        redis = Redis(place, *DURABLE)
        # Many keys in the log's base, read slowly, with a look at the sockets now and then.
        redis.call("DEBUG", "POPULATE", 100000, "filler")
        redis.call("BGREWRITEAOF")
        wait_until(lambda: "aof_rewrite_in_progress:0" in redis.call("INFO", "persistence") and
                   "aof_last_bgrewrite_status:ok" in redis.call("INFO", "persistence"),
                   "the log is rewritten")
        slowly = ("--key-load-delay", "-5", "--loading-process-events-interval-bytes", "1024")
        salvor = Salvor(place, redis, CONFIG)
        salvor.wait_log("in_charge")
        hold(redis, "j1")
        redis.kill()
        salvor.wait_log("connection_lost")
        redis.start(*slowly, is_awaited=False)
        # The first reason is that nobody is there; each try asks anew, so LOADING must be met.
        loading = Client.wait_for(redis.path)
        try:
            loading.call("GET", "x")
            raise Failure("Redis is not loading")
        except ReplyError as error:
            check(str(error).startswith("LOADING"), error)
        redis.wait_answers()
        salvor.wait_log("connection_mended")
        fail(redis, "j1")
        wait_once(redis, salvor, "j1")

        check_equal(0, salvor.stop())
        redis.kill()
        redis.start(*slowly, is_awaited=False)
        Client.wait_for(redis.path)
        salvor.start()
        wait_until(lambda: [fact for fact in salvor.log("redis_away")
                            if "LOADING" in fact["because"]], "the reason is told")
        redis.wait_answers()
        salvor.wait_log("in_charge")
        hold(redis, "j2")
        fail(redis, "j2")
        wait_once(redis, salvor, "j2")
        finish(redis, salvor)


def reads_wait(redis):
    return re.search(r" flags=\w*b", redis.call("CLIENT", "LIST"))


def is_stopped_in_its_read(redis, salvor):
    salvor.process.send_signal(signal.SIGSTOP)
    if reads_wait(redis):
        return True
    salvor.process.send_signal(signal.SIGCONT)
    return False


def test_a_redis_that_hangs_and_then_does_all_it_was_sent_does_nothing_twice():
    with rescue(CONFIG) as (_, redis, salvor):
        jobs = [f"j{i}" for i in range(20)]
        hold(redis, *jobs)
        # All at once, read by a Salvor that stands still until Redis does: so no effect is carried
        # out before.
        wait_until(lambda: is_stopped_in_its_read(redis, salvor), "Salvor stands still in its read")
        redis.call("MULTI")
        for job in jobs:
            fail(redis, job)
        redis.call("EXEC")
        wait_until(lambda: not reads_wait(redis), "Redis has answered the read")
        redis.process.send_signal(signal.SIGSTOP)
        salvor.process.send_signal(signal.SIGCONT)
        try:
            # Sent, and without a reply: whether Redis will do it nobody knows.
            salvor.wait_log("effects_wait")
            salvor.wait_log("append_waits")
        finally:
            redis.process.send_signal(signal.SIGCONT)
        salvor.wait_log("appends_go_on")
        wait_once(redis, salvor, *jobs)


def test_a_full_redis_is_survived_and_what_was_refused_is_done_later():
    with rescue(CONFIG) as (_, redis, salvor):
        hold(redis, "j1", "j2")
        salvor.wait_folded(redis)
        redis.call("CONFIG", "SET", "maxmemory", 1)
        try:
            redis.xadd("worker.heartbeat", worker="w1")
            raise Failure("Redis is not full")
        except ReplyError as error:
            check(str(error).startswith("OOM"), error)
        check("OOM" in salvor.wait_log("append_waits")["because"])
        # Reads go on, and so do decisions; what they ask for waits.
        for job in ("j1", "j2"):
            redis.call("EVAL", ALLOW_OOM, 1, STREAM, "type", "job.failed", "job", job, "worker",
                       "w1", "attempt", 1, "error", "while full")
            salvor.wait_decision(job, action="requeue", reason="job_failed")
        check("OOM" in salvor.wait_log("effects_wait")["because"])
        check_equal([], redis.pending())
        check_equal("in_progress", redis.hash("job:j1")["status"])
        redis.call("CONFIG", "SET", "maxmemory", 0)
        salvor.wait_log("appends_go_on")
        wait_once(redis, salvor, "j1", "j2")
        salvor.wait_log("effects_go_on")


def test_a_redis_that_is_full_when_salvor_starts_is_waited_for():
    with Place() as place:
        redis = Redis(place)
        redis.call("CONFIG", "SET", "maxmemory", 1)
        before = redis.dump()
        salvor = Salvor(place, redis, CONFIG)
        wait_until(lambda: [line for line in salvor.lines if "OOM" in line], "the reason is told")
        check_equal(before, redis.dump())
        redis.call("CONFIG", "SET", "maxmemory", 0)
        salvor.wait_log("in_charge")
        finish(redis, salvor)


def test_forgotten_scripts_are_sent_again():
    with rescue(CONFIG) as (_, redis, salvor):
        other = Client(redis.path)
        jobs = [f"j{i}" for i in range(60)]
        with again_and_again(lambda: other.call("SCRIPT", "FLUSH", "SYNC")) as flushes:
            for job in jobs:
                hold(redis, job)
                fail(redis, job)
                if job.endswith("9"):
                    wait_once(redis, salvor, job)
            check(len(flushes) > 10, len(flushes))
        wait_once(redis, salvor, *jobs)
        check_equal([], salvor.log("append_waits"))


def test_connections_that_are_killed_all_the_time_are_made_again():
    with rescue(CONFIG) as (_, redis, salvor):
        other = Client(redis.path)
        jobs = [f"j{i}" for i in range(40)]

        def kill_others():
            lines = [line for line in other.call("CLIENT", "LIST").splitlines()
                     if "cmd=client|list" not in line and f" id={mine} " not in f" {line} "]
            for line in lines:
                try:
                    other.call("CLIENT", "KILL", "ID", line.split()[0][3:])
                except ReplyError:
                    pass
            return len(lines)
        mine = redis.call("CLIENT", "ID")
        with again_and_again(kill_others) as kills:
            for job in jobs:
                hold(redis, job)
                fail(redis, job)
            wait_until(lambda: sum(kills) > 10 and len(salvor.log("connection_mended")) > 2,
                       lambda: f"connections are killed and made again: {sum(kills)}")
        wait_once(redis, salvor, *jobs)


class Cutter:
    """A unix socket in front of Redis that cuts connections off in the middle of a reply."""

    def __init__(self, place, redis):
        self.path = os.path.join(place.folder, "cutter.sock")
        self.url = "unix://" + self.path
        self.target = redis.path
        self.cut_after = None  # bytes of replies that a connection may bring; None: any number
        self.cuts = []
        self.pairs = set()
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()
        place.servers.append(self)

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.target)
            except OSError:
                near.close()
                far.close()
                continue
            pair = (near, far)
            self.pairs.add(pair)
            threading.Thread(target=self.pump, args=(pair, near, far, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(pair, far, near, True), daemon=True).start()

    def pump(self, pair, source, sink, is_reply):
        brought = 0
        try:
            while data := source.recv(65536):
                limit = self.cut_after
                if is_reply and limit is not None and brought + len(data) > limit:
                    sink.sendall(data[:max(limit - brought, 1) if len(data) > 1 else 1])
                    self.cuts.append(limit)
                    break
                brought += len(data) if self.cut_after is not None else 0
                sink.sendall(data)
        except OSError:
            pass
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def kill(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


def test_a_connection_that_is_cut_in_the_middle_of_a_reply_loses_and_repeats_nothing():
    with Place() as place:
        redis = Redis(place)
        cutter = Cutter(place, redis)
        salvor = Salvor(place, cutter, CONFIG)
        salvor.wait_log("in_charge")
        jobs = []
        for turn, limit in enumerate((1, 3, 40, 150, 400, 1000)):
            more = [f"j{turn}-{i}" for i in range(8)]
            jobs += more
            hold(redis, *more)
            cuts = len(cutter.cuts)
            cutter.cut_after = limit
            for job in more:
                fail(redis, job)
            wait_until(lambda: len(cutter.cuts) > cuts + 2, "connections are cut")
            cutter.cut_after = None
            wait_once(redis, salvor, *more)
        wait_once(redis, salvor, *jobs)
        check(salvor.log("connection_mended"), "the reader's connection was cut too")
        finish(redis, salvor)


# --- it is another stream ---

def stops(salvor, code, *words):
    """Salvor ends with exit code 3 and an error of this code that holds the words."""
    check_equal(3, salvor.wait_end())
    failed = salvor.wait_log("failed", code=code)
    for word in words:
        check(word in failed["message"], word, failed)


def test_a_stream_that_vanishes_under_a_running_salvor_stops_it():
    for spoil in (("FLUSHALL",), ("DEL", STREAM)):
        with Place() as place:
            redis = Redis(place)
            salvor = Salvor(place, redis, CONFIG)
            salvor.wait_log("in_charge")
            hold(redis, "j1")
            salvor.wait_folded(redis)
            redis.call(*spoil)
            kept = redis.dump(but=CONTROL)
            check_equal(3, salvor.wait_end())
            failed = salvor.wait_log("failed", code="history")
            check("gone" in failed["message"], failed)
            # It gives its lease back, where there still is one; nothing else is written.
            check_equal(kept, redis.dump(but=CONTROL), spoil)
            check_equal(spoil[0] == "DEL", bool(redis.hash(CONTROL)), spoil)
            prove(salvor)


def spoil_while_stopped(spoil, code, *words):
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, CONFIG)
        salvor.wait_log("in_charge")
        hold(redis, "j1")
        salvor.wait_folded(redis)
        check_equal(0, salvor.stop())
        spoil(redis, salvor)
        before = redis.dump()
        rows = salvor.query("SELECT * FROM decision"), salvor.query("SELECT * FROM position")
        for _ in range(2):
            salvor.start()
            stops(salvor, code, *words)
            check_equal(before, redis.dump())
            check_equal(rows, (salvor.query("SELECT * FROM decision"),
                               salvor.query("SELECT * FROM position")))
        redis.stop()
        prove(salvor)


def test_a_redis_that_was_emptied_while_salvor_was_stopped_is_refused():
    spoil_while_stopped(lambda redis, _: redis.call("FLUSHALL"), "history")


def test_a_stream_that_was_deleted_while_salvor_was_stopped_is_refused():
    spoil_while_stopped(lambda redis, _: redis.call("DEL", STREAM), "history", "ends at 0-0")


def test_unread_entries_that_were_trimmed_while_salvor_was_stopped_are_counted():
    def spoil(redis, _):
        for _ in range(7):
            fail(redis, "j1")
        redis.call("XTRIM", STREAM, "MAXLEN", 2)
    spoil_while_stopped(spoil, "history", "5 entries", "before they were read")


def test_unread_entries_that_were_deleted_while_salvor_was_stopped_are_counted():
    def spoil(redis, _):
        ids = [redis.xadd("worker.heartbeat", worker="w1") for _ in range(5)]
        redis.call("XDEL", STREAM, ids[1], ids[3])
    spoil_while_stopped(spoil, "history", "2 entries", "before they were read")


def test_trimming_what_was_read_is_fine():
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, CONFIG)
        salvor.wait_log("in_charge")
        hold(redis, "j1")
        salvor.wait_folded(redis)
        check_equal(0, salvor.stop())
        redis.call("XTRIM", STREAM, "MAXLEN", 0)
        fail(redis, "j1")
        salvor.start()
        wait_once(redis, salvor, "j1")
        finish(redis, salvor)


def test_a_foreign_stream_is_refused():
    def other_bytes(redis, _):
        last = redis.entries()[-1][0]
        added = len(redis.entries())
        redis.call("DEL", STREAM)
        for i in range(added - 1):
            redis.call("XADD", STREAM, f"{i + 1}-0", "type", "worker.heartbeat", "worker", "w9")
        redis.call("XADD", STREAM, last, "type", "worker.heartbeat", "worker", "w9")
        redis.xadd("worker.lost", worker="w1")
    spoil_while_stopped(other_bytes, "history")

    def no_anchor(redis, _):
        added = len(redis.entries())
        redis.call("DEL", STREAM)
        redis.call("XADD", STREAM, "1-0", "type", "worker.heartbeat", "worker", "w9")
        for _ in range(added + 5):
            redis.xadd("worker.lost", worker="w1")
    spoil_while_stopped(no_anchor, "history", "is not in the stream")

    def older_control(redis, _):
        redis.call("HSET", CONTROL, "epoch", 0)
        redis.call("XTRIM", STREAM, "MAXLEN", 0)
    spoil_while_stopped(older_control, "history", "older than the folded one")


def test_unread_entries_that_are_trimmed_under_a_running_salvor_stop_it():
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, CONFIG)
        salvor.wait_log("in_charge")
        hold(redis, "j1")
        salvor.wait_folded(redis)
        queue = redis.dump(but="salvor:")
        # One transaction: they are gone before the blocked reader is served.
        redis.call("MULTI")
        for _ in range(4):
            redis.xadd("worker.heartbeat", worker="w1")
        redis.call("XTRIM", STREAM, "MAXLEN", 1)
        redis.call("EXEC")
        stops(salvor, "history", "entries", "were folded")
        check_equal(queue, redis.dump(but="salvor:"))
        salvor.start()
        stops(salvor, "history")
        check_equal(queue, redis.dump(but="salvor:"))


# --- somebody else leads ---

def overtaken(is_observing):
    """The first leader sleeps, a second one takes over; what the first one does when it wakes up
    changes nothing, not even where the second one did nothing of it."""
    with Place() as place:
        redis = Redis(place)
        first = Salvor(place, redis, {**CONFIG, "salvor": {"lease_ms": 300}})
        first.wait_log("in_charge")
        hold(redis, "j1")
        first.wait_folded(redis)
        first.process.send_signal(signal.SIGSTOP)
        # Its blocked read gets this entry: once it wakes up, it decides on it.
        redis.xadd("worker.lost", worker="w1")
        if is_observing:
            observing = os.path.join(place.folder, "observing.yaml")
            with open(observing, "w", encoding="utf-8") as file:
                file.write("policy: {effects: observe}")
            run(SALVOR, "send", "policy", observing, "-c", first.config)
        second = Salvor(place, redis, CONFIG, data=os.path.join(place.folder, "second"))
        second.wait_log("in_charge")
        if is_observing:
            check_equal("in_progress", redis.hash("job:j1")["status"])
        else:
            wait_once(redis, second, "j1")
            claim(redis, "j1", "w2", 2)
        second.wait_folded(redis)
        held = redis.dump(but="salvor:")
        first.process.send_signal(signal.SIGCONT)
        stops(first, "fenced")
        check_equal(held, redis.dump(but="salvor:"))
        check(first.decisions("j1", action="requeue"), "it decided what it could not do any more")
        check_equal([], first.query("SELECT 1 FROM effect WHERE outcome = 'applied'"))
        epochs = [fields["epoch"] for _, fields in redis.entries() if "epoch" in fields]
        check_equal(sorted(epochs), epochs, "nothing of the first epoch stands behind the second")
        finish(redis, second)
        prove(first)


def test_a_leader_that_was_overtaken_steps_down_and_its_late_effects_change_nothing():
    overtaken(is_observing=False)


def test_a_leader_that_was_overtaken_by_an_observing_one_changes_nothing_either():
    overtaken(is_observing=True)


def test_a_running_lease_of_another_is_waited_for():
    with Place() as place:
        redis = Redis(place)
        first = Salvor(place, redis, CONFIG)
        first.wait_log("in_charge")
        second = Salvor(place, redis, CONFIG, data=os.path.join(place.folder, "second"))
        check("LEASED" in second.wait_log("take_over_waits")["because"])
        hold(redis, "j1")
        fail(redis, "j1")
        wait_once(redis, first, "j1")
        check_equal(0, first.stop())
        second.wait_log("in_charge")
        hold(redis, "j2")
        fail(redis, "j2")
        wait_once(redis, second, "j2")
        finish(redis, second)
        prove(first)


def test_a_second_process_on_the_same_data_is_refused():
    with rescue(CONFIG) as (place, redis, salvor):
        second = Salvor(place, redis, CONFIG)
        check_equal(3, second.wait_end())
        check(second.wait_log("failed")["message"])
        hold(redis, "j1")
        fail(redis, "j1")
        wait_once(redis, salvor, "j1")


# --- keys and servers of the wrong kind ---

def test_keys_of_the_wrong_type_are_refused_at_the_start():
    for key in (STREAM, CONTROL, "salvor:meta"):
        with Place() as place:
            redis = Redis(place)
            redis.call("SET", key, "mine")
            before = redis.dump()
            salvor = Salvor(place, redis, CONFIG)
            stops(salvor, "refused", key, "string")
            check_equal(before, redis.dump())


def test_keys_that_become_of_the_wrong_type_stop_a_running_salvor():
    for key in (STREAM, CONTROL):
        with Place() as place:
            redis = Redis(place)
            salvor = Salvor(place, redis, CONFIG)
            salvor.wait_log("in_charge")
            redis.call("SET", key, "mine")
            hold(redis, "j1", event=False)
            kept = redis.dump(but="salvor:")
            stops(salvor, "refused", "WRONGTYPE")
            check_equal(kept, redis.dump(but="salvor:"))
            check_equal("mine", redis.call("GET", key))


def test_queue_keys_of_the_wrong_type_fail_only_the_effects_that_need_them():
    with rescue(CONFIG) as (_, redis, salvor):
        hold(redis, "j1", "j2")
        redis.call("DEL", "job:j1")
        redis.call("SET", "job:j1", "a string")
        fail(redis, "j1")
        fail(redis, "j2")
        parked = salvor.wait_decision("j1", action="park", reason="effect_failed")
        check("type=string" in parked["evidence"], parked["evidence"])
        wait_once(redis, salvor, "j2")
        check_equal("a string", redis.call("GET", "job:j1"))


def test_other_partitions_than_were_told_are_refused():
    with Place() as place:
        redis = Redis(place)
        redis.call("HSET", "salvor:meta", "partitions", 4)
        before = redis.dump()
        stops(Salvor(place, redis, CONFIG), "refused", "partitions=4")
        check_equal(before, redis.dump())


def test_a_redis_in_cluster_mode_is_refused():
    with Place() as place, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        redis = Redis(place, "--cluster-enabled", "yes", "--bind", "127.0.0.1", "--cluster-port",
                      port)
        stops(Salvor(place, redis, CONFIG), "refused", "cluster")
        check_equal({}, redis.dump())


def test_a_user_without_the_rights_is_refused_and_told_which_one_it_lacks():
    with Place() as place:
        redis = Redis(place)
        redis.call("ACL", "SETUSER", "default", "-xadd")
        stops(Salvor(place, redis, CONFIG), "refused", "XADD")
        redis.call("ACL", "SETUSER", "default", "+@all")
        check_equal({}, redis.dump())


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
