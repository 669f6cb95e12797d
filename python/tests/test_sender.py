"""The queue, the thread that empties it and the spool, without a hub."""

import ast
import contextlib
import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

from support import HUB_VERSION, TOKEN, Sink, free_port, until

import jupyterhub_insights as insights


# One run of these is enough among the hubs; a Python without a hub runs them too.
@unittest.skipIf(HUB_VERSION in (4, 5), "the same with every hub")
class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="insights-spool-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.spool = os.path.join(self.folder, "spool.jsonl")
        for name, value in [
            ("TIMEOUT_SECONDS", 0.5),
            ("BACKOFF_SECONDS", (0.02, 0.1)),
            ("BATCH_SECONDS", 0.02),
        ]:
            patch = mock.patch.object(insights, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.log = logging.Logger("test")
        self.messages = []
        handler = logging.Handler()
        handler.emit = lambda record: self.messages.append(record.getMessage())
        self.log.addHandler(handler)

    def sink(self, **options):
        sink = Sink(**options)
        self.addCleanup(sink.stop)
        return sink

    def connection(self, url, spool=None, queue_size=10000, is_held=False, token=TOKEN):
        target = insights.Target(url, token, None)
        connection = insights.Connection(
            lambda: target, spool or self.spool, queue_size, self.log, is_held
        )
        self.addCleanup(connection.close, 0)
        return connection

    def away(self):
        return f"http://127.0.0.1:{free_port()}/services/insights/"

    def numbers(self, sink, kind="n"):
        return [item["detail"] for item in sink.of_kind(kind)]


def put(connection, *numbers):
    for number in numbers:
        connection.record_event("n", detail=number)


def put_spooled(connection, *numbers):
    """As put, with time for the thread to make room."""
    lane = connection.lanes["events"]
    for number in numbers:
        put(connection, number)
        until("room", lambda: len(lane._memory) < lane._queue_size)


class Sending(Case):
    def test_an_event_has_the_generic_form_and_the_request_its_headers(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        connection.record_event("login", "ada", "", {"a": "ü"}, source="hooks")
        self.assertTrue(connection.flush())
        ((lane, item),) = sink.items
        self.assertEqual(lane, "api/v1/events")
        self.assertRegex(item.pop("id"), "^[0-9a-f]{32}$")
        self.assertRegex(item.pop("at"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        expected = {"kind": "login", "user": "ada", "server": "", "source": "hooks"}
        self.assertEqual(item, dict(expected, detail={"a": "ü"}))
        headers = sink.requests[0]["headers"]
        self.assertEqual(headers["Content-Type"], "application/x-ndjson")
        self.assertEqual(headers["Authorization"], f"Bearer {TOKEN}")
        self.assertNotIn("Idempotency-Key", headers)

    def test_many_items_are_few_requests(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        put(connection, *range(2000))
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), list(range(2000)))
        self.assertLessEqual(len(sink.requests), 8)
        self.assertLessEqual(max(len(request["lines"]) for request in sink.requests), 500)
        stats = {"sent": 2000, "waiting": 0, "spooled": 0, "dropped": 0, "refused": 0}
        self.assertEqual(connection.stats(), stats)

    def test_a_request_stays_near_one_mebibyte(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        for _ in range(20):
            connection.record_event("n", detail="x" * 200000)
        self.assertTrue(connection.flush())
        self.assertEqual(len(sink.of_kind("n")), 20)
        self.assertLessEqual(max(request["n_bytes"] for request in sink.requests), 1 << 20)

    def test_metrics_go_to_their_places_with_a_key_for_each_batch(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        for _ in range(2):
            connection.record_custom_event("export")
            connection.record_custom_event("export", "ada", 3)
            connection.update_custom_gauge("licences", 4.5)
            with connection.time_custom_operation("backup"):
                pass
            self.assertTrue(connection.flush())
        counters = [item for lane, item in sink.items if lane.endswith("counter")]
        self.assertEqual(
            counters[:2],
            [
                {"event_type": "export", "user": "anonymous", "amount": 1},
                {"event_type": "export", "user": "ada", "amount": 3},
            ],
        )
        gauges = [item for lane, item in sink.items if lane.endswith("gauge")]
        self.assertEqual(gauges[0], {"resource_type": "licences", "user": "system", "value": 4.5})
        keys = [request["headers"]["Idempotency-Key"] for request in sink.requests]
        self.assertEqual(len(set(keys)), len(keys))

    def test_a_metric_that_is_sent_again_keeps_its_key_and_counts_once(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        sink.hang()
        connection.record_custom_event("export")
        until("a try", lambda: len(sink.requests) >= 2)
        connection.record_custom_event("export", amount=2)
        sink.work()
        self.assertTrue(connection.flush())
        keys = [request["headers"]["Idempotency-Key"] for request in sink.requests]
        self.assertEqual(len(set(keys)), 2, keys)
        self.assertEqual([item["amount"] for _, item in sink.items], [1, 2])

    def test_a_timer_sees_success_error_and_what_the_code_says(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        with connection.time_custom_operation("a"):
            pass
        with self.assertRaises(KeyError):
            with connection.time_custom_operation("b"):
                raise KeyError
        with connection.time_custom_operation("c") as timer:
            timer.status = "skipped"

        @connection.time_custom_operation("d")
        def twice(number):
            """Documented."""
            return 2 * number

        self.assertEqual((twice(2), twice(number=3), twice.__doc__), (4, 6, "Documented."))

        @connection.time_custom_operation("e")
        async def fails():
            raise ValueError

        import asyncio

        with self.assertRaises(ValueError):
            asyncio.run(fails())
        self.assertTrue(connection.flush())
        timings = [(item["operation"], item["status"]) for _, item in sink.items]
        self.assertEqual(
            timings,
            [
                ("a", "success"),
                ("b", "error"),
                ("c", "skipped"),
                ("d", "success"),
                ("d", "success"),
                ("e", "error"),
            ],
        )

    def test_what_is_no_json_is_refused_and_said_once(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        connection.update_custom_gauge("load", float("nan"))
        connection.record_event("n", detail=object())
        connection.record_event("n", detail="x" * (1 << 20))
        put(connection, 1)
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), [1])
        self.assertEqual(connection.stats()["refused"], 3)
        # One of events, one of gauges.
        self.assertEqual(len([m for m in self.messages if "is lost" in m]), 2)

    def test_a_line_stays_a_line(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        connection.put("events", '{"action":\n "start", "id": "1", "u": "a\u2028b"}')
        self.assertTrue(connection.flush())
        self.assertEqual(sink.items[0][1]["u"], "a\u2028b")


class TroubleAtTheSink(Case):
    def test_down_hanging_and_500_lose_nothing_and_keep_the_order(self):
        sink = self.sink()
        connection = self.connection(sink.url, queue_size=10)
        put(connection, 1)
        self.assertTrue(connection.flush())
        sink.mode = 500
        put(connection, 2, 3)
        until("the 500", lambda: sink.requests[-1]["mode"] == 500)
        sink.hang()
        put(connection, 4, 5)
        until("the hang", lambda: sink.requests[-1]["mode"] == "hang")
        sink.stop()
        put_spooled(connection, *range(6, 30))
        stats = connection.stats()
        self.assertEqual((stats["waiting"] + stats["spooled"], stats["dropped"]), (28, 0))
        self.assertGreaterEqual(stats["spooled"], 10)
        sink.mode = 200
        sink.start()
        self.assertTrue(connection.flush())
        put(connection, 30)
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), list(range(1, 31)))
        said = [m for m in self.messages if "cannot be reached" in m]
        self.assertEqual(len(said), 1, self.messages)
        self.assertEqual(len([m for m in self.messages if "reached again" in m]), 1)
        self.assertFalse(os.path.exists(self.spool))

    def test_putting_is_fast_whatever_the_sink_does(self):
        sink = self.sink()
        sink.hang()
        connection = self.connection(sink.url)
        begin = time.perf_counter()
        put(connection, *range(5000))
        self.assertLess(time.perf_counter() - begin, 2)
        sink.work()
        self.assertTrue(connection.flush(30))
        self.assertEqual(self.numbers(sink), list(range(5000)))

    def test_retry_after_is_honoured(self):
        sink = self.sink()
        sink.mode, sink.retry_after = 503, 1
        with mock.patch.object(insights, "BACKOFF_SECONDS", (0.02, 30)):
            connection = self.connection(sink.url)
            put(connection, 1)
            until("the first try", lambda: sink.requests)
            sink.mode = 200
            begin = time.monotonic()
            sink.wait_for("n")
            self.assertGreater(time.monotonic() - begin, 0.7)

    def test_403_is_tried_again_and_its_remedy_said(self):
        sink = self.sink()
        sink.mode = 403
        connection = self.connection(sink.url)
        put(connection, 1)
        until("some tries", lambda: len(sink.requests) > 2)
        sink.mode = 200
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), [1])
        self.assertIn("custom:insights:write", self.messages[0])

    def without_gauges(self, sink, status):
        answer = sink._answer
        lock = threading.Lock()

        def without_gauges(handler):
            with lock:
                sink.mode = status if "gauge" in handler.path else 200
                answer(handler)

        sink._answer = without_gauges
        return answer

    def test_metrics_that_are_not_taken_do_not_hold_up_events_or_other_metrics(self):
        for status in (404, 500, 503, 400):
            sink = self.sink()
            answer = self.without_gauges(sink, status)
            connection = self.connection(sink.url)
            connection.update_custom_gauge("a", 1)
            until("a try", lambda: sink.requests)
            for number in range(5):
                put(connection, number)
                connection.record_custom_event("c")
                sink.wait_for("n", number + 1, timeout=2)
            self.assertEqual(self.numbers(sink), list(range(5)))
            until("the counters", lambda: connection.stats()["sent"] == 10)
            self.assertEqual((connection.stats()["waiting"], connection.stats()["refused"]), (1, 0))
            sink._answer, sink.mode = answer, 200
            self.assertTrue(connection.flush())
            self.assertEqual(sink.items[-1][0], "api/v1/metrics/gauge")

    def test_metrics_for_a_service_that_has_no_place_for_them_are_given_up(self):
        sink = self.sink()
        self.without_gauges(sink, 404)
        with mock.patch.object(insights, "GIVE_UP_SECONDS", 0.3):
            connection = self.connection(sink.url)
            connection.update_custom_gauge("a", 1)
            connection.update_custom_gauge("a", 2)
            put(connection, 1)
            self.assertTrue(connection.flush())
            connection.update_custom_gauge("a", 3)
            self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), [1])
        stats = connection.stats()
        self.assertEqual((stats["sent"], stats["refused"]), (1, 3))
        self.assertEqual(len([m for m in self.messages if "is lost" in m]), 1)
        self.assertIn("gauge metrics", self.messages[0])

    def test_what_a_proxy_answers_in_between_loses_nothing(self):
        for status in (400, 411, 414, 415, 422, 431):
            sink = self.sink()
            sink.mode = status
            connection = self.connection(sink.url)
            put(connection, 1, 2)
            until("some tries", lambda: len(sink.requests) > 2)
            sink.mode = 200
            self.assertTrue(connection.flush())
            self.assertEqual(self.numbers(sink), [1, 2])
            self.assertEqual(connection.stats()["refused"], 0)
            self.assertTrue(all(len(request["lines"]) == 2 for request in sink.requests))
            self.messages.clear()

    def test_a_metric_that_cannot_be_processed_is_refused(self):
        sink = self.sink()
        sink.mode = 422
        connection = self.connection(sink.url)
        connection.record_custom_event("a")
        connection.record_custom_event("b")
        self.assertTrue(connection.flush())
        self.assertEqual(len(sink.requests), 1)
        self.assertEqual(connection.stats()["refused"], 2)

    def test_a_single_line_that_is_too_large_is_refused_and_the_back_off_stays(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        sink.mode = 500
        put(connection, 1)
        until("some tries", lambda: len(sink.requests) > 2)
        sink.mode = 413
        self.assertTrue(connection.flush())
        self.assertEqual(connection.stats()["refused"], 1)
        self.assertEqual([m for m in self.messages if "reached again" in m], [])
        self.assertGreater(connection.lanes["events"]._failures, 0)

    def test_a_body_that_is_too_large_is_split(self):
        sink = self.sink()
        sink.largest_body = 1000
        connection = self.connection(sink.url)
        put(connection, *range(60))
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), list(range(60)))
        self.assertEqual(connection.stats()["refused"], 0)

    def test_what_the_service_says_is_logged_on_one_line(self):
        sink = self.sink()
        answer = sink._answer

        def says(handler, status=503, body=None):
            handler.rfile.read(int(handler.headers["Content-Length"]))
            message = "no history\n\x1b[31mis kept\u2028here" + "x" * 300
            body = body or json.dumps({"status": status, "message": message}).encode()
            handler._reply(status, body)

        for status in (503, 404):
            sink._answer = lambda handler, status=status: says(handler, status)
            connection = self.connection(sink.url)
            put(connection, 1)
            until("a message", lambda: self.messages)
            self.assertIn(f"answered {status} (no history  [31mis kept here", self.messages[0])
            self.assertNotIn("x" * 200, self.messages[0])
            self.messages.clear()
            connection.discard()
        rejects = json.dumps({"rejected": [{"index": 0, "reason": "bad\n\x1b[31mline"}]}).encode()
        sink._answer = lambda handler: says(handler, 200, rejects)
        connection = self.connection(sink.url)
        put(connection, 1)
        self.assertTrue(connection.flush())
        self.assertIn("refused by the service: bad  [31mline.", self.messages[0])
        sink._answer = answer

    def test_a_redirect_does_not_get_the_token(self):
        thief = self.sink()
        sink = self.sink()
        answer = sink._answer

        def redirect(handler):
            handler.rfile.read(int(handler.headers["Content-Length"]))
            sink.requests.append({})
            handler._reply(307, b"", [("Location", thief.url + "api/v1/events")])

        sink._answer = redirect
        connection = self.connection(sink.url)
        put(connection, 1)
        until("two tries", lambda: len(sink.requests) > 1)
        self.assertEqual(thief.requests, [])
        sink._answer = answer
        self.assertTrue(connection.flush())

    def test_proxies_of_the_environment_are_not_asked(self):
        sink = self.sink()
        with mock.patch.dict(os.environ, {"http_proxy": self.away(), "HTTP_PROXY": self.away()}):
            connection = self.connection(sink.url)
            put(connection, 1)
            self.assertTrue(connection.flush())

    def test_a_connection_that_was_closed_meanwhile_is_opened_again(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        put(connection, 1)
        self.assertTrue(connection.flush())
        sink.stop()
        sink.start()
        connection.lanes["events"]._http[1].sock.shutdown(2)
        put(connection, 2)
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), [1, 2])
        self.assertEqual(self.messages, [])

    def test_until_it_is_released_nothing_is_tried(self):
        sink = self.sink()
        connection = self.connection(sink.url, is_held=True)
        put(connection, 1, 2)
        self.assertFalse(connection.flush(0.1))
        self.assertEqual(sink.requests, [])
        connection.release()
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), [1, 2])


class TheSpool(Case):
    def test_what_is_unsent_at_the_end_is_sent_by_the_next_process_first(self):
        for queue_size in (2, 100):
            connection = self.connection(self.away(), queue_size=queue_size)
            put_spooled(connection, 1, 2, 3, 4)
            connection.close(0.5)
            self.assertEqual(connection.stats()["waiting"], 0)
            self.assertEqual(connection.stats()["spooled"], 4)
            self.assertEqual(stat.S_IMODE(os.stat(self.spool).st_mode), 0o600)
            sink = self.sink()
            connection = self.connection(sink.url)
            put(connection, 5)
            self.assertTrue(connection.flush())
            self.assertEqual(self.numbers(sink), [1, 2, 3, 4, 5])
            self.assertEqual(os.listdir(self.folder), [])

    def test_metrics_whose_fate_is_unknown_count_once_over_a_restart(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        take = sink._take

        def take_and_hang(handler, lines):
            take(handler, lines)
            sink._released.wait()
            return {}

        sink._take = take_and_hang
        connection.record_custom_event("a")
        connection.update_custom_gauge("g", 1)
        connection.record_custom_event("b")
        until("the counters", lambda: len(sink.items) >= 2)
        connection.record_custom_event("c")
        connection.close(0)
        sink._take = take
        sink._released.set()
        connection = self.connection(sink.url)
        connection.record_custom_event("d")
        self.assertTrue(connection.flush())
        counted = [item["event_type"] for lane, item in sink.items if "counter" in lane]
        self.assertEqual(counted, ["a", "b", "c", "d"])

    def test_metrics_in_a_range_of_the_spool_count_once_after_a_kill(self):
        connection = self.connection(self.away())
        for name in "abcdef":
            connection.record_custom_event(name)
        connection.close(0.2)
        path = insights._spool_path(self.spool, "counter")
        self.assertEqual(os.listdir(self.folder), [os.path.basename(path)])
        # What a process that is killed between the answer and its note of it leaves.
        spool = insights._Spool(path, "counter", self.log)
        spool.find_leftovers()
        lines, key = spool.read_first()
        spool.append([insights._Line('{"event_type":"g"}', None)])
        spool.close()
        again = insights._Spool(path, "counter", self.log)
        again.find_leftovers()
        self.assertEqual(again.n_lines, 7)
        self.assertEqual(again.read_first(), (lines, key))
        self.assertEqual(len(lines), 6)
        again.forget_first()
        rest, other_key = again.read_first()
        self.assertEqual(([line.text for line in rest], again.n_lines), (['{"event_type":"g"}'], 1))
        self.assertNotEqual(key, other_key)
        again.close()

    def test_beyond_the_limit_items_are_dropped_counted_and_told(self):
        sink = self.sink()
        sink.mode = 500
        with mock.patch.object(insights, "SPOOL_BYTES", 2000):
            connection = self.connection(sink.url, queue_size=5)
            numbers = iter(range(100))
            while not any("takes no more" in message for message in self.messages):
                put(connection, next(numbers))
                time.sleep(0.02)
            put(connection, *numbers)
            stats = connection.stats()
            self.assertGreater(stats["dropped"], 50)
            self.assertEqual(stats["waiting"] + stats["spooled"] + stats["dropped"], 100)
            self.assertLessEqual(os.path.getsize(self.spool), 2000)
            sink.mode = 200
            self.assertTrue(connection.flush())
            sink.wait_for("events-lost")
        (lost,) = sink.of_kind("events-lost")
        self.assertEqual(lost["detail"], {"count": stats["dropped"]})
        self.assertEqual(self.numbers(sink), list(range(100 - stats["dropped"])))
        self.assertEqual(len([m for m in self.messages if "takes no more" in m]), 1)

    def test_a_loss_at_the_end_is_told_by_the_next_process(self):
        connection = self.connection(self.away(), queue_size=10)
        put(connection, *range(50))
        dropped = connection.stats()["dropped"]
        self.assertGreater(dropped, 0)
        connection.close(0.2)
        sink = self.sink()
        connection = self.connection(sink.url)
        self.assertTrue(connection.flush())
        self.assertEqual(sink.of_kind("events-lost")[0]["detail"], {"count": dropped})
        self.assertEqual(len(self.numbers(sink)), 50 - dropped)

    def test_without_a_place_to_write_memory_is_all_there_is(self):
        spool = os.path.join(self.folder, "absent", "spool.jsonl")
        sink = self.sink()
        sink.mode = 500
        connection = self.connection(sink.url, spool=spool, queue_size=5)
        put(connection, 0, 1, 2)
        until("a try", lambda: sink.requests)
        put(connection, *range(3, 10))
        until("a message", lambda: len(self.messages) > 1)
        sink.mode = 200
        self.assertTrue(connection.flush())
        self.assertEqual(connection.stats()["dropped"], 2)
        self.assertEqual(self.numbers(sink), list(range(8)))
        self.assertEqual(len([m for m in self.messages if "cannot be used" in m]), 1)

    def test_a_file_that_is_not_ours_is_left_alone(self):
        with open(self.spool, "w") as file:
            file.write("precious\n")
        connection = self.connection(self.away(), queue_size=1)
        put(connection, 1, 2, 3)
        connection.close(0.2)
        with open(self.spool) as file:
            self.assertEqual(file.read(), "precious\n")
        self.assertIn("was not written by", self.messages[0])

    def test_a_link_is_not_followed(self):
        target = os.path.join(self.folder, "target")
        os.symlink(target, self.spool)
        connection = self.connection(self.away(), queue_size=1)
        put(connection, 1, 2, 3)
        connection.close(0.2)
        self.assertFalse(os.path.exists(target))

    def test_a_link_in_place_of_the_new_file_is_not_followed(self):
        target = os.path.join(self.folder, "target")
        with open(target, "w") as file:
            file.write("precious\n")
        os.symlink(target, self.spool + ".new")
        connection = self.connection(self.away())
        put(connection, 1, 2, 3)
        connection.close(0.2)
        with open(target) as file:
            self.assertEqual(file.read(), "precious\n")
        self.assertFalse(os.path.islink(self.spool))
        self.assertEqual(self.messages[1:], [])

    def test_a_file_that_others_can_read_is_closed_to_them(self):
        connection = self.connection(self.away())
        put(connection, 1)
        connection.close(0.2)
        os.chmod(self.spool, 0o666)
        connection = self.connection(self.away())
        connection.close(0.2)
        self.assertEqual(stat.S_IMODE(os.stat(self.spool).st_mode), 0o600)

    def test_what_is_no_file_of_our_own_alone_is_not_used(self):
        other = os.path.join(self.folder, "other")

        def link():
            with open(other, "w"):
                os.link(other, self.spool)

        for make in (lambda: os.mkfifo(self.spool), link):
            make()
            connection = self.connection(self.away())
            put(connection, 1)
            connection.close(0.2)
            self.assertIn("not a file of this user alone", "".join(self.messages))
            self.assertEqual(connection.stats()["dropped"], 1)
            os.unlink(self.spool)
            self.messages.clear()

    def test_another_users_file_is_not_used(self):
        with open(self.spool, "w"):
            pass
        with mock.patch.object(os, "geteuid", return_value=os.geteuid() + 1):
            connection = self.connection(self.away())
            put(connection, 1)
            connection.close(0.2)
        self.assertIn("not a file of this user alone", "".join(self.messages))

    def test_two_processes_do_not_share_it(self):
        first = self.connection(self.away(), queue_size=1)
        put_spooled(first, 1, 2, 3)
        self.assertEqual(first.stats()["spooled"], 2)
        second = self.connection(self.away(), queue_size=1)
        put(second, 4)
        second.close(0.2)
        self.assertEqual((second.stats()["spooled"], second.stats()["dropped"]), (0, 1))
        self.assertIn("another process uses it", "".join(self.messages))

    def test_a_torn_or_damaged_line_is_only_that_line(self):
        connection = self.connection(self.away())
        put(connection, 1, 2, 3, 4)
        connection.close(0.2)
        with open(self.spool, "rb") as file:
            lines = file.read().splitlines(True)
        lines[2] = b'["events", {"id" \xff\n'
        with open(self.spool, "wb") as file:
            file.write(b"".join(lines) + b'["events", {"id": "to')
        sink = self.sink()
        connection = self.connection(sink.url)
        put(connection, 5)
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), [1, 3, 4, 5])
        self.assertEqual(sink.wait_for("events-lost")[0]["detail"], {"count": 1})

    def test_a_large_spool_is_sent_in_order(self):
        connection = self.connection(self.away(), queue_size=100)
        put_spooled(connection, *range(3000))
        self.assertGreater(connection.stats()["spooled"], 2000)
        connection.close(0.2)
        sink = self.sink()
        connection = self.connection(sink.url)
        self.assertTrue(connection.flush(30))
        self.assertEqual(self.numbers(sink), list(range(3000)))
        self.assertLessEqual(len(sink.requests), 12)

    def test_a_full_disk_is_survived(self):
        sink = self.sink()
        sink.mode = 500
        connection = self.connection(sink.url, queue_size=2)
        put(connection, 1)
        until("a try", lambda: sink.requests)
        put_spooled(connection, 2, 3)
        until("the spool", lambda: connection.stats()["spooled"] == 2)
        write = os.pwrite
        with mock.patch.object(os, "pwrite", side_effect=OSError(28, "No space left")):
            put(connection, 4)
            until("a message", lambda: "No space left" in "".join(self.messages))
            put(connection, 5, 6, 7)
        self.assertEqual(connection.stats()["dropped"], 2)
        # Half of what is written finds room.
        half = lambda fd, data, at: write(fd, data[: len(data) // 2], at)  # noqa: E731
        with mock.patch.object(os, "pwrite", half):
            connection.lanes["events"]._no_spill_before = 0.0
            until("a line in the spool", lambda: connection.stats()["waiting"] < 3)
        sink.mode = 200
        self.assertTrue(connection.flush())
        self.assertEqual(self.numbers(sink), [1, 2, 3, 4, 5])

    def test_a_put_waits_for_no_disk(self):
        sink = self.sink()
        sink.mode = 500
        is_released = threading.Event()
        real = {name: getattr(os, name) for name in ("open", "pwrite", "pread", "unlink", "fchmod")}
        callers = set()

        def slow(name):
            def call(*arguments, **keywords):
                callers.add(threading.current_thread())
                is_released.wait()
                return real[name](*arguments, **keywords)

            return mock.patch.object(os, name, call)

        connection = self.connection(sink.url, queue_size=20)
        with contextlib.ExitStack() as stack:
            for name in real:
                stack.enter_context(slow(name))
            put(connection, 0)
            until("a try", lambda: sink.requests)
            begin = time.monotonic()
            for numbers in (range(1, 15), range(15, 31)):
                put(connection, *numbers)
                until("the disk", lambda: callers)
            connection.stats()
            self.assertLess(time.monotonic() - begin, 0.5)
            self.assertEqual(connection.stats()["dropped"], 10)
            is_released.set()
            until("the spool", lambda: connection.stats()["spooled"] >= 14)
            sink.mode = 200
            self.assertTrue(connection.flush())
            sink.wait_for("events-lost")
        self.assertEqual(self.numbers(sink), list(range(21)))
        self.assertNotIn(threading.current_thread(), callers)

    def test_a_disk_that_hangs_at_the_end_does_not_hold_it_up(self):
        sink = self.sink()
        sink.mode = 500
        connection = self.connection(sink.url, queue_size=2)
        is_released = threading.Event()
        self.addCleanup(is_released.set)
        with mock.patch.object(os, "pwrite", lambda fd, data, at: is_released.wait() and len(data)):
            put(connection, 1)
            until("a try", lambda: sink.requests)
            put(connection, 2, 3)
            until("the disk", connection.lanes["events"]._files.locked)
            with mock.patch.object(insights, "EXIT_SECONDS", 0.2):
                begin = time.monotonic()
                connection.close(0.2)
                self.assertLess(time.monotonic() - begin, 1)
            is_released.set()
            connection.lanes["events"]._thread.join(5)
        self.assertEqual([m for m in self.messages if "Error in" in m], [])
        self.assertEqual(connection.stats()["dropped"], 3)
        self.assertIn("3 items for jupyterhub-insights could not be sent.", self.messages)

    def test_without_a_new_file_the_old_one_takes_what_is_unsent(self):
        for function in ("flock", "open"):
            sink = self.sink()
            sink.mode = 500
            connection = self.connection(sink.url)
            put(connection, 1)
            connection.record_custom_event("c")
            until("tries", lambda: len(sink.requests) > 2)
            put(connection, 2)
            for lane in connection.lanes.values():
                lane._spool._is_open()
            real = os.open

            def no_new(path, *arguments):
                if path.endswith(".new"):
                    raise OSError(28, "No space left")
                return real(path, *arguments)

            patch = mock.patch.object(os, "open", no_new)
            if function == "flock":
                patch = mock.patch.object(insights.fcntl, "flock", side_effect=BlockingIOError)
            with patch:
                connection.close(0)
            self.assertEqual((connection.stats()["spooled"], connection.stats()["dropped"]), (3, 0))
            self.assertEqual([n for n in os.listdir(self.folder) if n.endswith(".new")], [])
            sink.mode = 200
            connection = self.connection(sink.url)
            self.assertTrue(connection.flush())
            self.assertEqual(self.numbers(sink), [1, 2])

    def spooled(self, sink):
        connection = self.connection(self.away())
        put(connection, 1, 2, 3)
        connection.close(0.2)
        return self.connection(sink.url, is_held=True)

    def test_a_spool_that_cannot_be_read_for_a_while_loses_nothing(self):
        for name in ("pread", "pwrite"):
            sink = self.sink()
            connection = self.spooled(sink)
            until("the spool", lambda: connection.stats()["spooled"] == 3)
            error = OSError(5, "Input/output error")
            with mock.patch.object(os, name, side_effect=error) as broken:
                connection.release()
                until("some tries", lambda: broken.call_count > 3)
                self.assertFalse(connection.flush(0.1))
                self.assertEqual(connection.stats()["spooled"], 3)
            self.assertTrue(connection.flush())
            self.assertEqual(self.numbers(sink), [1, 2, 3])
            said = [m for m in self.messages if "cannot be read or written" in m]
            self.assertEqual(len(said), 1, self.messages)
            self.messages.clear()

    def test_a_spool_that_stays_unreadable_is_counted_and_given_up(self):
        sink = self.sink()
        connection = self.spooled(sink)
        until("the spool", lambda: connection.stats()["spooled"] == 3)
        with mock.patch.object(os, "pread", side_effect=OSError(5, "Input/output error")):
            with mock.patch.object(insights, "GIVE_UP_SECONDS", 0.2):
                connection.release()
                put(connection, 4)
                sink.wait_for("n")
        self.assertEqual(connection.stats()["dropped"], 3)
        self.assertEqual(sink.wait_for("events-lost")[0]["detail"], {"count": 3})
        self.assertIn("3 lines in it are lost", "".join(self.messages))


class Processes(Case):
    def run_script(self, text, *arguments, **environment):
        script = f"import sys\nsys.path.insert(0, {os.path.dirname(insights.__file__)!r})\n" + text
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, *arguments],
            env=dict(os.environ, **environment),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=60,
        )

    def test_a_script_needs_an_import_and_the_environment(self):
        sink = self.sink()
        done = self.run_script(
            "import jupyterhub_insights as i\n"
            "i.record_custom_event('export', user='ada')\n"
            "i.update_custom_gauge('licences', 3)\n"
            "with i.time_custom_operation('backup'): pass\n"
            "i.record_event('course-began', detail={'course': 'ml'})\n",
            JUPYTERHUB_INSIGHTS_URL=sink.url,
            JUPYTERHUB_INSIGHTS_TOKEN=TOKEN,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(
            sorted(lane.rpartition("/")[2] for lane, _ in sink.items),
            ["counter", "events", "gauge", "timing"],
        )

    def test_a_script_without_a_connection_is_told_once_and_works(self):
        done = self.run_script(
            "import jupyterhub_insights as i\n"
            "i.record_custom_event('a')\n"
            "i.record_custom_event('a')\n"
            "print(i.time_custom_operation('x')(lambda: 5)(), i.flush(), i.stats()['sent'])\n",
            JUPYTERHUB_INSIGHTS_URL="",
        )
        self.assertEqual((done.returncode, done.stdout), (0, "5 True 0\n"))
        self.assertEqual(done.stderr.count("Nothing is recorded"), 1)

    def test_a_script_ends_soon_though_the_sink_hangs(self):
        sink = self.sink()
        sink.hang()
        begin = time.monotonic()
        done = self.run_script(
            "import jupyterhub_insights as i\n"
            "i.connect(sys.argv[1], sys.argv[2])\n"
            "i.record_event('n')\n",
            sink.url,
            TOKEN,
        )
        self.assertEqual(done.returncode, 0)
        self.assertLess(time.monotonic() - begin, 8)
        self.assertIn("could not be sent", done.stderr)

    def test_a_forked_child_sends_its_own_and_only_its_own(self):
        sink = self.sink()
        done = self.run_script(
            "import os, jupyterhub_insights as i\n"
            "c = i.connect(sys.argv[1], sys.argv[2], spool='s.jsonl')\n"
            "i.record_event('parent')\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    i.record_event('child')\n"
            "    ok = i.flush() and i.stats()['sent'] == 1\n"
            "    os._exit(0 if ok else 1)\n"
            "print(os.waitpid(pid, 0)[1])\n"
            "print(i.flush())\n",
            sink.url,
            TOKEN,
        )
        self.assertEqual((done.returncode, done.stdout), (0, "0\nTrue\n"), done.stderr)
        kinds = sorted(item["kind"] for _, item in sink.items)
        self.assertEqual(kinds, ["child", "parent"])

    def test_threads_may_record_at_once(self):
        sink = self.sink()
        connection = self.connection(sink.url)
        threads = [
            threading.Thread(target=put, args=(connection, *range(n, n + 250)))
            for n in range(0, 2000, 250)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(connection.flush())
        self.assertEqual(sorted(self.numbers(sink)), list(range(2000)))

    def test_importing_starts_nothing_and_needs_no_jupyterhub(self):
        done = self.run_script(
            "import threading, jupyterhub_insights\n"
            "print(threading.active_count(), 'jupyterhub' in sys.modules)\n"
        )
        self.assertEqual(done.stdout, "1 False\n", done.stderr)

    def test_the_file_may_lie_in_a_folder_of_configurations(self):
        # TLJH runs every file of its folder, without a module's name.
        with open(insights.__file__) as file:
            code = compile(file.read(), "jupyterhub_insights.py", "exec")
        scope = {"c": object(), "__file__": "jupyterhub_insights.py"}
        exec(code, scope)
        self.assertIn("configure", scope)

    def test_python_3_8_can_read_it(self):
        with open(insights.__file__) as file:
            ast.parse(file.read(), feature_version=(3, 8))

    def test_connect_says_what_is_missing(self):
        with mock.patch.dict(os.environ, {"JUPYTERHUB_INSIGHTS_URL": ""}):
            with self.assertRaisesRegex(ValueError, "JUPYTERHUB_INSIGHTS_URL"):
                insights.connect()
        with self.assertRaisesRegex(ValueError, "http"):
            insights.connect("hub.example.org", "token")

    def test_connecting_again_closes_the_earlier_connection(self):
        self.addCleanup(setattr, insights, "_connection", None)
        sink = self.sink()
        n_threads = threading.active_count()
        for number in range(3):
            connection = insights.connect(sink.url, TOKEN, spool=self.spool)
            insights.record_event("n", detail=number)
        self.assertTrue(insights.flush())
        threads = {t.name for t in threading.enumerate() if t.name.startswith("jupyterhub-ins")}
        self.assertEqual(len(threads), 1, (threads, n_threads))
        self.assertEqual(self.numbers(sink), [0, 1, 2])
        connection.close()

    def test_the_hubs_own_connection_stays_open(self):
        sink = self.sink()
        own = self.connection(sink.url)
        with mock.patch.object(insights._hub, "connection", own):
            with mock.patch.object(insights, "_connection", own):
                insights.connect(sink.url, TOKEN).close()
        put(own, 1)
        self.assertTrue(own.flush())
        self.assertEqual(self.numbers(sink), [1])

    def test_no_password_of_an_address_is_shown(self):
        for url in (
            "http://user:hidden@host/",
            "http://:hidden@host/",
            "http://hidden@host/?a",
            "user:hidden@host",
            "http://user:hid/hidden@host",
            "http://user:hidden@[host",
            "http://user:hidden@host:port/",
            "http://user:hidden@ho st/",
        ):
            with self.assertRaises(ValueError) as raised:
                insights.connect(url, "token")
            self.assertNotIn("hid", str(raised.exception))
            self.assertIsNone(raised.exception.__cause__)

    def test_a_token_is_stripped_and_never_shown(self):
        sink = self.sink()
        connection = insights.connect(sink.url, TOKEN + "\n")
        self.addCleanup(setattr, insights, "_connection", None)
        self.addCleanup(connection.close, 0)
        insights.record_event("n")
        self.assertTrue(insights.flush())
        for token in ("hidden\nx", "hidden x", "hiddenü", " "):
            with self.assertRaisesRegex(ValueError, "visible") as raised:
                insights.connect(sink.url, token)
            self.assertNotIn("hidden", str(raised.exception))
        connection = self.connection(sink.url, token="hidden\nx")
        put(connection, 1)
        until("a message", lambda: self.messages)
        self.assertIn("ValueError", self.messages[0])
        self.assertNotIn("hidden", "".join(self.messages))


if __name__ == "__main__":
    unittest.main()
