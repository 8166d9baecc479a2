// Panels: what enters is a title, what it means and a statement; what leaves is a panel as Grafana's JSON has it.

import type { Panel } from '@grafana/schema'
import type { Options as BarChartOptions } from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen'
import type { Options as CandlestickOptions } from '@grafana/schema/dist/esm/raw/composable/candlestick/panelcfg/x/CandlestickPanelCfg_types.gen'
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen'
import type { Options as TableOptions } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen'
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen'
import type { GraphFieldConfig } from '@grafana/schema'
import type { Plain } from './plain.js'

export type PlainPanel = Plain<Panel>
export type DataSource = 'grafana-clickhouse-datasource' | 'prometheus'

/** The plugin's release whose macros the statements are written for. */
export const PLUGIN_VERSION = '4.20.0'

export interface Tile {
  panel: PlainPanel
  /** In 24ths of the page. */
  width: number
  height: number
}

export interface About {
  title: string
  /** What the number means, and what it leaves out. */
  description: string
  width?: number
  height?: number
  unit?: string
  decimals?: number
}

interface Thresholds {
  /** From this value on, and its colour; the first counts from the lowest. */
  steps: [number | null, string][]
}

function target (sql: string, format: 0 | 1): Record<string, unknown> {
  return {
    datasource: { type: 'grafana-clickhouse-datasource', uid: '${datasource}' },
    editorType: 'sql', format, pluginVersion: PLUGIN_VERSION, queryType: format === 0 ? 'timeseries' : 'table',
    rawSql: sql.trim(), refId: 'A'
  }
}

function panel (type: string, about: About, sql: string, format: 0 | 1, rest: Partial<PlainPanel>): Tile {
  const made: PlainPanel = {
    type, title: about.title, description: about.description,
    datasource: { type: 'grafana-clickhouse-datasource', uid: '${datasource}' },
    targets: [target(sql, format)],
    ...rest
  }
  return { panel: made, width: about.width ?? 12, height: about.height ?? 8 }
}

function defaults (about: About): NonNullable<PlainPanel['fieldConfig']>['defaults'] {
  return {
    ...(about.unit === undefined ? {} : { unit: about.unit }),
    ...(about.decimals === undefined ? {} : { decimals: about.decimals })
  }
}

export interface Drawing {
  draw?: 'line' | 'bars' | 'points'
  /** Steps instead of slopes: what holds until the next value. */
  steps?: boolean
  stack?: boolean
  /** The shortest interval that `$__interval` may be. */
  interval?: string
  legend?: boolean
}

/** Values over time: a statement whose first column of a time is the time, in order. */
export function timeSeries (about: About, sql: string, drawing: Drawing = {}): Tile {
  const { draw = 'line', steps = false, stack = false, legend = true } = drawing
  const custom: Plain<GraphFieldConfig> = {
    drawStyle: draw, lineInterpolation: steps ? 'stepAfter' : 'linear', lineWidth: draw === 'bars' ? 0 : 1,
    fillOpacity: draw === 'bars' ? 70 : stack ? 30 : 0, showPoints: draw === 'points' ? 'always' : 'auto', pointSize: 4,
    spanNulls: draw === 'line', stacking: { mode: stack ? 'normal' : 'none', group: 'A' }
  }
  const options: Plain<TimeSeriesOptions> = {
    legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: legend },
    tooltip: { mode: 'multi', sort: 'desc' }
  }
  return panel('timeseries', about, sql, 0, {
    fieldConfig: { defaults: { ...defaults(about), custom: { ...custom } }, overrides: [] },
    options: { ...options },
    ...(drawing.interval === undefined ? {} : { interval: drawing.interval })
  })
}

/** Candles: columns time, open, high, low, close, volume. */
export function candles (about: About, sql: string, interval: string): Tile {
  const options: Plain<CandlestickOptions> = {
    mode: 'candles+volume', candleStyle: 'candles', colorStrategy: 'open-close', colors: { up: 'green', down: 'red', flat: 'gray' },
    fields: { open: 'open', high: 'high', low: 'low', close: 'close', volume: 'volume' }, includeAllFields: false,
    legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: false }, tooltip: { mode: 'multi', sort: 'none' }
  }
  return panel('candlestick', about, sql, 1, {
    fieldConfig: { defaults: defaults(about), overrides: [] }, options: { ...options }, interval
  })
}

/** Rows. `units`: of a column, by its name. */
export function table (about: About, sql: string, units: Record<string, string> = {}): Tile {
  const options: Plain<TableOptions> = { frameIndex: 0, showHeader: true, cellHeight: 'sm' }
  const overrides = Object.entries(units).map(([column, unit]) => ({
    matcher: { id: 'byName', options: column }, properties: [{ id: 'unit', value: unit }]
  }))
  return panel('table', about, sql, 1, { fieldConfig: { defaults: defaults(about), overrides }, options: { ...options } })
}

/** Single figures: one row, a figure a column. */
export function stat (about: About, sql: string, thresholds?: Thresholds): Tile {
  const options: Plain<StatOptions> = {
    colorMode: thresholds === undefined ? 'none' : 'value', graphMode: 'none', justifyMode: 'auto', orientation: 'auto',
    percentChangeColorMode: 'standard', showPercentChange: false, textMode: 'auto', wideLayout: true,
    reduceOptions: { calcs: ['lastNotNull'], fields: '/.*/', values: false }
  }
  const steps = thresholds?.steps.map(([value, color]) => ({ value, color }))
  const field = steps === undefined ? {} : { color: { mode: 'thresholds' as const }, thresholds: { mode: 'absolute' as const, steps } }
  return panel('stat', { height: 4, width: 6, ...about }, sql, 1, {
    fieldConfig: { defaults: { ...defaults(about), ...field }, overrides: [] }, options: { ...options }
  })
}

/** Bars along something that is no time: the column `x` and one or more numbers. */
export function bars (about: About, sql: string, x: string, stack = false): Tile {
  const options: Plain<BarChartOptions> = {
    barWidth: 0.9, groupWidth: 0.8, fullHighlight: false, orientation: 'auto', showValue: 'never', stacking: stack ? 'normal' : 'none',
    xField: x, xTickLabelMaxLength: 12, xTickLabelRotation: -45, xTickLabelSpacing: 100,
    legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true }, tooltip: { mode: 'multi', sort: 'none' }
  }
  return panel('barchart', about, sql, 1, { fieldConfig: { defaults: defaults(about), overrides: [] }, options: { ...options } })
}

/** A series of Prometheus, and how it is called in the legend. */
export function metric (about: About, series: [expression: string, legend: string][], drawing: Drawing = {}): Tile {
  const tile = timeSeries(about, '', drawing)
  const datasource = { type: 'prometheus', uid: '${prometheus}' }
  const targets = series.map(([expr, legendFormat], index) =>
    ({ datasource, expr, legendFormat, refId: String.fromCharCode(65 + index) }))
  return { ...tile, panel: { ...tile.panel, datasource, targets } }
}
