// A line between browser and server that can be cut.

import { once } from 'node:events'
import net from 'node:net'

/** Passes bytes on to the server at `root`. */
export async function startLink(root) {
  const { hostname, port } = new URL(root)
  const open = new Set()
  let whole = true
  const server = net.createServer((near) => {
    if (!whole) return near.destroy()
    const far = net.connect(Number(port), hostname)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      open.add(one)
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    whole = false
    for (const socket of open) socket.destroy()
  }
  return {
    root: `http://127.0.0.1:${server.address().port}`,
    cut,
    mend: () => (whole = true),
    stop: () => {
      cut()
      return new Promise((done) => server.close(done))
    },
  }
}
