/** The threads that the user takes part in, of all rooms, the latest reply first. */
import { html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { threadsOf } from '../../client/thread-list.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { windowStyle } from '../shared/window-style.ts'
import { threadItemStyle, threadItems } from './thread-items.ts'

export class ChatThreads extends LitElement {
  static override styles = [base, badgeStyle, windowStyle, threadItemStyle]

  @property({ attribute: false }) client!: Client

  constructor() {
    super()
    new ChangeController(this, () => [this.client && threadsOf(this.client)])
  }

  override render() {
    const { threads, loaded, error } = threadsOf(this.client)
    return html`<chat-sheet .label=${t('threads')}><div class="frame">
      <h2>${t('threads')}</h2>
      ${error ? html`<p class="danger none" role="alert">${errorText(error)}</p>` : nothing}
      ${loaded || error ? nothing : html`<p class="none small" role="status">${t('loading')}</p>`}
      ${loaded && threads.length === 0 ? html`<p class="none small">${t('noThreads')}</p>` : nothing}
      <div class="scroll">${threadItems(
        threads,
        ({ root }) => emit(this, 'chat-open-room', { id: root.room, seq: root.seq, thread: root.id }),
        ({ root }) => this.#title(root.room),
      )}</div>
    </div></chat-sheet>`
  }

  #title(room: string): string {
    const title = this.client.inbox.rooms.find(one => one.id === room)?.display_name
    return title ? ` · ${title}` : ''
  }
}
