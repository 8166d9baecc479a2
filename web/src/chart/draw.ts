// Bars on a canvas, by TradingView's lightweight-charts.
//
// What enters: a feed and what changed in it. What leaves: the bar under the crosshair. What never happens here: drawing more
// than once a frame, or all bars where the newest one moved.

import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  LineStyle,
  createChart,
  type CandlestickData,
  type HistogramData,
  type IChartApi,
  type ISeriesApi,
  type LineData,
  type Time,
  type UTCTimestamp,
  type WhitespaceData,
} from 'lightweight-charts'
import { IST_OFFSET_MS, day, price, short, time } from '../format.ts'
import { now } from '../live.ts'
import type { Bar } from '../messages.ts'
import { GapBands } from './bands.ts'
import type { Feed } from './feed.ts'
import { bands, slots, type Slot } from './gaps.ts'
import { palette, type Palette } from './palette.ts'
import { dayVwap } from './vwap.ts'

type Drawn<Data> = Data | WhitespaceData

/** Older bars are asked for when so few are left of the screen. */
const NEAR_BEGIN = 60
/** The library knows UTC only, so its times are India's, told as if they were UTC. */
const chartTime = (unixMs: number): UTCTimestamp => Math.floor((unixMs + IST_OFFSET_MS) / 1000) as UTCTimestamp
const unixTime = (at: Time): number => Number(at) * 1000 - IST_OFFSET_MS

export class Drawing {
  readonly #chart: IChartApi
  readonly #candles: ISeriesApi<'Candlestick'>
  readonly #volume: ISeriesApi<'Histogram'>
  readonly #vwap: ISeriesApi<'Line'>
  #oi: ISeriesApi<'Line'> | null = null
  readonly #bands: GapBands
  #palette: Palette
  #axis: Slot[] = []
  #places = new Map<number, number>()
  #averages: readonly (number | null)[] = []
  #waiting: { from: number; anew: boolean } | null = null
  #frame = 0
  #under: number | null = null

  constructor(
    element: HTMLElement,
    readonly feed: Feed,
    readonly decimals: number,
    dark: boolean,
    readonly shows: (bar: Bar | null, vwap: number | null) => void,
  ) {
    this.#palette = palette(dark)
    this.#chart = createChart(element, { autoSize: true, ...options(this.#palette, feed) })
    this.#candles = this.#chart.addSeries(CandlestickSeries, { priceLineStyle: LineStyle.Dotted })
    this.#volume = this.#chart.addSeries(HistogramSeries, { priceScaleId: 'volume', ...quiet() })
    this.#vwap = this.#chart.addSeries(LineSeries, { lineWidth: 1, ...quiet(), crosshairMarkerVisible: false })
    this.#chart.priceScale('right').applyOptions({ scaleMargins: { top: 0.12, bottom: 0.22 } })
    this.#chart.priceScale('volume').applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } })
    this.#bands = new GapBands(this.#chart, this.#palette)
    this.#candles.attachPrimitive(this.#bands)
    this.#paint()
    this.#chart.subscribeCrosshairMove(({ time }) => {
      this.#under = time === undefined ? null : (this.#places.get(unixTime(time)) ?? null)
      this.#tell()
    })
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < NEAR_BEGIN) void feed.loadOlder()
    })
  }

  stop(): void {
    cancelAnimationFrame(this.#frame)
    this.#chart.remove()
  }

  setDark(dark: boolean): void {
    this.#palette = palette(dark)
    this.#chart.applyOptions(options(this.#palette, this.feed))
    this.#bands.palette = this.#palette
    this.#paint()
    this.draw({ from: 0, anew: true })
  }

  /** Draws what changed with the next frame of the screen. */
  draw(change: { from: number; anew: boolean }): void {
    const before = this.#waiting
    const from = Math.min(change.from, before?.from ?? Infinity)
    this.#waiting = { from, anew: change.anew || (before?.anew ?? false) }
    if (before === null) this.#frame = requestAnimationFrame(() => this.#flush())
  }

  /** Moves the crosshair by bars, from the newest one at first. */
  step(by: number): void {
    const bars = this.feed.seam.bars
    const from = this.#under ?? bars.length - (by < 0 ? 0 : 1)
    this.#cross(Math.max(0, Math.min(bars.length - 1, from + by)))
  }

  toEnd(): void {
    this.#chart.clearCrosshairPosition()
    this.#under = null
    this.#chart.timeScale().scrollToRealTime()
    this.#tell()
  }

  zoom(factor: number): void {
    const scale = this.#chart.timeScale()
    const spacing = scale.options().barSpacing * factor
    scale.applyOptions({ barSpacing: Math.max(0.5, Math.min(60, spacing)) })
  }

  #cross(place: number): void {
    const bar = this.feed.seam.bars[place]
    if (bar === undefined) return
    this.#chart.setCrosshairPosition(bar.close, chartTime(bar.start), this.#candles)
    const scale = this.#chart.timeScale()
    const logical = this.#axis.findIndex((slot) => slot.start === bar.start)
    const range = scale.getVisibleLogicalRange()
    if (range !== null && (logical < range.from || logical > range.to)) {
      scale.scrollToPosition(logical - this.#axis.length + (range.to - range.from) / 2, false)
    }
    this.#under = place
    this.#tell()
  }

  #flush(): void {
    const change = this.#waiting
    this.#waiting = null
    if (change === null) return
    if (change.anew || !this.#append(change.from)) this.#drawAll()
    this.#tell()
  }

  /** The last bars only; false when the axis no longer fits the bars. */
  #append(from: number): boolean {
    const bars = this.feed.seam.bars
    const added = bars.slice(from).filter((bar) => !this.#places.has(bar.start)).length
    const expected = this.#places.size + added
    const last = this.#axis.at(-1)
    if (expected !== bars.length || last === undefined || (added > 0 && last.bar === null)) return false
    this.#averages = this.#average()
    for (let place = from; place < bars.length; place++) {
      const bar = bars[place]!
      const is = this.#places.has(bar.start)
      if (!is && bar.start < this.#axis.at(-1)!.end) return false
      // a hole may be a gap: the axis is made anew
      if (!is && bar.start > this.#axis.at(-1)!.end && this.feed.gaps.length > 0) return false
      if (!is) this.#axis.push({ start: bar.start, end: bar.end, bar })
      this.#places.set(bar.start, place)
      this.#update(bar, this.#averages[place] ?? null, this.#axis.at(-1)!.start !== bar.start)
    }
    return true
  }

  #update(bar: Bar, average: number | null, older: boolean): void {
    this.#candles.update(this.#candle(bar), older)
    this.#volume.update(this.#bar(bar), older)
    this.#vwap.update(point(bar, average), older)
    this.#oi?.update(point(bar, bar.open_interest || null), older)
  }

  #drawAll(): void {
    const { seam, gaps, interval } = this.feed
    this.#axis = slots(seam.bars, gaps, interval.milliseconds, now())
    this.#places = new Map(seam.bars.map((bar, place) => [bar.start, place]))
    this.#averages = this.#average()
    const of = <Data>(make: (bar: Bar, place: number) => Drawn<Data>): Drawn<Data>[] =>
      this.#axis.map(({ start, bar }) =>
        bar === null ? { time: chartTime(start) } : make(bar, this.#places.get(start) ?? 0),
      )
    this.#candles.setData(of<CandlestickData>((bar) => this.#candle(bar)))
    this.#volume.setData(of<HistogramData>((bar) => this.#bar(bar)))
    this.#vwap.setData(of<LineData>((bar, place) => point(bar, this.#averages[place] ?? null)))
    this.#drawOi(
      seam.bars.some((bar) => bar.open_interest > 0),
      of,
    )
    this.#bands.set(bands(this.#axis, gaps, now()), now())
  }

  #drawOi(any: boolean, of: (make: (bar: Bar) => Drawn<LineData>) => Drawn<LineData>[]): void {
    if (any && this.#oi === null) {
      this.#oi = this.#chart.addSeries(LineSeries, { lineWidth: 1, ...quiet(), title: 'OI' }, 1)
      this.#oi.applyOptions({ color: this.#palette.oi, priceFormat: { type: 'custom', formatter: short, minMove: 1 } })
      this.#chart.panes()[1]?.setStretchFactor(0.22)
    }
    this.#oi?.setData(of((bar) => point(bar, bar.open_interest || null)))
  }

  /** Of a day and longer bars their own average; else since the day's opening. */
  #average(): (number | null)[] {
    const { seam, fromBegin, interval } = this.feed
    if (interval.milliseconds === null) return seam.bars.map((bar) => bar.vwap)
    return dayVwap(seam.bars, fromBegin)
  }

  /** Something is missing from a bar that is over: it is drawn hollow. */
  #candle(bar: Bar): CandlestickData {
    const rising = bar.close >= bar.open
    const color = rising ? this.#palette.up : this.#palette.down
    const hollow = !bar.complete && bar.end <= now()
    return {
      time: chartTime(bar.start),
      open: bar.open,
      high: bar.high,
      low: bar.low,
      close: bar.close,
      ...(hollow ? { color: this.#palette.background, borderColor: color, wickColor: color } : {}),
    }
  }

  #bar(bar: Bar): Drawn<HistogramData> {
    // an index has none: then no line stands at the bottom either
    if (bar.volume === 0) return { time: chartTime(bar.start) }
    const color = bar.close >= bar.open ? this.#palette.upFaint : this.#palette.downFaint
    return { time: chartTime(bar.start), value: bar.volume, color }
  }

  #tell(): void {
    const bars = this.feed.seam.bars
    const place = this.#under ?? bars.length - 1
    this.shows(bars[place] ?? null, this.#averages[place] ?? null)
  }

  #paint(): void {
    const { up, down, vwap, oi } = this.#palette
    this.#candles.applyOptions({
      upColor: up,
      downColor: down,
      borderUpColor: up,
      borderDownColor: down,
      wickUpColor: up,
      wickDownColor: down,
      priceFormat: {
        type: 'custom',
        formatter: (value: number) => price(value, this.decimals),
        minMove: 10 ** -this.decimals,
      },
    })
    this.#volume.applyOptions({ priceFormat: { type: 'custom', formatter: short, minMove: 1 } })
    this.#vwap.applyOptions({ color: vwap })
    this.#oi?.applyOptions({ color: oi })
  }
}

const quiet = () => ({ lastValueVisible: false, priceLineVisible: false })

const point = (bar: Bar, value: number | null): Drawn<LineData> =>
  value === null ? { time: chartTime(bar.start) } : { time: chartTime(bar.start), value }

function options(colours: Palette, feed: Feed) {
  const seconds = feed.interval.milliseconds !== null && feed.interval.milliseconds < 60_000
  const daily = feed.interval.milliseconds === null
  return {
    layout: {
      background: { type: ColorType.Solid, color: colours.background },
      textColor: colours.text,
      fontFamily: colours.font,
      fontSize: 11,
      // named and linked below the chart instead: the logo brings a style of its own, which the policy of the page forbids
      attributionLogo: false,
      panes: { separatorColor: colours.border, separatorHoverColor: colours.border },
    },
    grid: { vertLines: { color: colours.grid }, horzLines: { color: colours.grid } },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderColor: colours.border },
    timeScale: {
      borderColor: colours.border,
      timeVisible: !daily,
      secondsVisible: seconds,
      rightOffset: 6,
      barSpacing: 7,
    },
    localization: {
      timeFormatter: (at: Time) => {
        const unix = unixTime(at)
        return daily ? day(unix) : `${day(unix)} ${time(unix)} IST`
      },
    },
  }
}
