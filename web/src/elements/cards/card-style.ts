/** The styles of a card. */
import { css } from 'lit'

export const cardStyle = css`
  :host {
    display: block;
    min-width: min(240px, 100%);
    padding-top: 2px;
  }
  h3 {
    font-weight: 600;
  }
  .text {
    white-space: pre-wrap;
  }
  .state {
    display: inline-block;
    margin-block: 4px;
    padding: 0 8px;
    border: 1px solid var(--_line);
    border-radius: 10px;
    font-size: 13px;
  }
  dl {
    display: grid;
    grid-template-columns: auto 1fr;
    gap: 4px 12px;
    margin: 4px 0;
  }
  dd {
    margin: 0;
  }
  ul {
    margin: 4px -8px 0;
  }
  .line {
    display: grid;
    grid-template-columns: auto 1fr auto;
    align-items: center;
    gap: 0 12px;
    width: 100%;
    min-height: 44px;
    padding: 8px;
    border-radius: 10px;
  }
  .line:enabled:hover {
    background: var(--_hover);
  }
  .line:disabled {
    opacity: 1;
  }
  .box {
    display: grid;
    place-items: center;
    width: 22px;
    height: 22px;
    border: 2px solid var(--_text-2);
    border-radius: 6px;
  }
  .round {
    border-radius: 50%;
  }
  .box svg {
    width: 16px;
    height: 16px;
    stroke-width: 3;
  }
  [aria-checked='true'] .box {
    border-color: var(--_accent);
    background: var(--_accent);
    color: var(--_on-accent);
  }
  .done .what {
    color: var(--_text-2);
    text-decoration: line-through;
  }
  .share {
    font-size: 13px;
    font-variant-numeric: tabular-nums;
    color: var(--_text-2);
  }
  .bar {
    grid-column: 2 / -1;
    height: 4px;
    margin-top: 4px;
    border-radius: 2px;
    background: var(--_wash);
    overflow: hidden;
  }
  .bar i {
    display: block;
    width: var(--share);
    height: 100%;
    border-radius: 2px;
    background: var(--_accent);
  }
  .who {
    padding: 0 8px 8px 42px;
    font-size: 13px;
    color: var(--_text-2);
  }
  .who:dir(rtl) {
    padding: 0 42px 8px 8px;
  }
  .foot {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0 4px;
    margin-inline: -8px;
    font-size: 13px;
  }
  .foot > span {
    padding-inline: 8px;
  }
  .foot .plain {
    padding-inline: 8px;
    font-size: 13px;
  }
  .foot .plain:hover {
    background: none;
    text-decoration: underline;
  }
  .buttons {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    margin-top: 8px;
  }
  .press {
    display: inline-flex;
    align-items: center;
    gap: 4px;
    min-height: 44px;
    padding: 0 16px;
    border: 1px solid var(--_line);
    border-radius: 10px;
  }
  .press:enabled:hover {
    background: var(--_hover);
  }
  .press.primary {
    border-color: transparent;
    background: var(--_accent);
    color: var(--_on-accent);
  }
  .press svg {
    width: 16px;
    height: 16px;
  }
  a {
    display: inline-flex;
    align-items: center;
    min-height: 44px;
    color: var(--_accent);
  }
`
