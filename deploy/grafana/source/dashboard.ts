// Dashboards: tiles in the order in which one reads them become a page.

import type { Dashboard, VariableModel } from '@grafana/schema'
import type { Plain } from './plain.js'
import type { DataSource, PlainPanel, Tile } from './panel.js'

export type PlainDashboard = Plain<Dashboard>
export type Variable = Plain<VariableModel>

const COLUMNS = 24

export interface Page {
  /** File name and end of the uid: letters, digits and `-`. */
  name: string
  title: string
  description: string
  variables?: Variable[]
  /** Default range, back from now. */
  last?: string
  refresh?: string
  tiles: Tile[]
}

/** The data source that a page reads. */
export function dataSource (type: DataSource = 'grafana-clickhouse-datasource'): Variable {
  const [name, label] = type === 'prometheus' ? ['prometheus', 'Prometheus'] : ['datasource', 'ClickHouse']
  return { name, label, type: 'datasource', query: type, refresh: 1, hide: 0, regex: '', multi: false, includeAll: false }
}

export interface Choice {
  name: string
  label: string
  description: string
  /** One column, or the value and how it is shown. */
  sql: string
  multi?: boolean
  /** Offer All, and begin with it. */
  all?: boolean
}

/** A variable whose values a statement gives. */
export function choice ({ name, label, description, sql, multi = false, all = false }: Choice): Variable {
  return {
    name, label, description, type: 'query', refresh: 2, sort: 0, multi, includeAll: all, hide: 0, regex: '',
    datasource: { type: 'grafana-clickhouse-datasource', uid: '${datasource}' },
    query: { editorType: 'sql', rawSql: sql.trim(), refId: name, pluginVersion: '' },
    ...(all ? { current: { text: ['All'], value: ['$__all'] } } : {})
  }
}

/** A variable with fixed values, the first of which is the default. */
export function fixed (name: string, label: string, description: string, values: [string, ...string[]]): Variable {
  return {
    name, label, description, type: 'custom', query: values.join(','), hide: 0, multi: false, includeAll: false,
    current: { text: values[0], value: values[0] },
    options: values.map((value, index) => ({ text: value, value, selected: index === 0 }))
  }
}

/** The page with its tiles laid out from left to right, each row as high as its highest. */
export function dashboard (page: Page): PlainDashboard {
  let [x, y, height] = [0, 0, 0]
  const panels = page.tiles.map((tile, index): PlainPanel => {
    if (x + tile.width > COLUMNS) [x, y, height] = [0, y + height, 0]
    const placed = { id: index + 1, gridPos: { x, y, w: tile.width, h: tile.height }, ...tile.panel }
    x += tile.width
    height = Math.max(height, tile.height)
    return placed
  })
  return {
    uid: `tickhouse-${page.name}`, title: page.title, description: page.description, tags: ['tickhouse'],
    timezone: 'Asia/Kolkata', editable: true, graphTooltip: 1, refresh: page.refresh ?? '', schemaVersion: 39, version: 1,
    time: { from: `now-${page.last ?? '1h'}`, to: 'now' },
    links: [{
      asDropdown: true, icon: 'external link', includeVars: false, keepTime: true, tags: ['tickhouse'], targetBlank: false,
      title: 'Tickhouse', tooltip: '', type: 'dashboards', url: ''
    }],
    annotations: { list: [] },
    templating: { list: page.variables ?? [dataSource()] },
    panels
  }
}
