/** The badge that shows a number of unread messages. */
import { css } from 'lit'

export const badgeStyle = css`
  .count {
    min-width: 20px;
    padding: 0 6px;
    border-radius: 10px;
    background: var(--_accent);
    color: var(--_on-accent);
    font-size: 12px;
    font-weight: 600;
    line-height: 20px;
    text-align: center;
  }
`
