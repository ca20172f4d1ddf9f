/** How lines that one chooses from look. */
import { css } from 'lit'

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
  .menu button:hover,
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

/** Moves the focus among the lines of a menu by arrows. */
export function menuKeys(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  if (step === undefined) return
  const menu = event.currentTarget as HTMLElement
  const lines = [...menu.querySelectorAll('button')]
  const root = menu.getRootNode() as ShadowRoot
  const at = lines.indexOf(root.activeElement as HTMLButtonElement)
  event.preventDefault()
  lines[(at + step + lines.length) % lines.length]?.focus()
}
