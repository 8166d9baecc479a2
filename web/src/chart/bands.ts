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
import type { Band } from './gaps.ts'
import type { Palette } from './palette.ts'

type Target = Parameters<IPrimitivePaneRenderer['draw']>[0]

/** Narrower ones could not be seen. */
const LEAST_WIDTH = 3
const HATCH = 6

export class GapBands implements ISeriesPrimitive<Time>, IPrimitivePaneView, IPrimitivePaneRenderer {
  #bands: readonly Band[] = []
  #now = 0

  constructor(
    readonly chart: IChartApi,
    public palette: Palette,
  ) {}

  set(bands: readonly Band[], now: number): void {
    this.#bands = bands
    this.#now = now
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views
  }
  readonly #views = [this]

  zOrder() {
    return 'bottom' as const
  }

  renderer(): IPrimitivePaneRenderer {
    return this
  }

  draw(target: Target): void {
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      for (const band of this.#bands) this.#drawBand(context, band, mediaSize)
    })
  }

  #drawBand(context: CanvasRenderingContext2D, band: Band, size: { width: number; height: number }): void {
    const scale = this.chart.timeScale()
    const from = scale.logicalToCoordinate(band.from as Logical)
    const to = scale.logicalToCoordinate(band.to as Logical)
    if (from === null || to === null || to < 0 || from > size.width) return
    const width = Math.max(LEAST_WIDTH, to - from)
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
    this.#label(context, band, from + width / 2, size.width)
  }

  #label(context: CanvasRenderingContext2D, { gap }: Band, middle: number, width: number): void {
    const text = `gap ${duration((gap.to ?? this.#now) - gap.from)}: ${gap.cause.replaceAll('_', ' ')}${gap.to === null ? ', open' : ''}`
    context.font = `11px ${this.palette.font}`
    const room = context.measureText(text).width + 10
    const left = Math.max(2, Math.min(middle - room / 2, width - room - 2))
    context.fillStyle = this.palette.background
    context.fillRect(left, 30, room, 18)
    context.strokeStyle = this.palette.gapLine
    context.strokeRect(left + 0.5, 30.5, room - 1, 17)
    context.fillStyle = this.palette.gapText
    context.fillText(text, left + 5, 43)
  }
}
