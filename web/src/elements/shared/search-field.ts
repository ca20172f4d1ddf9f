/** A search field with a button that clears it. */
import { css, html } from 'lit'
import { icon } from './icons.ts'
import { t } from './texts.ts'

export const searchFieldStyle = css`
  .field {
    position: relative;
    flex: 1;
    min-width: 0;
  }
  .field > svg {
    position: absolute;
    inset-inline-start: 12px;
    top: calc(50% - 9px);
    width: 18px;
    height: 18px;
    color: var(--_text-2);
    pointer-events: none;
  }
  .field input {
    padding-inline: 38px 44px;
    border-radius: 20px;
  }
  .field input::-webkit-search-cancel-button {
    appearance: none;
  }
  .clear {
    position: absolute;
    inset-block: 0;
    inset-inline-end: 0;
    display: grid;
    place-items: center;
    width: 44px;
    border-radius: 20px;
    color: var(--_text-2);
  }
  .clear:hover {
    color: var(--_text);
  }
  .clear svg {
    width: 18px;
    height: 18px;
  }
`

/** Renders the field. `onInput` is called after each change, also by the button, and reads the field itself. */
export function searchField(
  label: string,
  value: string,
  onInput: () => void,
  onKeydown?: (event: KeyboardEvent) => void,
) {
  return html`<div class="field">${icon('search')}<input type="search" placeholder=${label} aria-label=${label}
    .value=${value} @input=${onInput} @keydown=${onKeydown} />
    <button type="button" class="clear" aria-label=${t('clear')} ?hidden=${!value} @click=${clear}>${icon('close')}</button></div>`
}

function clear(event: Event): void {
  const input = (event.currentTarget as Element).previousElementSibling as HTMLInputElement
  input.value = ''
  input.dispatchEvent(new Event('input'))
  input.focus()
}
