"""The page's REST on a running demo: its description is valid OpenAPI, and every route answers as described."""

import requests
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from processes import poll

import pytest

pytestmark = pytest.mark.demo

# 408065: INFY of NSE, 256265: NIFTY 50
QUESTIONS = [
    ("/v1/instruments", {"q": "infy", "exchange": "NSE", "limit": 5}),
    ("/v1/instruments", {"instruments": "256265,408065,1"}),
    ("/v1/instruments/{token}", {"token": 408065}),
    ("/v1/bars", {"instrument": "NIFTY", "interval": "1m"}),
    ("/v1/bars", {"instrument": "NSE:INFY", "interval": "1s", "limit": 20}),
    ("/v1/bars", {"instrument": 408065, "interval": "1d", "from": "today"}),
    ("/v1/ticks", {"instrument": 408065, "limit": 5}),
    ("/v1/sparklines", {"instruments": "256265,408065"}),
    ("/v1/underlyings", {}),
    ("/v1/chain", {"underlying": "NIFTY"}),
    ("/v1/gaps", {"from": "yesterday"}),
    ("/v1/gaps", {"instrument": "NIFTY"}),
    ("/v1/coverage", {"limit": 10}),
    ("/v1/queries", {}),
    ("/v1/queries/{name}", {"name": "latest", "limit": 3}),
    ("/v1/queries/{name}", {"name": "ohlc", "symbol": "NIFTY,INFY", "last": "1h"}),
    ("/v1/health", {}),
    ("/v1/openapi.json", {}),
]
WRONG = [
    ("/v1/instruments/1", 404, "unknown_instrument"),
    ("/v1/bars?instrument=INFYX&interval=1m", 404, "unknown_instrument"),
    ("/v1/bars?instrument=NIFTY&interval=1m&from=10:15&to=09:15", 400, "bad_time"),
    ("/v1/chain?underlying=NIFTY&expiry=2020-01-02", 404, "no_expiry"),
    ("/v1/chain?underlying=INFYX", 404, "unknown_underlying"),
    ("/v1/queries/depth", 400, "bad_parameter"),
]


@pytest.fixture(scope="module")
def page(demo):
    address = f"http://127.0.0.1:{demo.web}"

    def is_well():
        answer = requests.get(f"{address}/v1/health", timeout=20)
        return answer.ok and answer.json()["totals"]["ticks_stored"] > 0

    poll("health", is_well, 60)
    return address


@pytest.fixture(scope="module")
def described(page):
    answer = requests.get(f"{page}/v1/openapi.json", timeout=20)
    answer.raise_for_status()
    return answer.json()


def schema_of(described, path, status):
    responses = described["paths"][path]["get"]["responses"]
    response = responses["200"] if status == 200 else described["components"]["responses"]["Fault"]
    # references in it are looked up beside it
    return response["content"]["application/json"]["schema"] | {"components": described["components"]}


def check(described, path, answer):
    schema = schema_of(described, path, answer.status_code)
    faults = [fault.message for fault in Draft202012Validator(schema).iter_errors(answer.json())]
    assert not faults, f"{answer.url}: {faults[:3]}"


def test_the_description_is_valid(described):
    validate(described)
    asked = {path for path, _ in QUESTIONS}
    assert asked == set(described["paths"]) - {"/v1/live", "/v1/session"}, "every route is asked"


@pytest.mark.parametrize(("path", "parameters"), QUESTIONS)
def test_routes_answer_as_described(page, described, path, parameters):
    url = path.format(**parameters)
    rest = {name: value for name, value in parameters.items() if f"{{{name}}}" not in path}
    answer = requests.get(page + url, params=rest, timeout=60)
    assert answer.status_code == 200, answer.text
    check(described, path, answer)
    # there is something in it, but for gaps
    inside = next((value for value in answer.json().values() if isinstance(value, list)), True)
    assert inside or path == "/v1/gaps", answer.text


@pytest.mark.parametrize(("url", "status", "code"), WRONG)
def test_faults_are_as_described(page, described, url, status, code):
    answer = requests.get(page + url, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    check(described, "/v1/queries", answer)


def test_bars_are_those_of_the_ticks(page, demo):
    """A finished second's bar against its ticks in the table."""
    bars = requests.get(f"{page}/v1/bars?instrument=408065&interval=1s&limit=30", timeout=60).json()["bars"]
    bar = next(bar for bar in reversed(bars) if bar["complete"])
    query = (
        "SELECT min(last_price), max(last_price), argMax(last_price, (timestamp, sequence, packet_index)) FROM tick_data "
        "WHERE instrument_token = 408065 AND toUnixTimestamp64Milli(exchange_timestamp) = {start:Int64} AND NOT snapshot"
    )
    low, _, close = demo.client().query(query, parameters={"start": bar["start"]}).first_row
    assert (bar["close"], bar["low"] <= low) == (close, True), bar


def test_the_page_itself(page):
    answer = requests.get(page, timeout=20)
    assert answer.ok and "text/html" in answer.headers["content-type"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    again = requests.get(page, headers={"if-none-match": answer.headers["etag"]}, timeout=20)
    assert again.status_code == 304
