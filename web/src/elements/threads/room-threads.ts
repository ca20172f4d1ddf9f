/** The threads of one room that the user takes part in, in the sidebar. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { threadsOf } from '../../client/thread-list.ts'
import { badgeStyle } from '../shared/badge.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { threadItemStyle, threadItems } from './thread-items.ts'

export class ChatRoomThreads extends LitElement {
  static override styles = [
    base,
    badgeStyle,
    threadItemStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
      }
      header {
        display: flex;
        align-items: center;
        gap: 4px;
        min-height: 56px;
        padding: env(safe-area-inset-top) 8px 0 16px;
        border-bottom: 1px solid var(--_line);
      }
      h2 {
        flex: 1;
        font-weight: 600;
      }
      .list {
        flex: 1;
        overflow: auto;
        padding: 8px;
      }
      .none {
        padding: 24px;
        text-align: center;
        text-wrap: balance;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property() roomId = ''

  constructor() {
    super()
    new ChangeController(this, () => [this.client && threadsOf(this.client)])
  }

  override firstUpdated(): void {
    this.renderRoot.querySelector<HTMLElement>('button')?.focus()
  }

  override render() {
    const { threads, loaded, error } = threadsOf(this.client)
    const shown = threads.filter(({ root }) => root.room === this.roomId)
    return html`<header><h2>${t('threads')}</h2>
        <button class="icon" aria-label=${t('close')} @click=${() => emit(this, 'chat-close', null)}>${icon('close')}</button>
      </header>
      <div class="list">
        ${error ? html`<p class="none danger" role="alert">${errorText(error)}</p>` : nothing}
        ${loaded || error ? nothing : html`<p class="none small" role="status">${t('loading')}</p>`}
        ${loaded && shown.length === 0 ? html`<p class="none small">${t('noThreads')}</p>` : nothing}
        ${threadItems(shown, ({ root }) => emit(this, 'chat-aside', { thread: root.id }))}
      </div>`
  }
}
