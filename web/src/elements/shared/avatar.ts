/** The avatar of a user or room: initials, or an icon, on a hue derived from a key. */
import { css, html, LitElement } from 'lit'
import { property } from './decorators.ts'
import { icon } from './icons.ts'
import { base } from './theme.ts'

export class ChatAvatar extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        position: relative;
        flex: none;
        width: var(--size, 36px);
        height: var(--size, 36px);
        border-radius: 50%;
        background: oklch(0.52 0.1 var(--hue, 250));
        color: #fff;
        user-select: none;
        forced-color-adjust: none;
      }
      :host([kind]) {
        border-radius: 28%;
      }
      span {
        display: grid;
        place-items: center;
        height: 100%;
        font-size: max(12px, calc(var(--size, 36px) * 0.38));
        font-weight: 600;
        line-height: 1;
      }
      svg {
        width: 56%;
        height: 56%;
      }
      :host([online])::after {
        content: '';
        position: absolute;
        inset-inline-end: -1px;
        bottom: -1px;
        width: 12px;
        height: 12px;
        border-radius: 50%;
        border: 2px solid var(--_surface);
        background: var(--_ok);
      }
    `,
  ]

  @property() name = ''
  /** The hue is derived from it. */
  @property() key = ''
  /** The kind of the room's subject, shown as an icon. */
  @property({ reflect: true }) kind: 'task' | 'property' | null = null
  @property({ type: Boolean, reflect: true }) online = false
  /** Shows one letter only. */
  @property({ type: Boolean }) brief = false

  override connectedCallback(): void {
    super.connectedCallback()
    this.setAttribute('aria-hidden', 'true')
  }

  override willUpdate(): void {
    this.style.setProperty('--hue', String(hueOf(this.key)))
  }

  override render() {
    return html`<span>${this.kind ? icon(this.kind) : [...initials(this.name)].slice(0, this.brief ? 1 : 2).join('')}</span>`
  }
}

/** Returns the hue of a key, which is the same everywhere. */
export function hueOf(key: string): number {
  let hash = 0
  for (const char of key) hash = (hash * 31 + char.charCodeAt(0)) >>> 0
  return (hash * 137) % 360
}

/** Returns the first letters of the first and last word of a name. */
export function initials(name: string): string {
  const words = name.split(/\s+/).filter(word => /[\p{L}\p{N}]/u.test(word))
  const picked = words.length > 1 ? [words[0]!, words.at(-1)!] : words
  return picked.map(word => /[\p{L}\p{N}]/u.exec(word)![0].toUpperCase()).join('') || '?'
}
