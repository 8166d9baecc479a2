// Where the page begins.

import './style/base.css'
import './style/market.css'
import './style/chain.css'
import './style/pipeline.css'
import { render } from 'preact'
import { App } from './app.tsx'
import { connect } from './live.ts'
import * as list from './market/list.ts'
import { shownInstrument } from './router.ts'

render(<App />, document.getElementById('app')!)
connect()
list.follow(() => shownInstrument.value)
void list.begin()
