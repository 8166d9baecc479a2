//! What other crates make of the same messages.

use crate::Sum;

pub(crate) fn zerodha(messages: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for message in messages {
        for tick in kiteconnect::parse_binary(message) {
            sum.number(tick.instrument_token);
            let prices = [tick.last_price, tick.average_price, tick.open, tick.high, tick.low, tick.close];
            prices.iter().flatten().for_each(|price| sum.price(*price));
            let numbers = [
                tick.volume,
                tick.buy_quantity,
                tick.sell_quantity,
                tick.oi,
                tick.oi_day_high,
                tick.oi_day_low,
            ];
            numbers.iter().flatten().for_each(|number| sum.number(*number));
            let numbers = [tick.last_quantity, tick.last_trade_time, tick.exchange_time];
            numbers.iter().flatten().for_each(|number| sum.number(*number));
            let depth = tick.depth.expect("a full packet has depth");
            for side in [&depth.buy, &depth.sell] {
                for level in side {
                    sum.price(level.price);
                    sum.number(level.quantity);
                    sum.number(level.orders);
                }
            }
        }
    }
    sum
}

pub(crate) fn kiteconnect_rs(messages: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for message in messages {
        for tick in kiteconnect_rs::Ticker::parse_binary(message).expect("messages are good") {
            sum.number(tick.instrument_token);
            let ohlc = &tick.ohlc;
            let prices =
                [tick.last_price, tick.average_trade_price, ohlc.open, ohlc.high, ohlc.low, ohlc.close];
            prices.iter().for_each(|price| sum.price(*price));
            let numbers = [
                tick.last_traded_quantity,
                tick.volume_traded,
                tick.total_buy_quantity,
                tick.total_sell_quantity,
                tick.oi,
                tick.oi_day_high,
                tick.oi_day_low,
            ];
            numbers.iter().for_each(|number| sum.number(*number));
            // its times are dates: constant in these messages, and read as such
            sum.number(TIMES);
            for side in [&tick.depth.buy, &tick.depth.sell] {
                for level in side {
                    sum.price(level.price);
                    sum.number(level.quantity);
                    sum.number(level.orders);
                }
            }
        }
    }
    sum
}

/// Both times of every message, added.
const TIMES: u64 = 1_795_147_200 + 1_795_147_201;

macro_rules! tick_sum {
    ($tick:expr, $sum:expr) => {{
        let tick = $tick;
        let sum = $sum;
        sum.number(tick.instrument_token);
        let ohlc = tick.ohlc.expect("a full packet has prices");
        for price in [
            tick.last_price.unwrap_or_default(),
            tick.avg_traded_price.unwrap_or_default(),
            ohlc.open,
            ohlc.high,
            ohlc.low,
            ohlc.close,
        ] {
            sum.price(price);
        }
        for number in [
            tick.last_traded_qty.unwrap_or_default(),
            tick.volume_traded.unwrap_or_default(),
            tick.total_buy_qty.unwrap_or_default(),
            tick.total_sell_qty.unwrap_or_default(),
            tick.oi.unwrap_or_default(),
            tick.oi_day_high.unwrap_or_default(),
            tick.oi_day_low.unwrap_or_default(),
        ] {
            sum.number(number);
        }
        for time in
            [tick.last_traded_timestamp.unwrap_or_default(), tick.exchange_timestamp.unwrap_or_default()]
        {
            sum.number(time.as_secs());
        }
        let depth = tick.depth.expect("a full packet has depth");
        for side in [&depth.buy, &depth.sell] {
            for level in side.iter() {
                sum.price(level.price);
                sum.number(level.qty);
                sum.number(level.orders);
            }
        }
    }};
}

pub(crate) fn kiteticker_async(messages: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for message in messages {
        each_body(message, |body| tick_sum!(kiteticker_async::Tick::from(body), &mut sum));
    }
    sum
}

pub(crate) fn manager_tick(messages: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for message in messages {
        each_body(message, |body| {
            let tick = kiteticker_async_manager::Tick::try_from(body).expect("bodies are good");
            tick_sum!(tick, &mut sum);
        });
    }
    sum
}

pub(crate) fn manager_raw(messages: &[Vec<u8>]) -> Sum {
    let mut sum = Sum::default();
    for message in messages {
        each_body(message, |body| {
            let view = kiteticker_async_manager::as_tick_raw(body).expect("bodies are good");
            let header = &view.header;
            let token = header.instrument_token.get();
            let divisor = match token & 0xff {
                3 => 10_000_000.0,
                6 | 12 => 10_000.0,
                _ => 100.0,
            };
            sum.number(token);
            for price in [header.last_price, header.avg_traded_price] {
                sum.price(f64::from(price.get()) / divisor);
            }
            for place in 0..4 {
                let bytes = header.ohlc_be[place * 4..][..4].try_into().expect("four bytes");
                sum.price(f64::from(i32::from_be_bytes(bytes)) / divisor);
            }
            let numbers = [
                header.last_traded_qty,
                header.volume_traded,
                header.total_buy_qty,
                header.total_sell_qty,
                header.last_traded_ts,
                header.oi,
                header.oi_day_high,
                header.oi_day_low,
                header.exchange_ts,
            ];
            numbers.iter().for_each(|number| sum.number(number.get()));
            for side in [&view.depth.buy, &view.depth.sell] {
                for level in side {
                    sum.price(f64::from(level.price.get()) / divisor);
                    sum.number(level.qty.get());
                    sum.number(level.orders.get());
                }
            }
        });
    }
    sum
}

/// The bodies of a message that is known to be good.
#[inline(always)]
fn each_body(message: &[u8], mut each: impl FnMut(&[u8])) {
    let count = u16::from_be_bytes([message[0], message[1]]);
    let mut at = 2;
    for _ in 0..count {
        let len = usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
        each(&message[at + 2..][..len]);
        at += 2 + len;
    }
}
