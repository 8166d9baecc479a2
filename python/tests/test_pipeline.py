"""Pipeline: what it takes, refuses, waits for and keeps. A real journal, a real Redis; programs of their own where a process
must die, fork or have a full disk."""

import os
import signal
import sys
import textwrap
import threading
import time
import warnings
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import streams
import tickhouse
from conftest import another_python
from processes import poll

NOWHERE = "redis://127.0.0.1:1"
LEVEL = {"quantity": 75, "price": 1573.65, "orders": 3}


def ltp(number):
    """A tick that carries a number, as its token and its price."""
    return {"tradable": True, "mode": "ltp", "instrument_token": number << 8 | 1, "last_price": number / 100}


def full(**changes):
    tick = {
        "tradable": True,
        "mode": "full",
        "instrument_token": 408065,
        "last_price": 1573.7,
        "last_traded_quantity": 3,
        "average_traded_price": 1570.33,
        "volume_traded": 1192471,
        "total_buy_quantity": 5,
        "total_sell_quantity": 6,
        "ohlc": {"open": 1575.1, "high": 1580.0, "low": 1560.05, "close": 1581.25},
        "change": -0.4774703557312252,
        "last_trade_time": datetime(2026, 11, 20, 9, 15),
        "oi": 7,
        "oi_day_high": 8,
        "oi_day_low": 0,
        "exchange_timestamp": datetime(2026, 11, 20, 9, 15, 1),
        "depth": {"buy": [dict(LEVEL) for _ in range(5)], "sell": [dict(LEVEL) for _ in range(5)]},
    }
    return tick | changes


@pytest.fixture
def redis():
    server = streams.Redis()
    yield server
    server.stop()


@pytest.fixture
def pipeline(tmp_path):
    with tickhouse.Pipeline(data_dir=tmp_path, redis_url=NOWHERE) as opened:
        yield opened
        opened.close(0)


def numbers(packets):
    assert all(packet.values["last_price"] == packet.token >> 8 for packet in packets)
    return [packet.token >> 8 for packet in packets]


def balanced(stats):
    assert stats["accepted"] == stats["journaled"] + stats["waiting"]
    return stats


def test_the_loop_of_the_brief(tmp_path, redis):
    pipeline = tickhouse.ClickHousePipeline(data_dir=tmp_path, redis_url=redis.url)

    def on_ticks(ws, ticks):
        for tick in ticks:
            pipeline.push_tick_data(tick)

    on_ticks(None, [ltp(number) for number in range(1, 201)])
    pipeline.flush()
    stats = balanced(pipeline.stats())
    assert (stats["accepted"], stats["journaled"], stats["refused"], stats["turned_away"]) == (200, 200, 0, 0)
    assert pipeline.push(full() for _ in range(3)) == 3
    before = time.time()
    pipeline.close()
    assert pipeline.closed and pipeline.stats()["closed"]
    records = redis.records()
    packets = [packet for record in records for packet in record.packets]
    assert numbers(packets[:200]) == list(range(1, 201))
    assert len(records) < 50, "ticks of single calls are gathered"
    assert all(abs(record.received_at / 1e9 - before) < 60 for record in records)
    values = packets[-1].values
    assert packets[-1].rupees("average_traded_price") == 1570.33 and packets[-1].bids[4] == (75, 157365, 3)
    at = datetime(2026, 11, 20, 9, 15, 1, tzinfo=ZoneInfo("Asia/Kolkata")).timestamp()
    assert (values["exchange_timestamp"], values["last_trade_time"]) == (at, at - 1)
    with pytest.raises(tickhouse.Closed, match="the Pipeline is closed"):
        pipeline.push([ltp(1)])
    pipeline.close()


@pytest.mark.parametrize(
    ("tick", "path", "reason"),
    [
        ({**ltp(1), "last_price": 0.333}, "last_price", "no multiple of 1/100"),
        ({**ltp(1), "last_price": float("nan")}, "last_price", "NaN is no price"),
        ({**ltp(1), "last_price": "1.5"}, "last_price", "must be a number, this is str"),
        ({**ltp(1), "last_price": True}, "last_price", "must be a number, this is bool"),
        ({**ltp(1), "last_price": None}, "last_price", "is missing"),
        ({**ltp(1), "mode": "FULL"}, "mode", "`FULL` is no mode"),
        ({**ltp(1), "tradable": False}, "tradable", "contradicts the token"),
        ({**ltp(1), "tradable": 1}, "tradable", "must be True or False"),
        ({**ltp(1), "instrument_token": -1}, "instrument_token", "no instrument token"),
        ({**ltp(1), "instrument_token": 2**80}, "instrument_token", "beyond 64 bits"),
        ({**ltp(1), "symbol": "INFY"}, "symbol", "is no field of a tick"),
        ({**ltp(1), "instrument_token": 1594 << 8 | 12, "last_price": 1.00001}, "last_price", "no multiple of 1/10000"),
        (full(volume_traded=1.5), "volume_traded", "1.5 is no whole number"),
        (full(volume_traded=2**32), "volume_traded", "not within 0 to 4294967295"),
        (full(oi=[]), "oi", "must be a whole number, this is list"),
        (full(volume=5), "volume", "is the old name of volume_traded"),
        (full(ohlc={"open": 1.0, "high": 1.0, "low": 1.0}), "ohlc.close", "is missing"),
        (full(ohlc=[1, 2, 3, 4]), "ohlc", "must be a dictionary, this is list"),
        (full(depth={"buy": [], "sell": [LEVEL, {**LEVEL, "price": "x"}]}), "depth.sell[1].price", "this is str"),
        (full(depth={"buy": [], "sell": [LEVEL, {**LEVEL, "orders": 65536}]}), "depth.sell[1].orders", "65536"),
        (full(depth={"buy": [LEVEL] * 6, "sell": []}), "depth.buy", "has 6 levels"),
        (full(depth={"buy": [7], "sell": []}), "depth.buy[0]", "must be a dictionary, this is int"),
        (full(depth={"buy": [], "sell": [], "mid": []}), "depth.mid", "is no field"),
        (full(exchange_timestamp=datetime(2026, 1, 1, 9, 15, 0, 5)), "exchange_timestamp", "whole seconds"),
        (full(exchange_timestamp="2026-11-20"), "exchange_timestamp", "must be None, a datetime"),
        (full(last_trade_time=-1), "last_trade_time", "not within 0 to 4294967295"),
        ({"mode": "ltp", "last_price": 1.0}, "instrument_token", "is missing"),
        ({**ltp(1), "oi": 5}, "oi", "is no part of a packet of kind ltp"),
        ([ltp(1)], "", "a tick is a dictionary, this is list"),
        (None, "", "a tick is a dictionary, this is NoneType"),
    ],
)
def test_a_bad_tick_is_refused_by_its_place_and_the_rest_goes_on(pipeline, tick, path, reason):
    with pytest.raises(tickhouse.TickError) as refused:
        pipeline.push([ltp(1), tick, ltp(2)])
    (fault,) = refused.value.faults
    assert (fault.index, fault.path) == (1, path) and reason in fault.reason
    assert refused.value.accepted == 2
    place = f"[1].{path}" if path else "[1]"
    assert str(refused.value).startswith(f"{place}: ") and isinstance(refused.value, ValueError)
    with pytest.raises(tickhouse.TickError) as refused:
        pipeline.push_tick_data(tick)
    assert refused.value.faults == [tickhouse.Fault(0, path, fault.reason)]
    pipeline.flush()
    stats = balanced(pipeline.stats())
    assert (stats["accepted"], stats["journaled"], stats["refused"]) == (2, 2, 2)


def test_what_is_not_a_list(pipeline):
    for ticks in (ltp(1), "text"):
        with pytest.raises(TypeError, match="push takes a list"):
            pipeline.push(ticks)
    with pytest.raises(TypeError):
        pipeline.push(5)
    assert pipeline.push([]) == 0 and pipeline.push(()) == 0


class Real:
    """A number of another library."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        return float(self.value)

    def __index__(self):
        return int(self.value)


def test_numbers_of_any_kind_and_names_of_before(tmp_path, redis):
    with tickhouse.Pipeline(data_dir=tmp_path, redis_url=redis.url) as pipeline:
        old = full(last_price=Decimal("1573.70"), oi=7.0, total_buy_quantity=Real(5), depth={"buy": (LEVEL,), "sell": []})
        for new, name in [
            ("last_traded_quantity", "last_quantity"),
            ("average_traded_price", "average_price"),
            ("volume_traded", "volume"),
            ("total_sell_quantity", "sell_quantity"),
            ("exchange_timestamp", "timestamp"),
        ]:
            old[name] = old.pop(new)
        old["ohlc"] = {"open": Real(1575.1), "high": 1580, "low": 1560.05, "close": 1581.25}
        assert pipeline.push([full(depth={"buy": [LEVEL], "sell": []}), old]) == 2
    new, old = redis.packets()
    assert new == old


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "UTC", "America/New_York"])
def test_times_are_those_of_the_host_that_made_them(tmp_path, redis, zone):
    """Also in the hour that clocks of New York show twice, for which a naive time has its `fold`."""
    fall_back = int(datetime(2026, 11, 1, 5, 0, tzinfo=timezone.utc).timestamp())
    seconds = [fall_back + 1800 * step for step in range(8)] + [0, 1, 2**32 - 1]
    os.environ["TZ"] = zone
    time.tzset()
    try:
        with tickhouse.Pipeline(data_dir=tmp_path, redis_url=redis.url) as pipeline:
            for at in seconds:
                aware = datetime.fromtimestamp(at, timezone(timedelta(hours=3)))
                for value in (datetime.fromtimestamp(at), aware, at, float(at), at * 1000 if at > 2**23 else at):
                    pipeline.push_tick_data(full(exchange_timestamp=value, last_trade_time=None))
    finally:
        os.environ["TZ"] = "Asia/Kolkata"
        time.tzset()
    found = [(packet.values["exchange_timestamp"], packet.values["last_trade_time"]) for packet in redis.packets()]
    assert found == [(at, 0) for at in seconds for _ in range(5)]


def test_threads_keep_their_order_and_a_small_queue_makes_them_wait(tmp_path, redis):
    each = 4_000
    with tickhouse.Pipeline(data_dir=tmp_path, redis_url=redis.url, queue=500) as pipeline:

        def push(thread):
            for start in range(1, each, 50):
                pipeline.push([ltp(thread << 16 | number) for number in range(start, start + 50)])

        threads = [threading.Thread(target=push, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pipeline.flush()
        assert balanced(pipeline.stats())["journaled"] == 4 * each
    found = numbers(redis.packets())
    for thread in range(4):
        assert [number & 0xFFFF for number in found if number >> 16 == thread] == list(range(1, each + 1))


def test_a_full_queue_raises_where_that_was_asked_for(tmp_path, redis):
    with tickhouse.Pipeline(data_dir=tmp_path, redis_url=redis.url, queue=3, when_full="raise") as pipeline:
        with pytest.raises(tickhouse.Full, match="the queue is full") as full_queue:
            pipeline.push([{"bad": 1}, *map(ltp, range(1, 100_000))])
        taken, index = full_queue.value.accepted, full_queue.value.index
        assert 3 <= taken == index - 1
        assert full_queue.value.__cause__.faults[0].index == 0
        stats = balanced(pipeline.stats())
        assert (stats["accepted"], stats["refused"], stats["turned_away"]) == (taken, 1, 100_000 - index)
    assert numbers(redis.packets()) == list(range(1, taken + 1))


@pytest.mark.parametrize(
    ("keywords", "exception", "text"),
    [
        ({"when_full": "drop"}, ValueError, "block or raise"),
        ({"queue": 0}, ValueError, "1 to 1000000"),
        ({"patience": -1}, ValueError, "not negative"),
        ({"source": "pykiteconnect"}, tickhouse.ConfigError, "needs its version"),
        ({"recorder": "no/name"}, tickhouse.ConfigError, "letters, digits"),
        ({"config": "/nonexistent.toml"}, tickhouse.ConfigError, "can't be read"),
        ({"redis_url": "http://127.0.0.1"}, tickhouse.TickhouseError, "redis"),
    ],
)
def test_what_can_be_wrong_with_a_pipeline(tmp_path, keywords, exception, text):
    with pytest.raises(exception, match=text):
        tickhouse.Pipeline(**{"data_dir": tmp_path, "redis_url": NOWHERE} | keywords)


def test_settings_of_the_environment_and_the_file(tmp_path, monkeypatch):
    (tmp_path / "tickhouse.toml").write_text('recorder = "filed"\ndata_dir = "there"\n')
    monkeypatch.chdir(tmp_path)
    with tickhouse.Pipeline(redis_url=NOWHERE) as pipeline:
        assert pipeline.stats()["recorder"] == "filed-push"
        assert (tmp_path / "there/journal/filed-push").is_dir()
        pipeline.close(0)
    monkeypatch.setenv("TICKHOUSE_RECORDER", "variable")
    with tickhouse.Pipeline(redis_url=NOWHERE, data_dir=tmp_path / "x") as pipeline:
        assert pipeline.stats()["recorder"] == "variable-push"
        pipeline.close(0)
    monkeypatch.setenv("TICKHOUSE_REDIS_PROT", "1")
    with pytest.raises(tickhouse.ConfigError, match="TICKHOUSE_REDIS_PORT"):
        tickhouse.Pipeline(data_dir=tmp_path)


def test_who_forgets_to_close_is_told_and_loses_nothing(tmp_path, redis):
    pipeline = tickhouse.Pipeline(data_dir=tmp_path, redis_url=redis.url)
    pipeline.push([ltp(1), ltp(2)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del pipeline
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert numbers(redis.packets()) == [1, 2]


def test_redis_may_be_away(tmp_path, redis):
    redis.process.kill()
    redis.process.wait()
    with tickhouse.Pipeline(data_dir=tmp_path, redis_url=redis.url) as pipeline:
        pipeline.push([ltp(1)])
        pipeline.flush(20)
        poll("fault of Redis", lambda: pipeline.stats()["redis_fault"], 20)
        assert not pipeline.stats()["connected"]
        redis.start()
        poll("publication", lambda: pipeline.stats()["published"] == 1, 30)
    assert numbers(redis.packets()) == [1]


PROGRAM = """
    import os, resource, signal, sys, threading, time
    import tickhouse
    def ltp(number):
        return {"mode": "ltp", "instrument_token": number << 8 | 1, "last_price": number / 100}
    def say(*words):
        print(*words, flush=True)
    def disk(is_full):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0 if is_full else hard, hard))
    def pipeline(**more):
        return tickhouse.Pipeline(data_dir=sys.argv[1], redis_url=sys.argv[2], **more)
"""


def start(body, *arguments):
    """Starts a program of its own."""
    return another_python("-c", textwrap.dedent(PROGRAM) + textwrap.dedent(body), *arguments)


def run(body, *arguments):
    with start(body, *arguments) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output.split("\n")[:-1], errors


def test_a_full_disk_is_waited_out(tmp_path, redis):
    lines, _ = run(
        """
        p = pipeline(queue=1_000, patience=0.3)
        p.push([ltp(1)])
        p.flush()
        disk(is_full=True)
        p.push([ltp(2)])
        turns = 0
        def count():
            global turns
            while turns >= 0:
                turns += 1
                time.sleep(0.001)
        threading.Thread(target=count, daemon=True).start()
        try:
            p.flush(0.5)
        except TimeoutError as error:
            say(type(error).__name__, error)
        say("others ran" if turns > 100 else f"{turns} turns")
        began = time.monotonic()
        try:
            p.push(ltp(number) for number in range(3, 3_000))
        except tickhouse.Full as error:
            say(error.accepted, error.index, error)
        say("waited" if time.monotonic() - began >= 0.3 else "did not wait")
        stats = p.stats()
        say(stats["accepted"], stats["waiting"] >= 999, stats["turned_away"], bool(stats["journal_fault"]))
        disk(is_full=False)
        p.flush()
        say(p.stats()["journaled"])
        """,
        tmp_path,
        redis.url,
    )
    assert lines[0].startswith("FlushTimeout 1 ticks are not journaled yet: "), lines
    assert lines[1] == "others ran"
    accepted = int(lines[2].split()[0])
    assert 990 <= accepted <= 1_000 and "wait for the journal: " in lines[2]
    assert lines[3] == "waited"
    assert lines[4] == f"{accepted + 2} True {2_997 - accepted} True"
    assert lines[5] == str(accepted + 2)
    assert numbers(redis.packets()) == list(range(1, accepted + 3))


def test_what_a_full_disk_did_not_take_until_the_end_is_an_error(tmp_path, redis):
    lines, errors = run(
        """
        p = pipeline()
        p.push([ltp(1)])
        p.flush()
        disk(is_full=True)
        p.push([ltp(2), ltp(3)])
        try:
            p.close(0.3)
        except tickhouse.JournalError as error:
            say(error)
        """,
        tmp_path,
        redis.url,
    )
    assert lines == ["2 ticks were taken and could not be journaled"], errors


def test_ctrl_c_ends_waiting(tmp_path):
    interrupted = start(
        """
        p = pipeline()
        disk(is_full=True)
        p.push([ltp(1)])
        say("waiting")
        try:
            p.flush()
        except KeyboardInterrupt:
            say("interrupted")
        disk(is_full=False)
        p.flush()
        say(p.stats()["journaled"])
        p.close(0)
        """,
        tmp_path,
        NOWHERE,
    )
    with interrupted as process:
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (output, process.returncode) == ("interrupted\n1\n", 0), errors


def test_the_end_of_a_program_that_neither_flushes_nor_closes(tmp_path, redis):
    run("p = pipeline()\nfor number in range(1, 5_001): p.push_tick_data(ltp(number))", tmp_path, redis.url)
    assert numbers(redis.packets()) == list(range(1, 5_001))


def test_a_child_process_leaves_its_parents_pipeline_alone(tmp_path, redis):
    lines, _ = run(
        """
        p = pipeline()
        p.push([ltp(1)])
        child = os.fork()
        if child == 0:
            try:
                p.push([ltp(2)])
            except tickhouse.Closed as error:
                say(error)
            p.close()
            own = pipeline(recorder="child")
            own.push([ltp(3)])
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        say(status)
        p.push([ltp(4)])
        p.close()
        say(p.stats()["journaled"])
        """,
        tmp_path,
        redis.url,
    )
    assert lines[0].startswith("this Pipeline belongs to the parent process")
    assert lines[1:] == ["0", "2"]
    assert numbers(redis.packets()) == [1, 4] and numbers(redis.packets("child")) == [3]


def test_two_processes_with_one_journal(tmp_path, pipeline):
    lines, _ = run(
        """
        try:
            pipeline()
        except tickhouse.JournalError as error:
            say(error)
        pipeline(recorder="another").close(0)
        """,
        tmp_path,
        NOWHERE,
    )
    assert "main-push" in lines[0] and "is locked" in lines[0] and 'Pipeline(recorder="another")' in lines[0]


def test_what_flush_acknowledged_outlives_a_kill(tmp_path, redis):
    acknowledged = []
    for life in range(5):
        killed = start(
            """
            p = pipeline()
            first = number = int(sys.argv[3])
            while True:
                for _ in range(7):
                    p.push(ltp(number + step) for step in range(1, 101))
                    number += 100
                p.flush()
                say(number - first)
            """,
            tmp_path,
            redis.url,
            life * 1_000_000,
        )
        with killed as process:
            lines = [process.stdout.readline() for _ in range(5 + 20 * life)]
            process.send_signal(signal.SIGKILL)
            # what it said before it died counts too; its last line may be cut
            lines += process.communicate()[0].splitlines(keepends=True)
        acknowledged.append(int([line for line in lines if line.endswith("\n")][-1]))
    # the next of the name publishes what the last one left
    tickhouse.Pipeline(data_dir=tmp_path, redis_url=redis.url).close(30)
    found = numbers(redis.packets())
    for life, most in enumerate(acknowledged):
        of_life = [number - life * 1_000_000 for number in found if number // 1_000_000 == life]
        assert most >= 700 and len(of_life) >= most
        assert of_life == list(range(1, len(of_life) + 1)), "once each, in order, without a hole"
