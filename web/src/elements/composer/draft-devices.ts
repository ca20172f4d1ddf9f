/** Connects the drafts of this page with those of the user's other devices. */
import type { Client } from '../../client/client.ts'
import { type DraftState, DraftSync, type LocalDrafts } from '../../client/draft-sync.ts'
import type { Message } from '../../client/wire.ts'
import type { ChatComposer } from './composer.ts'
import { DRAFT_PREFIX, drafts } from './drafts.ts'

const STATE_PREFIX = 'chat drafts '
/** Whoever has typed this recently is still typing. */
const TYPING_MS = 5_000

const syncs = new WeakMap<Client, DraftSync>()

/** Keeps the drafts of the client's user the same on all devices, until the client stops. */
export function followDrafts(client: Client): DraftSync {
  const known = syncs.get(client)
  if (known) return known
  const local = new PageDrafts(client.me)
  const sync = new DraftSync(client, local)
  syncs.set(client, sync)
  const ended = new AbortController()
  const { signal } = ended
  client.addEventListener('change', () => client.state === 'closed' && ended.abort(), { signal })
  drafts.addEventListener(
    'typed',
    event => {
      const room = local.onTyped((event as CustomEvent<string>).detail)
      if (room !== null) sync.onTyped(room)
    },
    { signal },
  )
  const onHidden = () => document.visibilityState === 'hidden' && sync.flush()
  document.addEventListener('visibilitychange', onHidden, { signal })
  // The focus has moved only after these events.
  const onIdle = () => queueMicrotask(() => sync.onIdle())
  document.addEventListener('focusout', onIdle, { signal })
  addEventListener('blur', onIdle, { signal })
  return sync
}

class PageDrafts implements LocalDrafts {
  #prefix: string
  #state: DraftState = {}
  #typed_ms = new Map<string, number>()

  constructor(private readonly user: number | null) {
    this.#prefix = `${user} `
  }

  /** Notes that the user has typed. Returns the room, or null if the draft is another user's. */
  onTyped(key: string): string | null {
    if (!key.startsWith(this.#prefix)) return null
    const room = key.slice(this.#prefix.length)
    this.#typed_ms.set(room, Date.now())
    return room
  }

  rooms(): string[] {
    const prefix = DRAFT_PREFIX + this.#prefix
    try {
      return Object.keys(localStorage).flatMap(key =>
        key.startsWith(prefix) ? [key.slice(prefix.length)] : [],
      )
    } catch {
      return []
    }
  }

  text(room: string) {
    return drafts.text(this.#prefix + room)
  }

  reply(room: string) {
    return drafts.reply(this.#prefix + room)
  }

  receive(room: string, text: string): void {
    drafts.setText(this.#prefix + room, text, 'elsewhere')
    drafts.dispatchEvent(new Event('change'))
  }

  receiveReply(room: string, message: Message | null): void {
    drafts.setReply(this.#prefix + room, message, 'elsewhere')
  }

  isBusy(room: string): boolean {
    const composer = focusedComposer()
    const key = this.#prefix + room
    if (drafts.text(key) === '') return false
    const ago_ms = Date.now() - (this.#typed_ms.get(room) ?? 0)
    return ago_ms < TYPING_MS || (composer?.draftKey === key && document.hasFocus())
  }

  loadState(): DraftState {
    try {
      return JSON.parse(localStorage.getItem(STATE_PREFIX + this.user) ?? '{}') as DraftState
    } catch {
      return this.#state
    }
  }

  saveState(state: DraftState): void {
    this.#state = state
    try {
      localStorage.setItem(STATE_PREFIX + this.user, JSON.stringify(state))
    } catch {
      // Without storage it lasts as long as the page.
    }
  }
}

/** Returns the composer that has the focus, through all open shadow roots. */
function focusedComposer(): ChatComposer | null {
  let element = document.activeElement
  while (element?.shadowRoot?.activeElement) {
    if (element.localName === 'chat-composer') return element as ChatComposer
    element = element.shadowRoot.activeElement
  }
  return null
}
