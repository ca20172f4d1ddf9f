/** The settings of a room: its admins change them, everyone else reads them. */
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit'
import type { Client } from '../../client/client.ts'
import type { Room, RoomView } from '../../client/room.ts'
import type { RoomSettings } from '../../client/wire.ts'
import { property, query, state } from '../shared/decorators.ts'
import { durationText } from '../shared/duration.ts'
import { may } from '../shared/permissions.ts'
import { errorText, type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

/** The server's limit, in code points. */
const DESCRIPTION_MAX = 1_000
/** The times that slow mode is offered with, in seconds. */
const SLOW_MODES = [0, 10, 30, 60, 300, 900, 3_600, 21_600]
const AUDIENCE_TEXT = { everyone: 'forEveryone', admins: 'forAdmins', nobody: 'forNobody' } as const

/** A setting that is one of a few values. */
interface Choice {
  readonly name: Exclude<keyof RoomSettings, 'description'>
  readonly label: TextKey
  readonly hint?: TextKey
  readonly values: readonly (string | number | boolean)[]
  readonly text: (value: never) => string
}

const audienceText = (value: keyof typeof AUDIENCE_TEXT) => t(AUDIENCE_TEXT[value])
const AUDIENCES = ['everyone', 'admins'] as const
const CHOICES: readonly Choice[] = [
  { name: 'posting', label: 'whoWrites', values: AUDIENCES, text: audienceText },
  {
    name: 'slow_mode_seconds',
    label: 'slowModeSetting',
    hint: 'slowModeHint',
    values: SLOW_MODES,
    text: (seconds: number) => (seconds === 0 ? t('off') : durationText(seconds)),
  },
  { name: 'pinning', label: 'whoPins', values: AUDIENCES, text: audienceText },
  { name: 'urgent', label: 'whoMarksUrgent', values: [...AUDIENCES, 'nobody'], text: audienceText },
  {
    name: 'history',
    label: 'historySetting',
    hint: 'historyHint',
    values: ['all', 'joined'],
    text: (value: 'all' | 'joined') => t(value === 'all' ? 'historyAll' : 'historyJoined'),
  },
  {
    name: 'edit_history',
    label: 'editHistorySetting',
    values: [true, false],
    text: (shown: boolean) => t(shown ? 'editHistoryShown' : 'editHistoryHidden'),
  },
]

export class ChatRoomSettings extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: grid;
        gap: 12px;
        padding: 8px 12px 12px;
      }
      label,
      dt {
        display: block;
        font-size: 13px;
        color: var(--_text-2);
      }
      dl,
      dd {
        margin: 0;
      }
      dl {
        display: grid;
        gap: 12px;
      }
      .about {
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      textarea {
        display: block;
        min-height: 72px;
        margin-top: 4px;
        padding: 8px 12px;
        resize: vertical;
      }
      select {
        width: 100%;
        min-height: 40px;
        margin-top: 4px;
        padding: 0 8px;
        border: 1px solid transparent;
        border-radius: 12px;
        background: var(--_surface-2);
        color: var(--_text);
        font: inherit;
      }
      .save {
        display: flex;
        align-items: center;
        justify-content: flex-end;
        gap: 8px;
        padding-top: 4px;
      }
      @media (pointer: coarse) {
        select {
          min-height: 44px;
        }
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  /** The description has been changed and not saved. */
  @state() private isDirty = false
  @state() private status = ''
  @state() private error = ''
  @query('textarea') private area!: HTMLTextAreaElement | null

  override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('room')) return
    this.isDirty = false
    this.status = ''
    this.error = ''
  }

  override render() {
    const settings = this.view.timeline?.room
    // Older servers have no settings, and a direct room has none to change.
    if (!settings || settings.posting == null || settings.room_type === 'direct') return nothing
    return html`${may(this.room, this.client, 'manage') ? this.#form(settings) : this.#list(settings)}
      <div class="small" role="status">${this.status}</div>
      ${this.error ? html`<div class="danger small" role="alert">${this.error}</div>` : nothing}`
  }

  #form(settings: Partial<RoomSettings>) {
    // What is being typed stays whatever others save meanwhile.
    const description = this.isDirty ? (this.area?.value ?? '') : (settings.description ?? '')
    return html`<form @submit=${this.#onSubmit}><label>${t('description')}
        <textarea maxlength=${DESCRIPTION_MAX} placeholder=${t('descriptionHint')} .value=${description} @input=${() => {
          this.isDirty = true
        }}></textarea></label>
        ${this.isDirty ? html`<div class="save"><button class="plain">${t('save')}</button></div>` : nothing}</form>
      ${CHOICES.map(choice => this.#choice(choice, settings))}`
  }

  #choice(choice: Choice, settings: Partial<RoomSettings>): TemplateResult {
    const { name, label, hint, values } = choice
    const current = settings[name]!
    const offered = values.includes(current) ? values : [current, ...values]
    return html`<label>${t(label)}<select aria-describedby=${hint ? name : nothing} @change=${async (
      event: Event,
    ) => {
      const select = event.target as HTMLSelectElement
      if (!(await this.#save({ [name]: offered[select.selectedIndex] })))
        select.selectedIndex = offered.indexOf(current)
    }}>${offered.map(value => html`<option .selected=${value === current}>${textOf(choice, value)}</option>`)}</select>
      ${hint ? html`<span id=${name}>${t(hint)}</span>` : nothing}</label>`
  }

  #list(settings: Partial<RoomSettings>) {
    return html`${settings.description ? html`<div class="about" dir="auto">${settings.description}</div>` : nothing}
      <dl>${CHOICES.map(
        choice =>
          html`<div><dt>${t(choice.label)}</dt><dd>${textOf(choice, settings[choice.name]!)}</dd></div>`,
      )}</dl>`
  }

  #onSubmit = (event: Event): void => {
    event.preventDefault()
    const description = this.area!.value.trim()
    void this.#save({ description }).then(isSaved => {
      if (isSaved) this.isDirty = false
    })
  }

  /** Saves a change, which the frame about it then shows. Returns whether that succeeded. */
  async #save(change: Partial<RoomSettings>): Promise<boolean> {
    this.error = ''
    this.status = ''
    try {
      const options = { params: { path: { id: this.room.id } }, body: change }
      await this.client.api.PATCH('/api/chat/rooms/{id}/', options)
      this.status = t('settingSaved')
      return true
    } catch (cause) {
      this.error = errorText(cause)
      return false
    }
  }
}

function textOf({ text }: Choice, value: string | number | boolean): string {
  return text(value as never)
}
