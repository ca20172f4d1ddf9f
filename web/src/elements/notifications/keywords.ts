/** The user's keywords. Each change is saved at once. */
import { css, html, LitElement, nothing } from 'lit'
import { KEYWORD_CHARS_MAX, KEYWORDS_MAX, withKeyword } from '../../client/notification-settings.ts'
import { property, query, state } from '../shared/decorators.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import type { Save } from './settings.ts'
import { settingsStyle } from './settings-style.ts'

export class ChatKeywords extends LitElement {
  static override styles = [
    base,
    settingsStyle,
    css`
      :host {
        display: block;
        padding: 8px 0;
      }
      ul {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
        padding: 8px 0;
      }
      li {
        display: flex;
        align-items: center;
        min-width: 0;
        padding-inline-start: 12px;
        border-radius: 18px;
        background: var(--_mine);
      }
      li .icon {
        width: 36px;
        height: 36px;
      }
      li svg {
        width: 16px;
        height: 16px;
      }
      form {
        display: flex;
        align-items: center;
        gap: 8px;
        padding-top: 4px;
      }
      @media (pointer: coarse) {
        li .icon {
          width: 44px;
          height: 44px;
        }
      }
    `,
  ]

  @property({ attribute: false }) keywords: readonly string[] = []
  @property({ attribute: false }) save!: Save
  @state() private error = ''
  @query('input') private input!: HTMLInputElement | null

  override render() {
    const { keywords } = this
    return html`<div>${t('keywords')}</div><div class="small" id="hint">${t('keywordsHint')}</div>
      <ul ?hidden=${keywords.length === 0}>${keywords.map(
        word => html`<li><span class="cut" dir="auto">${word}</span><button class="icon" aria-label=${t('removeKeyword', { word })}
          @click=${() => this.#remove(word)}>${icon('close')}</button></li>`,
      )}</ul>
      ${
        keywords.length < KEYWORDS_MAX
          ? html`<form @submit=${this.#onSubmit}><input aria-label=${t('keyword')} aria-describedby="hint" placeholder=${t('keyword')}
              maxlength=${KEYWORD_CHARS_MAX} autocomplete="off" autocapitalize="none" dir="auto" />
              <button class="plain">${t('addKeyword')}</button></form>`
          : html`<p class="small" role="status">${t('keywordsFull', { n: KEYWORDS_MAX })}</p>`
      }
      ${this.error ? html`<p class="danger small error" role="alert">${this.error}</p>` : nothing}`
  }

  #onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault()
    const input = this.input!
    if (!input.value.trim()) return
    const keywords = withKeyword(this.keywords, input.value)
    this.error = keywords ? await this.save({ keywords: [...keywords] }) : t('keywordKnown')
    if (!this.error) input.value = ''
  }

  async #remove(word: string): Promise<void> {
    this.error = await this.save({ keywords: this.keywords.filter(one => one !== word) })
    await this.updateComplete
    this.input?.focus()
  }
}
