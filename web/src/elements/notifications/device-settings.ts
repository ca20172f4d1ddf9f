/** Whether notifications come to this device, with a test, and the sound of the page. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { icon } from '../shared/icons.ts'
import { switchRow, switchStyle } from '../shared/switch.ts'
import { type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { type DeviceState, deviceOf } from './device.ts'
import { settingsStyle } from './settings-style.ts'
import { chime, isSoundOn, setSound } from './sound.ts'

const STATE_TEXT: Readonly<Record<DeviceState, TextKey>> = {
  unsupported: 'deviceUnsupported',
  uninstalled: 'deviceUninstalled',
  blocked: 'deviceBlocked',
  off: 'deviceReason',
  page: 'devicePage',
  on: 'deviceOn',
}

export class ChatDeviceSettings extends LitElement {
  static override styles = [
    base,
    switchStyle,
    settingsStyle,
    css`
      .device {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 0 12px;
        padding: 12px;
        border-radius: 12px;
        background: var(--_surface-2);
      }
      .device svg {
        color: var(--_text-2);
      }
      .on svg {
        color: var(--_ok);
      }
      .blocked svg {
        color: var(--_danger);
      }
      .actions {
        grid-column: 2;
        padding-bottom: 0;
      }
      .plain {
        margin-inline-start: -12px;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private busy = false
  @state() private error = ''

  constructor() {
    super()
    new ChangeController(this, () => [this.client && deviceOf(this.client)])
  }

  override render() {
    const { state } = deviceOf(this.client)
    const isOn = state === 'on' || state === 'page'
    const sign = state === 'blocked' ? 'mute' : 'bell'
    return html`<h3>${t('thisDevice')}</h3>
      <div class="device ${isOn ? 'on' : state}">${icon(sign)}<p role="status">${t(STATE_TEXT[state])}</p>
        ${
          state === 'off'
            ? html`<div class="actions"><button class="solid" ?disabled=${this.busy} @click=${this.#turnOn}>${t('turnOn')}</button></div>`
            : nothing
        }
        ${
          isOn
            ? html`<div class="actions"><button class="plain" ?disabled=${this.busy} @click=${this.#test}>${t('sendTest')}</button>
                <button class="plain" ?disabled=${this.busy} @click=${this.#turnOff}>${t('turnOff')}</button></div>`
            : nothing
        }</div>
      ${this.error ? html`<p class="danger small error" role="alert">${this.error}</p>` : nothing}
      ${switchRow('sound', t('sound'), t('soundHint'), isSoundOn(), this.#setSound)}`
  }

  #turnOn = (): Promise<void> => this.#run(() => deviceOf(this.client).turnOn())

  #turnOff = (): Promise<void> => this.#run(() => deviceOf(this.client).turnOff())

  #test = (): Promise<void> => this.#run(() => deviceOf(this.client).test())

  async #run(action: () => Promise<void>): Promise<void> {
    this.busy = true
    this.error = ''
    try {
      await action()
    } catch {
      this.error = t('testFailed')
    } finally {
      this.busy = false
    }
  }

  #setSound = (on: boolean): void => {
    setSound(on)
    if (on) void chime()
    this.requestUpdate()
  }
}
