"""The calendar against calendars that others keep: each difference stands in a table here, with its reason.

exchange_calendars and pandas_market_calendars know the days of BSE and NSE, aion-indian-market-calendar every segment of
2026; the clocks of New York tell when MCX ends. A difference that is not explained fails, and so does an explanation that
is no longer needed."""

import json
import os
import subprocess
import time as time_module
import warnings
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars
import pandas_market_calendars
import processes
import pytest

# its bundled data, not what it would fetch
os.environ["AION_IN_CALENDAR_OFFLINE"] = "1"
import aion_indian_market_calendar  # noqa: E402

IST = ZoneInfo("Asia/Kolkata")
YEARS = range(2020, 2027)

WEEKEND = "a session on a weekend, of which it knows none"
MUHURAT = "Muhurat: one hour on a day that it has as a holiday"
# what exchange_calendars (XBOM) and ours say differently about whether there is trading
DAYS_OF_XBOM = {
    "2020-02-01": WEEKEND + ": Union Budget",
    "2020-11-14": WEEKEND + ": Muhurat",
    "2021-11-04": MUHURAT,
    "2022-10-24": MUHURAT,
    "2023-11-12": WEEKEND + ": Muhurat",
    "2024-01-20": WEEKEND + ": for Monday, a holiday at short notice",
    "2024-03-02": WEEKEND + ": disaster recovery test",
    "2024-05-18": WEEKEND + ": disaster recovery test",
    "2024-11-01": MUHURAT,
    "2025-02-01": WEEKEND + ": Union Budget",
    "2025-10-21": MUHURAT,
    "2026-02-01": WEEKEND + ": Union Budget",
    "2026-11-08": WEEKEND + ": Muhurat, of unknown hours",
}
# pandas_market_calendars has the Muhurats of weekdays for NSE
DAYS_OF_PANDAS = {
    "NSE": {day: why for day, why in DAYS_OF_XBOM.items() if why != MUHURAT},
    "BSE": DAYS_OF_XBOM
    | {
        "2020-05-25": "Id-Ul-Fitr of 2020, which it has on 31 July",
        "2020-07-31": "an ordinary day: the holiday was on 25 May",
    },
}
# aion-indian-market-calendar knows 2026 only
BUDGET = "Union Budget on a Sunday, which it has as an event without a session"
DIWALI = "Muhurat: it has provisional hours for these, as of the years before; here they are not known, as for all others"
DAYS_OF_AION = {
    "NSE": {"2026-02-01": BUDGET, "2026-11-08": DIWALI},
    "BSE": {"2026-02-01": BUDGET, "2026-11-08": DIWALI},
    "NFO-OPT": {"2026-02-01": BUDGET},
    "BFO": {"2026-02-01": BUDGET, "2026-11-08": DIWALI},
    "CDS": {},
    "MCX": {
        "2026-01-15": "MCX's morning closed for the elections in Maharashtra (it has that for NSE's commodities only)",
        "2026-02-01": BUDGET,
        "2026-11-08": DIWALI,
    },
    "NCO": {"2026-02-01": BUDGET},
}
AION_NAMES = {
    "NSE": "NSE_EQUITY",
    "BSE": "BSE_EQUITY",
    "NFO-OPT": "NSE_EQUITY_DERIVATIVES",
    "BFO": "BSE_EQUITY_DERIVATIVES",
    "CDS": "NSE_CURRENCY_DERIVATIVES",
    "MCX": "MCX",
    "NCO": "NSE_COMMODITY_DERIVATIVES",
}


def tickhouse(*arguments, cwd):
    return subprocess.run(
        [str(processes.binary()), "calendar", *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """`(market, date)` to a day of `tickhouse calendar show`."""
    days = {}
    for year in YEARS:
        shown = tickhouse("show", "--year", year, "--json", cwd=tmp_path_factory.mktemp("calendar"))
        assert shown.returncode == 0, shown.stderr
        days |= {(day["market"], date.fromisoformat(day["date"])): day for day in json.loads(shown.stdout)["days"]}
    return days


def dates(years=YEARS):
    day = date(years[0], 1, 1)
    while day.year <= years[-1]:
        yield day
        day += timedelta(days=1)


def regular(day):
    """The regular phases of one of our days, as pairs of times."""
    phases = (phase for phase in day["phases"] if phase["phase"] == "regular")
    return [(phase["from"], phase["until"]) for phase in phases]


def holds(day):
    """Whether there is a session, be its hours known or not."""
    return day["kind"] == "unknown" or day["trades"]


def schedule(name):
    """`date` to opening and closing time in India, by pandas_market_calendars."""
    rows = pandas_market_calendars.get_calendar(name).schedule(f"{YEARS[0]}-01-01", f"{YEARS[-1]}-12-31")
    local = rows.apply(lambda column: column.dt.tz_convert(IST).dt.strftime("%H:%M:%S"))
    pairs = zip(local.market_open, local.market_close, strict=True)
    return dict(zip((day.date() for day in rows.index), pairs, strict=True))


def differing(ours, market, theirs, years=YEARS):
    return {str(day) for day in dates(years) if bool(holds(ours[market, day])) != (day in theirs)}


@pytest.mark.parametrize("market", ["NSE", "NSE-CAS", "BSE", "BSE-CAS", "NFO-FUT", "NFO-OPT", "BFO", "NSE-INDICES"])
def test_days_of_exchange_calendars(ours, market):
    xbom = exchange_calendars.get_calendar("XBOM", start=f"{YEARS[0]}-01-01", end=f"{YEARS[-1]}-12-31")
    sessions = {session.date() for session in xbom.sessions}
    assert len(sessions) > 1_700
    assert differing(ours, market, sessions) == set(DAYS_OF_XBOM)


@pytest.mark.parametrize("market", ["NSE", "BSE"])
def test_days_of_pandas_market_calendars(ours, market):
    assert differing(ours, market, schedule(market)) == set(DAYS_OF_PANDAS[market])


def test_hours_of_nse_by_pandas_market_calendars(ours):
    """Of NSE it also knows Muhurats on weekdays, and the day on which NSE stood still."""
    theirs = schedule("NSE")
    agreed = [day for day in dates() if day in theirs and str(day) not in DAYS_OF_PANDAS["NSE"]]
    assert len(agreed) > 1_700
    for day in agreed:
        assert regular(ours["NSE", day]) == [theirs[day]], day
    others = {hours for hours in theirs.values() if hours != ("09:15:00", "15:30:00")}
    assert len(others) >= 4, "the comparison compares something"


def aion_sessions(market, day, calendar=aion_indian_market_calendar.IndiaMarketCalendar.bundled()):
    """Continuous trading from 09:00 or 09:15 on; MCX's minutes for cancelling orders at 08:45 are no trading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = calendar.get_session(datetime.combine(day, time(12), IST), market=AION_NAMES[market]) or []
    return [
        (segment.open.isoformat(), segment.close.isoformat())
        for segment in found
        if segment.kind == "continuous" and segment.close > time(9)
    ]


def last_of_coverage(day):
    """Its holidays end with Christmas."""
    return day <= date(2026, 12, 25)


@pytest.mark.parametrize("market", AION_NAMES)
def test_segments_of_2026_by_aion(ours, market):
    differences = set()
    for day in filter(last_of_coverage, dates(range(2026, 2027))):
        theirs, here = aion_sessions(market, day), regular(ours[market, day])
        if market in ("NSE", "BSE"):
            # its NSE_EQUITY begins with the pre-open
            theirs = [("09:15:00" if start == "09:00:00" else start, end) for start, end in theirs]
        if market in ("MCX", "NCO"):
            # its commodity days end at 23:30 all year but for an NSE circular: the end is tested with New York's clocks
            theirs = [(start, end.replace("23:55", "23:30")) for start, end in theirs]
            here = [(start, end.replace("23:55", "23:30")) for start, end in here]
        if theirs != here:
            differences.add(str(day))
    assert differences == set(DAYS_OF_AION[market])


@pytest.mark.parametrize("market", ["MCX", "NCO", "MCX-INDICES"])
def test_metals_end_with_the_clocks_of_new_york(ours, market):
    evenings = 0
    for day in dates(range(2021, 2027)):
        ends = [end for _, end in regular(ours[market, day])]
        if not ends or ends[-1] <= "21:00:00":
            continue
        summer = datetime.combine(day, time(18), IST).astimezone(ZoneInfo("America/New_York")).dst()
        assert ends == ["23:30:00" if summer else "23:55:00"], day
        evenings += 1
    assert evenings > 1_500


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_mcx_mornings_rest_when_nse_rests(ours, year):
    """A rule that MCX's lists follow: on a holiday of NSE at least the morning is closed, and no other morning is."""
    for day in filter(lambda day: day.weekday() < 5, dates(range(year, year + 1))):
        nse, mcx = ours["NSE", day], ours["MCX", day]
        rests = nse["kind"] in ("holiday", "special", "unknown")
        morning = any(start < "12:00:00" for start, _ in regular(mcx))
        assert morning != rests, day


def test_a_file_of_ones_own_is_checked(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('format = 1\nmarkets = ["NSE"]\n[closed]\n"2026-11-25" = "declared yesterday"\n')
    checked = tickhouse("check", "--file", file, "--json", cwd=tmp_path)
    report = json.loads(checked.stdout)
    assert checked.returncode == 0 and report["valid"], checked
    assert len(report["changes"]) == 1 and report["changes"][0].endswith("-> closed")
    # it is in force where the configuration names it
    (tmp_path / "tickhouse.toml").write_text('[instruments]\ncalendar = "mine.toml"\n')
    shown = tickhouse("show", "--exchange", "NSE", "--date", "2026-11-25", "--json", cwd=tmp_path)
    kinds = {day["market"]: day["kind"] for day in json.loads(shown.stdout)["days"]}
    assert kinds == {"NSE": "holiday", "NSE-CAS": "ordinary", "NSE-INDICES": "ordinary"}
    file.write_text('format = 1\nmarkets = ["NSE", "NYSE"]\n[closed]\n"2026-02-30" = "no such day"\n')
    checked = tickhouse("check", cwd=tmp_path)
    assert checked.returncode == 1
    for part in ["`NYSE` is no market", "2026-02-30", "2 faults"]:
        assert part in checked.stdout + checked.stderr, checked


@pytest.mark.parametrize(("now", "status", "where"), [("2026-10-30", 0, None), ("2026-11-20", 0, "warnings"), ("2027-01-04", 1, "faults")])
def test_a_year_that_nobody_listed_is_told(tmp_path, now, status, where):
    """Exchanges print next year's holidays in December: a warning from November on, a fault in that year."""
    anchor = int(time_module.time() * 1_000)
    checked = tickhouse("check", "--json", "--clock", f"{now}T10:00:00+05:30@{anchor}", cwd=tmp_path)
    report = json.loads(checked.stdout)
    assert checked.returncode == status, checked
    for place in ("warnings", "faults"):
        assert any("2027" in text for text in report[place]) == (place == where), report
