/** The styles of the details panel. */
import { css } from 'lit'

export const panelStyle = css`
  :host {
    display: flex;
    flex-direction: column;
    min-height: 0;
  }
  header {
    display: flex;
    align-items: center;
    min-height: 56px;
    padding: env(safe-area-inset-top) 8px 0 16px;
    border-bottom: 1px solid var(--_line);
  }
  header h2 {
    flex: 1;
    font-weight: 600;
  }
  [role='tablist'] {
    display: flex;
    flex: none;
    gap: 4px;
    padding: 8px 12px 0;
    border-bottom: 1px solid var(--_line);
  }
  [role='tab'] {
    flex: 1;
    min-height: 44px;
    text-align: center;
    color: var(--_text-2);
    border-bottom: 2px solid transparent;
  }
  [role='tab'][aria-selected='true'] {
    color: var(--_text);
    font-weight: 600;
    border-color: var(--_accent);
  }
  @media (forced-colors: active) {
    [role='tab']:not([aria-selected='true']) {
      border-color: Canvas;
    }
  }
  [role='tabpanel'] {
    flex: 1;
    min-height: 0;
    overflow: auto;
    padding: 8px;
    outline: 0;
  }
  .person {
    display: flex;
    align-items: center;
    gap: 12px;
    min-height: 56px;
    padding: 0 4px 0 8px;
    --size: 40px;
  }
  .person > span {
    flex: 1;
    display: grid;
    min-width: 0;
  }
  .add,
  .row {
    display: flex;
    align-items: center;
    gap: 16px;
    width: 100%;
    min-height: 52px;
    padding: 0 12px;
    border-radius: 12px;
  }
  .add {
    color: var(--_accent);
    font-weight: 600;
  }
  .add:hover,
  .row:hover,
  .doc:hover {
    background: var(--_hover);
  }
  .row > svg {
    flex: none;
    color: var(--_text-2);
  }
  .row.danger > svg {
    color: inherit;
  }
  .row span {
    display: grid;
    padding: 8px 0;
  }
  form {
    display: flex;
    gap: 8px;
    padding: 8px 4px;
  }
  label {
    padding: 0 4px;
  }
  .tiles {
    display: grid;
    grid-template-columns: repeat(3, 1fr);
    gap: 4px;
    padding-bottom: 8px;
  }
  .tiles button {
    aspect-ratio: 1;
    border-radius: 8px;
    overflow: hidden;
    background: var(--_surface-2);
  }
  .tiles img {
    width: 100%;
    height: 100%;
    object-fit: cover;
    display: block;
  }
  .doc {
    display: flex;
    align-items: center;
    gap: 12px;
    min-height: 56px;
    padding: 0 8px;
    border-radius: 12px;
    color: inherit;
    text-decoration: none;
  }
  .doc > svg {
    flex: none;
    color: var(--_accent);
  }
  .doc > span {
    display: grid;
    min-width: 0;
  }
  .none {
    padding: 32px 24px;
    text-align: center;
    text-wrap: balance;
  }
  .none b {
    font-weight: 600;
  }
  chat-people-picker {
    height: min(480px, 70dvh);
    padding: 12px;
  }
  .solid.danger {
    background: var(--_danger);
    color: var(--_surface);
  }
`
