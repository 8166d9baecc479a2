// Colours of the chart, which draws on a canvas and can't use those of the style sheet.

export interface Palette {
  background: string
  text: string
  grid: string
  border: string
  up: string
  down: string
  upFaint: string
  downFaint: string
  vwap: string
  oi: string
  gap: string
  gapLine: string
  gapText: string
  font: string
}

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'

const LIGHT: Palette = {
  background: '#ffffff',
  text: '#4d5763',
  grid: '#eef0f2',
  border: '#d8dce1',
  up: '#0f7f5f',
  down: '#c2372e',
  upFaint: 'rgba(15, 127, 95, 0.28)',
  downFaint: 'rgba(194, 55, 46, 0.28)',
  vwap: '#a8620a',
  oi: '#4a5fc1',
  gap: 'rgba(168, 98, 10, 0.09)',
  gapLine: 'rgba(168, 98, 10, 0.45)',
  gapText: '#7d4804',
  font: FONT,
}

const DARK: Palette = {
  background: '#10161d',
  text: '#9aa7b5',
  grid: '#19222c',
  border: '#2a3541',
  up: '#3ec39a',
  down: '#f2736a',
  upFaint: 'rgba(62, 195, 154, 0.3)',
  downFaint: 'rgba(242, 115, 106, 0.3)',
  vwap: '#ffb454',
  oi: '#93a5ff',
  gap: 'rgba(255, 180, 84, 0.08)',
  gapLine: 'rgba(255, 180, 84, 0.4)',
  gapText: '#ffcb87',
  font: FONT,
}

export function palette(dark: boolean): Palette {
  return dark ? DARK : LIGHT
}
