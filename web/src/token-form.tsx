// Where the server listens beyond this machine it wants a token, typed once.

import { useSignal } from '@preact/signals'
import { openSession } from './api.ts'

export function TokenForm() {
  const token = useSignal('')
  const fault = useSignal<string | null>(null)
  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (await openSession(token.value.trim())) location.reload()
    else fault.value = 'The server does not know this token.'
  }
  return (
    <main class="token">
      <form onSubmit={(event) => void send(event)}>
        <h1>Tickhouse</h1>
        <label>
          Token
          <input
            type="password"
            autocomplete="current-password"
            required
            value={token}
            onInput={(event) => (token.value = event.currentTarget.value)}
          />
        </label>
        <p class="note">
          On the server it stands in the file that <code>[http] token_file</code> names;{' '}
          <code>tickhouse serve --make-token</code> makes one.
        </p>
        {fault.value !== null && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <button>Open</button>
      </form>
    </main>
  )
}
