/** The menu that has the text that is being written sent later. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { schedule } from '../../client/later.ts'
import { personalOf } from '../../client/personal.ts'
import { drafts } from '../composer/drafts.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { menuStyle } from '../shared/menu.ts'
import { mayMentionRoom } from '../shared/permissions.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { mentionsIn } from '../text/mentions.ts'

export class ChatLater extends LitElement {
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
      .menu span {
        flex: 1;
      }
      .list {
        margin-top: 4px;
        padding-top: 4px;
        border-top: 1px solid var(--_line);
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property() roomId = ''
  /** The position of the button that opened the menu. */
  @property({ attribute: false }) button!: DOMRect
  @state() private error = ''
  /** The same for each attempt, so that the message is stored once. */
  #client_id = crypto.randomUUID()

  constructor() {
    super()
    new ChangeController(this, () => [this.client && personalOf(this.client)])
  }

  override render() {
    const { left, right, top: y } = this.button
    const before = left > innerWidth / 2
    const hasText = drafts.text(this.#draftKey).trim() !== ''
    const hasFiles = drafts.files(this.#draftKey).length > 0
    return html`<chat-sheet .label=${t('sendLater')} .anchor=${{ x: before ? right : left, y, above: true, before }}>
      <h2>${t('sendLater')}</h2>
      ${this.error ? html`<p class="danger" role="alert">${this.error}</p>` : nothing}
      ${
        hasFiles
          ? html`<p class="small">${t('noFilesLater')}</p>`
          : hasText
            ? html`${this.#hasMentions ? html`<p class="small">${t('noMentionsLater')}</p>` : nothing}
                <chat-when .label=${t('sendLater')} .onChoose=${this.#schedule}></chat-when>`
            : html`<p class="small">${t('writeFirst')}</p>`
      }
      ${this.#listButton()}
    </chat-sheet>`
  }

  #listButton() {
    const n = personalOf(this.client).lists.scheduled.length
    if (n === 0) return nothing
    return html`<div class="menu list"><button @click=${(event: Event) =>
      emit(event.currentTarget!, 'chat-overlay', {
        kind: 'scheduled',
      })}>${icon('alarm')}<span>${t('scheduled')}</span>
      <span class="small">${n}</span></button></div>`
  }

  get #draftKey(): string {
    return `${this.client.me} ${this.roomId}`
  }

  get #hasMentions(): boolean {
    const { view } = this.client.room(this.roomId)
    const people = [...(view.timeline?.people.values() ?? [])].map(({ user }) => user)
    const isForAll = mayMentionRoom(view, this.client.me)
    const { mentions, mention_room } = mentionsIn(drafts.text(this.#draftKey), people, isForAll)
    return mention_room || mentions.length > 0
  }

  #schedule = async (at: Date): Promise<void> => {
    const key = this.#draftKey
    const content = drafts.text(key).trim()
    const reply_to = drafts.reply(key)?.id ?? null
    this.error = ''
    try {
      await schedule(this.client, { room: this.roomId, content, reply_to, client_id: this.#client_id }, at)
    } catch (cause) {
      this.error = errorText(cause)
      return
    }
    drafts.setText(key, '')
    drafts.setReply(key, null)
    // The composer shows what it is told of.
    drafts.dispatchEvent(new CustomEvent('elsewhere', { detail: key }))
    emit(this.renderRoot.querySelector('chat-sheet')!, 'chat-overlay', { kind: 'scheduled' })
  }
}
