// What the server says, as docs/web-api.md describes it: REST and the live connection.

/** An instrument of today. Prices are rupees; `strike` and `expiry` are null where there is none. */
export interface Instrument {
  instrument_token: number
  symbol: string
  tradingsymbol: string
  exchange: string
  name: string
  instrument_type: string
  expiry: string | null
  strike: number | null
  lot_size: number
  tick_size: number
  segment: string
}

/** A bar; `start` and `end` are Unix milliseconds. */
export interface Bar {
  start: number
  end: number
  session: string
  open: number
  high: number
  low: number
  close: number
  volume: number
  open_interest: number
  vwap: number | null
  tick_count: number
  complete: boolean
  gap_seconds: number
  source: string
}

/** A tick of history: times are India's, as text. */
export interface Tick {
  timestamp: string
  exchange_timestamp: string
  last_price: number
  last_traded_quantity: number
  volume: number
  open_interest: number
  bid_1_price: number
  ask_1_price: number
}

/** A window in which ticks may have been missed. */
export interface Gap {
  from: number
  to: number | null
  cause: string
  socket: number
  /** How many; 0: all of the socket. */
  instruments: number
  detail: string
}

export interface Underlying {
  underlying: string
  exchange: string
  expiries: string[]
}

export type Stale = 'old' | 'gap' | 'snapshot'

/** One contract of a chain; what is not known is null. */
export interface Leg {
  instrument_token: number
  tradingsymbol: string
  timestamp: string | null
  age_seconds: number | null
  stale: Stale | null
  last_price: number | null
  bid_price: number | null
  ask_price: number | null
  volume: number | null
  open_interest: number | null
  open_interest_change: number | null
  basis: 'middle' | 'last_price' | null
  implied_volatility: number | null
  no_volatility_because: string | null
  delta: number | null
  gamma: number | null
  vega: number | null
  theta: number | null
  rho: number | null
}

export interface Strike {
  strike: number
  call: Leg | null
  put: Leg | null
}

export interface Reference {
  symbol: string
  last_price: number
  stale: Stale | null
}

/** The object of `tickhouse chain --json`. */
export interface Chain {
  underlying: string
  exchange: string
  expiry: string
  expires_at: string
  at: string
  days_to_expiry: number
  lot_size: number
  spot: Reference | null
  future: Reference | null
  forward: { price: number; source: 'parity' | 'future' | 'spot'; strikes: number | null } | null
  at_the_money: number | null
  straddle: number | null
  totals: {
    pcr_open_interest: number | null
    pcr_volume: number | null
    max_pain: number | null
    left_out: number
  }
  legs: number
  without_tick: number
  stale: number
  strikes: Strike[]
}

/** A row of `query coverage`. */
export interface Coverage {
  symbol: string
  exchange: string
  first_minute: string
  last_minute: string
  minutes: number
  span_minutes: number
  longest_silence_minutes: number | null
  gap_minutes: number
  tick_count: number
}

export type State = 'ok' | 'warn' | 'bad'

export interface Stage {
  name: string
  state: State
  summary: string
  advice?: string | null
  rate: number
  unit: string
  lag_seconds: number | null
}

export interface Socket {
  socket: number
  /** Which API key carries it, 1 for the first; 0: not known. */
  key: number
  state: State
  /** `connected`, `waiting`, … */
  doing: string
  /** Why it does not flow. */
  reason?: string
  subscribed: number
  frames_per_second: number
  silent_seconds: number
  reconnects: number
  /** When the last hole in its feed ended, Unix milliseconds. */
  last_gap: number | null
}

export interface Process {
  name: string
  alive: boolean
  restarts: number
  memory_bytes: number
  cpu_cores: number
  /** Why it does not run. */
  error?: string
}

export interface Health {
  at: number
  state: State
  market: string
  stages: Stage[]
  sockets: Socket[]
  processes: Process[]
  latency: { from: string; to: string; p50_ms: number; p99_ms: number }[]
  totals: {
    frames: number
    packets: number
    ticks_stored: number
    quarantined: number
    gaps: number
    instruments: number
    instruments_ticking: number
  }
  disk: { name: string; bytes: number; free_bytes: number }[]
}

/** Price, quantity, orders. */
export type Level = [number, number, number]

/** Every packet of the instrument in focus. */
export interface LiveTick {
  /** Receive time, Unix milliseconds. */
  t: number
  /** Exchange time, or 0. */
  xt: number
  /** Last price. */
  p: number
  /** Last traded quantity. */
  q: number
  /** The day's running total. */
  v: number
  oi: number
  /** Average traded price of the day. */
  a: number
  o: number
  h: number
  l: number
  /** Close of the session before. */
  c: number
  /** A cached value that was sent after a subscribe: no tick. */
  s?: boolean
  bids?: Level[]
  asks?: Level[]
}

export type ServerMessage =
  | { type: 'hello'; protocol: number; version: string; now: number; today: string }
  | { type: 'quotes'; fields?: string[]; rows: number[][] }
  | { type: 'ticks'; instrument: number; skipped: number; ticks: LiveTick[] }
  | { type: 'health'; health: Health }
  | { type: 'error'; code: string; message: string }
