/**
 * The scrolling stretch of a room.
 *
 * It keeps what one reads in its place, whatever is added above or below; it tells the room what has been
 * seen, and asks for more near its ends.
 */
import { html, LitElement, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Client } from '../client/client.ts'
import type { Room, RoomView } from '../client/room.ts'
import type { Entry } from '../client/timeline.ts'
import type { ChatEvent } from './events.ts'
import { icon } from './icons.ts'
import type { ChatMessage, MessageRow } from './message.ts'
import { property, query, state } from './reactive.ts'
import { type Row, rowsOf } from './rows.ts'
import { t } from './texts.ts'
import { base } from './theme.ts'
import { timelineStyle } from './timeline-style.ts'
import { dayOf } from './when.ts'

/** Nearer than this to an end is at that end. */
const END_PX = 48
/** More is read when an end is nearer than this. */
const AHEAD_PX = 600
/** System lines shown before the rest is folded. */
const FOLD_AFTER = 3
/** How long the line "New" stays once all below it has been read. */
const NEW_MS = 4_000

/** Where the view stands, so that it stands there again after a change. */
interface Anchor {
  readonly element: HTMLElement
  readonly top: number
}

export class ChatTimeline extends LitElement {
  static override styles = [base, timelineStyle]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  @state() private away = false
  @state() private unfolded: ReadonlySet<string> = new Set()
  @state() private failed = false
  @query('.scroll') private scroller!: HTMLElement
  @query('.rows') private list!: HTMLElement
  #rows: Row[] = []
  /** The elements of the rows that are messages, and those rows, both in the order of the list. */
  #elements: readonly ChatMessage[] = []
  #messages: readonly MessageRow[] = []
  /** The rows that were there before: others slide in. */
  #drawn: ReadonlySet<string> = new Set()
  #anchor: Anchor | null = null
  #stuck = true
  #landed = false
  #newAfter: number | null = null
  #unmark: ReturnType<typeof setTimeout> | undefined
  #seen = 0
  #loading = false
  #active = ''
  #resized = new ResizeObserver(() => {
    if (this.#landed && this.#stuck) this.#toEnd()
  })

  constructor() {
    super()
    // The first finger here brings the gesture for what is older.
    const load = async () => {
      const { Pull } = await import('./pull.ts')
      new Pull(this, { scroller: () => this.scroller, older: () => void this.#older() })
    }
    this.addEventListener('touchstart', load, { once: true, passive: true })
    this.addEventListener('chat-grew', event => {
      const { by, bottom } = (event as ChatEvent<'chat-grew'>).detail
      if (this.#stuck) this.#toEnd()
      else if (bottom <= this.scroller.getBoundingClientRect().top) this.scroller.scrollTop += by
    })
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resized.disconnect()
    clearTimeout(this.#unmark)
    this.#unmark = undefined
    document.removeEventListener('visibilitychange', this.#look)
  }

  override connectedCallback(): void {
    super.connectedCallback()
    document.addEventListener('visibilitychange', this.#look)
    if (this.hasUpdated) this.#observe()
  }

  override firstUpdated(): void {
    this.#observe()
  }

  /** Brings a message into view and marks it for a moment. @throws ChatError when it can't be read */
  async show(seq: number): Promise<void> {
    this.#stuck = false
    await this.room.show(seq)
    this.requestUpdate()
    await this.updateComplete
    const row = this.#rows.find(one => one.kind === 'message' && one.message.seq === seq)
    const element = row && this.#element(row.key)
    if (!element) return
    element.scrollIntoView({ block: 'center' })
    element.toggleAttribute('marked', false)
    void element.offsetWidth
    element.toggleAttribute('marked', true)
    element.focus({ preventScroll: true })
  }

  /** Goes to the newest message. */
  async showEnd(): Promise<void> {
    await this.room.showEnd()
    this.#stuck = true
    this.requestUpdate()
    await this.updateComplete
    this.#toEnd()
  }

  override willUpdate(): void {
    const { timeline, pending, marks } = this.view
    const me = this.client.me ?? 0
    if (!timeline) {
      this.#landed = false
      this.#rows = []
      this.#messages = []
      this.#elements = []
      this.away = false
      return
    }
    if (!this.#landed) {
      clearTimeout(this.#unmark)
      this.#unmark = undefined
      this.#newAfter = this.#unreadAfter()
      this.#seen = this.#newAfter ?? timeline.to
    }
    if (this.#landed && document.visibilityState !== 'visible') this.#newAfter ??= this.#seen
    this.#drawn = new Set(this.#rows.map(row => row.key))
    const sent = pending.at(-1)
    if (sent && !this.#drawn.has(sent.client_id)) this.#stuck = true
    this.#rows = rowsOf(timeline, pending, marks, me, this.#newAfter)
    this.#messages = this.#rows.filter(row => row.kind === 'message')
    if (!this.#messages.some(row => row.key === this.#active)) this.#active = ''
    this.#anchor = this.#stuck || !this.#landed ? null : this.#findAnchor()
  }

  override updated(): void {
    if (this.view.timeline) void this.#place()
  }

  /** Puts the view where it belongs once all rows are drawn, which is before anything is painted. */
  async #place(): Promise<void> {
    const rows = [...this.list.querySelectorAll<ChatMessage>('chat-message')]
    this.#elements = rows
    await Promise.all(rows.filter(row => row.isUpdatePending).map(row => row.updateComplete))
    // Another room may have come meanwhile, and its skeleton stands where the rows were.
    if (!this.isConnected || !this.view.timeline || !this.scroller) return
    if (!this.#landed) {
      this.#landed = true
      this.#land()
    } else if (this.#stuck) {
      this.#toEnd()
      this.room.trim()
    } else if (this.#anchor?.element.isConnected) {
      this.scroller.scrollTop += this.#anchor.element.getBoundingClientRect().top - this.#anchor.top
      this.#anchor = null
    }
    this.#look()
    this.#unmarkLater()
  }

  override render() {
    const { timeline, error } = this.view
    if (!timeline) return error ? this.#trouble() : skeleton()
    const atStart = timeline.from === 0
    return html`
      <div class="scroll" @scroll=${this.#scrolled} @keydown=${this.#key} tabindex="-1">
        ${
          atStart
            ? nothing
            : html`<button class="plain older" @click=${() => void this.#older()}>
                ${this.failed ? `${t('loadFailed')} ${t('tryAgain')}` : t('loadOlder')}
              </button>`
        }
        ${atStart && !this.#activeKey() ? this.#empty() : nothing}
        <div role="log" aria-label=${t('timeline')}>
          <div class="rows">${repeat(
            daysOf(this.#rows),
            day => day[0]!.key,
            day => this.#day(day),
          )}</div>
        </div>
      </div>
      ${this.away ? html`${this.#jumpButton()} ${this.#unsent()}` : nothing}
    `
  }

  /** The rows of one day, under a separator that stays in sight as long as they do. */
  #day(rows: readonly Row[]) {
    const [first] = rows
    const day = first?.kind === 'day' ? dayOf(first.at) : ''
    return html`<section>
      ${day ? html`<div class="day"><span>${day}</span></div>` : nothing}
      <div role="list" aria-label=${day || t('timeline')}>${repeat(
        day ? rows.slice(1) : rows,
        row => row.key,
        row => this.#row(row),
      )}</div>
    </section>`
  }

  #row(row: Row) {
    switch (row.kind) {
      case 'day':
        return nothing
      case 'new':
        return html`<div class="new" role="listitem"><span>${t('newLine')}</span></div>`
      case 'system':
        return this.#system(row)
      case 'message':
        return html`<chat-message data-key=${row.key} tabindex=${row.key === this.#activeKey() ? 0 : -1} .row=${row}
          .client=${this.client} .people=${this.view.timeline!.people} exportparts="bubble, own, other" ?fresh=${this.#landed && this.#stuck && !this.#drawn.has(row.key)}
          .named=${this.view.timeline!.room.room_type !== 'direct'}></chat-message>`
    }
  }

  #system(row: Extract<Row, { kind: 'system' }>) {
    const open = this.unfolded.has(row.key)
    const shown = open || row.entries.length <= FOLD_AFTER ? row.entries : row.entries.slice(-1)
    const rest = row.entries.length - shown.length
    return html`<div class="system small" role="listitem">
      ${shown.map(entry => html`<div>${systemText(entry)}</div>`)}
      ${
        rest > 0
          ? html`<button class="fold" @click=${() => {
              this.unfolded = new Set(this.unfolded).add(row.key)
            }}>${t('folded', { n: rest })}</button>`
          : nothing
      }
    </div>`
  }

  #jumpButton() {
    const news = this.#rows.filter(
      row => row.kind === 'message' && !row.mine && row.message.seq > this.#seen,
    ).length
    const { to, head } = this.view.timeline!
    const count = to === head ? news : head - to
    return html`<button class="jump" aria-label=${count ? t('newMessages', { n: count }) : t('toEnd')}
      @click=${() => void this.showEnd()}>
      ${icon('down')}${count ? html`<span class="count">${count}</span>` : nothing}
    </button>`
  }

  /** Leads to what has failed, which stands at the end. */
  #unsent() {
    const n = this.view.pending.filter(entry => entry.state === 'failed').length
    if (n === 0) return nothing
    return html`<button class="unsent danger" @click=${() => void this.showEnd()}>${icon('alert')}${t('unsent', { n })}</button>`
  }

  #empty() {
    return html`<div class="empty"><b>${t('emptyRoom')}</b><p class="small">${t('emptyRoomHint')}</p></div>`
  }

  #trouble() {
    const { error, gone } = this.view
    return html`<div class="empty" role="status"><b>${t(error?.code === 'offline' ? 'error_offline' : 'loadFailed')}</b>
      ${gone ? nothing : html`<p class="small">${t('retrying')}</p>`}
      <button class="plain" @click=${() => this.room.reload()}>${t('tryAgain')}</button></div>`
  }

  /** The `seq` after which all is new to the person, or null when nothing is. */
  #unreadAfter(): number | null {
    const { unread, timeline } = this.view
    if (unread === 0 || !timeline) return null
    let left = unread
    for (const entry of timeline.entries.toReversed()) {
      if (entry.kind !== 'message' || entry.message.is_deleted) continue
      if (entry.message.sender.id !== this.client.me && --left === 0) return entry.seq - 1
    }
    return timeline.from
  }

  #land(): void {
    const line = this.list.querySelector<HTMLElement>('.new')
    if (!line) {
      this.#stuck = true
      this.#toEnd()
      return
    }
    const below = this.list.getBoundingClientRect().bottom - line.getBoundingClientRect().top
    this.#stuck = below < this.scroller.clientHeight
    if (this.#stuck) this.#toEnd()
    else {
      this.scroller.scrollTop +=
        line.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - 64
    }
  }

  #toEnd(): void {
    this.scroller?.scrollTo({ top: this.scroller.scrollHeight, behavior: 'instant' })
  }

  #observe(): void {
    this.#resized.observe(this)
  }

  #scrolled = (): void => {
    const { timeline } = this.view
    if (!timeline) return
    const { scrollTop, scrollHeight, clientHeight } = this.scroller
    const rest = scrollHeight - clientHeight - scrollTop
    this.#stuck = rest < END_PX && timeline.to === timeline.head
    this.away = rest > clientHeight / 2 || timeline.to !== timeline.head
    this.#look()
    this.#unmarkLater()
    if (scrollTop < AHEAD_PX) void this.#older()
    if (rest < AHEAD_PX) void this.#newer()
  }

  /** Tells the room what is in sight, when someone can be looking. */
  #look = (): void => {
    const { timeline } = this.view
    if (!timeline || !this.#landed || document.visibilityState !== 'visible') return
    const edge = this.scroller?.getBoundingClientRect()
    if (!edge || edge.height === 0) return
    const below = firstOf(this.#elements, one => one.getBoundingClientRect().top + 16 > edge.bottom)
    const rows = this.#messages.slice(0, below)
    const last = rows.findLast(row => !row.pending)
    if (last) this.#seen = Math.max(this.#seen, last.message.seq)
    const theirs = rows.findLast(row => !row.pending && !row.mine)
    if (theirs) this.room.read(theirs.message)
  }

  /** All has been read: the line "New" goes after a while, and comes back for what is missed while nobody looks. */
  #unmarkLater(): void {
    if (this.#newAfter === null || this.#unmark || !this.#stuck || document.visibilityState !== 'visible')
      return
    this.#unmark = setTimeout(() => {
      this.#unmark = undefined
      this.#newAfter = null
      this.requestUpdate()
    }, NEW_MS)
  }

  async #older(): Promise<void> {
    if (this.#loading || !this.room.hasOlder || !this.#landed) return
    await this.#load(() => this.room.loadOlder())
  }

  async #newer(): Promise<void> {
    const { timeline } = this.view
    if (this.#loading || !timeline || timeline.to === timeline.head) return
    await this.#load(() => this.room.loadNewer())
  }

  async #load(read: () => Promise<void>): Promise<void> {
    this.#loading = true
    this.list.parentElement!.setAttribute('aria-busy', 'true')
    try {
      await read()
      this.failed = false
    } catch {
      this.failed = true
    } finally {
      this.#loading = false
      this.list.parentElement?.removeAttribute('aria-busy')
    }
  }

  #findAnchor(): Anchor | null {
    const edge = this.scroller.getBoundingClientRect().top
    const element = this.#elements[firstOf(this.#elements, one => one.getBoundingClientRect().bottom > edge)]
    return element ? { element, top: element.getBoundingClientRect().top } : null
  }

  #element(key: string): ChatMessage | null {
    return this.list.querySelector(`[data-key="${CSS.escape(key)}"]`)
  }

  /** The row that Tab comes to. */
  #activeKey(): string {
    return this.#active || (this.#messages.at(-1)?.key ?? '')
  }

  #key = (event: KeyboardEvent): void => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
    const from = event.composedPath()[0]
    if (step === undefined || !(from instanceof HTMLElement) || from.localName !== 'chat-message') return
    event.preventDefault()
    const all = this.#elements
    const at = Math.max(0, Math.min(all.length - 1, all.indexOf(from as ChatMessage) + step))
    const next = all[at]
    if (!next) return
    this.#active = next.dataset['key'] ?? ''
    next.focus({ preventScroll: true })
    next.scrollIntoView({ block: 'nearest' })
    this.requestUpdate()
  }
}

/** Gives the place of the first of `all` for which `holds`, as it does for all that follow; else their number. */
function firstOf<T>(all: readonly T[], holds: (one: T) => boolean): number {
  let [low, high] = [0, all.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(all[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}

/** Cuts rows where a new day begins. */
function daysOf(rows: readonly Row[]): Row[][] {
  const days: Row[][] = []
  for (const row of rows) {
    if (row.kind === 'day' || days.length === 0) days.push([row])
    else days.at(-1)!.push(row)
  }
  return days
}

function systemText(entry: Exclude<Entry, { kind: 'message' }>): string {
  if (entry.kind === 'changed') {
    if (entry.seq === 1) return t('made')
    if (entry.room.archived_at) return t('archivedRoom')
    return entry.room.name ? t('renamed', { name: entry.room.name }) : t('changedLine')
  }
  const { user } = entry.participant
  return t(entry.kind, { name: user.full_name || user.username })
}

function skeleton() {
  const widths = [52, 34, 61, 45]
  return html`<div class="skeleton" aria-busy="true" aria-label=${t('loading')} role="status">
    ${widths.map((width, at) => html`<i class=${at % 3 === 2 ? 'mine' : ''} .style=${`width: ${width}%`}></i>`)}
  </div>`
}
