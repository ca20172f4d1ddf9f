/** The messages of a thread: its root, and the replies below it. It stays at the end while that is in view. */
import { css, html, LitElement, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Client } from '../../client/client.ts'
import type { Timeline } from '../../client/timeline.ts'
import { property, query, state } from '../shared/decorators.ts'
import { formatDay } from '../shared/format.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { loadFormatter } from '../text/formatter.ts'
import type { MessageRow, Row } from '../timeline/rows.ts'

/** Maximum distance from the end that counts as being at the end. */
const END_PX = 48

export class ChatThreadRows extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        flex: 1;
        min-height: 0;
        overflow: auto;
        overscroll-behavior: contain;
        padding: 8px 0;
        scrollbar-width: thin;
        scrollbar-color: var(--_line) transparent;
        container-type: inline-size;
      }
      .divider {
        display: flex;
        align-items: center;
        gap: 12px;
        padding: 16px 12px 0;
      }
      .divider::after {
        content: '';
        flex: 1;
        border-top: 1px solid var(--_line);
      }
      .day {
        padding-top: 12px;
        text-align: center;
      }
      .gone {
        padding: 8px 16px;
      }
      .older {
        display: block;
        margin: auto;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) timeline!: Timeline
  @property({ attribute: false }) rows: readonly Row[] = []
  @property() rootId = ''
  @property({ attribute: false }) hasOlder = false
  /** Loads older replies. */
  @property({ attribute: false }) onOlder: () => void = () => {}
  @state() private formatted = false
  @query('.all') private all!: HTMLElement
  #atEnd = true
  #focusKey = ''
  #resizeObserver = new ResizeObserver(() => {
    if (this.#atEnd) this.scrollTop = this.scrollHeight
  })

  constructor() {
    super()
    this.addEventListener('scroll', () => {
      this.#atEnd = this.scrollHeight - this.clientHeight - this.scrollTop < END_PX
    })
    this.addEventListener('keydown', this.#onKeydown)
  }

  override connectedCallback(): void {
    super.connectedCallback()
    void loadFormatter().then(() => {
      this.formatted = true
    })
  }

  override firstUpdated(): void {
    this.#resizeObserver.observe(this)
    this.#resizeObserver.observe(this.all)
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resizeObserver.disconnect()
  }

  /** Scrolls to the newest reply. */
  showEnd(): void {
    this.#atEnd = true
    this.scrollTop = this.scrollHeight
  }

  /** Scrolls to a message and highlights it, if it is shown. */
  show(id: string): void {
    const row = this.rows.find(one => one.kind === 'message' && one.message.id === id)
    const element = row && this.renderRoot.querySelector<HTMLElement>(`[data-key="${CSS.escape(row.key)}"]`)
    if (!element) return
    element.scrollIntoView({ block: 'nearest' })
    element.toggleAttribute('marked', false)
    void element.offsetWidth
    element.toggleAttribute('marked', true)
  }

  override render() {
    const isRoot = (row: Row): row is MessageRow => row.kind === 'message' && row.message.id === this.rootId
    const root = this.rows.find(isRoot)
    const replies = this.rows.filter(row => row.kind === 'message' && !isRoot(row)).length
    return html`<div class="all" role="log" aria-label=${t('thread')}>
      <div role="list">${root ? this.#message(root) : html`<p class="gone small" role="listitem">${t('rootGone')}</p>`}</div>
      <div class="divider small">${replies === 0 ? t('noReplies') : replies === 1 ? t('replies1') : t('replies', { n: replies })}</div>
      ${this.hasOlder ? html`<button class="plain older" @click=${this.onOlder}>${t('olderReplies')}</button>` : nothing}
      <div role="list" ?hidden=${replies === 0}>${repeat(
        this.rows.filter(row => !isRoot(row)),
        row => row.key,
        row => this.#row(row),
      )}</div></div>`
  }

  #row(row: Row) {
    if (row.kind === 'message') return this.#message(row)
    return row.kind === 'day' && row !== this.rows[0]
      ? html`<div class="day small" role="listitem">${formatDay(row.at)}</div>`
      : nothing
  }

  #message(row: MessageRow) {
    return html`<chat-message data-key=${row.key} tabindex=${row.key === this.#tabStopKey() ? 0 : -1} .row=${row}
      .client=${this.client} .people=${this.timeline.people} .formatted=${this.formatted}
      exportparts="bubble, own, other" named></chat-message>`
  }

  /** Returns the row that Tab leads to. */
  #tabStopKey(): string {
    const messages = this.rows.filter(row => row.kind === 'message')
    const focused = messages.find(row => row.key === this.#focusKey)
    return (focused ?? messages.at(-1))?.key ?? ''
  }

  #onKeydown = (event: KeyboardEvent): void => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
    const from = event.composedPath()[0]
    if (step === undefined || !(from instanceof HTMLElement) || from.localName !== 'chat-message') return
    event.preventDefault()
    const all = [...this.renderRoot.querySelectorAll<HTMLElement>('chat-message')]
    const next = all[Math.max(0, Math.min(all.length - 1, all.indexOf(from) + step))]
    this.#focusKey = next?.dataset['key'] ?? ''
    next?.focus({ preventScroll: true })
    next?.scrollIntoView({ block: 'nearest' })
    this.requestUpdate()
  }
}
