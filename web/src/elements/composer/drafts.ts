/**
 * Drafts of messages, by key: one per user and room.
 *
 * Texts are in `localStorage` and shared by all tabs; files, and the message replied to, last as long as the page.
 */
import type { Message } from '../../client/wire.ts'

export const DRAFT_PREFIX = 'chat draft '

/**
 * Events: `change` when a draft appears, disappears, or replies to another message; `typed` when the user has changed one, and `elsewhere`
 * when another tab or device has, both with its key.
 */
class Drafts extends EventTarget {
  #texts = new Map<string, string>()
  #files = new Map<string, readonly File[]>()
  #replies = new Map<string, Message>()

  constructor() {
    super()
    addEventListener('storage', ({ key, newValue }) => {
      if (!key?.startsWith(DRAFT_PREFIX)) return
      this.#update(key.slice(DRAFT_PREFIX.length), newValue ?? '', 'elsewhere')
    })
  }

  text(key: string): string {
    let text = this.#texts.get(key)
    if (text === undefined) {
      text = readText(key)
      this.#texts.set(key, text)
    }
    return text
  }

  /** Stores the text immediately, so that a reload loses nothing. */
  setText(key: string, text: string, event: 'typed' | 'elsewhere' = 'typed'): void {
    if (text === this.text(key)) return
    writeText(key, text)
    this.#update(key, text, event)
  }

  files(key: string): readonly File[] {
    return this.#files.get(key) ?? []
  }

  setFiles(key: string, files: readonly File[]): void {
    if (files.length > 0) this.#files.set(key, files)
    else this.#files.delete(key)
    this.dispatchEvent(new Event('change'))
  }

  reply(key: string): Message | null {
    return this.#replies.get(key) ?? null
  }

  setReply(key: string, message: Message | null, event: 'typed' | 'elsewhere' = 'typed'): void {
    if (message === this.reply(key)) return
    if (message) this.#replies.set(key, message)
    else this.#replies.delete(key)
    this.#emit('change', key)
    this.#emit(event, key)
  }

  #update(key: string, text: string, event: string): void {
    const hadDraft = this.text(key) !== ''
    this.#texts.set(key, text)
    if (hadDraft !== (text !== '')) this.#emit('change', key)
    this.#emit(event, key)
  }

  #emit(event: string, detail: string): void {
    this.dispatchEvent(new CustomEvent(event, { detail }))
  }
}

function readText(key: string): string {
  try {
    return localStorage.getItem(DRAFT_PREFIX + key) ?? ''
  } catch {
    return ''
  }
}

function writeText(key: string, text: string): void {
  try {
    if (text) localStorage.setItem(DRAFT_PREFIX + key, text)
    else localStorage.removeItem(DRAFT_PREFIX + key)
  } catch {
    // Without storage a draft lasts as long as the page.
  }
}

export const drafts = new Drafts()
