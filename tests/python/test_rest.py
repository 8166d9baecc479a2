"""Kite's own REST client, unmodified, on the simulator."""

import json
import re
import urllib.request
from collections import Counter
from datetime import date, datetime, timedelta

import clients
import processes
import pytest
from kiteconnect import KiteConnect, exceptions

SECRET = "a-secret"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    running = processes.Simulator(tmp_path_factory.mktemp("rest"))
    yield running
    running.stop()


@pytest.fixture
def kite(simulator):
    return KiteConnect("key", "token", root=simulator.rest)


def post(simulator, path):
    return urllib.request.urlopen(urllib.request.Request(simulator.rest + path, method="POST"), timeout=10).read()


def test_instruments(kite):
    master = kite.instruments()
    assert len(master) == 900
    assert len({row["instrument_token"] for row in master}) == len(master)
    for row in master:
        assert int(row["exchange_token"]) == row["instrument_token"] >> 8
        if row["segment"] == "INDICES":
            assert row["instrument_token"] & 0xFF == 9 and row["lot_size"] == 0
        if row["instrument_type"] in ("FUT", "CE", "PE"):
            assert isinstance(row["expiry"], date) and row["lot_size"] >= 1
        assert (row["strike"] > 0) == (row["instrument_type"] in ("CE", "PE"))
    names = {row["tradingsymbol"]: row["instrument_token"] for row in master if row["exchange"] == "NSE"}
    assert names["INFY"] == 408065 and names["NIFTY 50"] == 256265 and names["NIFTY BANK"] == 260105
    assert set(Counter(row["exchange"] for row in master)) >= {"NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO"}
    assert kite.instruments("NSE") == [row for row in master if row["exchange"] == "NSE"]


def test_quotes_are_the_ticks_last_values(simulator, kite):
    names = ["NSE:INFY", "NSE:NIFTY 50", "BSE:SENSEX"]
    master = kite.instruments()
    for exchange in ("NFO", "CDS", "MCX", "NCO"):
        names.append(next(f"{exchange}:{row['tradingsymbol']}" for row in master if row["exchange"] == exchange))
    post(simulator, "/sim/pause")
    try:
        quotes = kite.quote(names)
        tokens = [quote["instrument_token"] for quote in quotes.values()]
        said = clients.run_ticker(simulator.socket, tokens, {"full": tokens})
        ohlc, last = kite.ohlc(*names), kite.ltp(*names)
    finally:
        post(simulator, "/sim/resume")
    ticks = {tick["instrument_token"]: tick for line in said for tick in line.get("ticks", []) if tick["mode"] == "full"}
    assert set(quotes) == set(ohlc) == set(last) == set(names)
    for name, quote in quotes.items():
        tick = ticks[quote["instrument_token"]]
        assert quote["last_price"] == ohlc[name]["last_price"] == last[name]["last_price"] == tick["last_price"]
        assert quote["ohlc"] == ohlc[name]["ohlc"] == tick["ohlc"]
        if tick["tradable"]:
            assert quote["depth"] == tick["depth"]
            assert (quote["volume"], quote["oi"]) == (tick["volume_traded"], tick["oi"])
            assert (quote["buy_quantity"], quote["sell_quantity"]) == (
                tick["total_buy_quantity"], tick["total_sell_quantity"]
            )  # fmt: skip
            assert quote["average_price"] == tick["average_traded_price"]
        # a naive time of India, by the client's REST half wherever the host is
        assert quote["timestamp"].isoformat() == tick["exchange_timestamp"]


def test_what_is_not_listed_is_missing(kite):
    assert set(kite.ltp("NSE:INFY", "NSE:NOSUCHTHING")) == {"NSE:INFY"}


def test_historical_data(kite):
    end = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    start = end - timedelta(days=10)
    minutes = kite.historical_data(408065, start, end, "minute")
    assert len(minutes) % 375 == 0 and len(minutes) >= 5 * 375
    assert minutes[0]["date"].utcoffset() == timedelta(hours=5, minutes=30)
    assert minutes[0]["date"].strftime("%H:%M:%S") == "09:15:00"
    fives = kite.historical_data(408065, start, end, "5minute")
    assert len(fives) * 5 == len(minutes)
    for number, five in enumerate(fives):
        part = minutes[5 * number : 5 * number + 5]
        assert five == {
            "date": part[0]["date"],
            "open": part[0]["open"],
            "high": max(minute["high"] for minute in part),
            "low": min(minute["low"] for minute in part),
            "close": part[-1]["close"],
            "volume": sum(minute["volume"] for minute in part),
        }
    assert "oi" in kite.historical_data(408065, start, end, "day", oi=True)[0]


def test_errors_are_kites_exceptions(kite):
    now = datetime.now()
    for arguments in [
        (408065, now - timedelta(days=61), now, "minute"),
        (408065, now - timedelta(days=1), now, "2minute"),
        (1, now - timedelta(days=1), now, "minute"),
        (408065, now, now - timedelta(days=1), "day"),
    ]:
        with pytest.raises(exceptions.InputException) as error:
            kite.historical_data(*arguments)
        assert error.value.code == 400
    with pytest.raises(exceptions.InputException):
        kite.quote([])
    with pytest.raises(exceptions.InputException):
        kite.quote([f"NSE:N{number}" for number in range(501)])
    with pytest.raises(exceptions.GeneralException) as error:
        kite.orders()  # trading is not simulated
    assert error.value.code == 404


def test_profile(kite):
    profile = kite.profile()
    assert profile["user_id"] and {"NSE", "NFO", "MCX"} <= set(profile["exchanges"])


def test_login_with_checksum_and_expiry(tmp_path):
    credentials = tmp_path / "credentials.toml"
    credentials.write_text(f'api_key = "key"\napi_secret = "{SECRET}"\n')
    simulator = processes.Simulator(tmp_path, "--credentials", credentials, instruments=50, rate=10)
    try:
        kite = KiteConnect("key", root=simulator.rest)
        expired = []
        kite.set_session_expiry_hook(lambda: expired.append(True))

        def request_token():
            page = urllib.request.urlopen(f"{simulator.rest}/connect/login?v=3&api_key=key", timeout=10)
            return re.search(r"\w+", page.read().decode()).group()

        with pytest.raises(exceptions.TokenException) as error:
            kite.profile()
        assert error.value.code == 403 and expired == [True]
        with pytest.raises(exceptions.TokenException):
            kite.generate_session(request_token(), "another secret")
        token = request_token()
        session = kite.generate_session(token, SECRET)
        assert session["login_time"] and session["user_id"]
        assert kite.access_token == session["access_token"]
        assert kite.profile()["user_id"] == session["user_id"]
        with pytest.raises(exceptions.TokenException):
            kite.generate_session(token, SECRET)  # a request token is good once
        old = KiteConnect("key", session["access_token"], root=simulator.rest)
        kite.generate_session(request_token(), SECRET)
        with pytest.raises(exceptions.TokenException):
            old.profile()  # a new login ends the session before
        assert kite.invalidate_access_token(kite.access_token)
        with pytest.raises(exceptions.TokenException):
            kite.ltp("NSE:INFY")
        # secrets are in neither the output nor the ledger
        written = simulator.text() + simulator.ledger.read_text() if simulator.ledger.exists() else simulator.text()
        assert SECRET not in written and json.dumps(session["access_token"]) not in written
    finally:
        simulator.stop()
