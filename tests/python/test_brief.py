"""The brief's own Python programs on the running system: redis-py that adds flat entries, clickhouse-connect and
clickhouse-driver that read, its queries word for word."""

import re
import uuid
from datetime import datetime, timedelta

import clickhouse_connect
import clickhouse_driver
import processes
import pytest
import redis
from clients import IST
from processes import poll

pytestmark = pytest.mark.demo

QUERIES = processes.REPOSITORY / "crates/store/tests/data/brief-queries.sql"
LEVELS = [f"{side}_{level}" for side in ("bid", "ask") for level in range(1, 6)]


@pytest.fixture
def clickhouse(demo):
    client = demo.client()
    yield client
    client.close()


@pytest.fixture
def redis_client(demo):
    with redis.Redis(host="localhost", port=demo.redis_port, decode_responses=True) as client:
        yield client


def flat_tick(token, number, at):
    """An entry as the brief's crawler adds it: one field for each column, every value a text or a number."""
    price = 1500 + number * 0.05
    tick = {
        "instrument_token": token,
        "symbol": "BRIEF-EQ",
        "exchange": "NSE",
        "timestamp": at.isoformat(),
        "exchange_timestamp": at.replace(microsecond=0).isoformat(),
        "last_price": price,
        "open_price": 1490.5,
        "high_price": 1512.35,
        "low_price": 1488.0,
        "close_price": 1501.25,
        "average_traded_price": 1500.07,
        "volume": 3_000_000_000 + number,
        "last_traded_quantity": 10 + number,
        "total_buy_quantity": 256_443,
        "total_sell_quantity": 363_009,
        "open_interest": number,
        "oi_day_high": 2 * number,
        "oi_day_low": 0,
        "packet_type": "full",
        "session_type": ("pre_market", "regular", "post_market")[number % 3],
        "data_quality": "enriched",
    }
    for place, level in enumerate(LEVELS):
        tick |= {
            f"{level}_price": price + place * 0.05,
            f"{level}_quantity": 100 * place + number,
            f"{level}_orders": place,
        }
    return tick


def milliseconds(time):
    """Of a time as clickhouse-connect gives it, or of a naive one of India."""
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    if time.tzinfo is None:
        time = time.replace(tzinfo=IST)
    return (time - datetime(1970, 1, 1, tzinfo=IST) + timedelta(hours=-5, minutes=-30)) // timedelta(milliseconds=1)


@pytest.mark.parametrize("stream", ["ticks:stream", "zerodha_ticks"])
def test_flat_entries_of_redis_py_land_unchanged(clickhouse, redis_client, stream):
    token = 9_900_000 << 8 | (1 if stream == "ticks:stream" else 2)
    start = datetime.now(IST).replace(tzinfo=None) - timedelta(minutes=1)
    sent = [flat_tick(token, number, start + timedelta(milliseconds=100 * number)) for number in range(300)]
    for tick in sent:
        redis_client.xadd(stream, tick, maxlen=100_000, approximate=True)
    columns = list(sent[0])
    count = "SELECT count() FROM tick_data WHERE instrument_token = {token:UInt32}"
    poll(
        "row of every entry",
        lambda: clickhouse.query(count, parameters={"token": token}).first_row[0] >= len(sent),
        30,
    )
    rows = clickhouse.query(
        f"SELECT {', '.join(columns)}, batch_id, date, hour FROM tick_data "
        "WHERE instrument_token = {token:UInt32} ORDER BY timestamp",
        parameters={"token": token},
    )
    assert rows.row_count == len(sent)
    for tick, row in zip(sent, rows.named_results(), strict=True):
        for name in columns:
            if name.endswith("timestamp"):
                assert milliseconds(row[name]) == milliseconds(tick[name]), name
            else:
                assert row[name] == tick[name], name
        assert isinstance(row["batch_id"], uuid.UUID)
        at = datetime.fromisoformat(tick["timestamp"])
        assert (row["date"], row["hour"]) == (at.date(), at.hour)


def brief_queries():
    text = re.sub(r"^--.*$", "", QUERIES.read_text(), flags=re.MULTILINE)
    return [query.strip() for query in text.split(";\n") if query.strip()]


def test_the_queries_of_the_brief_return_rows(demo, clickhouse):
    queries = brief_queries()
    assert len(queries) >= 15
    for query in queries:
        # the query log is written out every few seconds, a first bar needs a tick of its minute
        rows = poll(f"row of\n{query}", lambda: clickhouse.query(query.rstrip(";")).row_count, 30)  # noqa: B023
        assert rows > 0


def look_up(client, table, token):
    return client.execute(
        "SELECT symbol, tradingsymbol, exchange, sector, asset_class, instrument_type "
        f"FROM {table} WHERE instrument_token = %(token)s",
        {"token": token},
    )


def test_look_ups_with_clickhouse_driver(demo):
    client = clickhouse_driver.Client(host="localhost", port=demo.native, database="trading")
    with client:
        # as the brief: the hot tokens first, then all
        result = look_up(client, "hot_token_metadata", 256265) or look_up(client, "token_metadata", 256265)
        assert result[0][:3] == ("NIFTY", "NIFTY 50", "NSE")
        assert result[0][4:] == ("INDEX", "INDEX")
        result = look_up(client, "token_metadata", 408065)
        assert result == [("INFY", "INFY", "NSE", "Information Technology", "EQ", "EQ")]


def test_known_wrong_in_the_brief_look_up_with_a_list(demo):
    """`execute('… %s', [token])`: the driver takes a list for rows to insert, on any server."""
    with clickhouse_driver.Client(host="localhost", port=demo.native, database="trading") as client:
        with pytest.raises((clickhouse_driver.errors.Error, TypeError, ValueError, AttributeError)):
            client.execute("SELECT symbol FROM token_metadata WHERE instrument_token = %s", [256265])


def test_ticks_of_the_sockets_and_flat_entries_stand_side_by_side(clickhouse, redis_client):
    streams = clickhouse.query("SELECT DISTINCT stream != '' AS flat FROM tick_data").result_columns[0]
    assert False in [bool(flat) for flat in streams]
    assert redis_client.xinfo_stream("ticks:stream")["length"] >= 0
    indices = clickhouse.query("SELECT count() FROM indices_data WHERE symbol = 'NIFTY' AND date = today()")
    assert indices.first_row[0] > 0


def test_insert_with_clickhouse_connect(clickhouse):
    """What the brief's consumer means by `insert('tick_data', rows)`: rows are lists, columns are named."""
    at = datetime.now(IST)
    token = 9_900_001 << 8 | 1
    tick = flat_tick(token, 1, at.replace(tzinfo=None)) | {
        "timestamp": at,
        "exchange_timestamp": at,
        "batch_id": uuid.uuid4(),
    }
    with pytest.raises((clickhouse_connect.driver.exceptions.Error, KeyError, TypeError)):
        clickhouse.insert("tick_data", [tick])  # known wrong in the brief: a list of dictionaries
    clickhouse.insert("tick_data", [list(tick.values())], column_names=list(tick))
    assert clickhouse.query(f"SELECT symbol FROM tick_data WHERE instrument_token = {token}").result_rows == [("BRIEF-EQ",)]
