// A long table of which only the rows on the screen exist.

import { useSignal } from '@preact/signals'
import type { ComponentChildren, RefObject } from 'preact'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'

/** Rows beyond either edge, so that scrolling shows no blank. */
const SPARE = 6

export interface VirtualProps {
  /** Of the table, for those who do not see it. */
  label: string
  count: number
  /** Pixels, all alike. */
  rowHeight: number
  head: ComponentChildren
  row: (place: number) => ComponentChildren
  class?: string
  /** A place to bring into view whenever it changes. */
  show?: number | null
  /** Where in the view it is brought. */
  showAt?: 'nearest' | 'center'
  columns: number
}

export function VirtualTable(props: VirtualProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const { first, last } = useRange(scroller, props.count, props.rowHeight)
  useShown(scroller, props)
  const rows = []
  for (let place = first; place < last; place++) rows.push(props.row(place))
  return (
    <div class={`scroll ${props.class ?? ''}`} ref={scroller} tabIndex={0} role="region" aria-label={props.label}>
      <table aria-rowcount={props.count + 1} aria-label={props.label}>
        {props.head}
        <tbody>
          <Space height={first * props.rowHeight} columns={props.columns} />
          {rows}
          <Space height={(props.count - last) * props.rowHeight} columns={props.columns} />
        </tbody>
      </table>
    </div>
  )
}

function Space(props: { height: number; columns: number }) {
  if (props.height <= 0) return null
  return (
    <tr aria-hidden="true" class="space">
      <td colSpan={props.columns} style={{ height: `${props.height}px` }} />
    </tr>
  )
}

function useRange(scroller: RefObject<HTMLDivElement | null>, count: number, rowHeight: number) {
  const top = useSignal(0)
  const height = useSignal(800)
  useLayoutEffect(() => {
    const element = scroller.current!
    const measure = (): void => {
      // whole steps, so that scrolling a few pixels draws nothing
      const step = rowHeight * (SPARE / 2)
      top.value = Math.floor(element.scrollTop / step) * step
      height.value = element.clientHeight
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    element.addEventListener('scroll', measure, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', measure)
    }
  }, [rowHeight])
  const first = Math.max(0, Math.min(count, Math.floor(top.value / rowHeight)) - SPARE)
  const last = Math.min(count, Math.ceil((top.value + height.value) / rowHeight) + SPARE * 2)
  return { first, last: Math.max(first, last) }
}

function useShown(scroller: RefObject<HTMLDivElement | null>, props: VirtualProps): void {
  useEffect(() => {
    const element = scroller.current
    if (element === null || props.show === null || props.show === undefined || props.show < 0) return
    const head = element.querySelector('thead')?.clientHeight ?? 0
    const top = props.show * props.rowHeight
    const room = element.clientHeight - head - props.rowHeight
    if (props.showAt === 'center') element.scrollTop = top - room / 2
    else if (top < element.scrollTop) element.scrollTop = top
    else if (top > element.scrollTop + room) element.scrollTop = top - room
  }, [props.show])
}
