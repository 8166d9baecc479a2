// Asks ClickHouse over HTTP, as the user whom Grafana is.

export interface Server {
  url: string
  user: string
  password: string
  database: string
}

export interface Frame {
  columns: { name: string, type: string }[]
  rows: unknown[][]
}

const ANSWER_LIMIT_MS = 30_000

/** The answer of a statement; an error has the server's own words. */
export async function ask (server: Server, sql: string): Promise<Frame> {
  const parameters = new URLSearchParams({ database: server.database, default_format: 'JSONCompact', max_execution_time: '20' })
  const response = await fetch(`${server.url}/?${parameters}`, {
    method: 'POST', body: sql, signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    headers: { 'X-ClickHouse-User': server.user, 'X-ClickHouse-Key': server.password }
  })
  const text = await response.text()
  if (!response.ok) throw new Error(text.trim().split('\n')[0])
  // a statement that changes something answers nothing
  if (text === '') return { columns: [], rows: [] }
  const { meta, data } = JSON.parse(text) as { meta: Frame['columns'], data: unknown[][] }
  return { columns: meta, rows: data }
}
