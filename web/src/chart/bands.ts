// Gaps as hatched bands behind the candles, each with its cause and length.

import type {
  IChartApi,
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  Logical,
  Time,
} from 'lightweight-charts'
import { duration } from '../format.ts'
import type { Gap } from '../messages.ts'
import type { Band } from './gaps.ts'
import type { Palette } from './palette.ts'

interface Size {
  width: number
  height: number
}

/** Narrower ones could not be seen. */
const LEAST_WIDTH = 3
const HATCH = 6
/** Labels above each other, and how far apart. */
const MOST_LINES = 4
const LINE = 21

export class GapBands implements ISeriesPrimitive<Time> {
  #bands: readonly Band[] = []
  #now = 0
  readonly #views: readonly IPrimitivePaneView[]

  constructor(
    readonly chart: IChartApi,
    public palette: Palette,
  ) {
    const draws = (draw: (context: CanvasRenderingContext2D, size: Size) => void): IPrimitivePaneRenderer => ({
      draw: (target) => target.useMediaCoordinateSpace(({ context, mediaSize }) => draw(context, mediaSize)),
    })
    const hatched = draws((context, size) => this.#drawBands(context, size))
    const labelled = draws((context, size) => this.#drawLabels(context, size))
    this.#views = [
      { zOrder: () => 'bottom', renderer: () => hatched },
      { zOrder: () => 'top', renderer: () => labelled },
    ]
  }

  set(bands: readonly Band[], now: number): void {
    this.#bands = bands
    this.#now = now
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views
  }

  /** Those on the screen, with their edges. */
  #visible(width: number): { gap: Gap; from: number; width: number }[] {
    return this.#bands.flatMap(({ gap, from, to }) => {
      const [left, right] = [this.#x(from), this.#x(to)]
      if (left === null || right === null || right < 0 || left > width) return []
      return [{ gap, from: left, width: Math.max(LEAST_WIDTH, right - left) }]
    })
  }

  /** The library knows whole places only. */
  #x(place: number): number | null {
    const scale = this.chart.timeScale()
    const whole = Math.floor(place)
    const left = scale.logicalToCoordinate(whole as Logical)
    const right = scale.logicalToCoordinate((whole + 1) as Logical)
    return left === null || right === null ? null : left + (right - left) * (place - whole)
  }

  #drawBands(context: CanvasRenderingContext2D, size: Size): void {
    for (const { from, width } of this.#visible(size.width)) {
      context.save()
      context.beginPath()
      context.rect(from, 0, width, size.height)
      context.clip()
      context.fillStyle = this.palette.gap
      context.fillRect(from, 0, width, size.height)
      context.strokeStyle = this.palette.gapLine
      context.beginPath()
      for (let x = from - size.height; x < from + width; x += HATCH) {
        context.moveTo(x, size.height)
        context.lineTo(x + size.height, 0)
      }
      context.stroke()
      context.restore()
    }
  }

  /** Where two would overlap, the later one goes below. */
  #drawLabels(context: CanvasRenderingContext2D, size: Size): void {
    const ends: number[] = []
    context.font = `11px ${this.palette.font}`
    for (const { gap, from, width } of this.#visible(size.width).sort((one, other) => one.from - other.from)) {
      const text = says(gap, this.#now)
      const room = context.measureText(text).width + 10
      const left = Math.max(2, Math.min(from + width / 2 - room / 2, size.width - room - 2))
      let line = ends.findIndex((end) => end < left)
      if (line < 0) line = ends.length
      if (line >= MOST_LINES) continue
      ends[line] = left + room + 4
      const top = 6 + line * LINE
      context.fillStyle = this.palette.background
      context.fillRect(left, top, room, 18)
      context.strokeStyle = this.palette.gapLine
      context.strokeRect(left + 0.5, top + 0.5, room - 1, 17)
      context.fillStyle = this.palette.gapText
      context.fillText(text, left + 5, top + 13)
    }
  }
}

function says(gap: Gap, now: number): string {
  const open = gap.to === null ? ', open' : ''
  return `gap ${duration((gap.to ?? now) - gap.from)}: ${gap.cause.replaceAll('_', ' ')}${open}`
}
