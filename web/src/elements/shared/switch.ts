/** A switch with its name and an explanation. */
import { css, html, type TemplateResult } from 'lit'

export const switchStyle = css`
  .switch {
    display: flex;
    align-items: center;
    gap: 16px;
    width: 100%;
    min-height: 52px;
    padding: 8px 0;
  }
  .switch > span:first-child {
    flex: 1;
    display: grid;
  }
  .track {
    flex: none;
    width: 44px;
    height: 26px;
    padding: 3px;
    border: 1px solid transparent;
    border-radius: 13px;
    background: var(--_text-2);
    transition: background 140ms;
  }
  .track::before {
    content: '';
    display: block;
    width: 18px;
    height: 18px;
    border-radius: 50%;
    background: var(--_surface);
    transition: transform 140ms;
  }
  [aria-checked='true'] .track {
    background: var(--_accent);
  }
  [aria-checked='true'] .track::before {
    transform: translateX(18px);
  }
  [aria-checked='true'] .track:dir(rtl)::before {
    transform: translateX(-18px);
  }
  @media (forced-colors: active) {
    .track {
      border-color: ButtonText;
    }
    .track::before {
      background: ButtonText;
    }
    [aria-checked='true'] .track {
      background: Highlight;
    }
  }
`

/** Renders a switch; `id` is unique within its element. */
export function switchRow(
  id: string,
  label: string,
  hint: string,
  on: boolean,
  onChange: (on: boolean) => void,
): TemplateResult {
  return html`<button type="button" class="switch" role="switch" aria-checked=${on} aria-labelledby="${id}-label" aria-describedby="${id}-hint"
    @click=${() => onChange(!on)}><span><span id="${id}-label">${label}</span><span class="small" id="${id}-hint">${hint}</span></span>
    <span class="track"></span></button>`
}
