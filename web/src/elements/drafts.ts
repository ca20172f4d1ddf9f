/**
 * What is being written and not yet sent, by place: one person's one room.
 *
 * Texts outlive the page and are the same in all its tabs; files and the message that is answered are there
 * as long as the page is.
 */
import type { Message } from '../client/wire.ts'

const PREFIX = 'chat draft '

/** Events: `change` when a place has a draft that had none, or the other way round; `elsewhere` from another tab. */
class Drafts extends EventTarget {
  #texts = new Map<string, string>()
  #files = new Map<string, readonly File[]>()
  #replies = new Map<string, Message>()

  constructor() {
    super()
    addEventListener('storage', ({ key, newValue }) => {
      if (!key?.startsWith(PREFIX)) return
      this.#note(key.slice(PREFIX.length), newValue ?? '')
      this.dispatchEvent(new Event('elsewhere'))
    })
  }

  text(place: string): string {
    let text = this.#texts.get(place)
    if (text === undefined) {
      text = read(place)
      this.#texts.set(place, text)
    }
    return text
  }

  /** Keeps a text at once: who reloads right after typing loses nothing. */
  keepText(place: string, text: string): void {
    if (text === this.text(place)) return
    this.#note(place, text)
    write(place, text)
  }

  files(place: string): readonly File[] {
    return this.#files.get(place) ?? []
  }

  keepFiles(place: string, files: readonly File[]): void {
    if (files.length > 0) this.#files.set(place, files)
    else this.#files.delete(place)
    this.dispatchEvent(new Event('change'))
  }

  reply(place: string): Message | null {
    return this.#replies.get(place) ?? null
  }

  keepReply(place: string, message: Message | null): void {
    if (message) this.#replies.set(place, message)
    else this.#replies.delete(place)
  }

  #note(place: string, text: string): void {
    const had = this.text(place) !== ''
    this.#texts.set(place, text)
    if (had !== (text !== '')) this.dispatchEvent(new Event('change'))
  }
}

function read(place: string): string {
  try {
    return localStorage.getItem(PREFIX + place) ?? ''
  } catch {
    return ''
  }
}

function write(place: string, text: string): void {
  try {
    if (text) localStorage.setItem(PREFIX + place, text)
    else localStorage.removeItem(PREFIX + place)
  } catch {
    // A browser that keeps nothing keeps no drafts.
  }
}

export const drafts = new Drafts()
