/**
 * The scrollable message list of a room.
 *
 * It keeps the visible messages in place whatever is added above or below, reports what has been read, and
 * loads more near both ends.
 */
import { html, LitElement, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Client } from '../../client/client.ts'
import type { Room, RoomView } from '../../client/room.ts'
import type { Entry } from '../../client/timeline.ts'
import { badgeStyle } from '../shared/badge.ts'
import { property, query, state } from '../shared/decorators.ts'
import { type ChatEvent, emit } from '../shared/events.ts'
import { formatDay } from '../shared/format.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { loadFormatter } from '../text/formatter.ts'
import type { ChatMessage } from './message.ts'
import { type MessageRow, type Row, rowsOf } from './rows.ts'
import { timelineStyle } from './timeline-style.ts'

/** Maximum distance from the end that counts as being at the end. */
const END_PX = 48
/** Distance from an end at which more is loaded. */
const PREFETCH_PX = 600
/** More consecutive system entries than this are collapsed. */
const SYSTEM_ENTRIES_MAX = 3
/** How long the line "New" remains after everything below it has been read. */
const NEW_LINE_MS = 4_000

/** The topmost message that begins in view, which an update must not move. */
interface Anchor {
  readonly element: HTMLElement
  readonly top: number
}

export class ChatTimeline extends LitElement {
  static override styles = [base, badgeStyle, timelineStyle]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  @state() private away = false
  @state() private expanded: ReadonlySet<string> = new Set()
  @state() private failed = false
  @state() private formatted = false
  @query('.scroll') private scroller!: HTMLElement
  @query('.rows') private list!: HTMLElement
  #rows: Row[] = []
  /** The message elements and their rows, in the same order. */
  #elements: readonly ChatMessage[] = []
  #messages: readonly MessageRow[] = []
  /** The rows of the previous update; other rows slide in. */
  #previousKeys: ReadonlySet<string> = new Set()
  #anchor: Anchor | null = null
  #atEnd = true
  /** The initial scroll position has been set. */
  #positioned = false
  #newLineAfter: number | null = null
  #newLineTimer: ReturnType<typeof setTimeout> | undefined
  #seenSeq = 0
  #loading = false
  #focusKey = ''
  #resizeObserver = new ResizeObserver(() => {
    if (this.#positioned && this.#atEnd) this.#scrollToEnd()
  })

  constructor() {
    super()
    // The first touch loads the gesture, and the first hover the reactions.
    const load = async () => {
      const { PullToLoad } = await import('./pull-to-load.ts')
      new PullToLoad(this, { scroller: () => this.scroller, loadOlder: () => void this.#loadOlder() })
    }
    this.addEventListener('touchstart', load, { once: true, passive: true })
    const loadHover = async () => new (await import('../define-parts.ts')).HoverBar(this)
    this.addEventListener('mousemove', loadHover, { once: true })
    this.addEventListener('chat-resize', event => {
      const { by, bottom } = (event as ChatEvent<'chat-resize'>).detail
      if (this.#atEnd) this.#scrollToEnd()
      else if (bottom <= this.scroller.getBoundingClientRect().top) this.scroller.scrollTop += by
    })
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resizeObserver.disconnect()
    clearTimeout(this.#newLineTimer)
    this.#newLineTimer = undefined
    document.removeEventListener('visibilitychange', this.#updateSeen)
  }

  override connectedCallback(): void {
    super.connectedCallback()
    document.addEventListener('visibilitychange', this.#updateSeen)
    void loadFormatter().then(() => {
      this.formatted = true
    })
    if (this.hasUpdated) this.#startObserving()
  }

  override firstUpdated(): void {
    this.#startObserving()
  }

  /** Scrolls to the message at `seq` and highlights it briefly, or opens its thread. @throws ChatError */
  async show(seq: number): Promise<void> {
    const wasAtEnd = this.#atEnd
    this.#atEnd = false
    await this.room.log.loadAround(seq)
    this.requestUpdate()
    await this.updateComplete
    const row = this.#rows.find(one => one.kind === 'message' && one.message.seq === seq)
    const element = row && this.#elementOf(row.key)
    if (!element) {
      // Without the message the reader stays at the end.
      this.#atEnd = wasAtEnd
      this.#openThreadOf(seq)
      return
    }
    element.scrollIntoView({ block: 'center' })
    element.toggleAttribute('marked', false)
    void element.offsetWidth
    element.toggleAttribute('marked', true)
    element.focus({ preventScroll: true })
  }

  /** Opens the thread of a reply that stands in it alone. */
  #openThreadOf(seq: number): void {
    const entry = this.room.log.timeline?.entries.find(one => one.seq === seq)
    const thread = entry?.kind === 'message' ? entry.message.thread?.root_id : undefined
    if (thread) emit(this, 'chat-aside', { thread })
  }

  /** Scrolls to the newest message. @throws ChatError */
  async showEnd(): Promise<void> {
    await this.room.log.loadEnd()
    this.#atEnd = true
    this.requestUpdate()
    await this.updateComplete
    this.#scrollToEnd()
  }

  override willUpdate(): void {
    const { timeline, pending, marks } = this.view
    const me = this.client.me ?? 0
    if (!timeline) {
      this.#positioned = false
      this.#rows = []
      this.#messages = []
      this.#elements = []
      this.away = false
      return
    }
    if (!this.#positioned) {
      clearTimeout(this.#newLineTimer)
      this.#newLineTimer = undefined
      this.#newLineAfter = this.#unreadAfter()
      this.#seenSeq = this.#newLineAfter ?? timeline.to
    }
    if (this.#positioned && document.visibilityState !== 'visible') this.#newLineAfter ??= this.#seenSeq
    this.#previousKeys = new Set(this.#rows.map(row => row.key))
    const sent = pending.at(-1)
    if (sent && !this.#previousKeys.has(sent.client_id)) this.#atEnd = true
    this.#rows = rowsOf(timeline, pending, marks, me, this.#newLineAfter)
    this.#messages = this.#rows.filter(row => row.kind === 'message')
    if (!this.#messages.some(row => row.key === this.#focusKey)) this.#focusKey = ''
    this.#anchor = this.#atEnd || !this.#positioned ? null : this.#findAnchor()
  }

  override updated(): void {
    if (this.view.timeline) void this.#restorePosition()
  }

  /** Sets the scroll position once all rows have been rendered, which is before the next paint. */
  async #restorePosition(): Promise<void> {
    const rows = [...this.list.querySelectorAll<ChatMessage>('chat-message')]
    this.#elements = rows
    await Promise.all(rows.filter(row => row.isUpdatePending).map(row => row.updateComplete))
    // In the meantime the skeleton of another room may have replaced the rows.
    if (!this.isConnected || !this.view.timeline || !this.scroller) return
    if (!this.#positioned) {
      this.#positioned = true
      this.#positionFirst()
    } else if (this.#atEnd) {
      this.#scrollToEnd()
      this.room.log.trim()
    } else if (this.#anchor?.element.isConnected) {
      this.scroller.scrollTop += this.#anchor.element.getBoundingClientRect().top - this.#anchor.top
      this.#anchor = null
    }
    this.#updateSeen()
    this.#hideNewLineLater()
  }

  override render() {
    const { timeline, error } = this.view
    if (!timeline) return error ? this.#errorMessage() : skeleton()
    const atStart = timeline.from === 0
    return html`
      <div class="scroll" @scroll=${this.#onScroll} @keydown=${this.#onKeydown} tabindex="-1">
        ${
          atStart
            ? nothing
            : html`<button class="plain older" @click=${() => void this.#loadOlder()}>
                ${this.failed ? `${t('loadFailed')} ${t('tryAgain')}` : t('loadOlder')}
              </button>`
        }
        ${atStart && !this.#tabStopKey() ? this.#empty() : nothing}
        <div role="log" aria-label=${t('timeline')}>
          <div class="rows">${repeat(
            groupByDay(this.#rows),
            day => day[0]!.key,
            day => this.#day(day),
          )}</div>
        </div>
      </div>
      ${this.away ? html`${this.#jumpButton()} ${this.#unsent()}` : nothing}
    `
  }

  /** Renders the rows of one day below a sticky separator. */
  #day(rows: readonly Row[]) {
    const [first] = rows
    const day = first?.kind === 'day' ? formatDay(first.at) : ''
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
        return html`<chat-message data-key=${row.key} tabindex=${row.key === this.#tabStopKey() ? 0 : -1} .row=${row}
          .client=${this.client} .people=${this.view.timeline!.people} .formatted=${this.formatted} exportparts="bubble, own, other" ?fresh=${this.#positioned && this.#atEnd && !this.#previousKeys.has(row.key)}
          .named=${this.view.timeline!.room.room_type !== 'direct'}></chat-message>`
    }
  }

  #system(row: Extract<Row, { kind: 'system' }>) {
    const open = this.expanded.has(row.key)
    const visible = open || row.entries.length <= SYSTEM_ENTRIES_MAX ? row.entries : row.entries.slice(-1)
    const hidden = row.entries.length - visible.length
    return html`<div class="system small" role="listitem">
      ${visible.map(entry => html`<div>${systemText(entry)}</div>`)}
      ${
        hidden > 0
          ? html`<button class="fold" @click=${() => {
              this.expanded = new Set(this.expanded).add(row.key)
            }}>${t('folded', { n: hidden })}</button>`
          : nothing
      }
    </div>`
  }

  #jumpButton() {
    const unseen = this.#messages.filter(row => !row.mine && row.message.seq > this.#seenSeq).length
    const { to, head } = this.view.timeline!
    const count = to === head ? unseen : head - to
    return html`<button class="jump" aria-label=${count ? t('newMessages', { n: count }) : t('toEnd')}
      @click=${() => void this.showEnd()}>
      ${icon('down')}${count ? html`<span class="count">${count}</span>` : nothing}
    </button>`
  }

  /** Renders a button that leads to the failed messages, which are at the end. */
  #unsent() {
    const n = this.view.pending.filter(entry => entry.state === 'failed').length
    if (n === 0) return nothing
    return html`<button class="unsent danger" @click=${() => void this.showEnd()}>${icon('alert')}${t('unsent', { n })}</button>`
  }

  #empty() {
    return html`<div class="empty"><b>${t('emptyRoom')}</b><p class="small">${t('emptyRoomHint')}</p></div>`
  }

  #errorMessage() {
    const { error, gone } = this.view
    return html`<div class="empty" role="status"><b>${t(error?.code === 'offline' ? 'error_offline' : 'loadFailed')}</b>
      ${gone ? nothing : html`<p class="small">${t('retrying')}</p>`}
      <button class="plain" @click=${() => this.room.reload()}>${t('tryAgain')}</button></div>`
  }

  /** Returns the `seq` of the last message before the unread ones, or null if there are none. */
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

  #positionFirst(): void {
    const line = this.list.querySelector<HTMLElement>('.new')
    if (!line) {
      this.#atEnd = true
      this.#scrollToEnd()
      return
    }
    const below = this.list.getBoundingClientRect().bottom - line.getBoundingClientRect().top
    this.#atEnd = below < this.scroller.clientHeight
    if (this.#atEnd) this.#scrollToEnd()
    else {
      this.scroller.scrollTop +=
        line.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - 64
    }
  }

  #scrollToEnd(): void {
    this.scroller?.scrollTo({ top: this.scroller.scrollHeight, behavior: 'instant' })
  }

  #startObserving(): void {
    this.#resizeObserver.observe(this)
  }

  #onScroll = (): void => {
    const { timeline } = this.view
    if (!timeline) return
    const { scrollTop, scrollHeight, clientHeight } = this.scroller
    const rest = scrollHeight - clientHeight - scrollTop
    this.#atEnd = rest < END_PX && timeline.to === timeline.head
    this.away = rest > clientHeight / 2 || timeline.to !== timeline.head
    this.#updateSeen()
    this.#hideNewLineLater()
    if (scrollTop < PREFETCH_PX) void this.#loadOlder()
    if (rest < PREFETCH_PX) void this.#loadNewer()
  }

  /** Marks the visible messages as read while the page is visible. */
  #updateSeen = (): void => {
    const { timeline } = this.view
    if (!timeline || !this.#positioned || document.visibilityState !== 'visible') return
    const viewport = this.scroller?.getBoundingClientRect()
    if (!viewport || viewport.height === 0) return
    const below = firstIndex(this.#elements, one => one.getBoundingClientRect().top + 16 > viewport.bottom)
    const rows = this.#messages.slice(0, below)
    const last = rows.findLast(row => !row.pending)
    if (last) this.#seenSeq = Math.max(this.#seenSeq, last.message.seq)
    const theirs = rows.findLast(row => !row.pending && !row.mine)
    if (theirs) this.room.markRead(theirs.message)
  }

  /** Hides the line "New" a while after everything has been read. */
  #hideNewLineLater(): void {
    if (
      this.#newLineAfter === null ||
      this.#newLineTimer ||
      !this.#atEnd ||
      document.visibilityState !== 'visible'
    )
      return
    this.#newLineTimer = setTimeout(() => {
      this.#newLineTimer = undefined
      this.#newLineAfter = null
      this.requestUpdate()
    }, NEW_LINE_MS)
  }

  async #loadOlder(): Promise<void> {
    if (this.#loading || !this.room.log.hasOlder || !this.#positioned) return
    await this.#load(() => this.room.log.loadOlder())
  }

  async #loadNewer(): Promise<void> {
    const { timeline } = this.view
    if (this.#loading || !timeline || timeline.to === timeline.head) return
    await this.#load(() => this.room.log.loadNewer())
  }

  async #load(action: () => Promise<void>): Promise<void> {
    this.#loading = true
    this.list.parentElement!.setAttribute('aria-busy', 'true')
    try {
      await action()
      this.failed = false
    } catch {
      this.failed = true
    } finally {
      this.#loading = false
      this.list.parentElement?.removeAttribute('aria-busy')
    }
  }

  #findAnchor(): Anchor | null {
    const { top, bottom } = this.scroller.getBoundingClientRect()
    const index = firstIndex(this.#elements, one => one.getBoundingClientRect().top >= top)
    // A message that fills the view has begun above it.
    for (const element of [this.#elements[index], this.#elements[index - 1]]) {
      const at = element?.getBoundingClientRect().top ?? bottom
      if (element && at < bottom) return { element, top: at }
    }
    return null
  }

  #elementOf(key: string): ChatMessage | null {
    return this.list.querySelector(`[data-key="${CSS.escape(key)}"]`)
  }

  /** Returns the row that Tab leads to. */
  #tabStopKey(): string {
    return this.#focusKey || (this.#messages.at(-1)?.key ?? '')
  }

  #onKeydown = (event: KeyboardEvent): void => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
    const from = event.composedPath()[0]
    if (step === undefined || !(from instanceof HTMLElement) || from.localName !== 'chat-message') return
    event.preventDefault()
    const all = this.#elements
    const next = all[Math.max(0, Math.min(all.length - 1, all.indexOf(from as ChatMessage) + step))]
    if (!next) return
    this.#focusKey = next.dataset['key'] ?? ''
    next.focus({ preventScroll: true })
    next.scrollIntoView({ block: 'nearest' })
    this.requestUpdate()
  }
}

/** Returns by binary search the first index from which on `predicate` holds, or the length if it never does. */
function firstIndex<T>(all: readonly T[], predicate: (one: T) => boolean): number {
  let [low, high] = [0, all.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (predicate(all[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}

/** Splits the rows at the beginning of each day. */
function groupByDay(rows: readonly Row[]): Row[][] {
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
    // A replayed event has the room as it is now, so what has been changed is not known.
    return t('changedLine')
  }
  return t(entry.kind, { name: nameOf(entry.participant.user) })
}

function skeleton() {
  const widths = [52, 34, 61, 45]
  return html`<div class="skeleton" aria-busy="true" aria-label=${t('loading')} role="status">
    ${widths.map((width, index) => html`<i class=${index % 3 === 2 ? 'mine' : ''} .style=${`width: ${width}%`}></i>`)}
  </div>`
}
