/** Quiet hours: on which days, from when to when, and in which time zone. They are saved by their own button. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import { DAYS, offeredQuietHours, type QuietHours, timeZones } from '../../client/notification-settings.ts'
import { property, query, state } from '../shared/decorators.ts'
import { switchRow, switchStyle } from '../shared/switch.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import type { Save } from './settings.ts'
import { settingsStyle } from './settings-style.ts'

const WEEKDAY_SHORT = new Intl.DateTimeFormat(undefined, { weekday: 'short', timeZone: 'UTC' })
const WEEKDAY_LONG = new Intl.DateTimeFormat(undefined, { weekday: 'long', timeZone: 'UTC' })
/** A Monday. */
const MONDAY_MS = Date.UTC(2024, 0, 1)
const DAY_MS = 86_400_000

export class ChatQuietHours extends LitElement {
  static override styles = [
    base,
    switchStyle,
    settingsStyle,
    css`
      .times {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 12px;
      }
      fieldset {
        margin: 0;
        padding: 8px 0;
        border: 0;
      }
      legend {
        padding: 0 0 4px;
      }
      .days {
        display: grid;
        grid-template-columns: repeat(7, 1fr);
        gap: 4px;
      }
      .days button {
        position: relative;
        min-height: 40px;
        border: 1px solid var(--_line);
        border-radius: 12px;
        font-size: 13px;
        text-align: center;
        color: var(--_text-2);
      }
      .days [aria-pressed='true'] {
        border-color: transparent;
        background: var(--_mine);
        color: var(--_text);
        font-weight: 600;
      }
      @media (pointer: coarse) {
        .days button {
          min-height: 44px;
        }
      }
      @media (forced-colors: active) {
        .days [aria-pressed='true'] {
          border-color: Highlight;
        }
      }
    `,
  ]

  /** The saved quiet hours; null for none. */
  @property({ attribute: false }) quiet: QuietHours | null = null
  @property({ attribute: false }) save!: Save
  /** What the form shows while it differs from what is saved. */
  @state() private edited: QuietHours | null = null
  @state() private error = ''
  @state() private saved = false
  @query('[type=time]') private from!: HTMLInputElement | null

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('quiet')) this.edited = null
  }

  override render() {
    const shown = this.edited ?? this.quiet
    return html`${switchRow('quiet', t('quietHours'), t('quietHint'), shown !== null, this.#toggle)}
      ${shown ? this.#form(shown) : nothing}
      <div class="small" role="status">${this.saved ? t('settingSaved') : ''}</div>
      ${this.error ? html`<p class="danger small error" role="alert">${this.error}</p>` : nothing}`
  }

  #form(shown: QuietHours) {
    const { from, to, days, timezone } = shown
    const zones = timeZones(timezone, offeredQuietHours().timezone)
    return html`<form novalidate @submit=${this.#onSubmit}>
      <div class="times">
        <label class="field small">${t('quietFrom')}<input type="time" required .value=${from} @input=${this.#onTime('from')} /></label>
        <label class="field small">${t('quietTo')}<input type="time" required .value=${to} @input=${this.#onTime('to')} /></label>
      </div>
      ${from && to && to < from ? html`<p class="small">${t('quietNextDay')}</p>` : nothing}
      <fieldset><legend class="small">${t('quietDays')}</legend><div class="days">${DAYS.map((day, index) => {
        const date = MONDAY_MS + index * DAY_MS
        return html`<button type="button" aria-pressed=${days.includes(day)}
            @click=${() => this.#toggleDay(day)}><span class="unseen">${WEEKDAY_LONG.format(date)}</span><span aria-hidden="true">${WEEKDAY_SHORT.format(date)}</span></button>`
      })}</div></fieldset>
      <label class="field small">${t('quietZone')}<select @change=${(event: Event) =>
        this.#edit({ timezone: (event.target as HTMLSelectElement).value })}>${zones.map(
        zone =>
          html`<option value=${zone} .selected=${zone === timezone}>${zone.replaceAll('_', ' ')}</option>`,
      )}</select></label>
      ${this.edited ? html`<div class="actions"><button class="solid">${t('save')}</button>${this.quiet ? html`<button type="button" class="plain" @click=${this.#discard}>${t('cancel')}</button>` : nothing}</div>` : nothing}
    </form>`
  }

  #toggle = async (on: boolean): Promise<void> => {
    this.error = ''
    this.saved = false
    if (on) {
      this.edited = offeredQuietHours()
      await this.updateComplete
      this.from?.focus()
    } else if (this.quiet) await this.#save(null)
    else this.edited = null
  }

  #edit(change: Partial<QuietHours>): void {
    this.saved = false
    this.edited = { ...(this.edited ?? this.quiet)!, ...change }
  }

  #onTime(name: 'from' | 'to') {
    return (event: Event) => this.#edit({ [name]: (event.target as HTMLInputElement).value })
  }

  #toggleDay(day: string): void {
    const { days } = (this.edited ?? this.quiet)!
    this.#edit({ days: DAYS.filter(one => (one === day) !== days.includes(one)) })
  }

  #discard = (): void => {
    this.edited = null
    this.error = ''
  }

  #onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (!this.edited) return
    this.error = problemOf(this.edited)
    if (!this.error) await this.#save(this.edited)
  }

  async #save(quiet: QuietHours | null): Promise<void> {
    this.error = await this.save({ quiet: quiet && { ...quiet, days: [...quiet.days] } })
    if (this.error) return
    this.edited = null
    this.saved = true
  }
}

/** Returns why quiet hours cannot be saved, or nothing. */
function problemOf({ from, to, days }: QuietHours): string {
  if (!from || !to) return t('quietTimes')
  if (from === to) return t('quietSame')
  return days.length === 0 ? t('quietNoDay') : ''
}
