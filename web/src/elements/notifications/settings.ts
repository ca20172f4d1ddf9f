/** How the user wants to be told: on this device, when, and of what. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { ChatError } from '../../client/errors.ts'
import {
  type NotificationSettings,
  quieterRooms,
  readSettings,
  type SettingsChange,
  saveSettings,
} from '../../client/notification-settings.ts'
import type { ListedRoom } from '../../client/wire.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { durationText } from '../shared/duration.ts'
import { emit } from '../shared/events.ts'
import { switchRow, switchStyle } from '../shared/switch.ts'
import { errorText, type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { windowStyle } from '../shared/window-style.ts'
import { settingsStyle } from './settings-style.ts'

/** Saves a change. Returns why that failed, or nothing. */
export type Save = (change: SettingsChange) => Promise<string>

/** The delays that are offered, in seconds. */
const DELAYS = [0, 10, 30, 60, 300, 900, 3_600]

export class ChatNotificationSettings extends LitElement {
  static override styles = [
    base,
    windowStyle,
    switchStyle,
    settingsStyle,
    css`
      .frame {
        height: min(640px, 78dvh);
      }
      .scroll {
        padding: 0 12px;
      }
      .room {
        display: flex;
        align-items: center;
        gap: 12px;
        width: 100%;
        min-height: 44px;
        padding: 0 8px;
        border-radius: 12px;
      }
      .room:hover {
        background: var(--_hover);
      }
      .room .cut {
        flex: 1;
      }
      ul {
        margin-inline: -8px;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private settings: NotificationSettings | null = null
  @state() private loadError = ''
  /** The field that was saved last, or could not be, and why. */
  @state() private result: { readonly field: keyof SettingsChange; readonly error: string } | null = null

  constructor() {
    super()
    new ChangeController(this, () => [this.client])
  }

  override firstUpdated(): void {
    void this.#load()
  }

  override render() {
    const { settings } = this
    return html`<chat-sheet .label=${t('notificationSettings')}><div class="frame">
      <h2>${t('notifications')}</h2>
      <div class="scroll" tabindex="0" role="group" aria-label=${t('notificationSettings')}>
        <chat-device-settings .client=${this.client}></chat-device-settings>
        ${settings ? this.#form(settings) : this.#wait()}
        ${this.#rooms()}
      </div></div></chat-sheet>`
  }

  #wait() {
    return this.loadError
      ? html`<div class="none"><p class="danger" role="alert">${this.loadError}</p>
          <button class="plain" @click=${this.#load}>${t('tryAgain')}</button></div>`
      : html`<p class="none small" role="status">${t('loading')}</p>`
  }

  #form({ delay_seconds, quiet, hide_text, keywords }: NotificationSettings) {
    const delays = DELAYS.includes(delay_seconds) ? DELAYS : [delay_seconds, ...DELAYS]
    return html`<h3>${t('whenTold')}</h3>
      <label class="field">${t('delay')}<select aria-describedby="delay" @change=${this.#onDelay(delays)}>${delays.map(
        seconds =>
          html`<option .selected=${seconds === delay_seconds}>${seconds === 0 ? t('delayNone') : durationText(seconds)}</option>`,
      )}</select><span class="small" id="delay">${t('delayHint')}</span></label>
      ${this.#result('delay_seconds')}
      <chat-quiet-hours .quiet=${quiet} .save=${this.#save}></chat-quiet-hours>
      <h3>${t('whatTold')}</h3>
      ${switchRow('hide', t('hideText'), t('hideTextHint'), hide_text, on => void this.#saveField({ hide_text: on }))}
      ${this.#result('hide_text')}
      <chat-keywords .keywords=${keywords} .save=${this.#save}></chat-keywords>`
  }

  #result(field: keyof SettingsChange) {
    const { result } = this
    if (result?.field !== field) return nothing
    return result.error
      ? html`<p class="danger small error" role="alert">${result.error}</p>`
      : html`<p class="small" role="status">${t('settingSaved')}</p>`
  }

  /** Lists the rooms in which the user is told of less, and says where that is changed. */
  #rooms() {
    const rooms = quieterRooms(this.client.inbox.rooms)
    return html`<h3>${t('roomLevels')}</h3><p class="small">${t('roomsHint')}</p>
      <ul>${rooms.map(
        room => html`<li><button class="room" @click=${() => emit(this, 'chat-open-room', { id: room.id })}>
          <span class="cut" dir="auto">${room.display_name}</span><span class="small">${levelText(room)}</span></button></li>`,
      )}</ul>`
  }

  #onDelay(delays: readonly number[]) {
    return async (event: Event): Promise<void> => {
      const select = event.target as HTMLSelectElement
      const delay_seconds = delays[select.selectedIndex]!
      if (!(await this.#saveField({ delay_seconds })))
        select.selectedIndex = delays.indexOf(this.settings!.delay_seconds)
    }
  }

  #load = async (): Promise<void> => {
    this.loadError = ''
    try {
      this.settings = await readSettings(this.client)
    } catch (cause) {
      this.loadError = errorText(cause)
    }
  }

  #save: Save = async change => {
    try {
      this.settings = await saveSettings(this.client, change)
      return ''
    } catch (cause) {
      return cause instanceof ChatError && cause.status === 400 && cause.message
        ? cause.message
        : errorText(cause)
    }
  }

  /** Saves a field that shows its result here. Returns whether that succeeded. */
  async #saveField(change: SettingsChange): Promise<boolean> {
    this.result = null
    const error = await this.#save(change)
    this.result = { field: Object.keys(change)[0] as keyof SettingsChange, error }
    return !error
  }
}

function levelText({ is_muted, level }: ListedRoom): string {
  return t(is_muted ? 'levelMuted' : (`level_${level}` as TextKey))
}
