// Every page, and in which folder of Grafana it stands.

import type { PlainDashboard } from './dashboard.js'
import { indicesAndNews } from './indices-news.js'
import { instrument } from './instrument.js'
import { market } from './market.js'
import { metrics } from './metrics.js'
import { options } from './options.js'
import { pipeline } from './pipeline.js'
import { quality } from './quality.js'
import { services } from './services.js'

/** `clickhouse`: needs nothing but ClickHouse. `prometheus`: needs Prometheus beside it. */
export const PAGES: { group: 'clickhouse' | 'prometheus', page: PlainDashboard }[] = [
  ...[market, instrument, options, indicesAndNews, pipeline, quality, services].map((page) => ({ group: 'clickhouse' as const, page })),
  { group: 'prometheus', page: metrics }
]

/** A page as it stands in its file. */
export function text (page: PlainDashboard): string {
  return `${JSON.stringify(page, null, 2)}\n`
}
