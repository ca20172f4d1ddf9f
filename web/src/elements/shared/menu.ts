/** The look of a menu, and its keyboard navigation. */
import { css, html, type TemplateResult } from 'lit'
import { emit } from './events.ts'
import { type IconName, icon } from './icons.ts'
import { type TextKey, t } from './texts.ts'

export const menuStyle = css`
  .menu {
    display: grid;
  }
  .menu button {
    display: flex;
    align-items: center;
    gap: 16px;
    width: 100%;
    min-height: 44px;
    padding: 0 16px 0 12px;
    border-radius: 10px;
  }
  .menu button:enabled:hover,
  .menu button:focus-visible {
    background: var(--_hover);
  }
  .menu svg {
    flex: none;
    width: 22px;
    height: 22px;
    color: var(--_text-2);
  }
  .menu .danger svg {
    color: inherit;
  }
`

/** Renders a menu item. */
export function menuItem(
  text: TextKey,
  iconName: IconName,
  onClick: (event: Event) => unknown,
  danger = false,
  disabled = false,
): TemplateResult {
  return html`<button role="menuitem" class=${danger ? 'danger' : ''} ?disabled=${disabled} @click=${onClick}>${icon(iconName)}${t(text)}</button>`
}

/** Returns a click handler for an item that emits `value`. */
export function selecting(value: string): (event: Event) => void {
  return event => emit(event.currentTarget!, 'chat-select', { value })
}

/** Moves the focus among the items of a menu with the arrow keys. */
export function menuKeys(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  if (step === undefined) return
  const menu = event.currentTarget as HTMLElement
  const items = [...menu.querySelectorAll<HTMLButtonElement>('button:enabled')]
  const root = menu.getRootNode() as ShadowRoot
  const index = items.indexOf(root.activeElement as HTMLButtonElement)
  event.preventDefault()
  items[(index + step + items.length) % items.length]?.focus()
}
