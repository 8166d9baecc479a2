import { defineConfig } from 'vite'

/** For work on the page alone: `npm run dev` takes data from a running `tickhouse serve`. */
const server = process.env.TICKHOUSE_HTTP ?? 'http://127.0.0.1:8080'

export default defineConfig({
  base: './',
  build: {
    target: 'es2022',
    // a policy of own files only: nothing is inlined as a data: URL
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/v1': { target: server, ws: true } } },
})
