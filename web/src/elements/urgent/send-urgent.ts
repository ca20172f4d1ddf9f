/** The menu that sends what is being written as an urgent message. */
import { css, html, LitElement } from 'lit'
import type { Client } from '../../client/client.ts'
import type { RoomView } from '../../client/room.ts'
import { drafts } from '../composer/drafts.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { menuItem, menuKeys, menuStyle } from '../shared/menu.ts'
import { mayMentionRoom } from '../shared/permissions.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { mentionsIn } from '../text/mentions.ts'

/** The server's limit, in code points. */
const LENGTH_MAX = 4_000
const DAY_MS = 24 * 3_600_000

export class ChatSendUrgent extends LitElement {
  static override styles = [
    base,
    menuStyle,
    css`
      h2 {
        padding: 8px 12px;
        font-weight: 600;
      }
      p {
        max-width: 320px;
        padding: 0 12px 8px;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) view!: RoomView
  /** The position of the button that opened the menu. */
  @property({ attribute: false }) button!: DOMRect
  @state() private error = ''

  override render() {
    const { left, right, top: y } = this.button
    const before = left > innerWidth / 2
    const problem = this.error || this.#problem
    return html`<chat-sheet .label=${t('sendUrgent')} .anchor=${{ x: before ? right : left, y, above: true, before }}>
      <h2>${t('sendUrgent')}</h2>
      <p class="small">${t('urgentMeans')}</p>
      ${
        problem
          ? html`<p class=${this.error ? 'danger' : 'small'} role="alert">${problem}</p>`
          : html`<div class="menu" role="menu" aria-label=${t('sendUrgent')} @keydown=${menuKeys}>
              ${menuItem('urgentHour', 'alert', () => this.#send())}
              ${menuItem('urgentDay', 'alarm', () => this.#send(new Date(Date.now() + DAY_MS)))}
            </div>`
      }
    </chat-sheet>`
  }

  get #roomId(): string {
    return this.view.timeline?.roomId ?? ''
  }

  get #draftKey(): string {
    return `${this.client.me} ${this.#roomId}`
  }

  /** Why what is written can't be sent. */
  get #problem(): string {
    const key = this.#draftKey
    const text = drafts.text(key).trim()
    if (text === '' && drafts.files(key).length === 0) return t('urgentWriteFirst')
    return [...text].length > LENGTH_MAX ? t('urgentTooLong') : ''
  }

  /** Sends the text and the first file as urgent, and what else is attached behind it. */
  #send(ackBy?: Date): void {
    const { client, view } = this
    const key = this.#draftKey
    const content = drafts.text(key).trim()
    const replied = drafts.reply(key)
    const [file = null, ...files] = drafts.files(key)
    const people = [...(view.timeline?.people.values() ?? [])].map(({ user }) => user)
    const mentions = content.includes('@')
      ? mentionsIn(content, people, mayMentionRoom(view, client.me))
      : undefined
    const message = { room_id: this.#roomId, content: '', reply_to: null, at_ms: Date.now() }
    const reply_to = replied && {
      id: replied.id,
      sender: replied.sender,
      content: replied.content,
      created_at: replied.created_at,
    }
    const extras = { urgent: ackBy ? { ack_by: ackBy.toISOString() } : {} }
    try {
      client.outbox.add({
        ...message,
        client_id: crypto.randomUUID(),
        content,
        reply_to,
        file,
        mentions,
        extras,
      })
      for (const more of files) client.outbox.add({ ...message, client_id: crypto.randomUUID(), file: more })
    } catch (cause) {
      this.error = errorText(cause)
      return
    }
    drafts.setText(key, '')
    drafts.setReply(key, null)
    drafts.setFiles(key, [])
    // The composer shows what it is told of.
    drafts.dispatchEvent(new CustomEvent('elsewhere', { detail: key }))
    emit(this, 'message-sent', { room: this.#roomId, text: content })
    emit(this.renderRoot.querySelector('chat-sheet')!, 'chat-close', null)
  }
}
