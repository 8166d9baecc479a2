"""Black-76 against two others: QuantLib for what is traded and its conventions, mpmath with 60 digits for the edges.

The options go to the example program `black76` of crates/options as JSON lines, thousands at a time."""

import itertools
import json
import math
import random
import subprocess

import mpmath
import processes
import pytest
import QuantLib


@pytest.fixture(scope="module")
def black76():
    """Answers of the program under test for a list of options."""
    build = ["cargo", "build", "--locked", "--quiet", "--package", "tickhouse-options", "--example", "black76"]
    subprocess.run(build, cwd=processes.REPOSITORY, check=True)
    program = processes.REPOSITORY / "target/debug/examples/black76"

    def ask(options):
        lines = "\n".join(json.dumps({name: as_text(value) for name, value in option.items()}) for option in options)
        done = subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(options)
        return answers

    return ask


def as_text(value):
    return repr(value) if isinstance(value, float) else value


def grid():
    """6,720 options: indices and shares, strikes 30 % to either side, a quarter of an hour to a year."""
    forwards = [412.35, 24_010.5, 154_820.0]
    strikes = [0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.0, 1.003, 1.01, 1.03, 1.06, 1.12, 1.2, 1.3]
    years = [900 / 31_536_000, 0.25 / 365, 4 / 365, 30 / 365, 1.0]
    rates = [0.0, 0.055]
    volatilities = [0.04, 0.09, 0.13, 0.2, 0.35, 0.6, 1.0, 2.0]
    for f, k, t, r, v in itertools.product(forwards, strikes, years, rates, volatilities):
        for side in ("CE", "PE"):
            yield {"forward": f, "strike": f * k, "years": t, "rate": r, "side": side, "volatility": v}


def side_of(option):
    return QuantLib.Option.Call if option["side"] == "CE" else QuantLib.Option.Put


def test_prices_and_greeks_are_those_of_quantlib(black76):
    options = list(grid())
    assert len(options) >= 5_000
    for option, ours in zip(options, black76(options), strict=True):
        f, k, t, r, v = (option[name] for name in ("forward", "strike", "years", "rate", "volatility"))
        discount = math.exp(-r * t)
        payoff = QuantLib.PlainVanillaPayoff(side_of(option), k)
        theirs = QuantLib.BlackCalculator(payoff, f, v * math.sqrt(t), discount)
        # theirs are per 1 of volatility and rate and per year; the forward is what moves and stays
        rho = -t * theirs.value()
        expected = {
            "price": (theirs.value(), f),
            "delta": (theirs.deltaForward(), 1),
            "gamma": (theirs.gammaForward(), 1 / (f * v * math.sqrt(t))),
            "vega": (theirs.vega(t) / 100, f * math.sqrt(t)),
            "theta": (theirs.theta(f, t) / 365, f * v / math.sqrt(t)),
            "rho": (rho / 100, f * t),
        }
        for name, (value, scale) in expected.items():
            assert abs(ours[name] - value) <= 1e-12 * scale, (option, name, ours[name], value)


def test_implied_volatility_is_that_of_quantlib(black76):
    options, expected = [], []
    for option in grid():
        f, k, t, r, v = (option[name] for name in ("forward", "strike", "years", "rate", "volatility"))
        deviation = v * math.sqrt(t)
        price = QuantLib.blackFormula(side_of(option), k, f, deviation, math.exp(-r * t))
        intrinsic = max(0.0, (f - k) if option["side"] == "CE" else (k - f))
        # half a paisa of time value: below it a quote says nothing
        if price / math.exp(-r * t) - intrinsic < 0.005:
            continue
        options.append({**option, "price": price, "volatility": None})
        expected.append(v)
    assert len(options) > 2_500
    for option, ours, volatility in zip(options, black76(options), expected, strict=True):
        assert abs(ours["implied_volatility"] / volatility - 1) < 1e-7, (option, ours, volatility)
        # and by QuantLib's own search, where that one finds it
        root = math.sqrt(option["years"])
        discount = math.exp(-option["rate"] * option["years"])
        theirs = QuantLib.blackFormulaImpliedStdDevLiRS(
            side_of(option), option["strike"], option["forward"], option["price"], discount, 0.0, volatility * root, 1.0, 1e-12, 200
        )
        assert abs(ours["implied_volatility"] - theirs / root) < 1e-6 * volatility, (option, ours, theirs / root)


def exact_price(f, k, t, r, side, v):
    f, k, t, r, v = map(mpmath.mpf, (f, k, t, r, v))
    s = v * mpmath.sqrt(t)
    d1 = mpmath.log(f / k) / s + s / 2
    sign = 1 if side == "CE" else -1
    return mpmath.exp(-r * t) * sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - s)))


def edges():
    """Out of the money, from options worth 1e-290 of their forward to ones worth nearly all of it."""
    dice = random.Random(20_261_120)
    while True:
        x = -dice.choice([1e-12, 1e-6, 1e-3, 0.05, 0.5, 2.0, 8.0]) * dice.random()
        s = math.exp(dice.uniform(-9, 2.2))
        if (x / s) ** 2 / 2 + s * s / 8 < 650:
            t = dice.choice([1 / 8_760, 0.1, 2.0])
            yield {
                "forward": 100.0 * math.exp(x),
                "strike": 100.0,
                "years": t,
                "rate": 0.03,
                "side": "CE",
                "volatility": s / math.sqrt(t),
            }


def test_the_edges_have_their_digits(black76):
    mpmath.mp.dps = 60
    options = list(itertools.islice(edges(), 3_000))
    exact = [exact_price(*(o[name] for name in ("forward", "strike", "years", "rate", "side", "volatility"))) for o in options]
    smallest = 1.0
    for option, ours, price in zip(options, black76(options), exact, strict=True):
        # the last bits of x and s, which an option worth 1e-290 sees a thousand times enlarged
        s = option["volatility"] * math.sqrt(option["years"])
        h = math.log(option["forward"] / option["strike"]) / s
        assert abs(ours["price"] / price - 1) < 4e-15 * (10 + h * h), (option, ours["price"], price)
        smallest = min(smallest, ours["price"])
    assert smallest < 1e-200
    asked = [{**option, "price": float(price)} for option, price in zip(options, exact, strict=True)]
    answered = 0
    for option, ours, price in zip(asked, black76(asked), exact, strict=True):
        # near its upper bound a price does not hold the digits
        rest = math.exp(-option["rate"] * option["years"]) * option["forward"] - option["price"]
        if rest < 1e-3 * option["price"]:
            continue
        answered += 1
        assert abs(ours["implied_volatility"] / option["volatility"] - 1) < 1e-12, (option, ours)
    assert answered > 2_000
