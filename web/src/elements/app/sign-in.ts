/** The form for signing in to a built-in account. */
import { css, html, LitElement, nothing } from 'lit'
import { signIn } from '../../client/accounts.ts'
import { ChatError } from '../../client/errors.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

export class ChatSignIn extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: grid;
        place-items: center;
        height: 100%;
        padding: 24px;
        overflow: auto;
        background: var(--_surface-2);
      }
      form {
        display: grid;
        gap: 16px;
        width: 100%;
        max-width: 360px;
        padding: 32px 24px 24px;
        border-radius: 16px;
        background: var(--_surface);
        box-shadow: 0 0 0 1px var(--_line);
      }
      .mark {
        display: grid;
        place-items: center;
        width: 56px;
        height: 56px;
        border-radius: 16px;
        background: var(--_accent);
        color: var(--_on-accent);
      }
      .mark svg {
        width: 30px;
        height: 30px;
      }
      h1 {
        font-size: 20px;
        font-weight: 600;
      }
      label {
        display: grid;
        gap: 4px;
        font-size: 13px;
        color: var(--_text-2);
      }
      input {
        min-height: 44px;
        font-size: var(--_size);
        color: var(--_text);
      }
    `,
  ]

  @property() server = ''
  @state() private busy = false
  @state() private error = ''

  /** Focuses the form unless the page around it has focused something else. */
  override firstUpdated(): void {
    if (document.activeElement === document.body) this.#field('username').focus()
  }

  #field(name: string): HTMLInputElement {
    return this.renderRoot.querySelector(`[name=${name}]`)!
  }

  override render() {
    return html`<form @submit=${this.#onSubmit}>
      <div class="mark">${icon('property')}</div>
      <div><h1>${t('signInTitle')}</h1><p class="small">${t('signInHint')}</p></div>
      <label>${t('username')}<input name="username" autocomplete="username" autocapitalize="none" spellcheck="false" required /></label>
      <label>${t('password')}<input name="password" type="password" autocomplete="current-password" required /></label>
      ${this.error ? html`<div class="danger" role="alert">${this.error}</div>` : nothing}
      <button class="solid" ?disabled=${this.busy}>${t('signIn')}</button>
    </form>`
  }

  #onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    const fields = new FormData(event.target as HTMLFormElement)
    this.busy = true
    this.error = ''
    try {
      const name = String(fields.get('username')).trim()
      emit(this, 'chat-signed-in', await signIn(this.server, name, String(fields.get('password'))))
    } catch (cause) {
      const { status } = cause instanceof ChatError ? cause : { status: 0 }
      this.error = status === 401 ? t('badSignIn') : status === 429 ? t('tooMany') : t('error_offline')
      if (status === 401) this.#field('password').select()
    } finally {
      this.busy = false
    }
  }
}
