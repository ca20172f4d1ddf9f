/** The message input: a growing text field, files, emoji, and the message that is edited or replied to. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Message } from '../../client/wire.ts'
import { property, query, state } from '../shared/decorators.ts'
import { type ChatEvent, emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { isTouchDevice } from '../shared/pointer.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'
import { drafts } from './drafts.ts'

/** The server's limit, in code points. */
const LENGTH_MAX = 4_000

export class ChatComposer extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        padding: 8px 12px calc(8px + env(safe-area-inset-bottom));
        background: var(--_surface);
        border-top: 1px solid var(--_line);
      }
      form {
        display: flex;
        align-items: flex-end;
        gap: 4px;
        margin: 0;
      }
      textarea {
        flex: 1;
        min-width: 0;
        resize: none;
        max-height: 40vh;
        height: 40px;
        padding: 9px 14px;
        border-radius: 20px;
        line-height: 20px;
        overflow-y: auto;
        scrollbar-width: thin;
      }
      textarea:focus-visible {
        border-color: color-mix(in srgb, var(--_accent) 50%, var(--_surface-2));
        outline-color: transparent;
      }
      .send,
      .send:hover {
        border: 1px solid transparent;
        background: var(--_accent);
        color: var(--_on-accent);
      }
      .send svg {
        width: 20px;
        height: 20px;
      }
      .about {
        display: flex;
        align-items: center;
        gap: 8px;
        padding: 0 0 8px 8px;
      }
      .about > svg {
        flex: none;
        color: var(--_accent);
      }
      .about > div {
        flex: 1;
        min-width: 0;
        font-size: 13px;
      }
      .about b {
        display: block;
        font-weight: 600;
        color: var(--_accent);
      }
      input[type='file'] {
        display: none;
      }
      @media (pointer: coarse) {
        textarea {
          height: 44px;
          padding-block: 11px;
          border-radius: 22px;
        }
        .smile {
          display: none;
        }
      }
    `,
  ]

  /** Identifies the draft: one per user and room. */
  @property() draftKey = ''
  @property({ attribute: false }) replyTo: Message | null = null
  @property({ attribute: false }) editing: Message | null = null
  /** Nothing can be sent at the moment; messages can be edited. */
  @property({ type: Boolean }) paused = false
  @state() private files: readonly File[] = []
  @state() private excess = 0
  @state() private empty = true
  @query('textarea') private area!: HTMLTextAreaElement
  @query('#any') private fileInput!: HTMLInputElement
  #resizeObserver = new ResizeObserver(() => this.#measure())

  override connectedCallback(): void {
    super.connectedCallback()
    this.#resizeObserver.observe(this)
    drafts.addEventListener('elsewhere', this.#onElsewhere)
  }

  override focus(): void {
    this.area?.focus()
  }

  /** Adds files to the message. */
  attach(files: Iterable<File>): void {
    this.#setFiles([...this.files, ...files])
    void import('../define-lazy.ts')
    this.focus()
  }

  /** Inserts `text` at the cursor. */
  insert(text: string): void {
    this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, 'end')
    this.#onInput()
    this.focus()
  }

  /** Opens the file dialog for `types`. The prefix "camera" takes a new photo instead. */
  choose(types = ''): void {
    this.fileInput.accept = types.replace('camera ', '')
    this.fileInput.toggleAttribute('capture', types !== this.fileInput.accept)
    this.fileInput.click()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resizeObserver.disconnect()
    drafts.removeEventListener('elsewhere', this.#onElsewhere)
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('draftKey')) {
      this.files = drafts.files(this.draftKey)
      this.#setText(this.editing?.content ?? drafts.text(this.draftKey))
    }
    if (changed.has('editing') && (this.editing || changed.get('editing'))) {
      this.#setText(this.editing?.content ?? drafts.text(this.draftKey))
      if (this.editing) this.focus()
    }
    if (changed.has('replyTo') && this.replyTo) this.focus()
  }

  override render() {
    const label = this.editing ? t('save') : t('send')
    return html`
      ${this.#context()} ${this.#attachments()}
      ${
        this.excess > 0
          ? html`<chat-too-long .area=${this.area} .max=${LENGTH_MAX} .excess=${this.excess} ?editing=${Boolean(this.editing)}
              @chat-parts=${this.#onParts}></chat-too-long>`
          : nothing
      }
      <form @submit=${this.#onSubmit}>
        <button type="button" class="icon" aria-label=${t('attach')} ?hidden=${Boolean(this.editing)}
          @click=${(event: Event) => this.#openPicker(event, 'attach')}>${icon('attach')}</button>
        <textarea rows="1" dir="auto" placeholder=${t('write')} aria-label=${t('write')} enterkeyhint=${isTouchDevice() ? 'enter' : 'send'}
          @input=${this.#onInput} @keydown=${this.#onKeydown} @paste=${this.#onPaste}></textarea>
        <button type="button" class="icon smile" aria-label=${t('emoji')}
          @click=${(event: Event) => this.#openPicker(event, 'emoji')}>${icon('smile')}</button>
        <button class="icon send" aria-label=${label} ?disabled=${!this.#ready} @pointerdown=${keepFocus}
          @contextmenu=${(event: Event) => this.#openPicker(event, 'later')}>${icon(this.editing ? 'check' : 'send')}</button>
        <input id="any" type="file" multiple tabindex="-1" aria-hidden="true" @change=${this.#onFilesChosen} />
      </form>
    `
  }

  get #ready(): boolean {
    if (this.editing) return !this.empty && this.excess <= 0
    return !this.paused && (!this.empty || this.files.length > 0) && this.excess <= 0
  }

  #context() {
    const message = this.editing ?? this.replyTo
    if (!message) return nothing
    const name = nameOf(message.sender)
    return html`<div class="about">${icon(this.editing ? 'edit' : 'reply')}
      <div><b class="cut">${this.editing ? t('editing') : t('replyTo', { name })}</b>
      <div class="cut">${plainText(message.content) || message.attachment_name}</div></div>
      <button class="icon" aria-label=${t('cancel')} @click=${() => emit(this, 'chat-cancel', null)}>${icon('close')}</button>
    </div>`
  }

  #attachments() {
    if (this.files.length === 0) return nothing
    return html`<chat-attachments .files=${this.files} .onRemove=${(file: File) => {
      this.#setFiles(this.files.filter(one => one !== file))
    }}></chat-attachments>`
  }

  /** Opens a picker, or the times at which the message can be sent later. */
  #openPicker(event: Event, kind: 'attach' | 'emoji' | 'later'): void {
    event.preventDefault()
    emit(this, 'chat-overlay', { kind, button: (event.currentTarget as Element).getBoundingClientRect() })
  }

  #onInput = (): void => {
    const { value } = this.area
    this.#measure()
    if (this.editing) return
    emit(this, 'chat-typing', { typing: value.trim() !== '' })
    drafts.setText(this.draftKey, value)
  }

  /** Another tab or device has changed or sent the draft. */
  #onElsewhere = (): void => {
    const text = drafts.text(this.draftKey)
    this.files = drafts.files(this.draftKey)
    if (!this.editing && text !== this.area.value) this.#setText(text)
  }

  #setFiles(files: readonly File[]): void {
    this.files = files
    drafts.setFiles(this.draftKey, files)
  }

  #measure(): void {
    const { value } = this.area
    this.empty = value.trim() === ''
    this.excess = value.length > LENGTH_MAX ? [...value.trim()].length - LENGTH_MAX : 0
    if (this.excess > 0) void import('../define-composing.ts')
    this.area.style.height = ''
    const { scrollHeight, clientHeight } = this.area
    if (value && scrollHeight > clientHeight + 2) this.area.style.height = `${scrollHeight + 2}px`
  }

  #setText(text: string): void {
    this.area.value = text
    this.#measure()
  }

  #onKeydown = (event: KeyboardEvent): void => {
    if (event.isComposing) return
    if (event.key === 'Enter' && !event.shiftKey && !isTouchDevice()) {
      event.preventDefault()
      this.#send()
    } else if (event.key === 'ArrowUp' && this.area.value === '') {
      event.preventDefault()
      emit(this, 'chat-edit-last', null)
    } else if (event.key === 'Escape' && (this.editing || this.replyTo)) {
      event.stopPropagation()
      emit(this, 'chat-cancel', null)
    }
  }

  #onPaste = (event: ClipboardEvent): void => {
    const files = [...(event.clipboardData?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    this.attach(files)
  }

  #onFilesChosen = (): void => {
    this.attach(this.fileInput.files ?? [])
    this.fileInput.value = ''
  }

  #onSubmit = (event: Event): void => {
    event.preventDefault()
    this.#send()
  }

  #send(): void {
    if (!this.#ready) return
    const text = this.area.value.trim()
    // The files of the draft wait until the edit has been saved.
    const files = this.editing ? [] : [...this.files]
    if (!this.editing) this.#setFiles([])
    this.#clear()
    emit(this, 'chat-send', { text, files })
    this.focus()
  }

  #clear(): void {
    if (!this.editing) drafts.setText(this.draftKey, '')
    this.#setText('')
  }

  /** A text that is too long is sent as several, or attached as a file. */
  #onParts = (event: ChatEvent<'chat-parts'>): void => {
    const { texts, files } = event.detail
    this.#clear()
    for (const text of texts) emit(this, 'chat-send', { text, files: [] })
    this.attach(files)
  }
}

/** Keeps the focus in the text field, so that a phone's keyboard stays open. */
function keepFocus(event: Event): void {
  event.preventDefault()
}
