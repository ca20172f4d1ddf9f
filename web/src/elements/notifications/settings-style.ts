/** The styles that the parts of the notification settings share. */
import { css } from 'lit'

export const settingsStyle = css`
  h3 {
    padding: 16px 0 4px;
    font-size: 13px;
    font-weight: 600;
    color: var(--_text-2);
  }
  .field {
    display: grid;
    gap: 4px;
    padding: 8px 0;
  }
  select,
  input {
    width: 100%;
    min-height: 40px;
    padding: 0 12px;
    border: 1px solid transparent;
    border-radius: 12px;
    background: var(--_surface-2);
    color: var(--_text);
    font: inherit;
    color-scheme: inherit;
  }
  .error {
    padding: 4px 0;
  }
  .actions {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    padding: 8px 0;
  }
  @media (pointer: coarse) {
    select,
    input {
      min-height: 44px;
    }
  }
`
