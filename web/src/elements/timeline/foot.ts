/** What lies below the bubble of a message: its further files, its reactions, its thread, why it was not sent, and who has read it. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { OutboxEntry } from '../../client/outbox.ts'
import { threadsOf } from '../../client/thread-list.ts'
import type { Participant } from '../../client/wire.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { codeText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { hasLink, hasThread, type MessageRow } from './rows.ts'

/** Number of readers shown as avatars; the others are counted. */
const READERS_MAX = 5

export class ChatFoot extends LitElement {
  static override styles = [
    base,
    badgeStyle,
    css`
      chat-reactions {
        display: block;
        height: 34px;
        padding-top: 4px;
      }
      .named {
        padding-inline-start: 40px;
      }
      .thread {
        display: flex;
        align-items: center;
        gap: 8px;
        width: fit-content;
        max-width: 100%;
        height: 28px;
        margin-top: 4px;
        padding: 0 8px;
        border-radius: 14px;
        font-size: 13px;
      }
      :host([mine]) .thread {
        margin-inline-start: auto;
      }
      .thread.named {
        margin-inline-start: 32px;
      }
      .thread:hover {
        background: var(--_hover);
      }
      .thread b {
        font-weight: 600;
        color: var(--_accent);
      }
      .thread svg {
        flex: none;
        width: 18px;
        height: 18px;
        color: var(--_accent);
      }
      @media (pointer: coarse) {
        .thread {
          height: 44px;
          margin-block: -4px -8px;
        }
      }
      .fail {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: flex-end;
        font-size: 13px;
        color: var(--_danger);
        margin-top: 2px;
      }
      .fail svg {
        width: 16px;
        height: 16px;
        margin-inline-end: 4px;
      }
      .readers {
        display: flex;
        justify-content: flex-end;
        align-items: center;
        gap: 2px;
        padding-top: 4px;
      }
      .readers chat-avatar {
        width: 20px;
        --size: 20px;
      }
      @container (max-width: 360px) {
        .named {
          padding-inline-start: 0;
        }
        .thread.named {
          margin-inline-start: 0;
          padding-inline-start: 8px;
        }
      }
    `,
  ]

  @property({ attribute: false }) row!: MessageRow
  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) people: ReadonlyMap<number, Participant> = new Map()
  /** The bubble is beside an avatar, or the space for one. */
  @property({ attribute: false }) named = false

  constructor() {
    super()
    new ChangeController(this, () => [
      this.row && hasThread(this.row.message) ? threadsOf(this.client) : null,
    ])
  }

  override willUpdate(): void {
    this.toggleAttribute('mine', this.row.mine)
  }

  override render() {
    const { message, mine, pending, readers } = this.row
    if (message.attachments?.[1]) void import('../define-files.ts')
    return html`${
      message.attachments?.[1]
        ? html`<chat-more-files class=${mine ? 'mine' : this.named ? 'named' : ''} .row=${this.row}
            .client=${this.client}></chat-more-files>`
        : nothing
    }${
      hasLink(this.row)
        ? html`<chat-link-previews class=${this.named && !mine ? 'named' : ''} ?mine=${mine} .message=${message}
            .client=${this.client}></chat-link-previews>`
        : nothing
    }${
      message.reactions?.length
        ? html`<chat-reactions class=${this.named && !mine ? 'named' : ''} ?mine=${mine} .message=${message}
            .client=${this.client} .people=${this.people}></chat-reactions>`
        : nothing
    }${hasThread(message) ? this.#thread() : nothing}${pending?.state === 'failed' ? this.#failure(pending) : nothing}${readers ? this.#readers(readers) : nothing}`
  }

  /** Renders the button that opens the thread of which the message is the root or a reply. */
  #thread() {
    const { message, mine } = this.row
    const { root_id, replies, last_reply_at } = message.thread!
    const isReply = root_id !== message.id
    const unread = isReply ? 0 : threadsOf(this.client).unreadOf(root_id)
    const text = isReply ? t('inThread') : replies === 1 ? t('replies1') : t('replies', { n: replies })
    return html`<button class="thread ${this.named && !mine ? 'named' : ''}" tabindex="-1"
      @click=${() => emit(this, 'chat-aside', { thread: root_id })}>${icon('thread')}<b class="cut">${text}</b>${
        isReply || !last_reply_at
          ? nothing
          : html`<time class="small" datetime=${last_reply_at}>${formatShortDate(last_reply_at)}</time>`
      }${
        unread > 0
          ? html`<span class="count"><span class="unseen">${t('unreadReplies', { n: unread })}</span><span aria-hidden="true">${unread}</span></span>`
          : nothing
      }</button>`
  }

  #failure(pending: OutboxEntry) {
    return html`<div class="fail" role="alert">${icon('alert')}${t('notSent')} ${codeText(pending.code ?? '')}
      <button class="plain" @click=${() => emit(this, 'chat-retry', pending)}>${t('tryAgain')}</button>
      <button class="plain danger" @click=${() => emit(this, 'chat-discard', pending)}>${t('discard')}</button>
    </div>`
  }

  #readers(readers: string) {
    const ids = readers.split(' ').map(Number)
    const name = (id: number) => this.people.get(id)?.user.full_name ?? ''
    const names = ids.map(name).filter(Boolean).join(', ')
    return html`<div class="readers small" title=${t('readBy', { names })}>
      <span class="unseen">${t('readBy', { names })}</span>
      ${ids
        .slice(0, READERS_MAX)
        .map(id => html`<chat-avatar .name=${name(id)} .key=${String(id)} brief></chat-avatar>`)}
      ${ids.length > READERS_MAX ? `+${ids.length - READERS_MAX}` : nothing}
    </div>`
  }
}
