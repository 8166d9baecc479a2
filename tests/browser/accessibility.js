// axe-core in the page.

import axe from 'axe-core'

/** Findings that are serious or worse, one line each. */
export async function auditOf(page) {
  // by the debugger, so that the policy of the page need not allow it
  await page.evaluate(`${axe.source}; undefined`)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target} ${failureSummary}`),
    )
}
