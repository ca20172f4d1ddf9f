/**
 * Completes the names of those whom a message mentions, while they are typed.
 *
 * The list belongs to the text field, so it is rendered beside it: only there can the field name the option that
 * is selected. The focus stays in the field.
 */
import { css, html, render } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Room } from '../../client/room.ts'
import { findUsers } from '../../client/search.ts'
import type { User } from '../../client/wire.ts'
import { icon } from '../shared/icons.ts'
import { may, mayMentionRoom } from '../shared/permissions.ts'
import { errorText, t } from '../shared/texts.ts'
import { nameOf } from '../shared/user-name.ts'
import { beginsWith, EVERYONE, mentionOf, typedMention } from '../text/mentions.ts'
import type { ChatComposer } from './composer.ts'

/** Participants that are offered, and further users. */
const PEOPLE_MAX = 8
const OTHERS_MAX = 3
/** Letters from which on other users are looked for, and the delay after the last one. */
const SEARCH_MIN = 2
const DEBOUNCE_MS = 200

/** What can be chosen: someone in the room, everyone (no user), or someone to be added to it first. */
interface Option {
  readonly user: User | null
  readonly isOther: boolean
}

/** The list of what can be chosen; of commands too. */
export const listStyle = css`
  :host {
    position: relative;
  }
  .mentions {
    position: absolute;
    inset-inline: 8px;
    bottom: 100%;
    z-index: 3;
    max-width: 400px;
    max-height: min(320px, 40dvh);
    padding: 4px;
    overflow: auto;
    overscroll-behavior: contain;
    border: 1px solid var(--_line);
    border-radius: 12px;
    background: var(--_surface);
    box-shadow: var(--_shadow);
  }
  .mentions [role='option'] {
    display: flex;
    align-items: center;
    gap: 12px;
    min-height: 44px;
    padding: 0 8px;
    border-radius: 8px;
    cursor: pointer;
    --size: 28px;
  }
  .mentions [aria-selected='true'] {
    background: var(--_mine);
  }
  .mentions [role='option'] > svg {
    flex: none;
    width: 28px;
    padding: 3px;
    color: var(--_text-2);
  }
  .mentions .small {
    flex: none;
    max-width: 50%;
  }
  .mentions p {
    padding: 8px;
  }
  @media (forced-colors: active) {
    .mentions [aria-selected='true'] {
      outline: 2px solid Highlight;
      outline-offset: -2px;
    }
  }
`

export class MentionCompletion {
  #client: Client | null = null
  #room: Room | null = null
  #options: readonly Option[] = []
  #selected = 0
  #error = ''
  /** Users whom this page has added, until the room shows them. */
  #added = new Map<number, User>()
  /** Where the name begins that is typed, and one that the user does not want to complete. */
  #from = -1
  #dismissed = -1
  #query = ''
  #others: readonly User[] = []
  #othersQuery = ''
  #timer: ReturnType<typeof setTimeout> | undefined
  #list: HTMLElement | null = null

  constructor(
    host: HTMLElement,
    private readonly composer: () => ChatComposer | null,
  ) {
    host.addEventListener('input', () => this.#update())
    host.addEventListener('click', () => this.#update())
    host.addEventListener('focusout', () => this.close())
    host.addEventListener('keydown', event => this.#onKeydown(event), { capture: true })
  }

  /** Completes for a room. */
  use(client: Client, room: Room): void {
    this.close()
    this.#client = client
    this.#room = room
    this.#added.clear()
    this.#forgetOthers()
  }

  /** Returns the users in the room. */
  people(): User[] {
    const people = [...(this.#room?.view.timeline?.people.values() ?? [])].map(({ user }) => user)
    const known = new Set(people.map(({ id }) => id))
    return [...people, ...[...this.#added.values()].filter(({ id }) => !known.has(id))]
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#options = []
    this.#error = ''
    this.#from = -1
    this.#render()
  }

  get #area(): HTMLTextAreaElement | null {
    return this.composer()?.renderRoot.querySelector('textarea') ?? null
  }

  /** Offers completions for what is being typed at the cursor. */
  #update(): void {
    const area = this.#area
    const isTyping = area?.matches(':focus') && area.selectionStart === area.selectionEnd
    const typed = area && isTyping ? typedMention(area.value, area.selectionStart) : null
    if (!typed) this.#dismissed = -1
    if (!typed || typed.from === this.#dismissed || !this.#room?.view.timeline) {
      if (this.#from >= 0) this.close()
      return
    }
    // Users who are found later come last, and leave the selection where it is.
    if (typed.query !== this.#query) this.#selected = 0
    this.#query = typed.query
    this.#from = typed.from
    this.#error = ''
    this.#options = this.#optionsFor(typed.query)
    this.#selected = Math.min(this.#selected, Math.max(0, this.#options.length - 1))
    this.#findOthers(typed.query.trim())
    this.#render()
  }

  #optionsFor(query: string): Option[] {
    const room = this.#room!
    const client = this.#client!
    const { me } = client
    const inside = this.people()
    const people = inside
      .filter(user => user.id !== me && (beginsWith(nameOf(user), query) || beginsWith(user.username, query)))
      .toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)))
      .slice(0, PEOPLE_MAX)
      .map(user => ({ user, isOther: false }))
    const isEveryone =
      mayMentionRoom(room.view, me) &&
      [EVERYONE, t('everyone')].some(text => text.toLowerCase().startsWith(query.toLowerCase()))
    const isAsked = query.trim() === this.#othersQuery && may(room, client, 'manage_participants')
    const others = isAsked ? this.#others.filter(user => !inside.some(({ id }) => id === user.id)) : []
    return [
      ...people,
      ...(isEveryone ? [{ user: null, isOther: false }] : []),
      ...others.map(user => ({ user, isOther: true })),
    ]
  }

  /** Looks for users outside of the room, if the user may add them. */
  #findOthers(query: string): void {
    clearTimeout(this.#timer)
    const client = this.#client!
    const room = this.#room!
    if (query.length < SEARCH_MIN || query === this.#othersQuery) return
    if (!may(room, client, 'manage_participants')) return
    this.#timer = setTimeout(async () => {
      const found = await findUsers(client, query, PEOPLE_MAX).catch(() => [])
      if (room !== this.#room || this.#from < 0) return
      const inside = new Set(this.people().map(({ id }) => id))
      this.#others = found.filter(({ id }) => !inside.has(id)).slice(0, OTHERS_MAX)
      this.#othersQuery = query
      this.#update()
    }, DEBOUNCE_MS)
  }

  /** Users outside of the room are looked for again: it is another room, or they are in it now. */
  #forgetOthers(): void {
    this.#others = []
    this.#othersQuery = ''
  }

  #onKeydown(event: KeyboardEvent): void {
    if (event.isComposing || this.#options.length === 0 || event.composedPath()[0] !== this.#area) return
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const { length } = this.#options
    if (step !== undefined) {
      this.#selected = (this.#selected + step + length) % length
      this.#render()
      this.#list?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' })
    } else if (event.key === 'Enter' || event.key === 'Tab') {
      if (event.shiftKey) return
      void this.#choose(this.#options[this.#selected]!)
    } else if (event.key === 'Escape') {
      this.#dismissed = this.#from
      this.close()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  async #choose({ user, isOther }: Option): Promise<void> {
    const room = this.#room!
    const from = this.#from
    if (user && isOther) {
      try {
        await this.#client!.api.POST('/api/chat/participants/', { body: { room: room.id, user: user.id } })
      } catch (cause) {
        this.#error = errorText(cause)
        this.#render()
        return
      }
      this.#forgetOthers()
      if (room !== this.#room) return
      this.#added.set(user.id, user)
    }
    const area = this.#area
    // Meanwhile another text may be there.
    if (!area || room !== this.#room || from !== this.#from) return
    // Names of one word would be completed again.
    this.#dismissed = from
    const mention = user ? mentionOf(user, this.people()) : `@${EVERYONE}`
    area.setRangeText(`${mention} `, from, area.selectionStart, 'end')
    this.close()
    area.dispatchEvent(new InputEvent('input', { bubbles: true, composed: true }))
    area.focus()
  }

  #render(): void {
    const area = this.#area
    const root = this.composer()?.renderRoot as ShadowRoot | undefined
    if (!area || !root) return
    const isOpen = this.#options.length > 0
    if (isOpen) {
      area.setAttribute('aria-autocomplete', 'list')
      area.setAttribute('aria-controls', 'mentions')
      area.setAttribute('aria-activedescendant', `mention${this.#selected}`)
    } else
      for (const name of ['autocomplete', 'controls', 'activedescendant'])
        area.removeAttribute(`aria-${name}`)
    if (!isOpen && !this.#list) return
    if (!this.#list?.isConnected || this.#list.getRootNode() !== root) {
      this.#list = document.createElement('div')
      root.append(this.#list)
      const sheet = listStyle.styleSheet!
      if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet)
    }
    render(isOpen ? this.#template() : '', this.#list)
  }

  #template() {
    return html`<div class="mentions">
      ${this.#error ? html`<p class="danger" role="alert">${this.#error}</p>` : ''}
      <div role="listbox" id="mentions" aria-label=${t('mentionList')} @mousedown=${keepFocus}>${this.#options.map(
        (
          option,
          index,
        ) => html`<div role="option" id=${`mention${index}`} aria-selected=${index === this.#selected}
          @click=${() => this.#choose(option)}>${optionContent(option)}</div>`,
      )}</div></div>
      <div class="unseen" role="status">${t('mentionCount', { n: this.#options.length })}</div>`
  }
}

function optionContent({ user, isOther }: Option) {
  if (!user)
    return html`${icon('people')}<span class="cut">@${EVERYONE}</span><span class="small cut">${t('everyone')}</span>`
  return html`<chat-avatar .name=${nameOf(user)} .key=${String(user.id)}></chat-avatar>
    <span class="cut" dir="auto">${nameOf(user)}</span>
    <span class="small cut">${isOther ? t('addToRoom') : `@${user.username}`}</span>`
}

/** Keeps the focus in the text field. */
export function keepFocus(event: Event): void {
  event.preventDefault()
}
