/** The colours and fonts that the root elements define, and the styles that all elements share. */
import { css } from 'lit'

/**
 * Defined by the root elements. Each `--chat-*` property of the host page overrides the default;
 * `theme="light"` and `theme="dark"` override the system's setting.
 */
export const theme = css`
  :host {
    color-scheme: light dark;
    --_accent: var(--chat-accent, light-dark(#1f62d6, #7fb0ff));
    --_on-accent: var(--chat-on-accent, light-dark(#fff, #0c1a30));
    --_surface: var(--chat-surface, light-dark(#fff, #1a1d21));
    --_surface-2: var(--chat-surface-2, light-dark(#f1f3f6, #262a30));
    --_text: var(--chat-text, light-dark(#15191f, #e9ebee));
    --_text-2: var(--chat-text-2, light-dark(#566070, #aab2bd));
    --_line: var(--chat-line, light-dark(#e1e5ea, #343941));
    --_danger: var(--chat-danger, light-dark(#bd2130, #ff8f8f));
    --_ok: var(--chat-ok, light-dark(#1a7a45, #6cd39a));
    --_mine: light-dark(
      color-mix(in srgb, var(--_accent) 15%, var(--_surface)),
      color-mix(in srgb, var(--_accent) 24%, var(--_surface))
    );
    --_wash: color-mix(in srgb, var(--_text) 6%, transparent);
    --_hover: var(--_wash);
    --_shadow: 0 4px 24px light-dark(#10182833, #0009);
    --_size: 15px;
    background: var(--_surface);
    color: var(--_text);
    font: 400 var(--_size) / 1.4 var(--chat-font, system-ui, sans-serif);
    -webkit-tap-highlight-color: transparent;
  }
  :host([theme='light']) {
    color-scheme: light;
  }
  :host([theme='dark']) {
    color-scheme: dark;
  }
  :host([font='inherit']) {
    font-family: inherit;
  }
  @media (pointer: coarse) {
    :host {
      --_size: 16px;
    }
  }
  @media (hover: none) {
    :host {
      --_hover: transparent;
    }
  }
`

/** Styles that all elements share. */
export const base = css`
  :host {
    box-sizing: border-box;
  }
  :host([hidden]),
  [hidden] {
    display: none !important;
  }
  *,
  ::before,
  ::after {
    box-sizing: border-box;
  }
  h1,
  h2,
  h3,
  p,
  ul {
    margin: 0;
    padding: 0;
    font: inherit;
    list-style: none;
  }
  svg {
    display: block;
    width: 24px;
    height: 24px;
    fill: none;
    stroke: currentColor;
    stroke-width: 1.8;
    stroke-linecap: round;
    stroke-linejoin: round;
  }
  button {
    font: inherit;
    color: inherit;
    background: none;
    border: 0;
    padding: 0;
    cursor: pointer;
    text-align: start;
    touch-action: manipulation;
  }
  button:disabled {
    cursor: default;
    opacity: 0.5;
  }
  .icon {
    display: grid;
    place-items: center;
    flex: none;
    width: 40px;
    height: 40px;
    border-radius: 50%;
    color: var(--_text-2);
  }
  .icon:hover {
    background: var(--_hover);
    color: var(--_text);
  }
  .plain {
    color: var(--_accent);
    font-weight: 600;
    min-height: 36px;
    padding: 0 12px;
    border-radius: 8px;
  }
  .plain:hover {
    background: var(--_hover);
  }
  .solid {
    background: var(--_accent);
    color: var(--_on-accent);
    font-weight: 600;
    min-height: 44px;
    padding: 0 20px;
    border: 1px solid transparent;
    border-radius: 12px;
    text-align: center;
  }
  .danger {
    color: var(--_danger);
  }
  input,
  textarea {
    font: inherit;
    color: inherit;
    background: var(--_surface-2);
    border: 1px solid transparent;
    border-radius: 12px;
    padding: 0 12px;
    min-height: 40px;
    width: 100%;
  }
  input::placeholder,
  textarea::placeholder {
    color: var(--_text-2);
    opacity: 1;
  }
  :focus-visible {
    outline: 2px solid var(--_accent);
    outline-offset: -2px;
  }
  svg.turns:dir(rtl) {
    transform: scaleX(-1);
  }
  .small {
    font-size: 13px;
    color: var(--_text-2);
  }
  .cut {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    min-width: 0;
  }
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  @media (pointer: coarse) {
    .icon {
      width: 44px;
      height: 44px;
    }
    .plain,
    input {
      min-height: 44px;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    ::before,
    ::after {
      animation: none !important;
      transition: none !important;
    }
  }
`
