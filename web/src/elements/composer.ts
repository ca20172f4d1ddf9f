/** Where one writes: text that grows, files, emoji, an answer or an edit under way. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Message } from '../client/wire.ts'
import { drafts } from './drafts.ts'
import { emit } from './events.ts'
import { icon } from './icons.ts'
import { property, query, state } from './reactive.ts'
import { t } from './texts.ts'
import { base } from './theme.ts'

/** What the server takes, in code points. */
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
      .over {
        padding: 0 8px 4px;
        font-size: 13px;
        color: var(--_danger);
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

  /** Where drafts are kept apart: one person's one room. */
  @property() place = ''
  @property({ attribute: false }) replyTo: Message | null = null
  @property({ attribute: false }) editing: Message | null = null
  @state() private files: readonly File[] = []
  @state() private over = 0
  @state() private empty = true
  @query('textarea') private area!: HTMLTextAreaElement
  @query('#any') private anyFile!: HTMLInputElement
  #resized = new ResizeObserver(() => this.#measure())

  override connectedCallback(): void {
    super.connectedCallback()
    this.#resized.observe(this)
    drafts.addEventListener('elsewhere', this.#elsewhere)
  }

  override focus(): void {
    this.area?.focus()
  }

  /** Adds files, as if they had been chosen. */
  attach(files: Iterable<File>): void {
    this.#keep([...this.files, ...files])
    void import('./define-more.ts')
    this.focus()
  }

  /** Puts `text` where the cursor is. */
  insert(text: string): void {
    this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, 'end')
    this.#typed()
    this.focus()
  }

  /** Opens the chooser of files, for what `kinds` names; `camera` in front of them asks for a new picture. */
  choose(kinds = ''): void {
    this.anyFile.accept = kinds.replace('camera ', '')
    this.anyFile.toggleAttribute('capture', kinds !== this.anyFile.accept)
    this.anyFile.click()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resized.disconnect()
    drafts.removeEventListener('elsewhere', this.#elsewhere)
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('place')) {
      this.files = drafts.files(this.place)
      this.#set(this.editing?.content ?? drafts.text(this.place))
    }
    if (changed.has('editing') && (this.editing || changed.get('editing'))) {
      this.#set(this.editing?.content ?? drafts.text(this.place))
      if (this.editing) this.focus()
    }
    if (changed.has('replyTo') && this.replyTo) this.focus()
  }

  override render() {
    const ready = (!this.empty || this.files.length > 0) && this.over <= 0
    const label = this.editing ? t('save') : t('send')
    return html`
      ${this.#about()} ${this.#chosen()}
      ${this.over > 0 ? html`<div class="over" role="status">${t('tooLong', { n: this.over })}</div>` : nothing}
      <form @submit=${this.#submit}>
        <button type="button" class="icon" aria-label=${t('attach')} ?hidden=${Boolean(this.editing)}
          @click=${(event: Event) => this.#pick(event, 'attach')}>${icon('attach')}</button>
        <textarea rows="1" dir="auto" placeholder=${t('write')} aria-label=${t('write')} enterkeyhint=${coarse() ? 'enter' : 'send'}
          @input=${this.#typed} @keydown=${this.#key} @paste=${this.#paste}></textarea>
        <button type="button" class="icon smile" aria-label=${t('emoji')}
          @click=${(event: Event) => this.#pick(event, 'emoji')}>${icon('smile')}</button>
        <button class="icon send" aria-label=${label} ?disabled=${!ready} @pointerdown=${keepFocus}>${icon(this.editing ? 'check' : 'send')}</button>
        <input id="any" type="file" multiple tabindex="-1" aria-hidden="true" @change=${this.#picked} />
      </form>
    `
  }

  #about() {
    const about = this.editing ?? this.replyTo
    if (!about) return nothing
    const name = about.sender.full_name || about.sender.username
    return html`<div class="about">${icon(this.editing ? 'edit' : 'reply')}
      <div><b class="cut">${this.editing ? t('editing') : t('replyTo', { name })}</b>
      <div class="cut">${about.content || about.attachment_name}</div></div>
      <button class="icon" aria-label=${t('cancel')} @click=${() => emit(this, 'chat-cancel', null)}>${icon('close')}</button>
    </div>`
  }

  #chosen() {
    if (this.files.length === 0) return nothing
    return html`<chat-chosen .files=${this.files} .drop=${(file: File) => {
      this.#keep(this.files.filter(one => one !== file))
    }}></chat-chosen>`
  }

  #pick(event: Event, value: 'attach' | 'emoji'): void {
    emit(this, 'chat-pick', { value, at: (event.currentTarget as Element).getBoundingClientRect() })
  }

  #typed = (): void => {
    const { value } = this.area
    this.#measure()
    if (this.editing) return
    emit(this, 'chat-pick', { value: value.trim() ? 'typing' : 'still' })
    drafts.keepText(this.place, value)
  }

  /** Another tab has written or sent what stands here. */
  #elsewhere = (): void => {
    const text = drafts.text(this.place)
    if (!this.editing && text !== this.area.value) this.#set(text)
  }

  #keep(files: readonly File[]): void {
    this.files = files
    drafts.keepFiles(this.place, files)
  }

  #measure(): void {
    const { value } = this.area
    this.empty = value.trim() === ''
    this.over = value.length > LENGTH_MAX ? [...value.trim()].length - LENGTH_MAX : 0
    this.area.style.height = ''
    const { scrollHeight, clientHeight } = this.area
    if (value && scrollHeight > clientHeight + 2) this.area.style.height = `${scrollHeight + 2}px`
  }

  #set(text: string): void {
    this.area.value = text
    this.#measure()
  }

  #key = (event: KeyboardEvent): void => {
    if (event.isComposing) return
    if (event.key === 'Enter' && !event.shiftKey && !coarse()) {
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

  #paste = (event: ClipboardEvent): void => {
    const files = [...(event.clipboardData?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    this.attach(files)
  }

  #picked = (): void => {
    this.attach(this.anyFile.files ?? [])
    this.anyFile.value = ''
  }

  #submit = (event: Event): void => {
    event.preventDefault()
    this.#send()
  }

  #send(): void {
    const text = this.area.value.trim()
    if ((text === '' && this.files.length === 0) || this.over > 0) return
    const files = [...this.files]
    this.#keep([])
    if (!this.editing) drafts.keepText(this.place, '')
    emit(this, 'chat-send', { text, files })
    this.#set('')
    this.focus()
  }
}

/** Whether a finger is the main pointer: then Enter makes a line. */
function coarse(): boolean {
  return matchMedia('(pointer: coarse)').matches
}

/** The button doesn't take the focus, so the keyboard of a phone stays. */
function keepFocus(event: Event): void {
  event.preventDefault()
}
