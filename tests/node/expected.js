// What Kite's JavaScript client makes of a packet: by its documents and, where it is known to be wrong, by its code.

/** Known wrong: the client does not know NCO (segment 12) and divides by 100, so its prices there are 100 times too high. */
export function clientDivisor (packet) {
  return packet.segment === 12 ? 100 : packet.divisor
}

/** Known wrong: the client reads every integer as signed, so a quantity of 2^31 or more comes out below zero. */
const signed = (value) => value | 0

const time = (seconds) => seconds === 0 ? null : new Date(seconds * 1000).toISOString()

/** The client's object for a packet, as it stands in JSON. */
export function expectedTick (packet) {
  const { values, segment, length } = packet
  const price = (name) => values[name] / clientDivisor(packet)
  const tick = { tradable: segment !== 9, mode: packet.mode, instrument_token: packet.token, last_price: price('last_price') }
  if (length === 8) return tick
  tick.ohlc = { open: price('open'), high: price('high'), low: price('low'), close: price('close') }
  // known to differ: `change` is neither on the wire nor absolute. The client computes a percentage of the previous close, for
  // indices too, and passes over the signed absolute change that Kite sends in their bytes 24 to 27
  tick.change = tick.ohlc.close === 0 ? (values.net_change ?? 0) : (tick.last_price - tick.ohlc.close) * 100 / tick.ohlc.close
  if (length === 44 || length === 184) {
    tick.last_traded_quantity = signed(values.last_traded_quantity)
    tick.average_traded_price = price('average_traded_price')
    tick.volume_traded = signed(values.volume)
    tick.total_buy_quantity = signed(values.total_buy_quantity)
    tick.total_sell_quantity = signed(values.total_sell_quantity)
  }
  if (length === 32 || length === 184) tick.exchange_timestamp = time(values.exchange_timestamp)
  if (length === 184) {
    tick.last_trade_time = time(values.last_trade_time)
    for (const name of ['oi', 'oi_day_high', 'oi_day_low']) tick[name] = signed(values[name])
    const side = (levels) => levels.map(({ quantity, price, orders }) =>
      ({ quantity: signed(quantity), price: price / clientDivisor(packet), orders }))
    tick.depth = { buy: side(packet.bids), sell: side(packet.asks) }
  }
  return tick
}
